"""The bare ASGI app, by the conformance kit and by what is its own."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

import inngest_core as inngest
from inngest_contrib.asgi import InngestApp, serve, to_request
from inngest_contrib.testing.conformance import (
    ASGIConformance,
    RecordedServer,
    call,
    create,
    dev_client,
    functions,
)
from inngest_contrib.testing.conformance.asgi import exchange, scope_of


class Paths:
    """A router as small as can be."""

    def __init__(self, path: str, app: Any) -> None:
        self.path = path
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        below = scope["path"].removeprefix(scope["root_path"])
        assert below.strip("/") == self.path.strip("/")
        await self.app(scope, receive, send)


class TestASGI(ASGIConformance):
    framework = "asgi"
    streams = True

    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        path = options.get("serve_path") or client.config.serve_path or "/api/inngest"
        return Paths(path, serve(client, functions, **options))

    def is_raw_request(self, raw: object) -> bool:
        return isinstance(raw, dict) and raw["type"] == "http"

    def behind_proxy(self, app: Any) -> Any:
        return ProxyHeadersMiddleware(app, trusted_hosts="*")

    def mounted(self, app: Any, prefix: str) -> Any:
        return Starlette(routes=[Mount(prefix, app)])


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


def lived(app: Any, *messages: dict[str, Any]) -> list[dict[str, Any]]:
    """What an app sends in reply to messages that are not HTTP."""
    incoming, sent = list(messages), []

    async def receive() -> Any:
        return incoming.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app({"type": messages[0]["type"].partition(".")[0]}, receive, send))
    return sent


def test_run_by_itself_the_app_closes_its_client_at_the_end() -> None:
    server = Closing()
    client = dev_client(server)
    client.send_sync(inngest.Event(name="a/b"))
    sent = lived(serve(client), {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"})
    assert [one["type"] for one in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert server.closed == 1


class Closing(RecordedServer):
    """A server whose connections know that they were closed."""

    closed = 0

    @inngest.hookimpl
    def inngest_close(self) -> None:
        self.closed += 1


def test_a_websocket_is_refused() -> None:
    assert lived(serve(dev_client()), {"type": "websocket.connect"})[0]["type"] == "websocket.close"


def test_who_leaves_in_the_middle_of_a_body_is_not_answered() -> None:
    client = dev_client()
    functions(client)
    whole = call("plain").body
    started = {"type": "http.request", "body": whole, "more_body": True}
    messages: list[dict[str, Any]] = [started, {"type": "http.disconnect"}]
    assert answered(serve(client), messages) == []
    assert answered(serve(client), [{"type": "http.disconnect"}]) == []
    assert answered(serve(client), [{**started, "more_body": False}])[0]["status"] == 200


def answered(app: Any, messages: list[dict[str, Any]]) -> list[Any]:
    sent: list[Any] = []

    async def receive() -> Any:
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(app(scope_of(call("plain")), receive, send))
    return sent


@pytest.mark.parametrize("streaming", list(inngest.Streaming))
def test_who_leaves_before_the_reply_is_told_of_in_the_log(
    streaming: inngest.Streaming, caplog: pytest.LogCaptureFixture
) -> None:
    client = dev_client()
    begun = asyncio.Event()

    async def slow(ctx: inngest.Context) -> None:
        begun.set()
        await asyncio.Event().wait()

    create(client, "slow", slow)
    app = serve(client, streaming=streaming)

    async def leave() -> None:
        task = asyncio.ensure_future(exchange(app, call("slow")))
        await begun.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert caplog.text.count("has gone before there was a reply") == 1

    asyncio.run(leave())


@pytest.mark.parametrize("path", ["/jobs/api/inngest", "/api/inngest"])
def test_the_registered_address_has_what_is_before_the_app(path: str) -> None:
    scope = {**scope_of(call("plain", path=path)), "root_path": "/jobs"}
    assert to_request(scope, b"", None).url == "http://testserver/jobs/api/inngest"


def test_without_a_host_the_address_is_that_of_the_server() -> None:
    scope = {
        "method": "PUT",
        "path": "/api/inngest",
        "query_string": b"",
        "headers": [],
        "server": ("127.0.0.1", 8000),
    }
    assert to_request(scope, b"", None).url == "http://127.0.0.1:8000/api/inngest"
