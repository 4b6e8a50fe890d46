"""Requests to an ASGI app, message by message."""

from __future__ import annotations

import asyncio
from typing import Any

from .conformance import Answered, Asked

CHUNK = 1 << 20


async def exchange(app: Any, asked: Asked) -> list[dict[str, Any]]:
    """Everything that the app sends in reply to a request whose body comes in parts."""
    body = asked.body
    parts = [body[start : start + CHUNK] for start in range(0, len(body), CHUNK)] or [b""]
    incoming = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, 1)
    ]
    sent: list[dict[str, Any]] = []
    headers = {"host": "testserver", **{k.lower(): v for k, v in asked.headers.items()}}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": asked.method,
        "scheme": "http",
        "path": asked.path,
        "raw_path": asked.path.encode(),
        "root_path": "",
        "query_string": asked.query.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
    }

    async def receive() -> dict[str, Any]:
        if incoming:
            return incoming.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await app(scope, receive, send)
    return sent


def ask(app: Any, asked: Asked) -> Answered:
    """Make a request of the app, on a loop of its own."""
    start, *bodies = asyncio.run(exchange(app, asked))
    headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Answered(start["status"], headers, b"".join(one.get("body", b"") for one in bodies))
