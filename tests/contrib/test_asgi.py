"""The bare ASGI app, by the conformance kit and by what is its own."""

from __future__ import annotations

import asyncio
from typing import Any

import inngest_core as inngest
from inngest_contrib.asgi import InngestApp, to_request
from inngest_contrib.testing.conformance import (
    ASGIConformance,
    call,
    dev_client,
    functions,
)
from inngest_contrib.testing.conformance.asgi import exchange


class Paths:
    """A router as small as can be."""

    def __init__(self, path: str, app: Any) -> None:
        self.path = path
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        assert scope["path"].strip("/") == self.path.strip("/")
        await self.app(scope, receive, send)


class TestASGI(ASGIConformance):
    framework = "asgi"
    streams = True

    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        handler = inngest.CommHandler(
            client=client, framework=self.framework, functions=functions, **options
        )
        handler.require_key()
        path = options.get("serve_path") or client.config.serve_path or "/api/inngest"
        return Paths(path, InngestApp(handler))

    def is_raw_request(self, raw: object) -> bool:
        return isinstance(raw, dict) and raw["type"] == "http"


def test_a_body_is_read_only_until_it_is_too_large() -> None:
    client = dev_client()
    functions(client)
    handler = inngest.CommHandler(client=client, framework="asgi", max_body=10)
    received = 0

    async def app(scope: Any, receive: Any, send: Any) -> None:
        async def counting() -> Any:
            nonlocal received
            received += 1
            return await receive()

        await InngestApp(handler)(scope, counting, send)

    messages = asyncio.run(exchange(app, call("plain", b" " * (5 << 20))))
    assert messages[0]["status"] == 413
    assert received == 1


def test_what_is_not_http_is_left_alone() -> None:
    handler = inngest.CommHandler(client=dev_client(), framework="asgi")
    sent: list[Any] = []

    async def nothing(*_: Any) -> Any:
        sent.append(_)

    asyncio.run(InngestApp(handler)({"type": "lifespan"}, nothing, nothing))
    assert sent == []


def test_without_a_host_the_address_is_that_of_the_server() -> None:
    scope = {
        "method": "PUT",
        "path": "/api/inngest",
        "query_string": b"",
        "headers": [],
        "server": ("127.0.0.1", 8000),
    }
    assert to_request(scope, b"", None).url == "http://127.0.0.1:8000/api/inngest"
