"""Signals: one waiter per name; a second one fails or takes over."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from inngest_contrib.devserver.engine.commands import CancelRun, SendSignal
from inngest_contrib.devserver.engine.state import Run
from inngest_contrib.devserver.store import Store
from tests.contrib.devserver.engine.desk import Desk, function, hashed, op, plan


@pytest.fixture
def desk() -> Iterator[Desk]:
    store = Store(None)
    desk = Desk(store=store)
    desk.sync(function())
    yield desk
    store.close()


def wait(desk: Desk, step: str = "s", **opts: Any) -> Run:
    """Start a run that waits for the signal `go`; give it."""
    desk.send("f")
    run = list(desk.runs.values())[-1]
    desk.answer(op("WaitForSignal", step, **{"signal": "go", "timeout": "1h", **opts}))
    return run


def signal(desk: Desk, data: Any = None, name: str = "go") -> str | None:
    found: str | None = desk.do(SendSignal(name, data))
    return found


def memo(run: Run, step: str = "s") -> Any:
    return json.loads(run.steps[hashed(step)].memo or b"0")


def test_a_signal_wakes_the_step_that_waits_for_it(desk: Desk) -> None:
    run = wait(desk)
    assert signal(desk, name="other") is None
    assert desk.open == []
    assert signal(desk, {"by": "ada"}) == run.id
    assert memo(run) == {"data": {"signal": "go", "data": {"by": "ada"}}}
    assert desk.take().body["steps"].keys() == {hashed("s")}


def test_a_signal_wakes_once(desk: Desk) -> None:
    wait(desk)
    signal(desk)
    assert signal(desk) is None


def test_a_wait_in_vain_ends_with_null(desk: Desk) -> None:
    run = wait(desk, timeout="1m")
    desk.wait(60_000)
    assert memo(run) is None
    assert json.loads(run.steps[hashed("s")].details or b"") == {"timed_out": True}
    assert signal(desk) is None


@pytest.mark.parametrize("opts", [{}, {"conflict": "fail"}, {"conflict": None}])
def test_a_second_waiter_fails_its_run(desk: Desk, opts: dict[str, Any]) -> None:
    first, second = wait(desk), wait(desk, **opts)
    assert second.status == "FAILED"
    assert json.loads(second.output or b"") == {
        "name": "Error",
        "message": "Signal conflict; signal wait already exists for another run",
    }
    assert signal(desk) == first.id


def test_a_second_waiter_may_take_over(desk: Desk) -> None:
    first, second = wait(desk, timeout="1m"), wait(desk, conflict="replace")
    assert signal(desk) == second.id
    assert desk.take().body["ctx"]["run_id"] == second.id
    desk.wait(60_000)
    assert memo(first) is None


def test_who_was_displaced_does_not_take_the_name_along(desk: Desk) -> None:
    first, second = wait(desk), wait(desk, conflict="replace")
    desk.do(CancelRun(first.id))
    assert signal(desk) == second.id


def test_a_cancelled_run_waits_no_more(desk: Desk) -> None:
    desk.do(CancelRun(wait(desk).id))
    assert signal(desk) is None
    assert wait(desk).status == "RUNNING"


def test_a_wait_that_is_named_again_is_the_same_wait(desk: Desk) -> None:
    race = op("WaitForSignal", "s", signal="go", timeout="1h", parallelMode="race")
    desk.send("f")
    desk.answer(race, op("Sleep", "z", duration="1s", parallelMode="race"))
    desk.wait(1000)
    desk.answer(race)
    assert desk.status() == ["RUNNING"]
    assert signal(desk) == desk.run.id


def test_a_wait_belongs_to_its_batch(desk: Desk) -> None:
    desk.send("f")
    desk.answer(op("WaitForSignal", "s", signal="go", timeout="1h"), *plan("a"))
    signal(desk)
    assert [call.step for call in desk.open] == [hashed("a")]


def test_waits_survive_a_restart_and_so_does_who_was_displaced(desk: Desk) -> None:
    wait(desk)
    second = wait(desk, conflict="replace")
    desk.restart()
    assert signal(desk, 1) == second.id
    assert signal(desk, 1) is None


@pytest.mark.parametrize(
    ("opts", "reason"),
    [
        ({"signal": ""}, "names no signal"),
        ({"signal": 3}, "opts.signal must be text"),
        ({"conflict": "loudest"}, 'conflict "loudest"'),
        ({"timeout": "soon"}, "neither a duration"),
        ({"timeout": "800d"}, "at most one year"),
    ],
)
def test_options_that_cannot_be_read_fail_the_run(
    desk: Desk, opts: dict[str, Any], reason: str
) -> None:
    run = wait(desk, **opts)
    assert run.status == "FAILED"
    assert reason in json.loads(run.output or b"")["message"]


def test_what_is_too_large_for_the_run_fails_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("inngest_contrib.devserver.engine.demands.MAX_STATE", 1000)
    run = wait(desk)
    assert signal(desk, "x" * 1000) == run.id
    assert run.status == "FAILED"
    assert "state size limit" in json.loads(run.output or b"")["message"]
