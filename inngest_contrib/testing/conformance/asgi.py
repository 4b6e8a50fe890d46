"""Requests to an ASGI app, message by message, and the kit for adapters that are one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from .exchange import Answered, Asked
from .kit import Conformance

CHUNK = 1 << 20
"""Bytes of a body in one message."""


async def exchange(app: Any, asked: Asked) -> list[dict[str, Any]]:
    """Everything that the app sends in reply to a request, whose body comes in parts."""
    body = asked.body
    parts = [body[start : start + CHUNK] for start in range(0, len(body), CHUNK)] or [b""]
    incoming = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, 1)
    ]
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if incoming:
            return incoming.pop(0)
        await asyncio.Event().wait()
        raise AssertionError

    async def send(message: Any) -> None:
        sent.append(dict(message))

    await app(scope_of(asked), receive, send)
    return sent


def scope_of(asked: Asked) -> dict[str, Any]:
    """The scope of a request, as a server makes it."""
    headers = {"host": "testserver", **{k.lower(): v for k, v in asked.headers.items()}}
    return {
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


def ask(app: Any, asked: Asked) -> Answered:
    """Make a request of the app, on a loop of its own."""
    return asyncio.run(_answered(app, asked))


async def _answered(app: Any, asked: Asked) -> Answered:
    start, *bodies = await exchange(app, asked)
    headers = {name.decode(): value.decode("latin-1") for name, value in start["headers"]}
    return Answered(start["status"], headers, b"".join(one.get("body", b"") for one in bodies))


class ASGIConformance(Conformance):
    """The kit for an adapter whose app is an ASGI app: it is asked without a server."""

    def ask(self, app: Any, asked: Asked) -> Answered:
        """Make a request of the app, on a loop of its own."""
        return ask(app, asked)

    def ask_all(self, app: Any, asked: Sequence[Asked]) -> list[Answered]:
        """Make all these requests at the same time, on one loop."""

        async def all_of_them() -> list[Answered]:
            return await asyncio.gather(*(_answered(app, one) for one in asked))

        return asyncio.run(all_of_them())
