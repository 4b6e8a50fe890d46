"""Whatever an app answers, the engine neither raises nor leaves a run that nothing will move."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inngest_contrib.devserver.engine import ops
from inngest_contrib.devserver.engine.commands import FetchFailed, Replied, Settings
from inngest_contrib.devserver.engine.state import WaitKind
from inngest_contrib.devserver.store import Store
from inngest_core.wire.names import Opcode
from tests.contrib.devserver.engine.desk import HEADERS as SDK_HEADERS
from tests.contrib.devserver.engine.desk import Desk, function

WISHES = ["1s", "-1s", "zz", "9" * 400 + "w", "9" * 20 + "d", "2020-01-01T00:00:00Z"]
TEXT = st.sampled_from(["", "a", "b", "c", "app-f", "w", "\ud800", "é\0", *WISHES])
ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
OPTS: st.SearchStrategy[dict[str, Any]] = st.dictionaries(
    st.sampled_from(["duration", "timeout", "event", "if", "function_id", "payload"])
    | st.sampled_from(["parallelMode", "signal", "conflict", "fn_slug", "input", "meta"])
    | st.sampled_from(["url", "method", "headers", "body", "auth_key", "target_hashed_id"]),
    TEXT
    | st.sampled_from(["race", "true", "broken", "replace", "gemini", "http://[", "http://m/?a"])
    | ANY
    | st.just({"data": {}}),
    max_size=4,
)
CODES = st.sampled_from([code.value for code in Opcode] + ["steprun", "Nope"])
OPS = st.fixed_dictionaries(
    {"op": CODES, "id": st.sampled_from(["a", "b", "c", "d", "", "\udfff", "\n"])},
    optional={
        "opts": OPTS | ANY,
        "data": ANY,
        "error": ANY,
        "name": TEXT,
        "displayName": TEXT | ANY,
        "timing": ANY,
    },
)
BODIES = st.one_of(
    st.lists(OPS, max_size=4).map(lambda ops: json.dumps(ops).encode()),
    ANY.map(lambda value: json.dumps(value).encode()),
    st.binary(max_size=20),
)
HEADERS = st.dictionaries(
    st.sampled_from(["x-inngest-no-retry", "retry-after", "x-inngest-req-version"]),
    st.sampled_from(["true", "false", "1", "2", "0", "x", "9" * 30, "²", "Sun, 99 Nov 2026"]),
    max_size=3,
)
REPLIES = st.tuples(
    st.sampled_from([200, 201, 204, 206, 206, 206, 206, 302, 400, 500]), HEADERS, BODIES
)


def assert_movable(desk: Desk) -> None:
    state = desk.engine.state
    for run in state.runs.values():
        assert run.jobs or run.waits
        for job in run.jobs.values():
            assert state.jobs[job.id] is job
        for waiting in run.waits.values():
            assert waiting.timer is not None or waiting.kind is WaitKind.FETCH
    for call in desk.open:
        if call.effect.run_id in state.runs:
            assert call.effect.job_id in state.jobs
    assert set(state.calling) == {call.effect.job_id for call in desk.open}
    assert set(state.fetches) == {fetch.fetch_id for fetch in desk.fetches}
    requests = {fetching.waiting.key for fetching in state.fetches.values()}
    for run in state.runs.values():
        assert requests >= {w.key for w in run.waits.values() if w.kind is WaitKind.FETCH}


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.lists(REPLIES, max_size=8))
def test_nothing_an_app_answers_raises_or_hangs(
    replies: list[tuple[int, dict[str, str], bytes]],
) -> None:
    desk = Desk(Settings(retry_interval=10), Store(None))
    desk.sync(function(retries=1), function("w"))
    desk.send("f")
    for status, headers, body in replies:
        if not desk.open:
            answer_requests(desk, status)
            desk.wait(2000)
            desk.send("w")
        if not desk.open:
            break
        desk.reply(desk.take(), status, body, **headers)
        assert_movable(desk)
    finish(desk)
    assert desk.engine.state.runs == {}
    assert desk.store is not None
    desk.store.close()


def answer_requests(desk: Desk, status: int) -> None:
    """Let every request of a function end, well or not."""
    while desk.fetches:
        if status == 500:
            desk.do(FetchFailed(desk.fetches.pop(0).fetch_id, "no"))
        else:
            desk.fetched(status, {"status": status})
        assert_movable(desk)


def finish(desk: Desk) -> None:
    """Answer everything that is still open or comes up within two years."""
    for _ in range(20):
        while desk.open:
            desk.reply(desk.take(), 200, {"done": True})
        answer_requests(desk, 200)
        desk.wait(100 * 24 * 3600 * 1000)


def deep(levels: int) -> bytes:
    return b"[" * levels + b"]" * levels


def test_json_nested_too_deeply_is_a_failed_attempt() -> None:
    desk = Desk()
    desk.sync(function())
    for status in (200, 206, 500):
        desk.send("f")
        desk.reply(desk.take(), status, deep(200_000))
    assert desk.status() == ["COMPLETED", "FAILED", "FAILED"]


def test_lone_surrogates_are_replaced_and_huge_numbers_survive() -> None:
    desk = Desk()
    desk.sync(function())
    desk.send("f")
    big = {"s": "\ud800", "n": 12345678901234567890, "f": 1e300}
    desk.answer({"id": "a", "op": "StepRun", "data": big})
    data = desk.take().body["steps"]["a"]["data"]
    assert data["s"] == "\ufffd"
    assert data["f"] == 1e300


def test_a_mistake_of_the_engine_ends_one_run_and_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*args: object) -> None:
        raise KeyError("oops")

    desk = Desk()
    desk.sync(function())
    desk.send("f")
    monkeypatch.setattr(ops, "perform", fail)
    turn = desk.engine.begin(desk.now)
    call = desk.take()
    desk.engine.apply(turn, Replied(call.effect.job_id, 206, SDK_HEADERS, b"[]"))
    assert desk.status() == ["FAILED"]
    assert [repr(mistake) for mistake in turn.mistakes] == ["KeyError('oops')"]
