"""Results that are reported while a function goes on: kept whole, once, and from one call alone."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from inngest_contrib.devserver.engine.commands import CancelRun, Checkpointed, Report, Settings
from inngest_contrib.devserver.engine.limits import MAX_REPLY, MAX_STEP_OUTPUT, MAX_STEPS
from inngest_contrib.devserver.store import Store
from tests.contrib.devserver.engine.desk import Desk, Open, error_op, function, hashed, op, run_op

STALE = "stale dispatch: dispatch generation 1 does not match queue item generation 2"


@pytest.fixture
def desk() -> Iterator[Desk]:
    store = Store(None)
    desk = Desk(Settings(retry_interval=1000), store)
    desk.sync(function("f", retries=2), function("later"))
    yield desk
    store.close()


def body_of(call: Open, *ops: Any, **more: Any) -> bytes:
    ctx = call.body["ctx"]
    head = {key: ctx[key] for key in ("run_id", "fn_id", "qi_id", "request_id", "generation_id")}
    return json.dumps({**head, "steps": list(ops), **more}).encode()


def report(desk: Desk, call: Open, *ops: Any, **more: Any) -> Checkpointed:
    answer: Checkpointed = desk.do(Report(body_of(call, *ops, **more)))
    return answer


def begin(desk: Desk) -> Open:
    desk.send("f")
    return desk.open[0]


def stack(call: Open) -> list[str]:
    found: list[str] = call.body["ctx"]["stack"]["stack"]
    return found


def test_results_are_kept_and_nothing_is_called_for_them(desk: Desk) -> None:
    call = begin(desk)
    assert report(desk, call, run_op("a", 1)) == Checkpointed()
    assert report(desk, call, run_op("b", {"x": 2})).status == 200
    assert desk.open == [call]
    desk.answer(op("Sleep", "z", duration="1s"))
    desk.wait(1000)
    after = desk.take()
    assert after.body["steps"] == {
        hashed("a"): {"data": 1},
        hashed("b"): {"data": {"x": 2}},
        hashed("z"): None,
    }
    assert stack(after) == [hashed("a"), hashed("b"), hashed("z")]


def test_a_step_keeps_what_was_reported_first(desk: Desk) -> None:
    call = begin(desk)
    report(desk, call, run_op("a", 1), run_op("a", 2))
    assert report(desk, call, run_op("a", 3)).status == 200
    desk.answer(run_op("a", 4), run_op("b", 5))
    after = desk.take()
    assert after.body["steps"] == {hashed("a"): {"data": 1}, hashed("b"): {"data": 5}}
    assert stack(after) == [hashed("a"), hashed("b")]


def test_a_reply_that_ends_the_run_may_repeat_what_was_reported(desk: Desk) -> None:
    call = begin(desk)
    report(desk, call, run_op("a", 1))
    complete = {"id": hashed("complete"), "op": "RunComplete", "data": "done"}
    desk.answer(run_op("a", 1), run_op("b", 2), complete)
    assert (desk.status(), desk.run.output, desk.open) == (["COMPLETED"], b'"done"', [])


def test_what_was_acknowledged_outlives_the_server(desk: Desk) -> None:
    call = begin(desk)
    report(desk, call, run_op("a", 1))
    report(desk, call, run_op("b", 2))
    desk.restart()
    (again,) = desk.open
    assert again.body["steps"] == {hashed("a"): {"data": 1}, hashed("b"): {"data": 2}}
    assert stack(again) == [hashed("a"), hashed("b")]


def test_a_call_from_before_a_restart_may_not_report(desk: Desk) -> None:
    call = begin(desk)
    desk.restart()
    assert report(desk, call, run_op("a")) == Checkpointed(409, STALE, call.body["ctx"]["run_id"])
    assert report(desk, desk.open[0], run_op("a")).status == 200


def test_a_call_that_a_retry_has_replaced_may_not_report(desk: Desk) -> None:
    call = begin(desk)
    desk.lose(desk.take())
    for _ in range(2):
        # While the next attempt waits for its time, and when it is there.
        assert report(desk, call, run_op("a")).error == STALE
        desk.wait(1000)
    assert desk.take().body["steps"] == {}


def test_a_call_whose_job_is_over_may_not_report(desk: Desk) -> None:
    call = begin(desk)
    desk.answer(run_op("a"))
    gone = report(desk, call, run_op("b"))
    assert (gone.status, gone.error) == (409, "stale dispatch: queue item not found")
    unnumbered = report(desk, call, run_op("b"), generation_id=0)
    assert (unnumbered.status, unnumbered.error) == (400, "queue item not found")
    assert desk.take().body["steps"].keys() == {hashed("a")}


def test_a_job_of_another_run_is_none(desk: Desk) -> None:
    call = begin(desk)
    desk.send("f")
    other = desk.open[1].body["ctx"]["qi_id"]
    assert report(desk, call, run_op("a"), qi_id=other).status == 409


@pytest.mark.parametrize("qi_id", ["", None])
def test_a_report_need_not_name_its_job(desk: Desk, qi_id: str | None) -> None:
    call = begin(desk)
    assert report(desk, call, run_op("a"), qi_id=qi_id).status == 200
    desk.answer(run_op("b"))
    assert stack(desk.take()) == [hashed("a"), hashed("b")]


@pytest.mark.parametrize("qi_id", ["?", "AAAA", 7, "bm9wZTo6ZGVmYXVsdA=="])
def test_a_job_that_cannot_be_found_is_refused(desk: Desk, qi_id: Any) -> None:
    assert report(desk, begin(desk), run_op("a"), qi_id=qi_id).status == 409


def test_a_cancelled_run_takes_nothing_more(desk: Desk) -> None:
    call = begin(desk)
    run_id = call.body["ctx"]["run_id"]
    desk.do(CancelRun(run_id))
    refused = report(desk, call, run_op("a"))
    assert refused == Checkpointed(400, "run not found in state store", run_id)


def test_a_report_gives_the_job_all_its_attempts_again(desk: Desk) -> None:
    call = begin(desk)
    desk.reply(desk.take(), 500, {"message": "no"})
    desk.wait(1000)
    call = desk.open[0]
    assert (call.attempt, call.body["ctx"]["max_attempts"]) == (1, 3)
    report(desk, call, run_op("a"))
    for attempt in (1, 2):
        desk.reply(desk.take(), 500, {"message": "no"})
        desk.wait(1000)
        assert desk.open[0].attempt == attempt
    desk.reply(desk.take(), 500, {"message": "no"})
    assert desk.status() == ["FAILED"]


def test_a_report_without_a_generation_counts_no_attempts_anew(desk: Desk) -> None:
    begin(desk)
    desk.reply(desk.take(), 500, {"message": "no"})
    desk.wait(1000)
    report(desk, desk.open[0], run_op("a"), generation_id=0)
    desk.reply(desk.take(), 500, {"message": "no"})
    desk.wait(1000)
    assert desk.take().attempt == 2


def test_a_failed_step_behind_reported_ones_is_tried_again_with_them(desk: Desk) -> None:
    call = begin(desk)
    report(desk, call, run_op("a", 1))
    desk.answer(error_op("b"))
    desk.wait(1000)
    again = desk.take()
    assert (again.attempt, again.body["steps"]) == (1, {hashed("a"): {"data": 1}})


def test_deferred_functions_are_noted(desk: Desk) -> None:
    call = begin(desk)
    report(desk, call, op("DeferAdd", "d", fn_slug="app-later", input={"n": 1}))
    report(desk, call, run_op("a"))
    desk.answer(run_op("b"))
    assert desk.take().body["defers"] == {hashed("d"): {"abortable": True}}


def test_a_plan_is_accepted_and_asks_for_nothing_yet(desk: Desk) -> None:
    call = begin(desk)
    assert report(desk, call, op("StepPlanned", "p")).status == 200
    assert desk.open == [call]
    desk.answer(op("StepPlanned", "p"), op("StepPlanned", "q"))
    assert {each.step for each in desk.open} == {hashed("p"), hashed("q")}


@pytest.mark.parametrize(
    ("code", "error"),
    [
        *((code, "cannot checkpoint async steps") for code in ("Sleep", "StepError", "None")),
        *((code, "cannot checkpoint async steps") for code in ("Gateway", "InvokeFunction")),
        *((code, f"cannot checkpoint opcode: {code}") for code in ("RunComplete", "StepFailed")),
    ],
)
def test_what_is_no_result_refuses_the_whole_report(desk: Desk, code: str, error: str) -> None:
    call = begin(desk)
    refused = report(desk, call, run_op("a"), op(code, "z"))
    assert refused == Checkpointed(400, error, call.body["ctx"]["run_id"])
    desk.answer(run_op("b"))
    assert desk.take().body["steps"].keys() == {hashed("b")}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b'{"run_id": "x"}',
        b'{"run_id": 7}',
        b'{"steps": []}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_report_is_told_so(desk: Desk, body: bytes) -> None:
    answer = desk.do(Report(body))
    assert (answer.status, answer.run_id) == (400, None)
    assert answer.error.startswith("invalid request body: ")


@pytest.mark.parametrize(
    "more",
    [
        {"steps": {"a": 1}},
        {"steps": "abc"},
        {"steps": [None]},
        {"steps": [7]},
        {"steps": [{"op": "Nope", "id": "x"}]},
        {"steps": [{"op": "StepRun", "id": 7}]},
        {"steps": [{"op": "StepRun", "id": "x", "timing": [1]}]},
        {"generation_id": "1"},
        {"generation_id": [1]},
    ],
)
def test_a_report_of_the_wrong_shape_is_refused(desk: Desk, more: dict[str, Any]) -> None:
    answer = report(desk, begin(desk), **more)
    assert (answer.status, answer.error[:22]) == (400, "invalid request body: ")


@pytest.mark.parametrize("timing", [{"a": "x"}, {"a": 1e300, "b": 1}, {"a": -5, "b": -5}, {"a": 1}])
def test_times_that_cannot_be_are_not_believed(desk: Desk, timing: Any) -> None:
    report(desk, begin(desk), run_op("a", timing=timing))
    step = desk.run.steps[hashed("a")]
    assert (step.started_at, step.ended_at) == (desk.now, desk.now)


def test_a_step_began_and_ended_when_the_app_says(desk: Desk) -> None:
    call = begin(desk)
    began = desk.now
    desk.wait(100)
    timing = {"a": (began + 20) * 1_000_000, "b": 30_000_000}
    report(desk, call, run_op("a", timing=timing))
    step = desk.run.steps[hashed("a")]
    assert (step.started_at, step.ended_at) == (began + 20, began + 50)


def test_a_result_that_is_too_large_refuses_the_report(desk: Desk) -> None:
    call = begin(desk)
    refused = report(desk, call, run_op("a"), run_op("b", "x" * MAX_STEP_OUTPUT))
    reason = "output too large: step output size is greater than the limit"
    assert (refused.status, refused.error) == (413, f"step {hashed('b')} {reason}")
    desk.answer(run_op("c"))
    assert desk.take().body["steps"].keys() == {hashed("c")}


def test_a_report_has_a_size(desk: Desk) -> None:
    assert desk.do(Report(b"[" + b" " * MAX_REPLY)).status == 413


def test_a_run_that_is_full_is_left_to_the_reply(desk: Desk) -> None:
    call = begin(desk)
    half = MAX_STEPS // 2
    for part in range(2):
        ops = [run_op(f"s{part * half + n}") for n in range(half)]
        assert report(desk, call, *ops).status == 200
    assert report(desk, call, run_op("one more")).status == 413
    desk.answer(run_op("one more"))
    assert desk.status() == ["FAILED"]
    assert b"InngestErrFunctionOverflowed" in (desk.run.output or b"")


def test_a_state_that_is_full_is_left_to_the_reply(desk: Desk) -> None:
    call = begin(desk)
    large = "x" * (MAX_STEP_OUTPUT - 100)
    answers = [report(desk, call, run_op(f"s{n}", large)).status for n in range(9)]
    assert answers == [200] * 8 + [413]
