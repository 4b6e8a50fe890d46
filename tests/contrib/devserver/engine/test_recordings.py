"""The engine makes the calls that a real server was recorded to make: same contents, same order."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any

import pytest

from inngest_contrib.devserver.engine.commands import Settings
from tests.contrib.devserver.engine.replay import Replay, load

EXACT = [
    "ai-gateway",
    "cancel",
    "defer",
    "event-future-ts",
    "function-removed-while-sleeping",
    "function-retry-then-success",
    "gateway-fetch",
    "internal-events",
    "on-failure",
    "parallel-one-fails",
    "parallel-steps",
    "parallel-steps-race-mode",
    "plain-function",
    "python-sdk-all-steps",
    "python-sdk-non-retriable",
    "python-sdk-parallel",
    "python-sdk-retry-after",
    "python-sdk-step-error",
    "rerun-from-step",
    "sequential-steps",
    "signal",
    "signal-conflict",
    "step-exhausted-error-memo",
    "step-retry-then-success",
    "trigger-matching",
    "wait-for-event-fulfilled",
    "wait-for-event-timeout",
]

NEARLY: dict[str, dict[str, Any]] = {
    # The tick with jitter comes at a random time.
    "cron": {"loose_time": True},
    # The child of the third invoke starts late in the run of its parent.
    "invoke": {"loose_time": True},
    # Which of two steps that end at once is first is chance there.
    "parallel-async-ops": {"any_order": True},
    # The recorded server cuts instants to whole seconds, and so is up to a second early.
    "sleep": {"early": 1000},
}


def assert_as_recorded(replay: Replay) -> None:
    assert replay.unexpected == []
    assert replay.fetches == []
    assert [f"{call['t']} {call['call']}" for call in replay.calls] == []
    assert replay.differences == []


@pytest.mark.parametrize("name", EXACT)
def test_calls_are_as_recorded(name: str) -> None:
    assert_as_recorded(Replay(load(name)).play())


@pytest.mark.parametrize("name", sorted(NEARLY))
def test_calls_are_as_recorded_but_for_chance(name: str) -> None:
    assert_as_recorded(Replay(load(name), **NEARLY[name]).play())


def without(sample: dict[str, Any], *slugs: str) -> dict[str, Any]:
    kept = [entry for entry in sample["exchanges"] if entry.get("call") not in slugs]
    return {**sample, "exchanges": kept}


def test_retry_after_in_its_three_forms() -> None:
    # ra-badsleep: a duration that cannot be read, which hangs there and fails here at once.
    replay = Replay(without(load("retry-after"), "ra-badsleep"), early=300)
    replay.play()
    assert [text for text in replay.unexpected if "badsleep" not in text] == []
    assert replay.calls == []
    assert [each for each in replay.differences if "badsleep" not in each.where] == []


def test_mixed_batches() -> None:
    replay = Replay(load("mixed-batches"), any_order=True)
    assert_as_recorded(replay.play())


def test_several_results_in_one_reply_lead_to_one_call() -> None:
    """Where the recorded server makes one call for each, all with the same contents."""
    replay = Replay(load("multi-steprun"), any_order=True).play()
    assert (replay.unexpected, replay.differences) == ([], [])
    assert len(replay.calls) == 2


BACKOFF = [15, 30, 60, 120, 300]


def test_backoff_follows_the_table() -> None:
    replay = Replay(load("retry-backoff-default"), settings=Settings(), loose_time=True)
    calls: dict[str, list[tuple[int, int]]] = {}
    take = replay._take

    def note(query: Any, body: Any) -> Any:
        now = replay._moment - replay.base
        calls.setdefault(query["fnId"], []).append((body["ctx"]["attempt"], now))
        return take(query, body)

    replay._take = note  # type: ignore[method-assign]  # listens to what is asked for
    replay.play()
    assert (replay.differences, replay.calls) == ([], [])
    for made in calls.values():
        first_job = made[:6]
        assert [attempt for attempt, _ in first_job] == [0, 1, 2, 3, 4, 5]
        gaps = [b - a for (_, a), (_, b) in pairwise(first_job)]
        for base, gap in zip(BACKOFF, gaps, strict=True):
            assert base * 1000 <= gap <= (base + 30) * 1000 + 100


# Replies after which the recorded server repeats the call 21 times and then hangs, or hangs at
# once, and so does not do what its summary would call a result.
SANER = {
    "wfe-no-event",
    "wfe-bad-timeout",
    "sleep-bad",
    "signal-empty",
    "invoke-no-payload",
    "same-step-twice",
    "discovery-same-id-twice",
}
SKIPPED = {"302", "gzip-reply"}  # the executor's work, see test_executors.py


def test_odd_replies() -> None:
    sample = load("call-reply-edge-cases")
    replay = Replay(sample).play()
    strange = {f"edge-{case}" for case in SANER}
    assert [d for d in replay.differences if d.where.split()[0] not in strange] == []
    assert [c["call"] for c in replay.calls if c["call"] not in strange] == []
    assert all(any(name in text for name in strange) for text in replay.unexpected)
    ended = {run.function.slug.removeprefix("edge-"): run for run in replay.runs.values()}
    for case in sample["summary"]:
        if case["case"] not in SANER | SKIPPED and case["case"] in ended:
            run = ended[case["case"]]
            assert run.status == case["status"], case
            assert_output(run.status, run.output, case["output"], case["case"])


OWN_WORDS = {
    "bad-json-206": "error reading generator opcode response: ",
    "201-not-json": "error parsing stream: ",
    "steperror-no-error": "OpcodeStepError received without Error field set",
    "wfe-bad-if": "InvalidExpression: Wait for event If expression failed to compile",
}
"""Where the wording of another parser shows: what it begins with."""


def assert_output(status: str, output: bytes | None, recorded: Any, case: str) -> None:
    value: Any = None if output is None else json.loads(output)
    if case in OWN_WORDS:
        assert value["error"].startswith(OWN_WORDS[case])
    elif case == "no-sdk-header-206":
        assert value[0]["op"] == "StepRun"  # the body as it came; the recorded one unwraps it
    elif status == "FAILED":
        assert {"error": value} == recorded, case
    elif isinstance(recorded, dict) and not isinstance(value, dict):
        assert {"data": value} == recorded, case
    else:
        assert value == recorded, case


@pytest.mark.parametrize("case", ["wfe-no-event", "wfe-bad-timeout", "sleep-bad", "signal-empty"])
def test_what_cannot_be_read_fails_the_run_at_once(case: str) -> None:
    replay = Replay(load("call-reply-edge-cases")).play()
    runs = [r for r in replay.runs.values() if r.function.slug == f"edge-{case}"]
    assert [run.status.value for run in runs] == ["FAILED"]
