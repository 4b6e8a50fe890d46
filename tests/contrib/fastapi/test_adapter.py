"""The FastAPI adapter, by the conformance kit and by what is its own."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import fastapi
import pytest
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

import inngest_core as inngest
from inngest_contrib.fastapi import serve
from inngest_contrib.testing.conformance import (
    ASGIConformance,
    Asked,
    call,
    dev_client,
    functions,
)
from inngest_contrib.testing.conformance.asgi import ask, exchange
from inngest_core.comm import streaming


class TestFastAPI(ASGIConformance):
    framework = "fast_api"
    streams = True

    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        app = fastapi.FastAPI()
        serve(app, client, functions, **options)
        return app

    def is_raw_request(self, raw: object) -> bool:
        return isinstance(raw, fastapi.Request) and raw.url.path == "/api/inngest"

    def behind_proxy(self, app: Any) -> Any:
        return ProxyHeadersMiddleware(app, trusted_hosts="*")

    def mounted(self, app: Any, prefix: str) -> Any:
        outer = fastapi.FastAPI()
        outer.mount(prefix, app)
        return outer


def test_the_endpoint_is_not_in_the_apps_own_documentation() -> None:
    app = TestFastAPI().serve(dev_client())
    assert app.openapi()["paths"] == {}


@pytest.mark.parametrize("path", ["/", "/api/inngest", "/x/"])
def test_the_trailing_slash_never_redirects(path: str) -> None:
    client = dev_client()
    app = TestFastAPI().serve(client, functions(client), serve_path=path)
    for form in {path, path.rstrip("/") + "/"}:
        assert ask(app, call("plain", path=form)).status == 200


def test_middleware_may_read_the_body_of_its_request() -> None:
    seen: list[Any] = []

    class Reading(inngest.Middleware):
        async def before_response(self) -> None:
            assert isinstance(self.raw_request, fastapi.Request)
            seen.append((await self.raw_request.json())["event"]["name"])

    client = dev_client(middleware=[Reading])

    async def handler(ctx: inngest.Context) -> None: ...

    client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="a/b"))(handler)
    assert ask(TestFastAPI().serve(client), call("f")).status == 200
    assert seen == ["a/b"]


# ---- streaming


def chunks(app: Any, asked: Asked) -> tuple[int, dict[str, str], list[bytes]]:
    messages = asyncio.run(exchange(app, asked))
    start, *bodies = messages
    headers = {name.decode(): value.decode() for name, value in start["headers"]}
    return start["status"], headers, [one["body"] for one in bodies if one["body"]]


@pytest.mark.parametrize("function", ["plain", "aplain"])
def test_a_streamed_reply_begins_with_a_space_and_ends_with_everything(function: str) -> None:
    client = dev_client()
    app = TestFastAPI().serve(client, functions(client), streaming=inngest.Streaming.FORCE)
    status, headers, parts = chunks(app, call(function))
    assert status == 201
    assert headers["x-inngest-sdk"].startswith("inngest-py:")
    assert "content-length" not in headers
    assert parts[0] == b" "
    last = json.loads(parts[-1])
    assert set(last) == {"body", "headers", "status"}
    assert last["status"] == 200
    assert last["headers"]["x-inngest-framework"] == "fast_api"
    body = last["body"]
    assert (json.loads(body) if isinstance(body, str) else body) == {"n": 1, "é": "ü"}


def test_spaces_keep_a_slow_reply_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.01)
    client = dev_client()

    async def slow(ctx: inngest.Context) -> str:
        await asyncio.sleep(0.2)
        return "done"

    client.create_function(fn_id="slow", trigger=inngest.TriggerEvent(event="a"))(slow)
    app = TestFastAPI().serve(client, streaming=inngest.Streaming.FORCE)
    _, _, parts = chunks(app, call("slow"))
    assert parts[:-1] == [b" "] * (len(parts) - 1)
    assert len(parts) > 5
    assert json.loads(b"".join(parts))["status"] == 200
