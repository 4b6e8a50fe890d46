"""Runs that an app begins and leads: kept as it tells them, and gone on with when they wait."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from inngest_contrib.devserver.engine.commands import (
    BeginRun,
    Begun,
    CancelRun,
    ReportRun,
    Settings,
)
from inngest_contrib.devserver.engine.limits import HOUR, MAX_STEP_OUTPUT
from inngest_contrib.devserver.engine.state import Run
from inngest_contrib.devserver.store import Store
from tests.contrib.devserver.engine.desk import Desk, Open, error_op, hashed, op, plan, run_op

RUN = "01M81D836C694PFA3FD8D06CGT"
OTHER = "01M81D84BKJBFJ6VEB5A6WDQHW"


@pytest.fixture
def desk() -> Iterator[Desk]:
    store = Store(None)
    yield Desk(Settings(retry_interval=1000), store)
    store.close()


def request(**more: Any) -> dict[str, Any]:
    body = base64.b64encode(b'{"q":1}').decode()
    return {
        "domain": "http://shop:80",
        "method": "PUT",
        "path": "/api/orders",
        "query_params": "a=1&b=2",
        "content_type": "text/plain",
        "body": body,
        **more,
    }


def begin(desk: Desk, *ops: Any, run_id: str = RUN, **more: Any) -> Begun | None:
    event = {"name": "inngest/http.request", "ts": 1, "data": request()}
    report = {"run_id": run_id, "event": event, "request_version": 2, "steps": list(ops), **more}
    answer: Begun | None = desk.do(BeginRun(json.dumps(report).encode()))
    return answer


def tell(desk: Desk, *ops: Any, run_id: str = RUN) -> str | None:
    answer: str | None = desk.do(ReportRun(json.dumps({"run_id": run_id, "steps": ops}).encode()))
    return answer


def ended(data: Any, code: str = "RunComplete") -> dict[str, Any]:
    return {"id": hashed("complete"), "op": code, "data": data}


def memos(run: Run) -> Any:
    return json.loads(b"{%b}" % run.memos.joined())


def reply(desk: Desk, call: Open, *ops: Any) -> None:
    desk.reply(call, 206, list(ops))


def test_a_run_is_kept_as_its_app_tells_it(desk: Desk) -> None:
    begun = begin(desk, run_op("a", 1))
    assert begun is not None
    assert begun.awaitable
    assert tell(desk, run_op("b", 2), run_op("a", 9)) is None
    assert memos(desk.run) == {hashed("a"): {"data": 1}, hashed("b"): {"data": 2}}
    assert (desk.run.status.value, desk.open) == ("RUNNING", [])
    assert tell(desk, run_op("c", 3), ended({"status": 201, "body": "x"})) is None
    assert (desk.run.status.value, desk.open) == ("COMPLETED", [])
    assert json.loads(desk.run.output or b"") == {"status": 201, "body": "x"}


def test_the_address_is_the_function(desk: Desk) -> None:
    first, again = begin(desk), begin(desk, run_id=OTHER)
    assert first is not None
    assert again is not None
    assert (first.function_id, first.app_id) == (again.function_id, again.app_id)
    assert not first.awaitable
    function = desk.run.function
    assert (function.slug, function.name, function.app_name) == (
        "shop:80-api-orders",
        "/api/orders",
        "shop:80",
    )


def test_the_same_run_begun_again_is_the_same_run(desk: Desk) -> None:
    assert begin(desk, run_op("a", 1)) == begin(desk, run_op("a", 2))
    assert memos(desk.run) == {hashed("a"): {"data": 1}}
    assert len(desk.runs) == 1


def test_what_must_wait_makes_the_server_lead(desk: Desk) -> None:
    begin(desk, run_op("a", 1), op("Sleep", "z", duration="1s"))
    desk.wait(1000)
    call = desk.open.pop(0)
    made = call.effect
    assert (made.method, made.url) == ("PUT", "http://shop:80/api/orders?a=1&b=2")
    assert made.body == b'{"q":1}'
    assert made.headers["content-type"] == "text/plain"
    assert made.headers["x-run-id"] == RUN
    # By these two the JavaScript SDK tells a call from a visitor; without, each call begins a run.
    assert made.headers["x-inngest-signature"] == ""
    assert made.headers["x-inngest-generation-id"] == "1"
    assert made.headers["x-inngest-req-version"] == "2"
    assert made.headers["x-inngest-force-step-plan"] == "true"
    reply(desk, call, run_op("b", 2))
    assert "x-inngest-force-step-plan" not in desk.open[0].effect.headers
    desk.reply(desk.open.pop(0), 206, ended({"status": 204, "body": ""}))
    assert desk.run.status.value == "COMPLETED"
    assert list(memos(desk.run)) == sorted([hashed("a"), hashed("b"), hashed("z")])


def test_steps_that_are_planned_make_the_server_lead(desk: Desk) -> None:
    begin(desk, *plan("p", "q"))
    assert {call.effect.headers["x-inngest-step-id"] for call in desk.open} == {
        hashed("p"),
        hashed("q"),
    }
    for name in ("p", "q"):
        reply(desk, desk.open.pop(0), run_op(name, name))
    (call,) = desk.open
    assert call.effect.headers["x-inngest-step-id"] == "step"
    assert memos(desk.run) == {hashed("p"): {"data": "p"}, hashed("q"): {"data": "q"}}


def test_a_step_that_failed_is_tried_again_by_the_server(desk: Desk) -> None:
    begin(desk, error_op("s"), retries=2)
    assert desk.open == []
    desk.wait(1000)
    call = desk.open.pop(0)
    assert call.effect.headers["x-inngest-generation-id"] == "1"
    reply(desk, call, run_op("s", 5))
    assert memos(desk.run) == {hashed("s"): {"data": 5}}


def test_without_retries_a_step_that_failed_has_failed(desk: Desk) -> None:
    begin(desk, error_op("s", "bad"))
    assert memos(desk.run)[hashed("s")]["error"]["message"] == "bad"
    assert len(desk.open) == 1


def test_retries_are_those_of_each_run_also_after_a_restart(desk: Desk) -> None:
    begin(desk, error_op("s"), retries=2)
    begin(desk, error_op("s"), run_id=OTHER)
    desk.restart()
    runs = desk.engine.state.runs
    assert (runs[RUN].max_attempts, runs[OTHER].max_attempts) == (3, 1)
    desk.wait(1000)
    assert {call.effect.run_id for call in desk.open} == {RUN, OTHER}


def test_the_same_word_of_idempotency_leads_to_the_first_run_for_a_day(desk: Desk) -> None:
    first = begin(desk, run_op("a", 1), idempotency="order-7")
    desk.restart()
    again = begin(desk, run_op("a", 2), run_id=OTHER, idempotency="order-7")
    assert again == first
    assert first is not None
    assert first.run_id == RUN
    assert list(desk.engine.state.runs) == [RUN]
    other = begin(desk, run_op("a", 2), run_id=OTHER, idempotency="order-8")
    assert other is not None
    assert other.run_id == OTHER


def test_after_a_day_the_word_is_free(desk: Desk) -> None:
    begin(desk, run_op("a", 1), ended({"status": 200, "body": "x"}), idempotency="order-7")
    desk.wait(24 * HOUR)
    begun = begin(desk, run_op("a", 2), run_id=OTHER, idempotency="order-7")
    assert begun is not None
    assert begun.run_id == OTHER


def test_a_step_that_failed_for_good_leaves_the_run_to_its_app(desk: Desk) -> None:
    begin(desk, {**error_op("s", "bad"), "op": "StepFailed"}, retries=2)
    assert memos(desk.run)[hashed("s")] == {"error": {"name": "E", "message": "bad"}}
    assert desk.run.steps[hashed("s")].status.value == "FAILED"
    assert desk.open == []


def test_once_the_server_leads_the_app_is_not_heard(desk: Desk) -> None:
    begin(desk, op("Sleep", "z", duration="1s"))
    assert "not led by its app" in (tell(desk, run_op("late")) or "")
    assert hashed("late") not in desk.run.steps


@pytest.mark.parametrize("code", ["RunComplete", "SyncRunComplete"])
def test_a_run_that_ends_as_it_begins(desk: Desk, code: str) -> None:
    begin(desk, run_op("a"), ended({"status": 200, "body": ""}, code))
    assert desk.run.status.value == "COMPLETED"


def test_a_run_outlives_the_server(desk: Desk) -> None:
    begin(desk, run_op("a", 1))
    desk.restart()
    assert desk.open == []
    assert tell(desk, run_op("b", 2)) is None
    assert desk.engine.state.runs[RUN].stack == [b'"%b"' % hashed(s).encode() for s in "ab"]


def test_a_run_of_which_nothing_is_heard_is_gone_on_with(desk: Desk) -> None:
    begin(desk, run_op("a", 1))
    desk.wait(HOUR)
    tell(desk, run_op("b", 1))
    desk.wait(2 * HOUR - 1)
    assert desk.open == []
    desk.wait(1)
    assert desk.open.pop(0).effect.method == "PUT"
    assert "not led by its app" in (tell(desk, run_op("late")) or "")


def test_a_cancelled_run_is_over(desk: Desk) -> None:
    begin(desk, run_op("a"))
    desk.do(CancelRun(RUN))
    assert "has ended" in (tell(desk, run_op("b")) or "")
    desk.wait(3 * HOUR)
    assert desk.open == []


def test_a_result_that_is_too_large_fails_the_run(desk: Desk) -> None:
    begin(desk)
    assert "output too large" in (tell(desk, run_op("a", "x" * MAX_STEP_OUTPUT)) or "")
    assert desk.run.status.value == "FAILED"


WRONG: list[dict[str, Any]] = [
    {"domain": "file:///etc"},
    {"domain": "http://"},
    {"domain": "http://[x"},
    {"path": "orders"},
    {"method": ""},
    {"method": "GE T"},
    {"method": 7},
    {"body": "?"},
    {"query_params": []},
]


@pytest.mark.parametrize(
    "more",
    [
        {"run_id": "bad"},
        {"event": None},
        {"event": {"data": None}},
        {"event": {"data": {}}},
        *({"event": {"data": request(**wrong)}} for wrong in WRONG),
        {"retries": "2"},
        {"idempotency": 7},
        {"request_version": True},
        {"steps": [{"op": "Nope"}]},
    ],
)
def test_what_cannot_be_read_begins_nothing(desk: Desk, more: dict[str, Any]) -> None:
    report = {"run_id": RUN, "event": {"data": request()}, "steps": [], **more}
    assert desk.do(BeginRun(json.dumps(report).encode())) is None
    assert desk.runs == {}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"run_id": 7}', b'{"run_id": "x", "steps": 7}'])
def test_what_is_no_report_is_told_to_the_log(desk: Desk, body: bytes) -> None:
    assert "invalid request body" in desk.do(ReportRun(body))


def test_an_unknown_run_is_told_to_the_log(desk: Desk) -> None:
    assert tell(desk, run_op("a"), run_id=OTHER) == f"run {OTHER} is unknown, or has ended"
