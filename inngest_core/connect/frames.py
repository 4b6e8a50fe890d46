"""
Messages as the bytes of websocket frames, and back.

Pure: no I/O, no clock.
"""

from __future__ import annotations

from typing import Any, TypeVar

from google.protobuf.message import DecodeError, Message

from . import connect_pb2 as pb

M = TypeVar("M", bound=Message)

SUBPROTOCOL = "v0.connect.inngest.com"


class BadFrame(ValueError):
    """Bytes that are no message of the protocol."""


def frame(kind: pb.MessageKind, message: Message | None = None) -> bytes:
    """The frame of a message."""
    payload = b"" if message is None else message.SerializeToString()
    return wrap(kind, payload)


def wrap(kind: pb.MessageKind, payload: bytes) -> bytes:
    """The frame of a message that is encoded already."""
    return pb.ConnectMessage(kind=kind, payload=payload).SerializeToString()


def unwrap(data: bytes | str) -> pb.ConnectMessage:
    """The kind and the payload of a frame; BadFrame if it is none."""
    if isinstance(data, str):
        raise BadFrame("a text frame")
    return decode(pb.ConnectMessage, data)


def decode(kind: type[M], payload: bytes) -> M:
    """The message in some bytes; BadFrame if they hold none."""
    try:
        return kind.FromString(payload)
    except DecodeError as error:
        raise BadFrame(f"no {kind.__name__}: {error}") from error


def ack(request: pb.GatewayExecutorRequestData) -> bytes:
    """The frame that tells that a request has arrived."""
    data = pb.WorkerRequestAckData(run_id=request.run_id, **_named(request))
    return frame(pb.WORKER_REQUEST_ACK, data)


def extension(request: pb.GatewayExecutorRequestData, lease_id: str) -> bytes:
    """The frame that asks for more time for a request."""
    data = pb.WorkerRequestExtendLeaseData(
        run_id=request.run_id, lease_id=lease_id, **_named(request)
    )
    return frame(pb.WORKER_REQUEST_EXTEND_LEASE, data)


def _named(request: pb.GatewayExecutorRequestData) -> dict[str, Any]:
    """What names a request in all that is said about it."""
    return {
        "request_id": request.request_id,
        "account_id": request.account_id,
        "env_id": request.env_id,
        "app_id": request.app_id,
        "function_slug": request.function_slug,
        "step_id": request.step_id if request.HasField("step_id") else None,
        "system_trace_ctx": request.system_trace_ctx,
        "user_trace_ctx": request.user_trace_ctx,
    }
