"""The frames between gateway and worker; and what calls and replies look like in them."""

from __future__ import annotations

import json
from typing import TypeVar

from google.protobuf.message import DecodeError, Message

from inngest_contrib.devserver.engine.body import ACCOUNT
from inngest_contrib.devserver.engine.commands import Call, Replied
from inngest_contrib.devserver.realtime import ENVIRONMENT
from inngest_core.connect import connect_pb2 as pb
from inngest_core.wire.names import Header

SUBPROTOCOL = "v0.connect.inngest.com"
MAX_FRAME = 8 * 1024 * 1024
_TRACE = ("traceparent", "tracestate")
_STATUS = {pb.NOT_COMPLETED: 206, pb.DONE: 200}
_FAILED = 500

M = TypeVar("M", bound=Message)


class BadFrame(ValueError):
    """What came is no message."""


def encode(kind: pb.MessageKind, payload: Message | None = None) -> bytes:
    """Write a frame."""
    body = b"" if payload is None else payload.SerializeToString()
    frame: bytes = pb.ConnectMessage(kind=kind, payload=body).SerializeToString()
    return frame


def decode(data: bytes) -> tuple[pb.MessageKind, bytes]:
    """Read a frame: its kind, and the message in it, still encoded. Raises BadFrame."""
    message = parse(pb.ConnectMessage, data)
    return message.kind, message.payload


def parse(form: type[M], data: bytes) -> M:
    """Read a message. Raises BadFrame."""
    try:
        return form.FromString(data)
    except (DecodeError, UnicodeDecodeError) as error:
        raise BadFrame(str(error)) from error


def write_call(call: Call) -> pb.GatewayExecutorRequestData:
    """A call as a worker gets it, without a lease."""
    target = call.target
    assert target is not None, "only calls with a target go to workers"
    return pb.GatewayExecutorRequestData(
        request_id=call.headers["x-request-id"],
        account_id=ACCOUNT,
        env_id=ENVIRONMENT,
        app_id=target.app_id,
        app_name=target.app,
        function_id=target.function_id,
        function_slug=target.slug,
        step_id=call.headers["x-inngest-step-id"],
        request_payload=call.body,
        system_trace_ctx=_trace(call, *_TRACE[:1]),
        user_trace_ctx=_trace(call, *_TRACE),
        run_id=call.run_id,
        job_id=call.job_id,
    )


def _trace(call: Call, *names: str) -> bytes:
    """The headers of a trace, as far as the call has them, as a JSON object."""
    return json.dumps({key: call.headers[key] for key in names if key in call.headers}).encode()


def read_reply(job_id: str, response: pb.SDKResponse) -> Replied:
    """A worker's reply as if it had come over HTTP."""
    headers = {
        Header.SDK: response.sdk_version or "connect",
        Header.REQUEST_VERSION: str(response.request_version),
    }
    if response.no_retry:
        headers[Header.NO_RETRY] = "true"
    if response.retry_after:
        headers[Header.RETRY_AFTER] = response.retry_after
    return Replied(job_id, _STATUS.get(response.status, _FAILED), headers, response.body)
