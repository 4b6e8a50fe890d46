"""Deferred functions: they begin when their run has ended, however it ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from inngest_contrib.devserver.engine.commands import CancelRun, Settings
from inngest_contrib.devserver.engine.limits import MAX_DEFER_META, MAX_DEFERS, MAX_IDLE_CALLS
from inngest_contrib.devserver.store import Store
from tests.contrib.devserver.engine.desk import Desk, error_op, function, hashed, op, run_op

SCHEDULE = "inngest/deferred.schedule"
LATER = {"event": SCHEDULE, "expression": "event.data._inngest.fn_slug == 'app-later'"}


@pytest.fixture
def desk() -> Iterator[Desk]:
    store = Store(None)
    desk = Desk(settings=Settings(retry_interval=1000), store=store)
    desk.sync(function(retries=1), function("later", LATER))
    desk.send("f")
    yield desk
    store.close()


def defer(name: str, **opts: Any) -> dict[str, Any]:
    return op("DeferAdd", name, **{"fn_slug": "app-later", "input": {"n": name}, **opts})


def abort(name: str) -> dict[str, Any]:
    return op("DeferAbort", f"abort {name}", target_hashed_id=hashed(name))


def finish(desk: Desk) -> None:
    desk.reply(desk.take("app-f"), 200, "done")


def begun(desk: Desk) -> list[Any]:
    """What the deferred functions that have begun were given."""
    inputs = [call.body["event"]["data"] for call in desk.open if call.function == "app-later"]
    return [given["n"] for given in inputs]


def test_it_begins_when_the_run_has_ended_and_not_before(desk: Desk) -> None:
    desk.answer(defer("d"), run_op("a"))
    assert desk.open[0].body["defers"] == {hashed("d"): {"abortable": True}}
    assert begun(desk) == []
    finish(desk)
    (call,) = desk.open
    assert call.body["event"]["data"] == {
        "n": "d",
        "_inngest": {
            "fn_slug": "app-later",
            "parent_app_id": desk.run.function.app_id,
            "parent_fn_id": desk.run.function.id,
            "parent_fn_slug": "app-f",
            "parent_run_id": desk.run.id,
        },
    }


def test_it_rides_along_with_the_end(desk: Desk) -> None:
    desk.answer(defer("d"), {"id": hashed("end"), "op": "RunComplete", "data": 1})
    assert desk.run.output == b"1"
    assert begun(desk) == ["d"]


def test_alone_it_leads_to_another_call(desk: Desk) -> None:
    desk.answer(defer("d"))
    assert desk.open[0].body["defers"].keys() == {hashed("d")}


def test_alone_it_leads_to_another_call_beside_what_still_waits(desk: Desk) -> None:
    race = [
        op("Sleep", "long", duration="1h", parallelMode="race"),
        op("Sleep", "short", duration="1s", parallelMode="race"),
    ]
    desk.answer(*race)
    desk.wait(1000)
    desk.answer(defer("d"))
    assert desk.open[0].body["defers"].keys() == {hashed("d")}


def test_with_a_step_that_failed_the_step_is_tried_again(desk: Desk) -> None:
    desk.answer(defer("d"), error_op("a"))
    assert desk.open == []
    desk.wait(1000)
    assert desk.open[0].attempt == 1
    assert desk.open[0].body["defers"].keys() == {hashed("d")}


def test_it_does_not_make_a_batch_of_one_step(desk: Desk) -> None:
    desk.answer(defer("d"), defer("e"), run_op("a"))
    assert desk.open[0].body["ctx"]["disable_immediate_execution"] is False


def test_an_aborted_one_does_not_begin(desk: Desk) -> None:
    desk.answer(defer("d"), defer("e"), run_op("a"))
    desk.answer(abort("d"), run_op("b"))
    assert desk.open[0].body["defers"] == {
        hashed("d"): {"abortable": False},
        hashed("e"): {"abortable": True},
    }
    finish(desk)
    assert begun(desk) == ["e"]


def test_what_is_not_deferred_cannot_be_aborted(desk: Desk) -> None:
    desk.answer(abort("d"), op("DeferAbort", "x"), run_op("a"))
    finish(desk)
    assert begun(desk) == []


def test_one_that_is_named_again_begins_once(desk: Desk) -> None:
    desk.answer(defer("d"), run_op("a"))
    desk.answer(defer("d"), run_op("b"))
    finish(desk)
    assert begun(desk) == ["d"]


def test_naming_only_what_is_known_does_not_go_on_for_ever(desk: Desk) -> None:
    for _ in range(MAX_IDLE_CALLS + 2):
        desk.answer(defer("d"))
    assert desk.status() == ["FAILED"]


def test_it_begins_after_a_failure_and_after_a_cancellation(desk: Desk) -> None:
    desk.answer(defer("d"), run_op("a"))
    desk.reply(desk.take(), 400, {"message": "no"}, x_inngest_no_retry="true")
    assert begun(desk) == ["d"]
    desk.open.clear()
    desk.send("f")
    desk.answer(defer("e"), op("Sleep", "s", duration="1h"))
    desk.do(CancelRun(list(desk.runs)[-1]))
    assert begun(desk) == ["e"]


def test_too_many_are_dropped_with_a_warning(desk: Desk) -> None:
    desk.answer(*[defer(f"d{n}") for n in range(MAX_DEFERS + 1)], run_op("a"))
    assert len(desk.open[0].body["defers"]) == MAX_DEFERS
    (warning,) = desk.warnings
    assert warning.endswith(f'"d{MAX_DEFERS}" was dropped: a run may defer {MAX_DEFERS} functions')


@pytest.mark.parametrize(
    ("opts", "reason"),
    [
        ({"fn_slug": None}, "fn_slug must name"),
        ({"input": [1]}, "input must be an object"),
        ({"meta": "x"}, "meta must be an object"),
        ({"meta": {"x": "x" * MAX_DEFER_META}}, "are allowed"),
    ],
)
def test_what_cannot_be_read_is_dropped_and_the_run_goes_on(
    desk: Desk, opts: dict[str, Any], reason: str
) -> None:
    desk.answer(defer("d", **opts), run_op("a"))
    assert desk.open[0].body["defers"] == {}
    assert reason in desk.warnings[0]


def test_a_function_that_nobody_registered_is_warned_of(desk: Desk) -> None:
    desk.answer(defer("d", fn_slug="app-nobody"), run_op("a"))
    finish(desk)
    assert "app-nobody, which no app has registered" in desk.warnings[0]


def test_it_survives_a_restart(desk: Desk) -> None:
    desk.answer(defer("d"), defer("e"), run_op("a"))
    desk.answer(abort("d"), run_op("b"))
    before = desk.open[0].body["defers"]
    desk.restart()
    assert desk.open[0].body["defers"] == before
    finish(desk)
    assert begun(desk) == ["e"]
    desk.restart()
    assert begun(desk) == ["e"]
