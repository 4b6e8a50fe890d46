"""
The HTTP side of workers: where they begin, where they hand in late replies, and who is there.

Law: nothing here needs protobuf before a worker comes; a server without it answers everybody else.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from inngest_contrib.devserver.api.context import Api, read_body
from inngest_contrib.devserver.api.replies import ApiError, reply
from inngest_contrib.devserver.events import EventRefused, read_json
from inngest_core.wire.ids import ulid
from inngest_core.wire.names import Header

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from inngest_contrib.devserver.connect.driver import Workers
    from inngest_contrib.devserver.connect.messages import M

GATEWAY = "/v0/connect"
_MEDIA = "application/octet-stream"
_UNREADABLE = "could not unmarshal request"
_MISSING = "Workers need protobuf, which is not installed: pip install 'inngest-core[dev]'"


def workers_of(api: Api) -> Workers:
    """The workers of a server; from the first question on there may be some."""
    if api.workers is None:
        try:
            from inngest_contrib.devserver.connect.driver import Workers
        except ImportError as error:
            raise ApiError(501, _MISSING) from error
        api.workers = Workers(
            api.server,
            problem_of=api.expressions.problem,
            kind=api.keys.kind.value,
            times=api.connect_times,
        )
        api.server.workers = api.workers
    return api.workers


async def start(api: Api, request: Request) -> Response:
    """POST /v0/connect/start: a worker asks where to connect, and by which token."""
    workers = workers_of(api)
    from inngest_core.connect import connect_pb2 as pb

    _read(pb.StartRequest, await read_body(request))
    if workers.gateway.ending:
        raise ApiError(503, "This server is about to end. Connect again once a server runs here.")
    scheme = "wss" if request.url.scheme == "https" else "ws"
    answer = pb.StartResponse(
        connection_id=ulid(time.time_ns() // 1_000_000, os.urandom(10)),
        gateway_endpoint=f"{scheme}://{request.url.netloc}{GATEWAY}",
        gateway_group=workers.gateway.group,
        session_token=workers.sessions.issue(),
        sync_token=_bearer(request.headers.get(Header.AUTHORIZATION, "")),
    )
    return _answer(answer)


async def flush(api: Api, request: Request) -> Response:
    """POST /v0/connect/flush: a reply that was not acknowledged; answered once it is safe."""
    workers = workers_of(api)
    from inngest_core.connect import connect_pb2 as pb

    body = await read_body(request)
    if not body:
        raise ApiError(400, "missing request body")
    late = _read(pb.SDKResponse, body)
    try:
        read_json(late.system_trace_ctx)
    except EventRefused as error:
        raise ApiError(400, "could not unmarshal system trace ctx") from error
    await workers.flush(late)
    return _answer(pb.FlushResponse(request_id=late.request_id))


async def drain(api: Api, request: Request) -> Response:
    """POST /v0/connect/drain: ask all workers to connect anew. Ours; the real server has none."""
    if api.workers is not None:
        api.workers.drain()
    return reply({"data": None})


async def connections(api: Api, request: Request) -> Response:
    """GET /v0/connect/envs/{env}/conns: who is connected."""
    if api.workers is None:
        return reply({"data": []})
    from inngest_contrib.devserver.connect.lists import listed

    app_id = request.query_params.get("app_id") or None
    return reply({"data": listed(api.workers.gateway, app_id)})


def _read(form: type[M], body: bytes) -> M:
    from inngest_contrib.devserver.connect.messages import BadFrame, parse

    try:
        return parse(form, body)
    except BadFrame as error:
        raise ApiError(400, _UNREADABLE) from error


def _answer(message: Message) -> Response:
    return Response(message.SerializeToString(), media_type=_MEDIA)


def _bearer(header: str) -> str:
    scheme, _, rest = header.strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else ""


class Connect:
    """The websocket at /v0/connect, as an ASGI app."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        try:
            workers = workers_of(self._api)
        except ApiError:
            await socket.close()
            return
        from inngest_contrib.devserver.connect.messages import SUBPROTOCOL

        offered: list[str] = scope.get("subprotocols", [])
        await socket.accept(subprotocol=SUBPROTOCOL if SUBPROTOCOL in offered else None)
        await workers.serve(_Frames(socket))


class _Frames:
    """A websocket of starlette, as frames. Text is bytes that are no message."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket

    async def receive(self) -> bytes | None:
        frame: dict[str, Any] = dict(await self._socket.receive())
        if frame["type"] != "websocket.receive":
            return None
        data = frame.get("bytes")
        return data if data is not None else str(frame.get("text") or "").encode()

    async def send(self, data: bytes) -> None:
        await self._socket.send_bytes(data)

    async def close(self, code: int, reason: str) -> None:
        await self._socket.close(code, reason)
