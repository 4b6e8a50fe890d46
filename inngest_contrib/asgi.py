"""
ASGI, in two words: to_request and from_response. Any ASGI framework mounts the app here.

    app.mount("/api/inngest", inngest_contrib.asgi.serve(client))
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any

from inngest_core import CommHandler, Function, Inngest, Streaming
from inngest_core.comm import CommRequest, CommResponse, first_values

FRAMEWORK = "asgi"

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
RawRequest = Callable[[Scope, Receive], object]


def serve(
    client: Inngest,
    functions: Sequence[Function[Any]] | None = None,
    *,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
    streaming: Streaming | None = None,
) -> InngestApp:
    """
    Make an ASGI app that serves functions, whatever the path under which it is mounted.

    functions: None serves everything created on the client. serve_path: the path that
    is registered, unless the request is to tell; public_path beats it. Run by itself, the
    app closes the client at its end. Raises SigningKeyMissingError in cloud mode without a key.
    """
    handler = CommHandler(
        client=client,
        framework=FRAMEWORK,
        functions=functions,
        enable_unauthed_sync=enable_unauthed_sync,
        public_path=public_path,
        serve_origin=serve_origin,
        serve_path=serve_path,
        streaming=streaming,
    )
    handler.require_key()
    return InngestApp(handler, close=client.aclose)


class InngestApp:
    """
    An ASGI app that answers the Inngest server.

    raw_request: makes, of scope and receive, what middleware sees as its request. close:
    awaited at the end of the app's life, where it is run by itself.
    """

    def __init__(
        self,
        handler: CommHandler,
        raw_request: RawRequest | None = None,
        *,
        close: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._handler = handler
        self._raw_request = raw_request
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._answer(scope, receive, send)
        elif scope["type"] == "lifespan":
            await _live(receive, send, self._close)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = await _read(receive, self._handler.max_body)
        if body is None:
            return
        raw = self._raw_request(scope, _again(body, receive)) if self._raw_request else scope
        response = await self._handler.answer(to_request(scope, body, raw))
        await from_response(response, send)


def to_request(scope: Scope, body: bytes, raw: object) -> CommRequest:
    """What the core reads of an ASGI request."""
    headers = {key.decode("latin-1"): value.decode("latin-1") for key, value in scope["headers"]}
    query = scope["query_string"].decode("latin-1")
    url = _url(scope, headers)
    return CommRequest(scope["method"], url, headers, first_values(query), body, raw)


async def from_response(response: CommResponse, send: Send) -> None:
    """Send what the core replied."""
    headers = [(key.encode(), value.encode("latin-1")) for key, value in response.headers.items()]
    if response.stream is None and "content-length" not in response.headers:
        headers.append((b"content-length", b"%d" % len(response.body)))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    if response.stream is not None:
        async for chunk in response.stream:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": response.body})


def _url(scope: Scope, headers: dict[str, str]) -> str:
    host = headers.get("host") or ":".join(map(str, scope.get("server") or ()))
    root, path = scope.get("root_path", ""), scope["path"]
    if root and not path.startswith(root):
        # Some servers leave out of the path what is before the app.
        path = root + path
    return f"{scope.get('scheme', 'http')}://{host}{path}"


async def _read(receive: Receive, limit: int) -> bytes | None:
    """
    The body; a byte more than *limit* at most, for the core to refuse.

    None if whoever called has gone in the middle of it.
    """
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body"):
        return None if message["type"] == "http.disconnect" else body
    parts, size = [body], len(body)
    while message.get("more_body") and size <= limit:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
    return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    """*receive*, with the body that was read before it; middleware may want to read it, too."""
    pending = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> MutableMapping[str, Any]:
        return pending.pop() if pending else await receive()

    return replay


async def _live(receive: Receive, send: Send, close: Callable[[], Awaitable[None]] | None) -> None:
    """Begin and end the life of an app that is run by itself."""
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    if close is not None:
        await close()
    await send({"type": "lifespan.shutdown.complete"})
