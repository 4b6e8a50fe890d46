"""Calls of apps whose workers are connected: they wait for a place, and take nobody else's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from inngest_contrib.devserver.engine.commands import (
    CallPostponed,
    CancelRun,
    NewEvent,
    NoteWorkers,
    ReceiveEvents,
    Settings,
    SyncApp,
    Target,
)
from inngest_contrib.devserver.expressions import Expressions
from inngest_contrib.devserver.store import Store
from tests.contrib.devserver.engine.desk import Desk, function, plan, run_op


@pytest.fixture
def desk() -> Iterator[Desk]:
    store = Store(None)
    yield Desk(Settings(retry_interval=5000, max_calls=3), store, Expressions())
    store.close()


def worked(name: str = "f", app: str = "app", **config: Any) -> dict[str, Any]:
    """A function that workers run."""
    made = function(name, **config)
    made["id"] = f"{app}-{name}"
    url = f"ws://connect?fnId={app}-{name}&stepId=step"
    made["steps"]["step"]["runtime"] = {"type": "ws", "url": url}
    return made


def sync(desk: Desk, *functions: dict[str, Any], app: str = "app") -> None:
    desk.do(SyncApp(name=app, url=f"connect://{app}", functions=functions, method="connect"))


def workers(desk: Desk, room: int | None, *, connected: int = 1, app: str = "app") -> None:
    desk.do(NoteWorkers(app=app, connected=connected, room=room))


def send(desk: Desk, name: str, count: int) -> None:
    desk.do(ReceiveEvents([NewEvent(name=name, data={"i": index}) for index in range(count)]))


def called(desk: Desk) -> list[int]:
    return [call.body["event"]["data"]["i"] for call in desk.open]


def finish(desk: Desk) -> None:
    desk.reply(desk.take(), 200)


def test_without_a_worker_a_run_waits_and_the_log_says_so_once(desk: Desk) -> None:
    sync(desk, worked())
    send(desk, "f", 2)
    desk.send("f", {"i": 2})
    assert desk.open == []
    assert desk.warnings == ['No worker is connected for the app "app": its runs wait for one.']
    assert desk.status() == ["QUEUED"] * 3


def test_the_moment_a_worker_comes_the_runs_go_on_in_their_order(desk: Desk) -> None:
    sync(desk, worked())
    send(desk, "f", 3)
    workers(desk, None)
    assert called(desk) == [0, 1, 2]
    assert [call.attempt for call in desk.open] == [0, 0, 0]


def test_a_call_names_its_target(desk: Desk) -> None:
    sync(desk, worked())
    workers(desk, None)
    send(desk, "f", 1)
    call = desk.open[0]
    function_id = call.body["ctx"]["fn_id"]
    known = desk.engine.state.functions[function_id]
    assert call.effect.target == Target(known.app_id, "app", function_id, "app-f")


def test_the_call_of_an_app_at_an_address_has_no_target(desk: Desk) -> None:
    desk.sync(function())
    send(desk, "f", 1)
    assert desk.open[0].effect.target is None


def test_no_more_calls_go_out_than_there_are_places(desk: Desk) -> None:
    sync(desk, worked())
    workers(desk, 1)
    send(desk, "f", 3)
    assert called(desk) == [0]
    finish(desk)
    assert called(desk) == [], "the gateway tells when a place is free"
    workers(desk, 1)
    assert called(desk) == [1]


def test_those_who_wait_for_workers_are_in_nobody_elses_way(desk: Desk) -> None:
    sync(desk, worked())
    send(desk, "f", 10)
    desk.sync(function("g"), app="other")
    desk.sync(function("g"), app="app2")
    send(desk, "g", 3)
    assert [call.function for call in desk.open] == ["app-g"] * 3


def test_two_apps_have_workers_of_their_own(desk: Desk) -> None:
    sync(desk, worked("f", "a"), app="a")
    sync(desk, worked("f", "b"), app="b")
    workers(desk, None, app="b")
    send(desk, "f", 1)
    assert [call.function for call in desk.open] == ["b-f"]


def test_a_call_that_found_no_place_waits_as_the_same_attempt(desk: Desk) -> None:
    sync(desk, worked(retries=2))
    workers(desk, 5)
    send(desk, "f", 1)
    call = desk.take()
    desk.do(CallPostponed(call.effect.job_id, "connect_all_workers_at_capacity"))
    assert desk.open == [], "until the gateway has told of a place again"
    workers(desk, 1)
    again = desk.take()
    assert (again.attempt, again.effect.job_id) == (0, call.effect.job_id)
    assert again.body["ctx"]["generation_id"] == 2
    desk.reply(again, 200, "done")
    assert desk.status() == ["COMPLETED"]


def test_a_call_that_found_no_place_gives_back_its_other_places(desk: Desk) -> None:
    limit = [{"limit": 1, "scope": "account", "key": '"all"'}]
    sync(desk, worked(concurrency=limit), worked("g", concurrency=limit))
    desk.sync(function("h", concurrency=limit), app="other")
    workers(desk, 1)
    send(desk, "f", 1)
    send(desk, "h", 1)
    assert [call.function for call in desk.open] == ["app-f"]
    desk.do(CallPostponed(desk.take().effect.job_id, "connect_no_healthy_connection"))
    assert [call.function for call in desk.open] == ["app-h"]
    finish(desk)
    workers(desk, 1)
    finish(desk)
    assert desk.engine.state.runs == {}
    assert desk.engine.state.control.inside == {}


def test_a_run_that_was_cancelled_takes_no_place_of_a_worker(desk: Desk) -> None:
    sync(desk, worked())
    send(desk, "f", 2)
    desk.do(CancelRun(desk.run.id))
    workers(desk, 1)
    assert called(desk) == [1]


def test_an_app_that_moves_to_workers_is_not_called_without_them(desk: Desk) -> None:
    desk.sync(function())
    send(desk, "f", 1)
    sync(desk, worked())
    desk.answer(*plan("a", "b"))
    assert desk.open == []
    workers(desk, None)
    assert len(desk.open) == 2


def test_an_app_that_moves_to_an_address_waits_for_no_worker(desk: Desk) -> None:
    sync(desk, worked())
    send(desk, "f", 1)
    desk.sync(function())
    assert called(desk) == [0]
    assert desk.open[0].effect.target is None


def test_a_call_on_its_way_to_workers_that_are_no_more_is_an_attempt(desk: Desk) -> None:
    sync(desk, worked(retries=1))
    workers(desk, 1)
    send(desk, "f", 1)
    call = desk.take()
    desk.sync(function(retries=1))
    desk.do(CallPostponed(call.effect.job_id, "connect_no_healthy_connection"))
    desk.wait(5000)
    assert desk.take().attempt == 1


def test_what_waits_for_workers_survives_a_restart(desk: Desk) -> None:
    sync(desk, worked())
    workers(desk, None)
    send(desk, "f", 1)
    desk.answer(run_op("a"))
    desk.restart()
    assert desk.open == []
    workers(desk, None)
    assert desk.take().body["steps"] != {}
