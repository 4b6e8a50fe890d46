"""
A gateway that does as it is told: the API and the websocket of a server, in a thread.

It follows the protocol by itself; what it refuses, forgets and breaks, a test says.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from inngest_core.connect import connect_pb2 as pb
from inngest_core.connect.frames import SUBPROTOCOL, frame, unwrap

PATIENCE = 40.0
FORMS: dict[int, Any] = {
    pb.WORKER_CONNECT: pb.WorkerConnectRequestData,
    pb.WORKER_REQUEST_ACK: pb.WorkerRequestAckData,
    pb.WORKER_REQUEST_EXTEND_LEASE: pb.WorkerRequestExtendLeaseData,
    pb.WORKER_REPLY: pb.SDKResponse,
    pb.WORKER_STATUS: pb.WorkerStatusData,
}
EVENT = {"name": "test/event", "data": {}, "id": "e1", "ts": 1}


def body(run_id: str = "run-1", **steps: Any) -> bytes:
    """The body of a call."""
    call = {
        "ctx": {"attempt": 0, "run_id": run_id, "stack": {"current": 0, "stack": []}},
        "event": EVENT,
        "events": [EVENT],
        "steps": steps,
    }
    return json.dumps(call).encode()


@dataclass
class Seen:
    """One frame of a worker."""

    kind: int
    message: Any


@dataclass
class Connection:
    """One websocket of a worker, from the gateway's side."""

    socket: ServerConnection
    seen: list[Seen] = field(default_factory=list)
    closed: tuple[int | None, str] | None = None

    def of(self, kind: int) -> list[Any]:
        """The messages of a kind that have come."""
        return [each.message for each in list(self.seen) if each.kind == kind]


class Gateway:
    """
    A server for workers, in a `with` block. Its lists may be read from any thread.

    What a test may change: keys (those that are let in; None for all), start_statuses and
    flush_statuses (answers in place of 200, used up one by one), answers_heartbeats, acks_replies,
    extends_leases, refuses (the text of a SYNC_FAILED).
    """

    def __init__(self, heartbeat: str = "10s", lease: str = "30s", status: str = "0s") -> None:
        self.intervals = {
            "heartbeat_interval": heartbeat,
            "extend_lease_interval": lease,
            "status_interval": status,
        }
        self.keys: set[str] | None = None
        self.start_statuses: list[int] = []
        self.flush_statuses: list[int] = []
        self.answers_heartbeats = True
        self.acks_replies = True
        self.extends_leases = True
        self.refuses: str | None = None
        self.group = "group-1"
        self.starts: list[pb.StartRequest] = []
        self.authorizations: list[str | None] = []
        self.flushes: list[pb.SDKResponse] = []
        self.connections: list[Connection] = []
        self._leases = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="test-gateway")
        self._up = threading.Event()

    # ---- for tests

    def __enter__(self) -> Gateway:
        self._thread.start()
        assert self._up.wait(PATIENCE)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._down.set)
        self._thread.join()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._api_port}"

    @property
    def last(self) -> Connection:
        return self.connections[-1]

    def seen(self, kind: int) -> list[Any]:
        """The messages of a kind, of all connections."""
        return [each for connection in list(self.connections) for each in connection.of(kind)]

    def replies(self) -> dict[str, pb.SDKResponse]:
        """The replies that came over websockets, by request."""
        return {reply.request_id: reply for reply in self.seen(pb.WORKER_REPLY)}

    def send(self, kind: pb.MessageKind, message: Message | None = None, at: int = -1) -> None:
        """Say something on a connection."""
        self.send_raw(frame(kind, message), at)

    def send_raw(self, data: bytes | str, at: int = -1) -> None:
        self._call(self.connections[at].socket.send(data))

    def request(self, request_id: str, slug: str = "app-fn", *, at: int = -1, **more: Any) -> None:
        """Ask for a call."""
        fields = {
            "app_name": slug.partition("-")[0],
            "lease_id": "L0",
            "run_id": "run-1",
            "request_payload": body(),
            "step_id": "step",
            "system_trace_ctx": b'{"t":1}',
            **more,
        }
        data = pb.GatewayExecutorRequestData(request_id=request_id, function_slug=slug, **fields)
        self.send(pb.GATEWAY_EXECUTOR_REQUEST, data, at)

    def close(self, code: int = 1000, reason: str = "", at: int = -1) -> None:
        self._call(self.connections[at].socket.close(code, reason))

    def drop(self, at: int = -1) -> None:
        """Break a connection without a word."""
        self._loop.call_soon_threadsafe(self.connections[at].socket.transport.abort)

    def _call(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE)

    # ---- the thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        self._down = asyncio.Event()
        api = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        sockets = await serve(
            self._carry,
            "127.0.0.1",
            0,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            ping_interval=None,
            close_timeout=1,
        )
        self._api_port = api.sockets[0].getsockname()[1]
        self._socket_port = next(iter(sockets.sockets)).getsockname()[1]
        self._up.set()
        await self._down.wait()
        sockets.close()
        await sockets.wait_closed()
        api.close()

    # ---- the API

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                path, headers = await _head(reader)
                data = await reader.readexactly(int(headers.get("content-length", 0)))
                status, reply = self._reply(path, headers, data)
                writer.write(
                    f"HTTP/1.1 {status} X\r\ncontent-length: {len(reply)}\r\n\r\n".encode() + reply
                )
                await writer.drain()
        writer.close()

    def _reply(self, path: str, headers: dict[str, str], data: bytes) -> tuple[int, bytes]:
        if path == "/v0/connect/start":
            return self._start(headers, data)
        assert path == "/v0/connect/flush", path
        if self.flush_statuses:
            return self.flush_statuses.pop(0), b"no"
        reply = pb.SDKResponse.FromString(data)
        self.flushes.append(reply)
        return 200, pb.FlushResponse(request_id=reply.request_id).SerializeToString()

    def _start(self, headers: dict[str, str], data: bytes) -> tuple[int, bytes]:
        authorization = headers.get("authorization")
        self.authorizations.append(authorization)
        if self.keys is not None and (authorization or "").removeprefix("Bearer ") not in self.keys:
            return 401, b"Authentication failed\n"
        self.starts.append(pb.StartRequest.FromString(data))
        if self.start_statuses:
            return self.start_statuses.pop(0), b"not now"
        response = pb.StartResponse(
            connection_id=f"connection-{len(self.starts)}",
            gateway_endpoint=f"ws://127.0.0.1:{self._socket_port}/v0/connect",
            gateway_group=self.group,
            session_token="session",
        )
        return 200, response.SerializeToString()

    # ---- the websocket

    async def _carry(self, socket: ServerConnection) -> None:
        connection = Connection(socket)
        self.connections.append(connection)
        try:
            await socket.send(frame(pb.GATEWAY_HELLO))
            async for data in socket:
                await self._hear(connection, data)
        except ConnectionClosed:
            pass
        finally:
            connection.closed = (socket.close_code, socket.close_reason or "")

    async def _hear(self, connection: Connection, data: bytes | str) -> None:
        said = unwrap(data)
        form = FORMS.get(said.kind)
        message = None if form is None else form.FromString(said.payload)
        connection.seen.append(Seen(said.kind, message))
        for answer in self._answers(said.kind, message):
            await connection.socket.send(answer)

    def _answers(self, kind: int, message: Any) -> Iterator[bytes]:
        if kind == pb.WORKER_CONNECT and self.refuses is not None:
            yield frame(pb.SYNC_FAILED, pb.SystemError(message=self.refuses))
        elif kind == pb.WORKER_CONNECT:
            data = pb.GatewayConnectionReadyData(**self.intervals)
            yield frame(pb.GATEWAY_CONNECTION_READY, data)
        elif kind == pb.WORKER_HEARTBEAT and self.answers_heartbeats:
            yield frame(pb.GATEWAY_HEARTBEAT)
        elif kind == pb.WORKER_REPLY and self.acks_replies:
            yield frame(pb.WORKER_REPLY_ACK, pb.WorkerReplyAckData(request_id=message.request_id))
        elif kind == pb.WORKER_REQUEST_EXTEND_LEASE:
            self._leases += 1
            lease = f"L{self._leases}" if self.extends_leases else None
            ack = pb.WorkerRequestExtendLeaseAckData(
                request_id=message.request_id, new_lease_id=lease
            )
            yield frame(pb.WORKER_REQUEST_EXTEND_LEASE_ACK, ack)


async def _head(reader: asyncio.StreamReader) -> tuple[str, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    pairs = [line.partition(": ") for line in lines[1:] if line]
    return lines[0].split(" ")[1], {name.lower(): value for name, _, value in pairs}


async def until(condition: Callable[[], object]) -> None:
    """Wait on the loop until something holds."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        await asyncio.sleep(0.005)


def until_blocking(condition: Callable[[], object]) -> None:
    """Wait until something holds, and let nothing else happen on the loop meanwhile."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.005)
