"""Realtime over HTTP: tokens, publishing, and listening by websocket or server-sent events."""

from __future__ import annotations

import codecs
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from inngest_contrib.devserver.api.context import Api, read_body, until_first
from inngest_contrib.devserver.api.replies import ApiError, bearer, reply
from inngest_contrib.devserver.events import EventRefused, read_json
from inngest_contrib.devserver.realtime import (
    MAX_MESSAGE,
    STREAM_TOPIC,
    Envelope,
    Listener,
    Message,
    Topic,
    chunk,
    read_data,
)
from inngest_contrib.devserver.tokens import BadToken
from inngest_core.wire.time import format_instant

CONNECT = "/v1/realtime/connect"
PUBLISH_SECONDS = 16 * 60
"""How long a token to publish with is good for; it is looked at with each message."""
_PIECE = 1024
_MAX_STREAM = 1000 * _PIECE
_SSE_SECONDS = 15 * 60
_NO_TOPICS = "Invalid request: must provide a list of topics"
_NOT_AUTHENTICATED = {"error": "Not authenticated", "data": None, "status": 401}
_SSE_HEADERS = {
    # The token says who may listen, so any page may ask.
    "access-control-allow-origin": "*",
    "access-control-expose-headers": "Content-Type",
    "cache-control": "no-cache",
    "content-type": "text/event-stream",
}


# --- tokens and publishing ------------------------------------------------------------------


async def token(api: Api, request: Request) -> Response:
    """POST /v1/realtime/token: a token to listen to topics or, where asked for, to publish."""
    try:
        wished = read_json(await read_body(request))
    except EventRefused as error:
        raise ApiError(400, _NO_TOPICS) from error
    if not isinstance(wished, list):
        raise ApiError(400, _NO_TOPICS)
    topics = [_read_topic(each) for each in wished]
    if request.query_params.get("publish") == "true":
        return reply({"jwt": api.tokens.issue(topics, seconds=PUBLISH_SECONDS, publish=True)}, 201)
    return reply({"jwt": api.tokens.issue(topics)}, 201)


def _read_topic(wished: Any) -> Topic:
    if not isinstance(wished, dict):
        raise ApiError(400, _NO_TOPICS)
    channel, name, kind = (wished.get(key) for key in ("channel", "name", "kind"))
    if not isinstance(channel, str) or not isinstance(name, str):
        raise ApiError(400, f"{_NO_TOPICS}, each with a channel and a name")
    return Topic(channel, name, kind if isinstance(kind, str) and kind else "run")


async def publish(api: Api, request: Request) -> Response:
    """POST /v1/realtime/publish: hand a message to all who listen now."""
    topic = Topic(_first(request, "channel"), _first(request, "topic"))
    _check_publisher(api, request, topic)
    envelope = Envelope(
        topic=topic,
        created_at=format_instant(time.time_ns() // 1_000_000),
        run_id=_first(request, "run_id"),
        metadata=_first(request, "metadata"),
    )
    if request.headers.get("content-type", "").partition(";")[0].strip() == "text/stream":
        await _publish_stream(api, request, envelope)
    else:
        data = read_data(await _read_start(request))
        api.hub.publish(envelope.topic, envelope.wrap("data", data))
    return Response(status_code=200)


async def tee(api: Api, request: Request) -> Response:
    """POST /v1/realtime/publish/tee: hand on what comes, as it comes."""
    channel = _first(request, "channel")
    _check_publisher(api, request, Topic(channel, STREAM_TOPIC))
    if not channel:
        return PlainTextResponse("channel query parameter required\n", 400)
    async for text in _read_pieces(request):
        api.hub.publish(Topic(channel, STREAM_TOPIC), Message(text, raw=True))
    return Response(status_code=200)


def _check_publisher(api: Api, request: Request, topic: Topic) -> None:
    """Refuse who comes with a token that is for listening only, or for other topics."""
    given = bearer(request.headers.get("authorization", ""))
    try:
        if api.tokens.may_publish(given, topic):
            return
    except BadToken:
        # A key, or nothing: whether that will do was decided at the door.
        return
    raise ApiError(401, "Not authenticated for publishing")


def _first(request: Request, name: str) -> str:
    values = request.query_params.getlist(name)
    return values[0] if values else ""


async def _read_start(request: Request) -> bytes:
    """The body as far as it is passed on; the rest is read and forgotten."""
    body = bytearray()
    async for piece in _stream(request):
        body += piece[: MAX_MESSAGE - len(body)]
    return bytes(body)


async def _publish_stream(api: Api, request: Request, envelope: Envelope) -> None:
    stream_id = os.urandom(8).hex()
    api.hub.publish(envelope.topic, envelope.wrap("datastream-start", stream_id))
    left = _MAX_STREAM
    async for text in _read_pieces(request):
        if left > 0:
            api.hub.publish(envelope.topic, chunk(stream_id, text))
        left -= len(text)
    api.hub.publish(envelope.topic, envelope.wrap("datastream-end", stream_id))


async def _read_pieces(request: Request) -> AsyncIterator[str]:
    """A body as it comes, in texts of no more than a piece; no character is torn apart."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    async for data in _stream(request):
        for start in range(0, len(data), _PIECE):
            text = decoder.decode(data[start : start + _PIECE])
            if text:
                yield text
    rest = decoder.decode(b"", final=True)
    if rest:
        yield rest


async def _stream(request: Request) -> AsyncIterator[bytes]:
    try:
        async for data in request.stream():
            yield data
    except ClientDisconnect:
        return


# --- listening ------------------------------------------------------------------------------


async def listen(api: Api, request: Request) -> Response:
    """GET /v1/realtime/sse: messages as server-sent events."""
    try:
        topics = api.tokens.read(_first(request, "token"))
    except BadToken as error:
        raise ApiError(401, "Not authenticated") from error
    if request.method == "HEAD":
        return Response(headers=_SSE_HEADERS)
    return _EventStream(api, topics)


async def refuse_plain(api: Api, request: Request) -> Response:
    """GET /v1/realtime/connect without an upgrade."""
    raise ApiError(
        426, "This address speaks websocket only; for events over HTTP ask /v1/realtime/sse"
    )


class _EventStream(Response):
    """The messages of a listener, until somebody leaves."""

    def __init__(self, api: Api, topics: list[Topic]) -> None:
        super().__init__(headers=_SSE_HEADERS)
        del self.headers["content-length"]
        self._api = api
        self._topics = topics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        listener = self._api.hub.join(self._topics)
        start = {"status": self.status_code, "headers": self.raw_headers}
        try:
            await send({"type": "http.response.start", **start})
            await _send_part(send, ":\n\n")
            await until_first(
                _hand_on(listener, lambda message: _send_part(send, _as_event(message))),
                _wait_for_end(receive),
                seconds=_SSE_SECONDS,
            )
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._api.hub.leave(listener)


async def _send_part(send: Send, text: str) -> None:
    await send({"type": "http.response.body", "body": text.encode(), "more_body": True})


def _as_event(message: Message) -> str:
    return message.text if message.raw else f"data: {message.text}\n\n"


async def _wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Connect:
    """The websocket at /v1/realtime/connect, as an ASGI app."""

    def __init__(self, api: Api) -> None:
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        socket = WebSocket(scope, receive, send)
        given = socket.query_params.get("token") or bearer(socket.headers.get("authorization", ""))
        try:
            listener = self._api.hub.join(self._api.tokens.read(given))
        except BadToken:
            await _deny(receive, send)
            return
        try:
            await socket.accept()
            await until_first(
                _hand_on(listener, lambda message: socket.send_text(message.text)),
                self._obey(socket, listener),
            )
        finally:
            self._api.hub.leave(listener)
        if socket.client_state.name == "CONNECTED":
            await socket.close()

    async def _obey(self, socket: WebSocket, listener: Listener) -> None:
        """Do what the client asks for, until it leaves. What is not understood is ignored."""
        while (frame := await socket.receive())["type"] == "websocket.receive":
            try:
                wish = json.loads(frame.get("text") or frame.get("bytes") or "")
                self._change(listener, wish["kind"], wish["data"])
            except (BadToken, ApiError, ValueError, TypeError, KeyError, RecursionError):
                continue

    def _change(self, listener: Listener, kind: str, data: Any) -> None:
        if kind == "sub":
            listener.topics.update(self._api.tokens.read(data))
        elif kind == "unsub":
            listener.topics.difference_update(_read_topic(each) for each in data)


async def _deny(receive: Receive, send: Send) -> None:
    await receive()
    answer = reply(_NOT_AUTHENTICATED, 401)
    start = {"status": 401, "headers": answer.raw_headers}
    await send({"type": "websocket.http.response.start", **start})
    await send({"type": "websocket.http.response.body", "body": answer.body})


async def _hand_on(listener: Listener, send: Callable[[Message], Awaitable[None]]) -> None:
    while (message := await listener.next()) is not None:
        await send(message)
