"""A server that is killed goes on where it was, as far as anything outside can tell."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inngest_contrib.devserver.engine.commands import SendSignal, Settings
from inngest_contrib.devserver.engine.state import Run
from inngest_contrib.devserver.store import Store
from tests.contrib.devserver.engine.desk import (
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
    store = Store(None)
    desk = Desk(Settings(retry_interval=5000), store)
    desk.sync(function("f", retries=2), function("child"))
    yield desk
    store.close()


def test_a_call_in_progress_is_made_again_as_the_same_attempt(desk: Desk) -> None:
    desk.send("f", {"n": 1}, user={"id": "u"}, v="2")
    desk.answer(run_op("a", {"x": 1}))
    desk.reply(desk.take(), 500, {"message": "no"})
    desk.wait(5000)
    before = desk.open[0]
    desk.restart()
    (after,) = desk.open
    assert of_every_call(after.body) == of_every_call(before.body)
    assert after.attempt == 1


def test_a_call_that_is_made_again_is_told_from_the_one_before(desk: Desk) -> None:
    desk.send("f")
    generations = [desk.open[0].body["ctx"]["generation_id"]]
    for _ in range(2):
        desk.restart()
        generations.append(desk.open[0].body["ctx"]["generation_id"])
    assert generations == [1, 2, 3]


def of_every_call(body: dict[str, object]) -> dict[str, object]:
    """A body without what tells one call of a job from another."""
    ctx = body["ctx"]
    assert isinstance(ctx, dict)
    own = ("generation_id", "request_id")
    return {**body, "ctx": {key: ctx[key] for key in ctx if key not in own}}


def test_sleeps_go_on(desk: Desk) -> None:
    desk.send("f")
    desk.answer(op("Sleep", "s", duration="1h"))
    desk.restart()
    desk.wait(3_599_999)
    assert desk.open == []
    desk.wait(1)
    assert desk.take().body["steps"] == {hashed("s"): None}


def test_a_sleep_that_ended_meanwhile_ends_at_the_start(desk: Desk) -> None:
    desk.send("f")
    desk.answer(op("Sleep", "s", duration="1h"))
    desk.now += 7_200_000
    desk.restart()
    assert desk.take().body["steps"] == {hashed("s"): None}


def test_waits_and_invokes_go_on(desk: Desk) -> None:
    desk.send("f", {"n": 1})
    condition = {"if": "event.data.n == async.data.n"}
    desk.answer(
        op("WaitForEvent", "w", event="w", timeout="1h", **condition),
        op("InvokeFunction", "i", function_id="app-child", payload={"data": {}}),
    )
    desk.restart()
    desk.send("w", {"n": 2})
    desk.send("w", {"n": 1})
    assert [call.function for call in desk.open] == ["app-child"]
    desk.reply(desk.take(), 200, 5)
    memos = desk.take("app-f").body["steps"]
    assert memos[hashed("i")] == {"data": 5}
    assert memos[hashed("w")]["data"] == {"n": 1}


def test_an_open_batch_is_still_one_batch(desk: Desk) -> None:
    desk.send("f")
    desk.answer(*plan("a", "b"))
    desk.answer(run_op("a"))
    desk.restart()
    assert [call.step for call in desk.open] == [hashed("b")]
    desk.answer(run_op("b"))
    (call,) = desk.open
    assert call.step == "step"
    assert call.body["ctx"]["stack"]["stack"] == [hashed("a"), hashed("b")]


def test_event_ids_are_remembered(desk: Desk) -> None:
    desk.send("f", id="once")
    desk.restart()
    desk.send("f", id="once")
    assert len(desk.open) == 1


def test_ended_runs_stay_ended(desk: Desk) -> None:
    desk.send("f")
    desk.reply(desk.take(), 200)
    desk.restart()
    assert (desk.open, desk.engine.state.runs) == ([], {})


def test_an_archived_function_finishes_its_runs(desk: Desk) -> None:
    desk.send("f")
    desk.answer(op("Sleep", "s", duration="1s"))
    desk.sync(function("child"))
    desk.restart()
    desk.send("f")
    desk.wait(1000)
    (call,) = desk.open
    desk.reply(call, 200)
    assert desk.status() == ["COMPLETED"]
    assert desk.engine.state.runs == {}


ACTIONS = st.lists(
    st.sampled_from(["run", "plan", "sleep", "wait", "invoke", "error", "fail", "event", "time"])
    | st.sampled_from(["signal", "defer", "abort", "send"]),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(ACTIONS)
def test_a_restart_after_every_turn_changes_nothing(actions: list[str]) -> None:
    plain, restarted = make_desk(), make_desk()
    for index, action in enumerate(actions):
        for desk in (plain, restarted):
            act(desk, action, f"s{index}")
        restarted.restart()
        assert picture(restarted) == picture(plain)
    for desk in (plain, restarted):
        assert desk.store is not None
        desk.store.close()


def make_desk() -> Desk:
    desk = Desk(Settings(retry_interval=1000), Store(None))
    desk.sync(function("f", retries=1), function("child"))
    desk.send("f")
    return desk


def act(desk: Desk, action: str, name: str) -> None:
    if action == "event":
        desk.send("w")
    elif action == "send":
        desk.do(SendSignal("go", name))
    elif action == "time" or not desk.open:
        desk.wait(1500)
    else:
        answer(desk, action, name)


def answer(desk: Desk, action: str, name: str) -> None:
    call = sorted(desk.open, key=lambda call: (call.function, call.step))[0]
    desk.open.remove(call)
    if call.step != "step":
        desk.reply(call, 206, [{"id": call.step, "op": "StepRun", "data": name}])
    elif action == "fail":
        desk.reply(call, 500, {"message": name})
    else:
        desk.reply(call, 206, ops_for(action, name))


def ops_for(action: str, name: str) -> list[dict[str, object]]:
    invoke = op("InvokeFunction", name, function_id="app-child", payload={})
    return {
        "run": [run_op(name)],
        "plan": plan(name, f"{name}b"),
        "sleep": [op("Sleep", name, duration="1s"), *plan(f"{name}b")],
        "wait": [op("WaitForEvent", name, event="w", timeout="5s")],
        "invoke": [invoke],
        "signal": [op("WaitForSignal", name, signal="go", timeout="5s", conflict="replace")],
        "defer": [op("DeferAdd", name, fn_slug="app-child")],
        "abort": [op("DeferAbort", name, target_hashed_id=hashed("s0")), run_op(name)],
        "error": [error_op(name)],
    }[action]


def picture(desk: Desk) -> list[object]:
    """Everything about live runs but the ids that each engine makes itself, and the open calls."""
    calls: list[object] = [(call.function, call.step, call.attempt) for call in desk.open]
    return sorted(calls + [outline(run) for run in desk.engine.state.runs.values()], key=str)


def outline(run: Run) -> object:
    jobs = sorted((j.step, j.attempt, j.run_at) for j in run.jobs.values())
    waits = sorted((w.step.id, w.kind.value, w.expires, w.event) for w in run.waits.values())
    facts = (run.status.value, run.started_at, run.request_version, run.force_plan)
    steps = [
        (s.id, s.number, s.status.value, s.attempts, s.mode, s.position, s.opts)
        for s in run.steps.values()
    ]
    defers = [(d.id, d.slug, d.aborted) for d in run.defers.values()]
    return run.function.slug, facts, run.stack, sorted(run.pending), jobs, waits, steps, defers
