"""The FastAPI adapter, by the table of all adapters and by what is its own."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import fastapi
import pytest

import inngest_core as inngest
from inngest_contrib.fastapi import serve
from inngest_core.comm import streaming

from ...flow.wiring import KEY, NOW, client_of, cloud_client
from ..asgi_client import ask, exchange
from ..conformance import Answered, Asked, Conformance, call, functions, signed


class TestFastAPI(Conformance):
    framework = "fast_api"

    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        app = fastapi.FastAPI()
        serve(app, client, functions, **options)
        return app

    def ask(self, app: Any, asked: Asked) -> Answered:
        return ask(app, asked)

    def is_raw_request(self, raw: object) -> bool:
        return isinstance(raw, fastapi.Request) and raw.url.path == "/api/inngest"


def test_the_endpoint_is_not_in_the_apps_own_documentation() -> None:
    app = TestFastAPI().serve(client_of())
    assert app.openapi()["paths"] == {}


@pytest.mark.parametrize("path", ["/", "/api/inngest", "/x/"])
def test_the_trailing_slash_never_redirects(path: str) -> None:
    client = client_of()
    app = TestFastAPI().serve(client, functions(client), serve_path=path)
    for form in {path, path.rstrip("/") + "/"}:
        assert ask(app, call("plain", path=form)).status == 200


def test_middleware_may_read_the_body_of_its_request() -> None:
    seen: list[Any] = []

    class Reading(inngest.Middleware):
        async def before_response(self) -> None:
            assert isinstance(self.raw_request, fastapi.Request)
            seen.append((await self.raw_request.json())["event"]["name"])

    client = client_of(middleware=[Reading])

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
    client = client_of()
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
    client = client_of()

    async def slow(ctx: inngest.Context) -> str:
        await asyncio.sleep(0.2)
        return "done"

    client.create_function(fn_id="slow", trigger=inngest.TriggerEvent(event="a"))(slow)
    app = TestFastAPI().serve(client, streaming=inngest.Streaming.FORCE)
    _, _, parts = chunks(app, call("slow"))
    assert parts[:-1] == [b" "] * (len(parts) - 1)
    assert len(parts) > 5
    assert json.loads(b"".join(parts))["status"] == 200


def test_errors_are_streamed_with_their_status_and_headers() -> None:
    client = client_of()
    app = TestFastAPI().serve(client, functions(client), streaming=inngest.Streaming.FORCE)
    _, _, parts = chunks(app, call("never"))
    last = json.loads(parts[-1])
    assert last["status"] == 500
    assert last["headers"]["x-inngest-no-retry"] == "true"


def test_a_variable_turns_streaming_on_and_the_option_beats_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("INNGEST_STREAMING", "force")
    client = client_of()
    app = TestFastAPI().serve(client, functions(client))
    assert chunks(app, call("plain"))[0] == 201
    app = TestFastAPI().serve(
        client, client.functions, streaming=inngest.Streaming.DISABLE, serve_path="/b"
    )
    assert chunks(app, call("plain", path="/b"))[0] == 200


def test_only_calls_are_streamed() -> None:
    client = client_of()
    app = TestFastAPI().serve(client, functions(client), streaming=inngest.Streaming.FORCE)
    assert chunks(app, Asked("GET"))[0] == 200
    assert chunks(app, call("nope"))[0] == 500


def test_a_forged_call_is_refused_in_the_stream() -> None:
    client = cloud_client()
    app = TestFastAPI().serve(client, functions(client), streaming=inngest.Streaming.FORCE)
    _, _, parts = chunks(app, signed(call("plain"), "ffff"))
    assert json.loads(parts[-1])["status"] == 401
    _, _, parts = chunks(app, signed(call("plain"), KEY, NOW))
    assert json.loads(parts[-1])["status"] == 200
