"""A worker without a socket: what happens to it said in short, and what it does as short texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from inngest_core.connect import connect_pb2 as pb
from inngest_core.connect.effects import (
    Become,
    Cancel,
    Close,
    Effect,
    End,
    Flush,
    Note,
    Open,
    Run,
    Start,
    Transmit,
)
from inngest_core.connect.frames import frame, unwrap
from inngest_core.connect.protocol import Worker

INTRODUCTION = pb.WorkerConnectRequestData(instance_id="worker-1", framework="connect")
PAYLOADS: dict[int, Any] = {
    pb.WORKER_CONNECT: pb.WorkerConnectRequestData,
    pb.WORKER_REQUEST_ACK: pb.WorkerRequestAckData,
    pb.WORKER_REQUEST_EXTEND_LEASE: pb.WorkerRequestExtendLeaseData,
    pb.WORKER_REPLY: pb.SDKResponse,
    pb.WORKER_STATUS: pb.WorkerStatusData,
}


def new_worker(limit: int | None = None) -> Worker:
    """A worker whose attempts are exactly as far apart as the table of seconds says."""
    return Worker(INTRODUCTION, random=lambda: 0.0, limit=limit)


def response(group: str = "g", connection_id: str = "c") -> pb.StartResponse:
    """What the API answers to a start request."""
    return pb.StartResponse(
        connection_id=connection_id,
        gateway_endpoint=f"ws://{group}",
        gateway_group=group,
        session_token="session",
        sync_token="sync",
    )


def ready(heartbeat: str = "10s", lease: str = "30s", status: str = "0s") -> bytes:
    """The frame with which a gateway takes a worker on."""
    data = pb.GatewayConnectionReadyData(
        heartbeat_interval=heartbeat, extend_lease_interval=lease, status_interval=status
    )
    return frame(pb.GATEWAY_CONNECTION_READY, data)


def request(request_id: str, lease_id: str = "L1") -> bytes:
    """The frame with a request."""
    data = pb.GatewayExecutorRequestData(
        request_id=request_id,
        app_name="app",
        function_slug="app-fn",
        lease_id=lease_id,
        run_id="run",
    )
    return frame(pb.GATEWAY_EXECUTOR_REQUEST, data)


def reply_ack(request_id: str) -> bytes:
    return frame(pb.WORKER_REPLY_ACK, pb.WorkerReplyAckData(request_id=request_id))


def lease_ack(request_id: str, new: str | None) -> bytes:
    data = pb.WorkerRequestExtendLeaseAckData(request_id=request_id, new_lease_id=new)
    return frame(pb.WORKER_REQUEST_EXTEND_LEASE_ACK, data)


HELLO = frame(pb.GATEWAY_HELLO)
HEARTBEAT = frame(pb.GATEWAY_HEARTBEAT)
CLOSING = frame(pb.GATEWAY_CLOSING)


def reply(request_id: str) -> bytes:
    """What a function's end looks like to the protocol."""
    return pb.SDKResponse(request_id=request_id, status=pb.DONE, body=b"1").SerializeToString()


def shown(effects: Iterable[Effect]) -> list[str]:
    """Effects as short texts, without what is only logged."""
    return [_shown(effect) for effect in effects if not isinstance(effect, Note)]


def notes(effects: Iterable[Effect]) -> list[str]:
    """What is logged."""
    return [each.text % each.args for each in effects if isinstance(each, Note)]


def _shown(effect: Effect) -> str:
    match effect:
        case Start():
            return f"start {effect.link}" + "".join(f" -{group}" for group in effect.exclude)
        case Open():
            return f"open {effect.link} {effect.url}"
        case Transmit():
            return f"{effect.link}> {told(effect.frame)}"
        case Close():
            return f"close {effect.link} {effect.reason}"
        case Run():
            return f"run {effect.request.request_id}"
        case Cancel():
            return f"cancel {effect.request_id}"
        case Flush():
            return f"flush {effect.request_id}"
        case Become():
            return effect.state.value
        case End():
            return f"end {effect.error}" if effect.error else "end"
        case _:
            raise AssertionError(effect)


def told(data: bytes) -> str:
    """A frame of the worker, by its kind and what it is about."""
    message = unwrap(data)
    name = pb.MessageKind.Name(message.kind).removeprefix("WORKER_").lower()
    kind = PAYLOADS.get(message.kind)
    if kind is None:
        return name
    data_ = kind.FromString(message.payload)
    about = [
        getattr(data_, field)
        for field in ("request_id", "lease_id", "connection_id")
        if getattr(data_, field, "")
    ]
    return " ".join([name, *about])


class Story:
    """A worker and its clock: each method is something that happens, and returns what it does."""

    def __init__(self, limit: int | None = None) -> None:
        self.worker = new_worker(limit)
        self.now = 1000.0
        self.raw: list[Effect] = []

    def _did(self, effects: list[Effect]) -> list[str]:
        self.raw = effects
        return shown(effects)

    def begin(self) -> list[str]:
        return self._did(self.worker.begin(self.now))

    def close(self) -> list[str]:
        return self._did(self.worker.close(self.now))

    def started(self, link: int = 1, group: str = "g") -> list[str]:
        return self._did(self.worker.started(self.now, link, response(group, f"c{link}")))

    def refused(self, link: int, why: str = "no", *, final: bool = False) -> list[str]:
        return self._did(self.worker.refused(self.now, link, why, final=final))

    def opened(self, link: int = 1) -> list[str]:
        return self._did(self.worker.opened(self.now, link))

    def lost(self, link: int = 1, why: str = "gone") -> list[str]:
        return self._did(self.worker.lost(self.now, link, why))

    def received(self, data: bytes | str, link: int = 1) -> list[str]:
        return self._did(self.worker.received(self.now, link, data))

    def finished(self, request_id: str, *, cancelled: bool = False) -> list[str]:
        end = None if cancelled else reply(request_id)
        return self._did(self.worker.finished(self.now, request_id, end))

    def flushed(self, request_id: str) -> list[str]:
        return self._did(self.worker.flushed(self.now, request_id))

    def unflushed(self, request_id: str, *, final: bool = False) -> list[str]:
        return self._did(self.worker.unflushed(self.now, request_id, "no", final=final))

    def after(self, seconds: float) -> list[str]:
        self.now += seconds
        return self._did(self.worker.passed(self.now))

    def connect(self, link: int = 1, group: str = "g", **intervals: str) -> list[str]:
        """The whole handshake of a link that has begun; what the worker does at its end."""
        self.started(link, group)
        self.opened(link)
        self.received(HELLO, link)
        return self.received(ready(**intervals), link)

    @property
    def state(self) -> str:
        return self.worker.state.value


def connected(limit: int | None = None, **intervals: str) -> Story:
    """A story in which link 1 is ready."""
    story = Story(limit)
    story.begin()
    story.connect(1, "g", **intervals)
    return story
