"""The Tornado adapter, by the conformance kit and by what is its own."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import gzip
import json
import logging
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any

import pytest
from tornado.httpclient import AsyncHTTPClient
from tornado.httputil import HTTPServerRequest
from tornado.iostream import IOStream
from tornado.tcpclient import TCPClient
from tornado.web import Application, RequestHandler

import inngest_core as inngest
from inngest_contrib.testing.conformance import (
    CALL,
    EVENT,
    KEY,
    Answered,
    Asked,
    Conformance,
    RecordedServer,
    call,
    cloud_client,
    create,
    dev_client,
    functions,
    signed,
)
from inngest_contrib.tornado import InngestHandler, plugin, serve
from inngest_contrib.tornado.adapter import READ_AT_MOST
from inngest_core.comm import streaming
from inngest_core.wire.signing import verify

from .asking import ask, ask_all, listening, request


class TestTornado(Conformance):
    framework = "tornado"
    streams = True

    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        app = Application()
        serve(app, client, functions, **options)
        return app

    def ask(self, app: Any, asked: Asked) -> Answered:
        return ask(app, asked)

    def ask_all(self, app: Any, asked: Sequence[Asked]) -> list[Answered]:
        return ask_all(app, asked)

    def is_raw_request(self, raw: object) -> bool:
        return isinstance(raw, HTTPServerRequest) and raw.path == "/api/inngest"


class TestInngestHandler(TestTornado):
    """The same, for those who write the rule themselves."""

    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        path = options.get("serve_path") or client.config.serve_path or "/api/inngest"
        arguments = {"client": client, "functions": functions, **options}
        return Application([(f"/{path.strip('/')}/?", InngestHandler, arguments)])

    def test_a_key_that_is_missing_is_told_in_the_reply(self) -> None:
        client = cloud_client(signing_key=None)
        answered = ask(self.serve(client, functions(client)), call("plain"))
        assert answered.status == 500
        assert answered.headers["content-type"] == "application/json"
        assert answered.json["code"] == "signing_key_unspecified"

    def test_a_malformed_key_is_not_shown(self, caplog: pytest.LogCaptureFixture) -> None:
        client = cloud_client(signing_key="signkey-test-secret")
        answered = ask(self.serve(client, functions(client)), signed(call("plain"), "00"))
        assert answered.status in (401, 500)
        assert "secret" not in f"{answered.body!r}{caplog.text}"

    # An application is made before anything is asked, and should not fail for lack of a key.
    test_without_a_signing_key_the_cloud_cannot_be_served = None  # type: ignore[assignment]
    test_a_malformed_signing_key_is_said_at_once_and_not_shown = None  # type: ignore[assignment]


def served(*handlers: tuple[str, Any], **settings: Any) -> Application:
    """An app that serves one blocking and one async function, with the settings of a user."""
    client = dev_client()
    app = Application([*handlers], **settings)
    serve(app, client, functions(client))
    return app


class Hello(RequestHandler):
    def post(self) -> None:
        self.finish("hello")


# ---- the app around it


def test_the_xsrf_check_is_off_here_and_on_elsewhere() -> None:
    app = served(("/hello", Hello), xsrf_cookies=True)
    assert ask(app, call("plain")).status == 200
    assert ask(app, Asked("PUT")).status == 200
    assert ask(app, Asked(path="/hello")).status == 403


def test_requests_from_another_origin_are_let_in() -> None:
    app = served(cross_origin_protection=True)
    foreign = {"origin": "https://far.example", "sec-fetch-site": "cross-site"}
    assert ask(app, call("plain", headers=foreign)).status == 200


def test_the_routes_of_the_app_stay_as_they_are() -> None:
    app = served(("/hello", Hello), ("/.*", Hello))
    assert ask(app, Asked(path="/hello")).body == b"hello"
    assert ask(app, Asked(path="/api/inngest/more")).body == b"hello"
    assert ask(app, call("plain")).status == 200


def test_several_clients_live_in_one_app() -> None:
    first, second, third = dev_client(), dev_client(), dev_client(app_id="other")
    rule = ("/third", InngestHandler, {"client": third})
    app = Application([rule])
    serve(app, first, functions(first))
    serve(app, second, functions(second)[:1], serve_path="/second")
    functions(third)
    assert ask(app, Asked("GET")).json["function_count"] == 10
    assert ask(app, Asked("GET", path="/second")).json["function_count"] == 1
    assert ask(app, Asked(path="/third", query="fnId=other-plain", body=b"{}")).status == 400


def test_a_second_serve_of_a_path_is_refused_by_the_path() -> None:
    app = served()
    with pytest.raises(inngest.ConfigError, match=r"/api/inngest.* is served by this app already"):
        serve(app, dev_client(), [], serve_path="api/inngest/")


def test_the_plugin_describes_the_adapter() -> None:
    described = plugin.inngest_framework()
    assert (described.name, described.serve) == ("tornado", "inngest_contrib.tornado:serve")


def test_a_path_is_no_pattern() -> None:
    client = dev_client()
    app = Application()
    serve(app, client, functions(client), serve_path="/a.b+")
    assert ask(app, call("plain", path="/a.b+")).status == 200
    assert ask(app, call("plain", path="/axb")).status == 404


def test_what_a_pattern_finds_is_no_argument() -> None:
    client = dev_client()
    arguments = {"client": client, "functions": functions(client)}
    app = Application(
        [("/(a)/(b)", InngestHandler, arguments), ("/(?P<c>c)", InngestHandler, arguments)]
    )
    for path in ("/a/b", "/c"):
        assert ask(app, call("plain", path=path)).status == 200


def test_a_reply_is_never_answered_from_a_cache() -> None:
    app = served()
    first = ask(app, Asked("GET"))
    assert "etag" not in first.headers
    assert ask(app, Asked("GET", headers={"if-none-match": "*"})).status == 200


def test_a_compressed_reply_is_signed_as_it_was_before() -> None:
    client = cloud_client()
    app = Application(compress_response=True)
    serve(app, client, functions(client))
    event = {**EVENT, "data": {"n": "x" * 5000}}
    asked = signed(
        call("plain", {**CALL, "event": event}, headers={"accept-encoding": "gzip"}),
    )
    answered = ask(app, asked)
    assert answered.headers["content-encoding"] == "gzip"
    assert len(answered.body) < 1000
    body = gzip.decompress(answered.body)
    assert verify(answered.headers["x-inngest-signature"], body, [KEY], time.time()) == KEY


def test_behind_a_trusted_proxy_the_registered_scheme_is_the_forwarded_one() -> None:
    server = RecordedServer()
    client = dev_client(server)
    app = Application()
    serve(app, client, functions(client))
    asked = Asked("PUT", headers={"host": "shop.example", "x-forwarded-proto": "https"})
    assert ask(app, asked, xheaders=True).status == 200
    assert server.bodies[0]["url"] == "https://shop.example/api/inngest"


def test_what_tornado_refuses_itself_is_json() -> None:
    answered = ask(served(), Asked("PURGE"))
    assert answered.status == 405
    assert answered.headers["content-type"].startswith("application/json")
    assert answered.json == {"code": "unknown", "message": "405: Method Not Allowed"}


def test_bytes_beyond_utf8_in_the_query_are_answered_in_json() -> None:
    async def exchange() -> bytes:
        async with listening(served()) as origin:
            stream = await TCPClient().connect("127.0.0.1", int(origin.rpartition(":")[2]))
            line = b"POST /api/inngest?fnId=%FF\xff HTTP/1.1\r\n"
            await stream.write(line + b"Host: x\r\nConnection: close\r\n\r\n")
            return bytes(await stream.read_until_close())

    reply = asyncio.run(exchange())
    assert b" 400 " in reply.splitlines()[0]
    assert json.loads(reply.splitlines()[-1])["code"] == "body_invalid"


def test_an_argument_that_there_is_not_is_said_by_its_name(
    caplog: pytest.LogCaptureFixture,
) -> None:
    rule = ("/api/inngest", InngestHandler, {"client": dev_client(), "function": []})
    answered = ask(Application([rule]), call("plain"))
    assert answered.json == {"code": "unknown", "message": "500: Internal Server Error"}
    assert "'function'" in caplog.text


def test_the_limit_of_the_server_is_for_its_other_routes() -> None:
    app = served(("/hello", Hello))
    large = b" " * 10_001
    assert ask(app, Asked(path="/hello", body=large), max_body_size=10_000).status == 400
    assert ask(app, call("plain", large), max_body_size=10_000).json["code"] == "body_invalid"


def test_what_nobody_would_read_is_not_taken_off_the_wire() -> None:
    async def announce() -> bytes:
        async with listening(served()) as origin:
            stream = await post(origin, call("plain", b""), length=READ_AT_MOST + 1)
            reply = await stream.read_until_close()
            return bytes(reply)

    assert asyncio.run(announce()).startswith(b"HTTP/1.1 400 ")


def test_middleware_finds_the_body_in_its_request() -> None:
    seen: list[Any] = []

    class Reading(inngest.MiddlewareSync):
        def before_execution(self) -> None:
            assert isinstance(self.raw_request, HTTPServerRequest)
            seen.append(json.loads(self.raw_request.body)["event"]["name"])

    client = dev_client(middleware=[Reading])
    assert ask(TestTornado().serve(client, functions(client)), call("plain")).status == 200
    assert seen == ["a/b"]


def test_an_app_that_is_gone_leaves_nothing_behind() -> None:
    app = served()
    ask(app, call("plain"))
    gone = weakref.ref(app)
    del app
    gc.collect()
    assert gone() is None


# ---- where functions run


def test_async_functions_run_on_the_servers_loop_and_blocking_ones_beside_it() -> None:
    found: dict[str, Any] = {}
    tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant")
    client = dev_client()

    class Tenanted(InngestHandler):
        def prepare(self) -> None:
            tenant.set("acme")

    async def awaiting(ctx: inngest.Context) -> None:
        found["loop"] = asyncio.get_running_loop()
        found["async"] = (threading.get_ident(), tenant.get())

    def blocking(ctx: inngest.ContextSync) -> None:
        found["sync"] = (threading.get_ident(), tenant.get())

    create(client, "awaiting", awaiting)
    create(client, "blocking", blocking)
    app = Application([("/api/inngest", Tenanted, {"client": client})])

    async def both() -> None:
        http = AsyncHTTPClient(force_instance=True)
        async with listening(app) as origin:
            for name in ("awaiting", "blocking"):
                await http.fetch(request(origin, call(name)))
        http.close()
        assert found["loop"] is asyncio.get_running_loop()

    asyncio.run(both())
    here = threading.get_ident()
    assert found["async"] == (here, "acme")
    assert found["sync"][0] != here
    assert found["sync"][1] == "acme"


# ---- clients that go away


async def post(origin: str, asked: Asked, length: int | None = None) -> IOStream:
    """Send a request, and wait for nothing. length: of the body, as the request says."""
    size = len(asked.body) if length is None else length
    stream = await TCPClient().connect("127.0.0.1", int(origin.rpartition(":")[2]))
    head = f"POST {asked.target} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n"
    await stream.write(head.encode() + asked.body)
    return stream


@pytest.mark.parametrize("stream_replies", [False, True])
@pytest.mark.parametrize("kind", ["awaiting", "blocking"])
def test_a_call_whose_client_goes_away_runs_to_its_end(
    kind: str,
    stream_replies: bool,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.01)
    client = dev_client()
    begun, go_on, ended = threading.Event(), threading.Event(), threading.Event()

    async def awaiting(ctx: inngest.Context) -> None:
        begun.set()
        await asyncio.to_thread(go_on.wait, 30)
        await ctx.step.run("work", ended.set)

    def blocking(ctx: inngest.ContextSync) -> None:
        begun.set()
        go_on.wait(30)
        ctx.step.run("work", ended.set)

    create(client, "awaiting", awaiting)
    create(client, "blocking", blocking)
    app = Application()
    mode = inngest.Streaming.FORCE if stream_replies else inngest.Streaming.DISABLE
    serve(app, client, streaming=mode)

    async def leave() -> None:
        async with listening(app) as origin:
            stream = await post(origin, call(kind))
            await asyncio.to_thread(begun.wait, 30)
            stream.close()
            # The server has to see that it is closed: the next request comes after it.
            http = AsyncHTTPClient(force_instance=True)
            await http.fetch(request(origin, Asked("GET")))
            go_on.set()
            await asyncio.to_thread(ended.wait, 30)
            await http.fetch(request(origin, Asked("GET")))
            http.close()

    asyncio.run(leave())
    assert ended.is_set()
    assert [one for one in caplog.records if one.levelno >= logging.ERROR] == []


# ---- streaming


def test_spaces_keep_a_slow_reply_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "HEARTBEAT_SECONDS", 0.01)
    client = dev_client()

    async def slow(ctx: inngest.Context) -> str:
        await asyncio.sleep(0.2)
        return "done"

    create(client, "slow", slow)
    answered = ask(TestTornado().serve(client, streaming=inngest.Streaming.FORCE), call("slow"))
    assert answered.body.startswith(b"     ")
    assert json.loads(answered.body)["status"] == 200


def test_a_streamed_reply_arrives_in_chunks() -> None:
    client = dev_client()
    go_on = threading.Event()
    create(client, "held", lambda ctx: go_on.wait(30))
    app = TestTornado().serve(client, streaming=inngest.Streaming.FORCE)
    parts: list[bytes] = []

    def take(part: bytes) -> None:
        parts.append(part)
        go_on.set()

    async def fetch() -> None:
        http = AsyncHTTPClient(force_instance=True)
        async with listening(app) as origin:
            wanted = request(origin, call("held"))
            wanted.streaming_callback = take
            await http.fetch(wanted)
        http.close()

    asyncio.run(fetch())
    # The function would not have ended without the first one.
    assert parts[0] == b" "
    assert json.loads(b"".join(parts))["body"] is True
