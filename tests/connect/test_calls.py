"""Messages as calls of functions, without a connection."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from inngest_core import CommHandler, CommResponse, Inngest
from inngest_core.connect import connect_pb2 as pb
from inngest_core.connect.calls import MAX_REPLY_BYTES, Calls, encode, to_request
from tests.connect.gateway import body, until
from tests.connect.working import ANY, on_a_loop


def a_request(**more: Any) -> pb.GatewayExecutorRequestData:
    fields = {
        "request_id": "r1",
        "app_name": "app",
        "function_slug": "app-fn",
        "run_id": "run-1",
        "request_payload": body(),
        **more,
    }
    return pb.GatewayExecutorRequestData(**fields)


def reply_to(status: int, text: bytes = b"1", **headers: str) -> pb.SDKResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return pb.SDKResponse.FromString(encode(a_request(), CommResponse(status, named, text)))


@pytest.mark.parametrize(
    ("http", "status"),
    [(200, pb.DONE), (206, pb.NOT_COMPLETED), (500, pb.ERROR), (400, pb.ERROR), (404, pb.ERROR)],
)
def test_a_status_of_http_is_one_of_three(http: int, status: pb.SDKResponseStatus) -> None:
    assert reply_to(http).status == status


def test_what_stands_in_headers_over_http_has_fields_of_its_own() -> None:
    plain = reply_to(500, x_inngest_no_retry="false")
    assert (plain.no_retry, plain.HasField("retry_after")) == (False, False)
    final = reply_to(500, x_inngest_no_retry="true", retry_after="2026-01-01T00:00:00Z")
    assert (final.no_retry, final.retry_after) == (True, "2026-01-01T00:00:00Z")


def test_a_reply_without_a_trace_has_an_empty_one_since_the_api_wants_json() -> None:
    assert reply_to(200).system_trace_ctx == b"{}"


def test_a_reply_that_is_too_large_for_a_frame_is_an_error_without_a_retry() -> None:
    reply = reply_to(200, b"x" * MAX_REPLY_BYTES)
    assert (reply.status, reply.no_retry) == (pb.ERROR, True)
    assert "return less" in json.loads(reply.body)["message"]


def test_a_message_is_a_call_of_its_function_and_step() -> None:
    request = a_request(step_id="abc", user_trace_ctx=b'{"traceparent":"00-x"}')
    call = to_request(request)
    assert (call.method, call.body, call.raw) == ("POST", request.request_payload, request)
    assert dict(call.query) == {"fnId": "app-fn", "stepId": "abc"}
    assert dict(call.headers) == {"x-run-id": "run-1", "traceparent": "00-x"}


@pytest.mark.parametrize("trace", [b"", b"no json", b"[1]", b'{"traceparent":1}'])
def test_a_trace_that_is_none_is_left_out(trace: bytes) -> None:
    assert dict(to_request(a_request(user_trace_ctx=trace)).headers) == {"x-run-id": "run-1"}


@on_a_loop
async def test_a_call_that_is_cancelled_before_its_first_turn_has_ended_as_well() -> None:
    before = asyncio.all_tasks()
    client = Inngest(app_id="app", is_production=False)

    @client.create_function(fn_id="fn", trigger=ANY)
    async def fn(ctx: Any) -> None:
        raise AssertionError("it has begun")

    ended: list[tuple[str, bytes | None]] = []
    handler = CommHandler(client=client, framework="connect", trusted=True)
    calls = Calls({"app": handler}, lambda name, reply: ended.append((name, reply)), None)
    calls.open()
    calls.run(a_request())
    calls.cancel("r1")
    await until(lambda: ended)
    assert ended == [("r1", None)]
    calls.close()
    assert asyncio.all_tasks() == before
