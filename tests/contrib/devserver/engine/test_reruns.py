"""Runs that repeat others, and invocations by a key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from inngest_contrib.devserver.engine.commands import (
    InvokeFunction,
    KeptStep,
    Rerun,
    Settings,
)
from inngest_contrib.devserver.engine.state import Memos, Run
from inngest_contrib.devserver.store import Store
from tests.contrib.devserver.engine.desk import (
    START,
    Desk,
    error_op,
    function,
    hashed,
    op,
    plan,
    run_op,
)


@pytest.fixture
def desk() -> Iterator[Desk]:
    """A function has been run once, with the steps a and b."""
    store = Store(None)
    desk = Desk(settings=Settings(retry_interval=1000), store=store)
    desk.sync(function(retries=1))
    desk.send("f", {"n": 1})
    desk.answer(run_op("a", "A"))
    desk.answer(run_op("b", "B"))
    desk.reply(desk.take(), 200, "done")
    yield desk
    store.close()


def kept(step: str, memo: bytes = b"null", **more: Any) -> KeptStep:
    return KeptStep(id=hashed(step), name=step, op="StepRun", queued_at=START, memo=memo, **more)


def rerun(desk: Desk, **facts: Any) -> Run:
    first = desk.run
    made = desk.do(
        Rerun(original_run_id=first.id, function_id=first.function.id, events=first.events, **facts)
    )
    return desk.runs[made]


def from_b(desk: Desk, given: bytes | None = None) -> Run:
    return rerun(desk, step=kept("b"), kept=[kept("a", b'{"data":"A"}')], input=given)


def test_a_rerun_begins_at_the_beginning_with_the_same_event(desk: Desk) -> None:
    run = rerun(desk)
    assert run.original_run_id == desk.run.id
    (call,) = desk.open
    assert (call.step, call.body["steps"]) == ("step", {})
    assert call.body["event"] == json.loads(desk.run.event.full)


def test_from_a_step_on_that_step_is_called_first(desk: Desk) -> None:
    run = from_b(desk)
    call = desk.take()
    ctx = call.body["ctx"]
    assert call.step == hashed("b")
    assert call.body["steps"] == {hashed("a"): {"data": "A"}}
    assert ctx["stack"]["stack"] == [hashed("a")]
    assert (ctx["run_id"], ctx["disable_immediate_execution"]) == (run.id, False)
    desk.reply(call, 206, [run_op("b", "new")])
    assert desk.open[0].step == "step"
    assert desk.open[0].body["steps"][hashed("b")] == {"data": "new"}


def test_other_arguments_stand_in_the_place_of_the_memo(desk: Desk) -> None:
    from_b(desk, b'["edited",1]')
    call = desk.take()
    assert call.body["steps"][hashed("b")] == {"input": ["edited", 1]}
    assert call.body["ctx"]["stack"]["stack"] == [hashed("a")]
    desk.reply(call, 206, [run_op("b", "new")])
    assert desk.open[0].body["steps"][hashed("b")] == {"data": "new"}


def test_other_arguments_are_told_at_every_attempt_and_after_a_restart(desk: Desk) -> None:
    from_b(desk, b"[2]")
    desk.answer(error_op("b"))
    desk.wait(1000)
    told = desk.open[0].body["steps"]
    assert told[hashed("b")] == {"input": [2]}
    desk.restart()
    (call,) = desk.open
    assert (call.step, call.attempt) == (hashed("b"), 1)
    assert call.body["steps"] == told
    desk.answer(error_op("b"))
    assert desk.open[0].body["steps"][hashed("b")]["error"]["message"] == "bad"


def test_a_step_that_is_planned_at_first_is_called_then(desk: Desk) -> None:
    from_b(desk, b"[2]")
    desk.answer(*plan("b"))
    assert desk.open[0].step == hashed("b")
    assert desk.open[0].body["steps"][hashed("b")] == {"input": [2]}


def test_a_run_can_be_repeated_from_a_sleep(desk: Desk) -> None:
    rerun(desk, step=kept("nap"))
    desk.answer(op("Sleep", "nap", duration="1m"))
    desk.wait(60_000)
    assert desk.open[0].body["steps"] == {hashed("nap"): None}


def test_what_failed_is_taken_over_as_failed(desk: Desk) -> None:
    error = b'{"error":{"name":"E","message":"no"}}'
    run = rerun(desk, step=kept("b"), kept=[kept("a", error, failed=True, ended_at=START)])
    assert run.steps[hashed("a")].status == "FAILED"
    assert desk.open[0].body["steps"][hashed("a")] == json.loads(error)


def test_a_function_that_is_gone_is_not_run_again(desk: Desk) -> None:
    desk.sync(function("other"))
    first = desk.run
    wish = Rerun(original_run_id=first.id, function_id=first.function.id, events=first.events)
    assert desk.do(wish) is None


def test_a_memo_takes_the_place_of_what_stood_there() -> None:
    memos = Memos()
    memos.add("b", b'"b":1')
    memos.add("a", b'"a":1')
    memos.add("b", b'"b":234')
    assert memos.joined() == b'"a":1,"b":234'
    assert (len(memos), memos.size) == (2, len(memos.joined()) + 1)


# --- invocations by a key -------------------------------------------------------------------


def test_a_key_leads_to_one_run(desk: Desk) -> None:
    first = desk.do(InvokeFunction(slug="app-f", key="k"))
    again = desk.do(InvokeFunction(slug="app-f", key="k"))
    assert (first.known, again.known) == (False, True)
    assert (again.run_id, again.event_id) == (first.run_id, first.event_id)
    assert desk.do(InvokeFunction(slug="app-f", key="k2")).run_id != first.run_id
    assert desk.do(InvokeFunction(slug="app-f")).run_id != first.run_id


def test_a_key_is_known_after_a_restart_and_forgotten_after_a_day(desk: Desk) -> None:
    first = desk.do(InvokeFunction(slug="app-f", key="k"))
    desk.restart()
    assert desk.do(InvokeFunction(slug="app-f", key="k")).run_id == first.run_id
    desk.wait(24 * 60 * 60 * 1000)
    assert desk.do(InvokeFunction(slug="app-f", key="k")).run_id != first.run_id
    assert len(desk.engine.state.invocations) == 1


def test_a_key_belongs_to_its_function(desk: Desk) -> None:
    desk.sync(function(), function("g"))
    first = desk.do(InvokeFunction(slug="app-f", key="k"))
    assert desk.do(InvokeFunction(slug="app-g", key="k")).run_id != first.run_id


def test_a_key_for_a_function_that_nobody_knows_leads_nowhere(desk: Desk) -> None:
    assert desk.do(InvokeFunction(slug="app-nobody", key="k")).run_id is None
    assert desk.engine.state.invocations == {}
