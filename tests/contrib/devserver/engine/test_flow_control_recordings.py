"""Flow control decides as a real server was recorded to decide; only sooner."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inngest_contrib.devserver.engine.commands import Call
from tests.contrib.devserver.engine.replay import Replay, load

LATE = 2000
"""By how many ms the recorded server is late at most, a tick of its queue here and there."""


class Timed(Replay):
    """A replay that notes when it made which call, and with the data of which events."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.made: list[tuple[int, str, list[Any]]] = []

    def _answer(self, call: Call, now: int) -> None:
        body = json.loads(call.body)
        slug = call.url.partition("fnId=")[2].partition("&")[0]
        self.made.append((now, slug, [event["data"] for event in body["events"]]))
        super()._answer(call, now)

    def times(self, slug: str) -> list[int]:
        return [now for now, made, _ in self.made if made == slug]

    def data(self, slug: str) -> list[list[Any]]:
        return [data for _, made, data in self.made if made == slug]


def play(name: str, **how: Any) -> Timed:
    replay = Timed(load(name), **how)
    recorded = [(entry["t"], entry["call"]) for entry in replay.calls]
    replay.play()
    assert replay.unexpected == []
    assert [f"{call['t']} {call['call']}" for call in replay.calls] == []
    assert replay.differences == []
    for slug in {slug for _, slug in recorded}:
        assert_soon([now for now, called in recorded if called == slug], replay.times(slug))
    return replay


def assert_soon(recorded: list[int], made: list[int]) -> None:
    """The first call as the first, the second as the second, whichever run they are of."""
    pairs = list(zip(sorted(recorded), sorted(made), strict=True))
    assert all(-60 <= then - now <= LATE * (index + 1) for index, (then, now) in enumerate(pairs))


@pytest.mark.parametrize(
    "name", ["concurrency-run-level", "rate-limit", "singleton", "idempotency"]
)
def test_calls_are_as_recorded(name: str) -> None:
    play(name, loose_time=name == "concurrency-run-level")


def test_calls_of_one_lane_are_made_one_after_another() -> None:
    """Which of the waiting comes next is chance there; here they come as they were sent."""
    replay = play("concurrency", loose_time=True)
    assert replay.times("cnc-one") == [121, 1621, 3121]
    assert [data[0]["i"] for data in replay.data("cnc-one")] == [0, 1, 2]
    assert [data[0]["i"] for data in replay.data("cnc-key")] == [0, 1, 2, 3]


def test_a_throttle_lets_through_the_burst_and_then_one_per_period() -> None:
    replay = play("throttle", loose_time=True)
    assert replay.times("thr-main") == [127, 297, 3127, 6127]
    assert [data[0]["i"] for data in replay.data("thr-main")] == [0, 1, 2, 3]


def test_of_a_burst_the_last_event_counts() -> None:
    """As recorded, but for the second that the recorded server waits beyond the period."""
    replay = play("debounce", loose_time=True)
    assert replay.times("dbn-main") == [3830]
    assert replay.times("dbn-cap") == [6766, 11337]
    assert replay.data("dbn-cap") == [[{"i": 4}], [{"i": 7}]]


def test_priority_moves_runs_in_the_queue() -> None:
    replay = play("priority", loose_time=True)
    assert [data[0]["p"] for data in replay.data("pri-main")] == ["first", "hi", "mid", "lo"]


def test_batches_are_full_or_out_of_time() -> None:
    """The order of the events of a batch is chance there; here they stand as they were sent."""
    replay = Timed(load("batch"), loose_time=True)
    replay.play()
    made = [(now, [event["i"] for event in data]) for now, _, data in replay.made]
    assert made == [
        (125, [0, 1, 2]),
        (2158, [3]),
        (3066, [0, 1]),
        (5094, [2]),
        (5116, [3]),
        (6041, [50]),
        (8014, [1, 2]),
    ]


def test_timeouts_cancel_while_a_run_waits_sleeps_or_is_called() -> None:
    replay = Timed(load("timeouts"), loose_time=True)
    replay.play()
    ended = {
        (run.function.slug, run.event.value["data"].get("n")): run for run in replay.runs.values()
    }
    assert ended["to-start", 0].status.value == "RUNNING"
    waited = ended["to-start", 1]
    assert (waited.status.value, waited.started_at) == ("CANCELLED", None)
    for slug in ("to-finish", "to-finlast", "to-finone"):
        run = ended[slug, None]
        assert run.started_at is not None
        assert run.ended_at == run.started_at + 2000
        assert run.status.value == "CANCELLED"


def test_invokes_of_functions_with_flow_control() -> None:
    """
    Rate limit and idempotency refuse, a batch answers all, of a debounce the last, of a singleton
    the first. The recorded server forgets who invoked a run that a later one cancels before it was
    called: those calls are left out.
    """
    sample = load("invoke-with-flow-control")
    kept = [entry for entry in sample["exchanges"] if "singc" not in json.dumps(entry.get("body"))]
    registration = sample["exchanges"][0]
    replay = Timed({**sample, "exchanges": [registration, *kept]}, loose_time=True)
    replay.play()
    assert replay.unexpected == []
    assert [f"{call['t']} {call['call']}" for call in replay.calls] == []
    assert replay.differences == []
