"""Events that start no run, or a later one, or one with others: what stands before a run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from inngest_contrib.devserver.engine.commands import InvokeFunction, Settings
from inngest_contrib.devserver.expressions import Expressions
from inngest_contrib.devserver.store import Store
from tests.contrib.devserver.engine.desk import Desk, function, hashed, op

HOUR = 3_600_000


@pytest.fixture
def desk() -> Iterator[Desk]:
    store = Store(None)
    yield Desk(Settings(retry_interval=1000), store, Expressions())
    store.close()


def finish(desk: Desk, slug: str | None = None, result: Any = None) -> None:
    """Let the oldest call return."""
    desk.reply(desk.take(slug), 200, result)


def events(desk: Desk) -> list[list[Any]]:
    """The numbers of the events that each call in progress is about."""
    return [[event["data"].get("i") for event in call.body["events"]] for call in desk.open]


def invoke(desk: Desk, slug: str = "app-f", **data: Any) -> str:
    """Let a run of `par` invoke a function; the id of that run."""
    desk.send("par")
    call = desk.take("app-par")
    desk.reply(call, 206, [op("InvokeFunction", "i", function_id=slug, payload={"data": data})])
    return call.effect.run_id


def memos(desk: Desk) -> dict[str, Any]:
    """What the runs of `par` that are called now got from their invokes, by run."""
    found = {}
    for call in [call for call in desk.open if call.function == "app-par"]:
        found[call.effect.run_id] = call.body["steps"].get(hashed("i"))
    return found


# --- rate limit and idempotency --------------------------------------------------------------


def test_a_limit_below_ten_lets_one_through_per_interval(desk: Desk) -> None:
    desk.sync(function(rateLimit={"limit": 2, "period": "6s"}))
    passed = []
    for second in range(7):
        desk.send("f", {"i": second})
        passed += events(desk)
        desk.open.clear()
        desk.wait(1000)
    assert passed == [[0], [3], [6]]
    assert len(desk.runs) == 3


def test_a_tenth_of_a_larger_limit_may_come_at_once(desk: Desk) -> None:
    desk.sync(function(rateLimit={"limit": 20, "period": "20s"}))
    for index in range(9):
        desk.send("f", {"i": index})
    assert events(desk) == [[0], [1], [2]]


def test_a_rate_for_each_key_and_none_without(desk: Desk) -> None:
    desk.sync(function(rateLimit={"limit": 1, "period": "1h", "key": "event.data.k"}))
    for index, key in enumerate(["a", "a", "b", 0, 0]):
        desk.send("f", {"i": index, "k": key})
    assert events(desk) == [[0], [2], [3]]
    desk.open.clear()
    for data in ({}, {"k": None}, {"k": ""}, {"k": False}):
        desk.send("f", data)
        desk.send("f", data)
    assert len(desk.open) == 8


def test_an_idempotency_key_counts_for_a_day(desk: Desk) -> None:
    desk.sync(function(idempotency="event.data.k"))
    for index, key in enumerate(["a", "a", "b"]):
        desk.send("f", {"k": key, "i": index})
    assert events(desk) == [[0], [2]]
    desk.wait(24 * HOUR - 1)
    desk.send("f", {"k": "a", "i": 3})
    assert events(desk) == [[0], [2]]
    desk.wait(1)
    desk.send("f", {"k": "a", "i": 4})
    assert events(desk) == [[0], [2], [4]]


def test_what_one_limit_refuses_does_not_count_for_the_other(desk: Desk) -> None:
    desk.sync(function(idempotency="event.data.k", rateLimit={"limit": 1, "period": "1s"}))
    desk.send("f", {"k": "a", "i": 0})
    desk.send("f", {"k": "b", "i": 1})
    desk.wait(1000)
    desk.send("f", {"k": "a", "i": 2})
    desk.send("f", {"k": "b", "i": 3})
    assert events(desk) == [[0], [3]]


def test_rates_survive_a_restart(desk: Desk) -> None:
    desk.sync(function(rateLimit={"limit": 1, "period": "10s"}))
    desk.send("f", {"i": 0})
    finish(desk)
    desk.wait(9999)
    desk.restart()
    desk.send("f", {"i": 1})
    assert events(desk) == []
    desk.wait(1)
    desk.restart()
    desk.send("f", {"i": 2})
    assert events(desk) == [[2]]


def test_an_invoke_beyond_the_rate_fails_its_step(desk: Desk) -> None:
    desk.sync(function(rateLimit={"limit": 1, "period": "1h"}), function("par"))
    first, second = invoke(desk), invoke(desk)
    finish(desk, "app-f", "ok")
    error = {"message": "invoked function is rate limited", "name": "Error"}
    assert memos(desk) == {first: {"data": "ok"}, second: {"error": error}}


def test_an_event_that_is_refused_may_be_sent_again_under_its_id(desk: Desk) -> None:
    desk.sync(function(rateLimit={"limit": 1, "period": "10s"}))
    desk.send("f", {"i": 0})
    desk.send("f", {"i": 1}, id="again")
    desk.wait(10_000)
    desk.send("f", {"i": 1}, id="again")
    desk.wait(10_000)
    desk.send("f", {"i": 1}, id="again")
    assert events(desk) == [[0], [1]]


def test_an_id_that_was_seen_does_not_use_up_the_rate(desk: Desk) -> None:
    desk.sync(function(rateLimit={"limit": 1, "period": "10s"}))
    desk.send("f", {"i": 0}, id="once")
    desk.wait(10_000)
    desk.send("f", {"i": 1}, id="once")
    desk.send("f", {"i": 2})
    assert events(desk) == [[0], [2]]


# --- batches --------------------------------------------------------------------------------

BATCH: dict[str, Any] = {"maxSize": 3, "timeout": "2s"}


def test_a_full_batch_starts_at_once_and_the_rest_at_the_timeout(desk: Desk) -> None:
    desk.sync(function(batchEvents=BATCH))
    for index in range(4):
        desk.send("f", {"i": index})
    assert events(desk) == [[0, 1, 2]]
    desk.wait(1000)
    desk.send("f", {"i": 4})
    desk.wait(999)
    assert events(desk) == [[0, 1, 2]]
    desk.wait(1)
    assert events(desk) == [[0, 1, 2], [3, 4]]


def test_a_batch_of_ten_megabytes_waits_for_no_more(desk: Desk) -> None:
    desk.sync(function(batchEvents={**BATCH, "maxSize": 100}))
    for index in range(4):
        desk.send("f", {"i": index, "large": "x" * 2_700_000})
        desk.restart()
    (run,) = desk.runs.values()
    assert [event.value["data"]["i"] for event in run.events] == [0, 1, 2, 3]


def test_a_batch_for_each_key(desk: Desk) -> None:
    desk.sync(function(batchEvents={**BATCH, "maxSize": 2, "key": "event.data.k"}))
    for index, key in enumerate(["a", "b", "a", "b", None]):
        desk.send("f", {"i": index, "k": key})
    assert events(desk) == [[0, 2], [1, 3]]
    desk.wait(2000)
    assert events(desk) == [[0, 2], [1, 3], [4]]


def test_an_event_that_may_not_be_batched_runs_alone_at_once(desk: Desk) -> None:
    desk.sync(function(batchEvents={**BATCH, "if": "event.data.i < 10"}))
    for index in (0, 50, 1):
        desk.send("f", {"i": index})
    assert events(desk) == [[50]]
    desk.wait(2000)
    assert events(desk) == [[50], [0, 1]]


def test_everyone_who_invoked_into_a_batch_gets_its_result(desk: Desk) -> None:
    desk.sync(function(batchEvents=BATCH), function("par"))
    first = invoke(desk, i=0)
    desk.send("f", {"i": 1})
    second = invoke(desk, i=2)
    assert events(desk) == [[0, 1, 2]]
    desk.restart()
    finish(desk, "app-f", "ok")
    assert memos(desk) == {first: {"data": "ok"}, second: {"data": "ok"}}


def test_a_batch_survives_restarts(desk: Desk) -> None:
    desk.sync(function(batchEvents=BATCH))
    for index in range(2):
        desk.send("f", {"i": index}, user={"id": str(index)})
        desk.restart()
    desk.wait(1999)
    desk.restart()
    assert desk.open == []
    desk.wait(1)
    assert events(desk) == [[0, 1]]
    assert [event["user"] for event in desk.open[0].body["events"]] == [{"id": "0"}, {"id": "1"}]
    desk.restart()
    assert events(desk) == [[0, 1]]
    finish(desk)
    assert desk.store is not None
    saved = desk.store.load()
    assert (saved.holdings, saved.held, saved.runs) == ([], [], [])


def test_a_batch_that_was_due_while_the_server_was_down_starts_with_it(desk: Desk) -> None:
    desk.sync(function(batchEvents=BATCH))
    desk.send("f", {"i": 0})
    desk.now += HOUR
    desk.restart()
    assert events(desk) == [[0]]


def test_what_was_collected_runs_although_the_function_is_gone(desk: Desk) -> None:
    desk.sync(function(batchEvents=BATCH), function("g"))
    desk.send("f", {"i": 0})
    desk.sync(function("g"))
    desk.wait(2000)
    assert events(desk) == [[0]]


def test_what_was_collected_runs_although_the_function_batches_no_more(desk: Desk) -> None:
    desk.sync(function(batchEvents=BATCH))
    desk.send("f", {"i": 0})
    desk.send("f", {"i": 1})
    desk.sync(function(debounce={"period": "5s"}))
    desk.send("f", {"i": 2})
    assert events(desk) == [[0, 1]]
    desk.wait(5000)
    assert events(desk) == [[0, 1], [2]]


def test_an_event_id_counts_once_in_a_batch(desk: Desk) -> None:
    desk.sync(function(batchEvents=BATCH))
    for index in (0, 1, 2):
        desk.send("f", {"i": index}, id="a" if index < 2 else "b")
    desk.wait(2000)
    assert events(desk) == [[0, 2]]


def test_a_batch_asked_for_by_command_has_no_run_yet(desk: Desk) -> None:
    desk.sync(function(batchEvents=BATCH))
    results = [desk.do(InvokeFunction(slug="app-f", data={"i": index})) for index in range(3)]
    assert [result.run_id is None for result in results] == [True, True, False]
    assert events(desk) == [[0, 1, 2]]


# --- debounce -------------------------------------------------------------------------------


def test_of_a_burst_the_last_event_starts_a_run_when_it_is_over(desk: Desk) -> None:
    desk.sync(function(debounce={"period": "2s"}))
    for index in range(5):
        desk.send("f", {"i": index})
        desk.wait(1999)
    assert desk.open == []
    desk.wait(1)
    assert events(desk) == [[4]]
    desk.send("f", {"i": 5})
    desk.wait(2000)
    assert events(desk) == [[4], [5]]


def test_a_burst_that_does_not_end_is_cut_off(desk: Desk) -> None:
    desk.sync(function(debounce={"period": "2s", "timeout": "4s"}))
    for index in range(10):
        desk.send("f", {"i": index})
        desk.wait(1000)
    # The time of an event counts before the event of the same instant.
    assert events(desk) == [[3], [7]]


def test_a_timeout_shorter_than_the_period_counts_from_the_first_event(desk: Desk) -> None:
    desk.sync(function(debounce={"period": "9s", "timeout": "2s"}))
    desk.send("f", {"i": 0})
    desk.wait(2000)
    assert events(desk) == [[0]]


def test_an_older_event_neither_counts_nor_delays(desk: Desk) -> None:
    desk.sync(function(debounce={"period": "2s"}))
    desk.send("f", {"i": 0})
    desk.wait(1000)
    desk.send("f", {"i": 1}, ts=desk.now - 5000)
    desk.wait(1000)
    assert events(desk) == [[0]]


def test_a_burst_for_each_key(desk: Desk) -> None:
    desk.sync(function(debounce={"period": "2s", "key": "event.data.k"}))
    for index, key in enumerate("aba"):
        desk.send("f", {"i": index, "k": key})
    desk.wait(2000)
    assert events(desk) == [[1], [2]]


def test_a_debounce_survives_restarts(desk: Desk) -> None:
    desk.sync(function(debounce={"period": "2s", "timeout": "3s"}))
    for index in range(2):
        desk.send("f", {"i": index})
        desk.wait(1000)
        desk.restart()
    desk.wait(500)
    desk.send("f", {"i": 2})
    desk.restart()
    desk.wait(499)
    assert desk.open == []
    desk.wait(1)
    assert events(desk) == [[2]]
    finish(desk)
    assert desk.store is not None
    assert (desk.store.load().holdings, desk.store.load().held) == ([], [])


def test_only_the_last_who_invoked_a_debounced_function_gets_its_result(desk: Desk) -> None:
    desk.sync(function(debounce={"period": "2s"}), function("par"))
    first, second = invoke(desk), invoke(desk)
    desk.wait(2000)
    finish(desk, "app-f", "ok")
    assert memos(desk) == {second: {"data": "ok"}}
    assert len(desk.warnings) == 1
    assert first in desk.warnings[0]


# --- singletons -----------------------------------------------------------------------------


@pytest.mark.parametrize("state", ["queued", "called", "asleep"])
def test_while_a_singleton_runs_further_events_are_skipped(desk: Desk, state: str) -> None:
    throttle = {"limit": 1, "period": "1h"} if state == "queued" else None
    desk.sync(function(singleton={"mode": "skip"}, throttle=throttle))
    desk.send("f", {"i": 0})
    if state == "asleep":
        desk.answer(op("Sleep", "s", duration="1h"))
    desk.send("f", {"i": 1})
    desk.restart()
    desk.send("f", {"i": 2})
    assert len(desk.runs) == 1


def test_after_a_singleton_has_ended_the_next_may_run(desk: Desk) -> None:
    desk.sync(function(singleton={}))
    desk.send("f", {"i": 0})
    desk.send("f", {"i": 1}, id="again")
    finish(desk)
    desk.send("f", {"i": 1}, id="again")
    assert events(desk) == [[1]]
    desk.send("f", {"i": 2})
    finish(desk)
    desk.send("f", {"i": 1}, id="again")
    assert desk.open == []


def test_a_singleton_gives_way_to_a_new_event(desk: Desk) -> None:
    desk.sync(function(singleton={"mode": "cancel"}))
    desk.send("f", {"i": 0})
    desk.answer(op("Sleep", "s", duration="1h"))
    desk.restart()
    desk.send("f", {"i": 1})
    assert desk.status() == ["CANCELLED", "RUNNING"]
    assert events(desk) == [[1]]
    assert len(desk.sent("inngest/function.cancelled")) == 1
    finish(desk)
    assert desk.engine.state.control.singles == {}


def test_a_singleton_for_each_key_and_none_without(desk: Desk) -> None:
    desk.sync(function(singleton={"mode": "skip", "key": "event.data.k"}))
    for index, key in enumerate(["a", "a", "b", None, None, False]):
        desk.send("f", {"i": index, "k": key})
    assert events(desk) == [[0], [2], [3], [4], [5]]


def test_an_invoke_that_is_skipped_waits_for_its_timeout_and_the_log_says_so(desk: Desk) -> None:
    desk.sync(function(singleton={"mode": "skip"}), function("par"))
    first, second = invoke(desk), invoke(desk)
    finish(desk, "app-f", "ok")
    assert memos(desk) == {first: {"data": "ok"}}
    assert second in desk.warnings[0]


def test_who_invoked_a_singleton_that_gave_way_gets_the_event_of_its_end(desk: Desk) -> None:
    desk.sync(function(singleton={"mode": "cancel"}), function("par"))
    first, second = invoke(desk), invoke(desk)
    finished = memos(desk)[first]
    assert finished["name"] == "inngest/function.finished"
    assert finished["data"]["_inngest"] == {"status": "Cancelled"}
    desk.take("app-par")
    call = desk.open[-1]
    desk.open.remove(call)
    desk.reply(call, 200, "ok")
    assert memos(desk) == {second: {"data": "ok"}}


def test_after_a_burst_a_singleton_is_skipped_as_well(desk: Desk) -> None:
    desk.sync(function(debounce={"period": "1s"}, singleton={"mode": "skip"}))
    desk.send("f", {"i": 0})
    desk.wait(1000)
    desk.send("f", {"i": 1})
    desk.wait(1000)
    assert events(desk) == [[0]]


# --- what cannot be evaluated ---------------------------------------------------------------


@pytest.mark.parametrize(
    "config",
    [
        {"batchEvents": {**BATCH, "maxSize": 2, "key": "nope.nope()"}},
        {"rateLimit": {"limit": 1, "period": "1h", "key": "nope.nope()"}},
        {"idempotency": "nope.nope()"},
        {"debounce": {"period": "1s", "key": "nope.nope()"}},
        {"singleton": {"mode": "skip", "key": "nope.nope()"}},
        {"throttle": {"limit": 1, "period": "1h", "key": "nope.nope()"}},
    ],
)
def test_a_key_that_fails_is_no_key_and_is_reported_once(
    desk: Desk, config: dict[str, Any]
) -> None:
    desk.sync(function(**config))
    desk.send("f", {"i": 0})
    desk.send("f", {"i": 1})
    desk.wait(1000)
    assert len(desk.open) == 1
    assert [("nope.nope()" in warning) for warning in desk.warnings] == [True]
