"""Concurrency, throttle and priority: who is called next, and who has to wait for whom."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from inngest_contrib.devserver.engine import lanes
from inngest_contrib.devserver.engine.commands import CancelRun, NewEvent, ReceiveEvents, Settings
from inngest_contrib.devserver.expressions import Expressions
from inngest_contrib.devserver.store import Store
from tests.contrib.devserver.engine.desk import Desk, function, op, plan, run_op

BY_KEY = {"limit": 1, "key": "event.data.k"}


@pytest.fixture
def desk() -> Iterator[Desk]:
    store = Store(None)
    yield Desk(Settings(retry_interval=5000), store, Expressions())
    store.close()


def finish(desk: Desk, slug: str | None = None) -> None:
    """Let the oldest call return."""
    desk.reply(desk.take(slug), 200)


def called(desk: Desk, key: str = "i") -> list[Any]:
    """What the calls in progress are about."""
    return [call.body["event"]["data"].get(key) for call in desk.open]


def send(desk: Desk, name: str = "f", *data: dict[str, Any]) -> None:
    desk.do(ReceiveEvents([NewEvent(name=name, data=one) for one in data]))


def numbered(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"i": index, **more} for index in range(count)]


def assert_nothing_left(desk: Desk) -> None:
    """All have ended, and nobody holds a place."""
    control = desk.engine.state.control
    assert desk.engine.state.runs == {}
    assert (control.inside, control.lanes, control.lines, control.singles) == ({}, {}, {}, {})


def test_no_more_calls_than_the_limit_in_the_order_they_came(desk: Desk) -> None:
    desk.sync(function(concurrency=[{"limit": 2}]))
    send(desk, "f", *numbered(5))
    seen = []
    while desk.open:
        assert len(desk.open) <= 2
        seen.append(called(desk))
        finish(desk)
    assert seen == [[0, 1], [1, 2], [2, 3], [3, 4], [4]]
    assert_nothing_left(desk)


def test_a_run_that_waits_for_a_place_is_queued(desk: Desk) -> None:
    desk.sync(function(concurrency=1))
    send(desk, "f", *numbered(2))
    assert desk.status() == ["RUNNING", "QUEUED"]


def test_sleeping_runs_hold_no_place(desk: Desk) -> None:
    desk.sync(function(concurrency=1))
    send(desk, "f", *numbered(2))
    desk.answer(op("Sleep", "s", duration="1h"))
    assert called(desk) == [1]


def test_steps_in_parallel_share_the_limit(desk: Desk) -> None:
    desk.sync(function(concurrency=2))
    send(desk, "f", {})
    desk.answer(*plan("a", "b", "c"))
    assert len(desk.open) == 2
    desk.answer(run_op("a"))
    assert len(desk.open) == 2


def test_a_run_under_way_goes_before_a_new_one(desk: Desk) -> None:
    desk.sync(function(concurrency=1))
    send(desk, "f", *numbered(2))
    desk.answer(run_op("a"))
    assert called(desk) == [0]
    finish(desk)
    assert called(desk) == [1]


def test_a_run_that_failed_lets_the_others_go_first(desk: Desk) -> None:
    desk.sync(function(concurrency=1, retries=1))
    send(desk, "f", *numbered(3))
    desk.reply(desk.take(), 500)
    assert called(desk) == [1]
    desk.wait(5000)
    finish(desk)
    assert called(desk) == [2]
    finish(desk)
    assert called(desk) == [0]


def test_a_key_makes_a_limit_of_its_own_for_each_value(desk: Desk) -> None:
    desk.sync(function(concurrency=[BY_KEY]))
    send(desk, "f", {"k": "a"}, {"k": "b"}, {"k": "a"}, {"k": 1}, {"k": 1}, {"k": "1"}, {}, {})
    assert called(desk, "k") == ["a", "b", 1, "1", None]
    finish(desk)
    assert called(desk, "k") == ["b", 1, "1", None, "a"]


def test_both_limits_must_have_room(desk: Desk) -> None:
    desk.sync(function(concurrency=[{"limit": 2}, BY_KEY]))
    send(desk, "f", {"k": "a", "i": 0}, {"k": "a", "i": 1}, {"k": "b", "i": 2}, {"k": "c", "i": 3})
    assert called(desk) == [0, 2]
    finish(desk)
    assert called(desk) == [2, 1]
    finish(desk)
    assert called(desk) == [1, 3]


def test_a_line_that_cannot_go_lets_the_next_one_try(desk: Desk) -> None:
    desk.sync(function(concurrency=[{"limit": 2}, BY_KEY]))
    send(desk, "f", {"k": "a", "i": 0}, {"k": "b", "i": 1}, {"k": "a", "i": 2}, {"k": "b", "i": 3})
    slow = desk.take()
    finish(desk)
    assert called(desk) == [3]
    desk.reply(slow, 200)
    assert called(desk) == [3, 2]


def test_the_tighter_of_two_limits_on_the_same_counts(desk: Desk) -> None:
    desk.sync(function(concurrency=[{"limit": 3}, {"limit": 1}]))
    send(desk, "f", *numbered(2))
    assert called(desk) == [0]
    finish(desk)
    finish(desk)
    assert_nothing_left(desk)


@pytest.mark.parametrize("scope", ["env", "account"])
def test_functions_share_a_limit_of_the_whole_environment(desk: Desk, scope: str) -> None:
    shared = {"key": "'everything'", "scope": scope}
    first = function("f", concurrency=[{"limit": 1, **shared}])
    second = function("g", concurrency=[{"limit": 2, **shared}])
    desk.sync(first)
    desk.sync(second, app="other", url="http://other")
    send(desk, "f", *numbered(2))
    send(desk, "g", *numbered(2))
    assert [call.function for call in desk.open] == ["app-f", "app-g"]
    finish(desk, "app-f")
    # One place is taken: enough for the limit of g, too much for that of f.
    assert [call.function for call in desk.open] == ["app-g", "app-g"]
    finish(desk)
    finish(desk)
    assert [call.function for call in desk.open] == ["app-f"]


def test_limits_with_other_expressions_are_not_shared(desk: Desk) -> None:
    limit = {"limit": 1, "scope": "env"}
    desk.sync(
        function("f", concurrency=[{**limit, "key": "'all'"}]),
        function("g", concurrency=[{**limit, "key": "'a' + 'll'"}]),
    )
    send(desk, "f", {})
    send(desk, "g", {})
    assert len(desk.open) == 2


def test_a_limit_of_runs_is_held_while_they_sleep(desk: Desk) -> None:
    desk.sync(function(concurrency={"fn": [{"limit": 1, "scope": "fn"}]}))
    send(desk, "f", *numbered(2))
    desk.answer(op("Sleep", "s", duration="4s"))
    assert desk.open == []
    desk.wait(4000)
    assert called(desk) == [0]
    finish(desk)
    assert called(desk) == [1]
    finish(desk)
    assert_nothing_left(desk)


def test_limits_of_runs_and_of_calls_together(desk: Desk) -> None:
    desk.sync(function(concurrency={"fn": [{"limit": 2}], "step": [{"limit": 1}]}))
    send(desk, "f", *numbered(3))
    assert called(desk) == [0]
    desk.answer(op("Sleep", "s", duration="4s"))
    assert called(desk) == [1]
    desk.answer(op("Sleep", "s", duration="8s"))
    assert called(desk) == []
    desk.wait(4000)
    finish(desk)
    assert called(desk) == [2]


@pytest.mark.parametrize("end", ["fail", "lose", "cancel"])
@pytest.mark.parametrize("config", [{"concurrency": 1}, {"concurrency": {"fn": [{"limit": 1}]}}])
def test_a_run_that_ends_badly_makes_room(desk: Desk, end: str, config: dict[str, Any]) -> None:
    desk.sync(function(**config))
    send(desk, "f", *numbered(2))
    call = desk.take()
    if end == "cancel":
        desk.do(CancelRun(call.effect.run_id))
        desk.reply(call, 200)
    elif end == "lose":
        desk.lose(call)
    else:
        desk.reply(call, 500)
    assert called(desk) == [1]
    finish(desk)
    assert_nothing_left(desk)


def test_a_call_of_a_cancelled_run_holds_its_place_until_it_ends(desk: Desk) -> None:
    """The app is still at it: the limit is there to protect what it works on."""
    desk.sync(function(concurrency=1))
    send(desk, "f", *numbered(2))
    call = desk.take()
    desk.do(CancelRun(call.effect.run_id))
    assert desk.open == []
    desk.reply(call, 200)
    assert called(desk) == [1]


def test_a_run_that_times_out_makes_room(desk: Desk) -> None:
    desk.sync(
        function(concurrency={"fn": [{"limit": 1}]}, timeouts={"start": "10s", "finish": "5s"})
    )
    send(desk, "f", *numbered(2))
    desk.answer(op("Sleep", "s", duration="1h"))
    desk.wait(5000)
    assert desk.status() == ["CANCELLED", "RUNNING"]
    assert called(desk) == [1]


def test_a_run_that_waits_too_long_for_its_place_is_cancelled(desk: Desk) -> None:
    desk.sync(function(concurrency=1, timeouts={"start": "2s"}))
    send(desk, "f", *numbered(3))
    desk.wait(2000)
    assert desk.status() == ["RUNNING", "CANCELLED", "CANCELLED"]
    finish(desk)
    assert desk.open == []
    assert_nothing_left(desk)


def test_the_runs_of_a_function_that_is_gone_make_room(desk: Desk) -> None:
    desk.sync(function(concurrency=1), function("g"))
    send(desk, "f", *numbered(2))
    desk.sync(function("g"))
    finish(desk)
    finish(desk)
    assert_nothing_left(desk)


def test_another_limit_applies_to_what_waits_and_to_what_runs(desk: Desk) -> None:
    desk.sync(function())
    send(desk, "f", *numbered(2))
    desk.sync(function(concurrency=2))
    send(desk, "f", {"i": 2}, {"i": 3})
    assert called(desk) == [0, 1]
    desk.sync(function(concurrency=3))
    assert called(desk) == [0, 1, 2]
    desk.sync(function(concurrency=1))
    for _ in range(2):
        finish(desk)
    assert called(desk) == [2]
    desk.sync(function())
    assert called(desk) == [2, 3]
    for _ in range(2):
        finish(desk)
    assert_nothing_left(desk)


def test_a_restart_recounts_the_places(desk: Desk) -> None:
    desk.sync(function(concurrency={"fn": [{"limit": 2}], "step": [{"limit": 1}]}))
    send(desk, "f", *numbered(4))
    desk.answer(op("Sleep", "s", duration="1h"))
    assert called(desk) == [1]
    desk.restart()
    assert called(desk) == [1]
    finish(desk)
    assert called(desk) == [2]
    desk.wait(3_600_000)
    while desk.open:
        finish(desk)
    assert desk.status() == ["COMPLETED"] * 4
    assert_nothing_left(desk)


def test_a_key_that_fails_is_no_key_and_is_reported_once(desk: Desk) -> None:
    desk.sync(function(concurrency=[{"limit": 1, "key": "event.data.k.size() + nope"}]))
    send(desk, "f", *numbered(3))
    assert called(desk) == [0]
    assert len(desk.warnings) == 1
    assert "app-f" in desk.warnings[0]
    assert "nope" in desk.warnings[0]


# --- throttle -------------------------------------------------------------------------------


def test_throttled_runs_start_one_by_one_and_none_is_lost(desk: Desk) -> None:
    desk.sync(function(throttle={"limit": 2, "period": "10s"}))
    send(desk, "f", *numbered(5))
    starts = []
    for second in range(20):
        starts += [(second, i) for i in called(desk)]
        while desk.open:
            finish(desk)
        desk.wait(1000)
    assert starts == [(0, 0), (0, 1), (5, 2), (10, 3), (15, 4)]
    assert_nothing_left(desk)


def test_a_throttle_counts_starts_not_steps(desk: Desk) -> None:
    desk.sync(function(throttle={"limit": 1, "period": "10s"}))
    send(desk, "f", {})
    desk.answer(run_op("a"))
    assert len(desk.open) == 1


def test_a_cancelled_run_gives_its_start_to_the_next(desk: Desk) -> None:
    desk.sync(function(throttle={"limit": 1, "period": "10s"}))
    send(desk, "f", *numbered(3))
    waiting = [run for run in desk.runs.values() if run.status == "QUEUED"]
    desk.do(CancelRun(waiting[0].id))
    desk.wait(10_000)
    assert called(desk) == [0, 2]


def test_cancelled_runs_leave_no_line_behind_at_a_throttle(desk: Desk) -> None:
    desk.sync(
        function(throttle={"limit": 1, "period": "10s"}, concurrency=2, cancel=[{"event": "stop"}])
    )
    send(desk, "f", *numbered(3))
    finish(desk)
    send(desk, "stop", {})
    assert_nothing_left(desk)
    assert desk.engine.state.control.throttles == {}


def test_a_throttle_has_a_rate_for_each_key(desk: Desk) -> None:
    desk.sync(function(throttle={"limit": 1, "period": "10s", "key": "event.data.k"}))
    send(desk, "f", {"k": "a"}, {"k": "a"}, {"k": "b"})
    assert called(desk, "k") == ["a", "b"]


def test_throttled_runs_wait_for_their_place_as_well(desk: Desk) -> None:
    desk.sync(function(throttle={"limit": 1, "period": "10s"}, concurrency=1))
    send(desk, "f", *numbered(3))
    desk.wait(30_000)
    assert called(desk) == [0]
    finish(desk)
    assert called(desk) == [1]
    finish(desk)
    # Its time had come long ago, but the one before started just now.
    assert called(desk) == []
    desk.wait(10_000)
    assert called(desk) == [2]


def test_a_throttle_survives_a_restart(desk: Desk) -> None:
    desk.sync(function(throttle={"limit": 1, "period": "10s"}))
    send(desk, "f", *numbered(3))
    finish(desk)
    desk.wait(4000)
    desk.restart()
    assert desk.open == []
    desk.wait(5999)
    assert desk.open == []
    desk.wait(1)
    assert called(desk) == [1]


def test_meters_and_gates_are_forgotten_when_they_say_nothing_any_more(desk: Desk) -> None:
    desk.sync(function(throttle={"limit": 1, "period": "10s", "key": "event.data.i"}))
    send(desk, "f", *numbered(3))
    while desk.open:
        finish(desk)
    desk.wait(10_000)
    control = desk.engine.state.control
    assert (control.meters, control.throttles, control.lines) == ({}, {}, {})
    assert desk.store is not None
    assert desk.store.load().meters == []


# --- priority -------------------------------------------------------------------------------

PRIORITY = {"run": "event.data.p == 'hi' ? 100 : (event.data.p == 'lo' ? -2 : 0)"}


def test_priority_moves_a_run_by_seconds(desk: Desk) -> None:
    desk.sync(function(concurrency=1, priority=PRIORITY))
    send(desk, "f", {"p": "first"})
    send(desk, "f", {"p": "mid"}, {"p": "lo"}, {"p": "hi"})
    seen = []
    for _ in range(4):
        seen += called(desk, "p")
        finish(desk)
        desk.wait(2000)
    assert seen == ["first", "hi", "mid", "lo"]


def test_a_run_of_low_priority_comes_late_even_to_an_idle_server(desk: Desk) -> None:
    desk.sync(function(priority={"run": "-2"}))
    send(desk, "f", {})
    for _ in range(2):
        assert desk.open == []
        desk.wait(2000)
        desk.answer(run_op(f"s{desk.now}"))


def test_a_priority_of_its_own_is_enough_when_the_server_is_busy() -> None:
    desk = Desk(Settings(max_calls=1), None, Expressions())
    desk.sync(function(priority=PRIORITY), function("g"))
    send(desk, "g", {"i": 0}, {"i": 1})
    send(desk, "f", {"p": "hi", "i": 2})
    finish(desk)
    assert called(desk) == [2]


@pytest.mark.parametrize("text", ["event.data.p", "1.5", "'9'", "true", "nope.nope()"])
def test_a_priority_that_is_no_whole_number_is_none(desk: Desk, text: str) -> None:
    desk.sync(function(concurrency=1, priority={"run": text}))
    send(desk, "f", {"p": 0}, {"p": 1}, {"p": 2})
    finish(desk)
    assert called(desk, "p") == [1]


def test_a_priority_has_its_bounds(desk: Desk) -> None:
    desk.sync(function(priority={"run": "-1000000"}))
    send(desk, "f", {})
    desk.wait(43_200_000)
    assert len(desk.open) == 1


# --- what it costs --------------------------------------------------------------------------


def count_tries(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> list[None]:
    tries: list[None] = []
    advance = lanes.advance

    def counted(*args: Any) -> Any:
        tries.append(None)
        return advance(*args)

    monkeypatch.setattr(lanes, "advance", counted)
    return tries


@pytest.mark.parametrize("keys", [1, 500])
def test_what_a_decision_costs_does_not_depend_on_how_many_wait(
    keys: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A line is tried twice per call: when a place is free, and when it is not any more."""
    desk = Desk(Settings(), None, Expressions())
    desk.sync(function(concurrency=[{"limit": 1}, BY_KEY]))
    tries = count_tries(desk, monkeypatch)
    send(desk, "f", *({"k": index % keys} for index in range(2000)))
    made = len(tries)
    assert made <= 2 + keys
    for _ in range(200):
        finish(desk)
    assert len(desk.open) == 1
    assert len(tries) - made <= 200 * 3


def test_what_waits_behind_one_key_does_not_hinder_the_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(Settings(), None, Expressions())
    desk.sync(function(concurrency=[{"limit": 2}, BY_KEY]))
    tries = count_tries(desk, monkeypatch)
    send(desk, "f", *({"k": "busy"} for _ in range(1000)), *({"k": i} for i in range(100)))
    slow = desk.open[0]
    made = len(tries)
    for _ in range(100):
        (call,) = [call for call in desk.open if call is not slow]
        desk.open.remove(call)
        desk.reply(call, 200)
    assert desk.open == [slow]
    assert len(tries) - made <= 100 * 4


def test_a_thousand_cancelled_runs_are_passed_over_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    desk = Desk(Settings(), None, Expressions())
    desk.sync(function(concurrency=1, cancel=[{"event": "stop"}]))
    send(desk, "f", *numbered(1000))
    tries = count_tries(desk, monkeypatch)
    call = desk.take()
    send(desk, "stop", {})
    send(desk, "f", {"i": "last"})
    desk.reply(call, 200)
    assert called(desk) == ["last"]
    assert len(tries) <= 3
