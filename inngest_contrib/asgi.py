"""ASGI, in two words: to_request and from_response. Any ASGI framework mounts the app here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

from inngest_core.comm import CommHandler, CommRequest, CommResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
RawRequest = Callable[[Scope, Receive], object]


class InngestApp:
    """
    An ASGI app that answers the Inngest server.

    raw_request: makes, of scope and receive, what middleware sees as its request.
    """

    def __init__(self, handler: CommHandler, raw_request: RawRequest | None = None) -> None:
        self._handler = handler
        self._raw_request = raw_request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        body = await _read(receive, self._handler.max_body)
        raw = self._raw_request(scope, _again(body, receive)) if self._raw_request else scope
        response = await self._handler.answer(to_request(scope, body, raw))
        await from_response(response, send)


def to_request(scope: Scope, body: bytes, raw: object) -> CommRequest:
    """What the core reads of an ASGI request."""
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
    query = scope["query_string"].decode("latin-1")
    host = headers.get("host") or ":".join(map(str, scope.get("server") or ()))
    url = f"{scope.get('scheme', 'http')}://{host}{scope['path']}"
    # The first value of each parameter counts.
    first = dict(reversed(parse_qsl(query, keep_blank_values=True)))
    return CommRequest(scope["method"], url, headers, first, body, raw)


async def from_response(response: CommResponse, send: Send) -> None:
    """Send what the core replied."""
    headers = [(key.encode(), value.encode("latin-1")) for key, value in response.headers.items()]
    if response.stream is None and "content-length" not in response.headers:
        headers.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.stream is not None:
        async for chunk in response.stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": response.body})


async def _read(receive: Receive, limit: int) -> bytes:
    """The body; a byte more than *limit* at most, for the core to refuse."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return body
    parts, size = [body], len(body)
    while message.get("more_body") and size <= limit:
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """*receive*, with the body that was read before it; middleware may want to read it, too."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> MutableMapping[str, Any]:
        return pending.pop() if pending else await receive()

    return replay
