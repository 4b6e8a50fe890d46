"""Rules of the engine that no recording shows, and those that its figures rest on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inngest_contrib.devserver.engine.commands import (
    Cancelled,
    CancelRun,
    DropCall,
    InvokeFunction,
    NewEvent,
    NoteAppError,
    ReceiveEvents,
    RemoveApp,
    Replied,
    Settings,
    Tick,
)
from inngest_contrib.devserver.engine.limits import DAY, HOUR, MAX_IDLE_CALLS, MAX_STEPS
from inngest_core.wire.canonical import canonical
from inngest_core.wire.names import Opcode
from tests.contrib.devserver.engine.desk import (
    HEADERS,
    START,
    Desk,
    error_op,
    function,
    hashed,
    next_minute,
    op,
    plan,
    run_op,
)


@pytest.fixture
def desk() -> Desk:
    desk = Desk()
    desk.sync(function())
    return desk


# --- the call -------------------------------------------------------------------------------


def test_a_call_body_is_canonical_json(desk: Desk) -> None:
    desk.send("f", {"ü": [1.0, 1e21, -0.0, 1e-7], "a": None}, user={"z": 1, "b": 2}, v="1")
    desk.answer(run_op("b", {"z": 1.50, "a": "\u2028"}))
    body = desk.take().effect.body
    assert body == canonical(json.loads(body))


def test_a_call_goes_to_the_registered_address_with_function_and_step(desk: Desk) -> None:
    desk.send("f")
    assert desk.open[0].effect.url == "http://app/api/inngest?fnId=app-f&stepId=step"
    desk.answer(*plan("a", "b"))
    assert desk.open[0].effect.url.endswith(f"?fnId=app-f&stepId={hashed('a')}")


def test_odd_names_are_escaped_in_the_address() -> None:
    desk = Desk()
    odd = function() | {"id": "app-f+g&h"}
    odd["steps"]["step"]["runtime"]["url"] = "http://app/x?key=1&fnId=app-f+g&stepId=step"
    desk.sync(odd)
    desk.send("f")
    assert desk.open[0].effect.url == "http://app/x?key=1&fnId=app-f%2Bg%26h&stepId=step"


def test_memos_are_sorted_by_hash_and_the_stack_by_time(desk: Desk) -> None:
    desk.send("f")
    for name in ("c", "a", "b"):
        desk.answer(run_op(name))
    body = desk.take().body
    assert list(body["steps"]) == sorted(map(hashed, "abc"))
    assert body["ctx"]["stack"] == {"current": 3, "stack": [hashed(n) for n in "cab"]}


def test_a_step_may_have_any_id(desk: Desk) -> None:
    desk.send("f")
    odd = '"\n\u2028ü'
    desk.answer({"id": odd, "op": "StepRun", "data": 1}, {"id": "x", "op": "StepPlanned"})
    desk.answer({"id": "x", "op": "StepRun", "data": 2})
    assert desk.take().body["steps"] == {odd: {"data": 1}, "x": {"data": 2}}


def test_version_is_what_the_sdk_last_answered(desk: Desk) -> None:
    desk.send("f")
    assert desk.open[0].effect.headers["x-inngest-req-version"] == "-1"
    desk.answer(run_op("a"))
    assert (desk.open[0].body["version"], desk.runs and desk.run.request_version) == (2, 2)


def test_calls_beyond_the_limit_wait_their_turn() -> None:
    desk = Desk(Settings(max_calls=2))
    desk.sync(function())
    for n in range(4):
        desk.send("f", {"n": n})
    assert [call.body["event"]["data"]["n"] for call in desk.open] == [0, 1]
    assert desk.status() == ["RUNNING", "RUNNING", "QUEUED", "QUEUED"]
    desk.reply(desk.take(), 200)
    assert [call.body["event"]["data"]["n"] for call in desk.open] == [1, 2]


def test_large_state_is_left_out_of_the_call(desk: Desk) -> None:
    desk.send("f")
    for name in "abc":
        desk.answer(run_op(name, "x" * 1_500_000))
    body = desk.take().body
    assert (body["use_api"], body["ctx"]["use_api"], body["steps"]) == (True, True, {})
    assert (len(body["events"]), len(body["ctx"]["stack"]["stack"])) == (1, 3)


# --- events and triggers --------------------------------------------------------------------


def test_several_matching_triggers_start_one_run() -> None:
    desk = Desk()
    desk.sync(function("f", {"event": "a/b"}, {"event": "a/*"}, {"event": "a/b", "x": 1}))
    desk.send("a/b")
    assert len(desk.runs) == 1


@pytest.mark.parametrize(
    ("pattern", "name", "starts"),
    [
        ("x/*", "x/a", True),
        ("x/*", "x/a.b/c", True),
        ("x/a.*", "x/a.b.c", True),
        ("x/a.*", "x/a", False),
        ("x/a*", "x/ab", False),
        ("x/a*", "x/a*", True),
        ("*", "x", False),
    ],
)
def test_patterns(pattern: str, name: str, starts: bool) -> None:
    desk = Desk()
    desk.sync(function("f", {"event": pattern}))
    desk.send(name)
    assert bool(desk.runs) is starts


def test_an_event_id_starts_a_function_once_a_day(desk: Desk) -> None:
    desk.sync(function(), function("g", {"event": "f"}, {"event": "other"}))
    first = desk.send("f", id="same")
    second = desk.send("f", id="same")
    desk.send("other", id="same")
    assert first != second
    assert (desk.status("app-f"), desk.status("app-g")) == (["RUNNING"], ["RUNNING"])
    desk.wait(DAY + 1)
    desk.send("f", id="same")
    assert len(desk.runs) == 4
    assert desk.open[0].body["event"]["id"] == "same"


def test_a_resend_with_the_same_seed_is_one_event(desk: Desk) -> None:
    event = NewEvent(name="f", internal_id="01JQDAE4RQF8MBCR55T5AK4KXS")
    assert desk.do(ReceiveEvents([event])) == desk.do(ReceiveEvents([event]))
    assert (len(desk.runs), len(desk.events)) == (1, 1)


def test_an_event_from_the_future_starts_its_run_then(desk: Desk) -> None:
    desk.send("f", ts=START + 3000)
    assert (desk.open, desk.status()) == ([], ["QUEUED"])
    desk.wait(2999)
    assert desk.open == []
    desk.wait(1)
    assert len(desk.open) == 1


def test_ids_rise_within_a_millisecond_and_when_the_clock_goes_back(desk: Desk) -> None:
    ids = [desk.send("none") for _ in range(100)]
    desk.now -= 5000
    ids += [desk.send("none") for _ in range(100)]
    assert ids == sorted(set(ids))


# --- steps ----------------------------------------------------------------------------------


def test_a_batch_leads_to_one_discovery_when_all_have_ended(desk: Desk) -> None:
    desk.send("f")
    desk.answer(*plan("a", "b"), op("Sleep", "s", duration="1s"))
    assert [call.body["ctx"]["disable_immediate_execution"] for call in desk.open] == [True, True]
    desk.answer(run_op("a"))
    desk.wait(1000)
    assert [call.step for call in desk.open] == [hashed("b")]
    desk.answer(run_op("b"))
    (call,) = desk.open
    assert (call.step, call.body["ctx"]["disable_immediate_execution"]) == ("step", False)


def test_before_request_version_2_every_branch_leads_to_a_discovery(desk: Desk) -> None:
    desk.send("f")
    desk.answer(*plan("a", "b"), x_inngest_req_version="1")
    desk.reply(desk.take(step="a"), 206, [run_op("a")], x_inngest_req_version="1")
    discovery = desk.take(step="step")
    assert discovery.body["ctx"]["disable_immediate_execution"] is True


def test_a_function_is_never_asked_twice_at_once(desk: Desk) -> None:
    desk.send("f")
    desk.answer(*plan("a", "b", "c", race=True))
    desk.answer(run_op("a"))
    desk.answer(run_op("b"))
    desk.answer(run_op("c"))
    (first,) = desk.open
    assert len(first.body["steps"]) == 1
    desk.answer(*plan("b", "c", race=True))
    (second,) = desk.open
    assert len(second.body["steps"]) == 3


def test_a_branch_that_ends_during_a_backoff_adds_no_second_discovery() -> None:
    desk = Desk(Settings(retry_interval=5000))
    desk.sync(function(retries=1))
    desk.send("f")
    desk.answer(*plan("a", "b", race=True))
    desk.answer(run_op("a"))
    late = desk.take(step="b")
    desk.reply(desk.take(), 500, {"message": "no"})
    desk.reply(late, 206, [run_op("b")])
    assert desk.open == []
    desk.wait(5000)
    (retry,) = desk.open
    assert (retry.attempt, len(retry.body["steps"])) == (1, 2)


def test_the_first_memo_of_a_step_stays(desk: Desk) -> None:
    desk.send("f")
    desk.answer(run_op("a", 1))
    desk.answer(run_op("a", 2), run_op("b"))
    assert desk.take().body["steps"][hashed("a")] == {"data": 1}


def test_a_function_that_only_repeats_itself_fails_and_says_so(desk: Desk) -> None:
    desk.send("f")
    calls = 0
    while desk.open:
        desk.answer(run_op("a"))
        calls += 1
    assert desk.status() == ["FAILED"]
    assert calls == MAX_IDLE_CALLS + 2
    assert b"InngestErrNoProgress" in (desk.run.output or b"")


def test_a_planned_step_that_is_never_run_does_not_hang(desk: Desk) -> None:
    desk.send("f")
    while desk.open:
        if desk.open[0].step == "step":
            desk.answer(*plan("a", "b"))
        else:
            desk.answer()
    assert desk.status() == ["FAILED"]


def test_a_targeted_call_may_bring_something_else(desk: Desk) -> None:
    desk.send("f")
    desk.answer(*plan("a", "b"))
    desk.answer(op("Sleep", "s", duration="1s"))
    desk.answer(run_op("b"))
    desk.wait(1000)
    assert [call.step for call in desk.open] == ["step"]


def test_each_parallel_step_has_its_own_attempts() -> None:
    desk = Desk(Settings(retry_interval=1000))
    desk.sync(function(retries=1))
    desk.send("f")
    desk.answer(*plan("a", "b"))
    desk.reply(desk.take(step="a"), 206, [error_op("a")])
    desk.reply(desk.take(step="b"), 206, [run_op("b")])
    desk.wait(1000)
    assert (desk.open[0].attempt, desk.open[0].body["ctx"]["generation_id"]) == (1, 2)
    desk.answer(error_op("a", "still"))
    body = desk.take().body
    assert body["ctx"]["attempt"] == 0
    assert body["steps"][hashed("a")] == {"error": {"message": "still", "name": "E"}}


def test_no_retry_ends_a_step_at_once() -> None:
    desk = Desk()
    desk.sync(function(retries=4))
    desk.send("f")
    desk.answer(error_op("a"), x_inngest_no_retry="true")
    memo = desk.take().body["steps"][hashed("a")]
    assert memo == {"error": {"message": "bad", "name": "E", "noRetry": True}}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (op("Sleep", "s", duration=5), "opts.duration must be text, got 5"),
        (op("WaitForEvent", "w", event="w", timeout="800d"), "InngestErrTimeoutTooLong"),
        (op("WaitForEvent", "w", event="w", **{"if": "broken"}), "it is broken"),
        (op("InvokeFunction", "i", function_id="app-f"), "has no payload object"),
        (
            op("InvokeFunction", "i", function_id="app-f", payload={}, timeout="800d"),
            "The invoke timeout",
        ),
    ],
)
def test_options_that_make_no_sense_fail_the_run_with_the_reason(
    desk: Desk, bad: dict[str, Any], reason: str
) -> None:
    desk.send("f")
    desk.answer(bad)
    assert desk.status() == ["FAILED"]
    assert reason in (desk.run.output or b"").decode()


def test_ops_after_the_end_of_a_run_are_not_looked_at(desk: Desk) -> None:
    desk.send("f")
    complete = {"id": "c", "op": "RunComplete", "data": 1}
    desk.answer(run_op("a"), complete, op("Sleep", "s", duration=5), error_op("e"))
    assert (desk.status(), desk.run.output) == (["COMPLETED"], b"1")


def test_an_error_of_a_step_may_be_plain_text(desk: Desk) -> None:
    desk.send("f")
    desk.answer({"id": "a", "op": "StepError", "error": "just text"})
    assert desk.take().body["steps"]["a"] == {"error": {"message": "just text", "name": "Error"}}


def test_a_bad_timeout_in_a_registration_is_ignored_as_on_the_real_server() -> None:
    desk = Desk()
    desk.sync(function(timeouts={"start": "soon", "finish": 5}))
    desk.send("f")
    desk.wait(HOUR)
    assert desk.status() == ["RUNNING"]


def test_events_beyond_the_size_of_a_call_are_left_out(desk: Desk) -> None:
    desk.send("f", {"x": "x" * 5_000_000})
    body = desk.take().body
    assert (body["use_api"], body["events"]) == (True, [])
    assert len(body["event"]["data"]["x"]) == 5_000_000


def test_one_command_may_be_a_turn_of_its_own() -> None:
    desk = Desk()
    desk.sync(function())
    outcome = desk.engine.once(ReceiveEvents([NewEvent(name="f")]), START)
    assert len(outcome.result) == 1
    assert [type(effect).__name__ for effect in outcome.effects] == ["Call"]
    assert {table for table, _ in outcome.changes.put} == {"events", "runs", "causes", "jobs"}


@pytest.mark.parametrize("code", [code.value for code in Opcode])
def test_every_op_is_known(desk: Desk, code: str) -> None:
    desk.send("f")
    desk.answer({**op(code, "x"), "error": {"name": "E", "message": "m"}})
    assert desk.status() in (["RUNNING"], ["FAILED"], ["COMPLETED"])
    assert b"InngestErrInternal" not in (desk.run.output or b"")


@pytest.mark.parametrize("code", ["RunComplete", "SyncRunComplete"])
def test_an_op_may_end_the_run(desk: Desk, code: str) -> None:
    desk.send("f")
    desk.answer({**op(code, "end"), "data": 7})
    assert (desk.status(), desk.run.output) == (["COMPLETED"], b"7")


# --- limits ---------------------------------------------------------------------------------


def test_a_thousand_steps_are_allowed_and_no_more(desk: Desk) -> None:
    desk.send("f")
    for n in range(MAX_STEPS):
        desk.answer(run_op(f"s{n}"))
    assert len(desk.open) == 1
    desk.answer(run_op("one more"))
    assert desk.status() == ["FAILED"]
    assert b"InngestErrFunctionOverflowed" in (desk.run.output or b"")


def test_state_has_a_limit(desk: Desk) -> None:
    desk.send("f")
    for n in range(9):
        desk.answer(run_op(f"s{n}", "x" * 4_000_000))
    assert desk.status() == ["FAILED"]
    assert b"exceeded the state size limit of 33554432 bytes" in (desk.run.output or b"")


def test_half_of_a_limit_is_worth_a_warning(desk: Desk) -> None:
    desk.send("f")
    desk.answer(run_op("big", "x" * 2_200_000))
    for n in range(10):
        desk.answer(run_op(f"s{n}", "x" * 1_900_000))
    assert [warning.split(": ")[1].split(" ")[0] for warning in desk.warnings] == ["step", "its"]


def test_a_step_output_has_a_limit(desk: Desk) -> None:
    desk.send("f")
    desk.answer(run_op("a", "x" * 4 * 1024 * 1024))
    assert desk.status() == ["FAILED"]
    assert b"step output size is greater than the limit" in (desk.run.output or b"")


def test_a_reply_has_a_limit_and_a_result_has_no_other(desk: Desk) -> None:
    desk.send("f")
    desk.reply(desk.take(), 200, "x" * 5_000_000)
    desk.send("f")
    desk.reply(desk.take(), 200, "x" * 9_000_000)
    assert desk.status() == ["COMPLETED", "FAILED"]


# --- waits ----------------------------------------------------------------------------------


def test_a_wait_takes_the_first_event_that_matches_and_no_earlier_one(desk: Desk) -> None:
    desk.send("w", {"n": 1})
    desk.send("f", {"n": 1})
    desk.answer(
        op("WaitForEvent", "w", event="w", timeout="1h", **{"if": "event.data.n == async.data.n"})
    )
    desk.send("w", {"n": 2})
    assert desk.open == []
    desk.send("w", {"n": 1, "first": True})
    desk.send("w", {"n": 1})
    memo = desk.take().body["steps"][hashed("w")]
    assert memo["data"] == {"n": 1, "first": True}
    assert "user" not in memo


def test_a_fulfilled_wait_does_not_time_out_as_well(desk: Desk) -> None:
    desk.send("f")
    desk.answer(op("WaitForEvent", "w", event="w", timeout="1m"))
    desk.send("w")
    desk.answer(op("Sleep", "s", duration="2m"))
    desk.wait(60_000)
    assert desk.open == []
    desk.wait(60_000)
    assert len(desk.open) == 1


@pytest.mark.parametrize("wish", ["", "-5s", "2020-01-01T00:00:00Z", "0s"])
def test_a_pause_without_duration_or_in_the_past_ends_at_once(desk: Desk, wish: str) -> None:
    desk.send("f")
    desk.answer(op("Sleep", "s", duration=wish))
    desk.do(Tick())
    assert desk.take().body["steps"] == {hashed("s"): None}


def test_a_pause_of_more_than_a_year_fails_the_run(desk: Desk) -> None:
    desk.send("f")
    desk.answer(op("Sleep", "s", duration="800d"))
    assert b"InngestErrTimeoutTooLong" in (desk.run.output or b"")


# --- invoke ---------------------------------------------------------------------------------


@pytest.fixture
def family() -> Desk:
    desk = Desk()
    desk.sync(function(), function("child"))
    desk.send("f")
    desk.answer(op("InvokeFunction", "i", function_id="app-child", payload={"data": {"n": 1}}))
    return desk


def test_an_invoked_function_gets_data_and_gives_its_result(family: Desk) -> None:
    call = family.take("app-child")
    assert call.body["event"]["name"] == "inngest/function.invoked"
    assert call.body["event"]["data"]["n"] == 1
    family.reply(call, 200, {"r": 2})
    assert family.take("app-f").body["steps"] == {hashed("i"): {"data": {"r": 2}}}


def test_the_invoker_of_a_cancelled_run_gets_the_bare_event(family: Desk) -> None:
    family.do(CancelRun(family.take("app-child").effect.run_id))
    memo = family.take("app-f").body["steps"][hashed("i")]
    assert memo["name"] == "inngest/function.finished"
    assert memo["data"]["_inngest"] == {"status": "Cancelled"}


def test_cancelling_the_invoker_leaves_the_invoked_run(family: Desk) -> None:
    family.do(CancelRun(family.run.id))
    assert (family.status("app-f"), family.status("app-child")) == (["CANCELLED"], ["RUNNING"])
    family.reply(family.take("app-child"), 200)
    assert family.status("app-child") == ["COMPLETED"]


def test_a_failure_handler_that_was_invoked_answers_too(desk: Desk) -> None:
    """A run on function.failed emits nothing, and yet its invoker must hear of its end."""
    handler = function("h", {"event": "inngest/function.failed"})
    desk.sync(function(), handler)
    desk.send("f")
    desk.reply(desk.take(), 500, {"message": "no"})
    desk.reply(desk.take("app-h"), 200)
    assert [data["function_id"] for data in desk.sent("inngest/function.finished")] == ["app-f"]


def test_invoking_by_hand(desk: Desk) -> None:
    invoked = desk.do(InvokeFunction(slug="app-f", data={"n": 1}))
    assert desk.take().effect.run_id == invoked.run_id
    assert desk.do(InvokeFunction(slug="app-nope")).run_id is None


# --- cancelling -----------------------------------------------------------------------------


def test_cancelling_drops_jobs_waits_and_late_replies(desk: Desk) -> None:
    desk.send("f")
    desk.answer(*plan("a"), op("Sleep", "s", duration="1h"))
    call = desk.take()
    turn = desk.engine.begin(desk.now)
    assert desk.engine.apply(turn, CancelRun(desk.run.id)) is Cancelled.DONE
    assert turn.effects == [DropCall(call.effect.job_id)]
    desk.reply(call, 206, [run_op("a")])
    desk.wait(2 * HOUR)
    assert (desk.open, desk.run.memos.joined()) == ([], b"")
    assert {step.status.value for step in desk.run.steps.values()} == {"CANCELLED"}
    assert desk.do(CancelRun(desk.run.id)) is Cancelled.ALREADY_ENDED


def test_cancel_on_looks_at_the_expression_and_the_window() -> None:
    desk = Desk()
    rule = {"event": "stop", "if": "event.data.n == async.data.n", "timeout": "1h"}
    desk.sync(function(cancel=[rule]))
    desk.send("f", {"n": 1})
    desk.send("stop", {"n": 2})
    assert desk.status() == ["RUNNING"]
    desk.send("stop", {"n": 1})
    assert desk.status() == ["CANCELLED"]
    desk.send("f", {"n": 1})
    desk.wait(HOUR + 1)
    desk.send("stop", {"n": 1})
    assert desk.status() == ["CANCELLED", "RUNNING"]


def test_what_had_happened_before_the_run_does_not_cancel_it() -> None:
    desk = Desk()
    desk.sync(function(cancel=[{"event": "stop"}]))
    desk.send("f", ts=desk.now + HOUR)
    desk.send("stop", ts=desk.now - 1)
    assert desk.status() == ["QUEUED"]
    desk.send("stop")
    assert desk.status() == ["CANCELLED"]


def test_the_event_that_starts_a_run_does_not_cancel_it() -> None:
    desk = Desk()
    desk.sync(function(cancel=[{"event": "f"}]))
    desk.send("f")
    assert desk.status() == ["RUNNING"]
    desk.send("f")
    assert desk.status() == ["CANCELLED", "RUNNING"]


def test_timeouts_cancel_what_has_not_started_or_not_finished() -> None:
    desk = Desk(Settings(max_calls=1))
    desk.sync(function(timeouts={"start": "2s", "finish": "5s"}))
    desk.send("f")
    desk.send("f")
    desk.wait(2000)
    assert desk.status() == ["RUNNING", "CANCELLED"]
    desk.wait(2999)
    assert desk.status() == ["RUNNING", "CANCELLED"]
    desk.wait(1)
    assert desk.status() == ["CANCELLED", "CANCELLED"]


# --- apps and schedules ---------------------------------------------------------------------


def test_a_sync_is_modified_when_something_changed(desk: Desk) -> None:
    assert desk.sync(function()).modified is False
    assert desk.sync(function(retries=3)).modified is True


def test_an_app_is_known_by_its_name(desk: Desk) -> None:
    desk.send("f")
    desk.answer(op("Sleep", "s", duration="1s"))
    moved = function()
    moved["steps"]["step"]["runtime"]["url"] = "http://moved/x?fnId=app-f&stepId=step"
    desk.sync(moved, url="http://moved/x")
    desk.wait(1000)
    assert desk.take().effect.url.startswith("http://moved/x?")
    assert len(desk.engine.state.apps) == 1


def test_an_app_out_of_reach_is_shown_until_it_answers(desk: Desk) -> None:
    desk.do(NoteAppError("http://never-seen/", ""))
    desk.do(NoteAppError("http://gone/", "unreachable"))
    assert {app.error for app in desk.engine.state.apps.values()} == {"", "unreachable"}
    desk.sync(function("x"), app="late", url="http://gone/")
    assert {app.name for app in desk.engine.state.apps.values()} == {"app", "late"}


def test_a_removed_app_starts_no_runs(desk: Desk) -> None:
    assert desk.do(RemoveApp("http://app/api/inngest")) is True
    assert desk.do(RemoveApp("http://app/api/inngest")) is False
    desk.send("f")
    assert desk.runs == {}


def test_a_schedule_fires_on_the_minute_until_its_function_is_gone() -> None:
    desk = Desk()
    desk.sync(function("f", {"cron": "* * * * *"}))
    first = next_minute("", START)
    desk.wait(first - START)
    call = desk.take()
    assert call.body["event"]["ts"] == first
    assert desk.run.cron == "* * * * *"
    desk.sync()
    desk.wait(HOUR)
    assert len(desk.runs) == 1


def test_ticks_missed_while_the_clock_jumped_are_not_made_up_for() -> None:
    desk = Desk()
    desk.sync(function("f", {"cron": "* * * * *"}))
    desk.now += HOUR
    desk.do(Tick())
    assert len(desk.runs) == 1
    assert desk.engine.next_due() == next_minute("", desk.now)


# --- whatever an app answers ----------------------------------------------------------------


def test_a_reply_for_a_job_that_is_not_there_is_dropped(desk: Desk) -> None:
    desk.do(Replied("nope", 200, HEADERS, b"1"))
    desk.send("f")
    call = desk.take()
    desk.reply(call, 200)
    desk.reply(call, 500)
    assert desk.status() == ["COMPLETED"]


def test_results_of_internal_events_hold_the_trigger_twice(desk: Desk) -> None:
    desk.send("f", {"n": 1})
    desk.reply(desk.take(), 200, {"r": 1})
    (data,) = desk.sent("inngest/function.finished")
    assert data["result"] == {"r": 1}
    assert data["event"]["user"] == {}
    assert "user" not in data["events"][0]


def test_an_error_that_is_only_text(desk: Desk) -> None:
    desk.send("f")
    desk.reply(desk.take(), 500, b"just text")
    (data,) = desk.sent("inngest/function.failed")
    expected: dict[str, Any] = {
        "error": "invalid status code: 500",
        "message": "just text",
        "name": "Error",
    }
    assert (data["error"], data["result"]) == (expected, "just text")
