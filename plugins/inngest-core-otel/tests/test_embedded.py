"""On the embedded server: whole runs, blocking and async, with a retry and an event in them."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from inngest_contrib.devserver import DevServer
from inngest_core import (
    CommHandler,
    CommRequest,
    Context,
    ContextSync,
    Event,
    Inngest,
    TriggerEvent,
)
from opentelemetry.trace import StatusCode

from inngest_core_otel import OpenTelemetryMiddleware

from .spans import Tracing, attributes

EXPECTED = {
    "send shop/story": 1,
    "shop-story": 4,
    "flaky": 2,
    "tell": 1,
    "send shop/told": 1,
    "shop-listen": 1,
}


class Flaky:
    """Fails once."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> int:
        self.calls += 1
        if self.calls == 1:
            raise LookupError("not yet")
        return self.calls


def define(client: Inngest, blocking: bool) -> None:
    flaky = Flaky()

    def story(ctx: ContextSync) -> None:
        ctx.step.run("flaky", flaky)
        ctx.step.send_event("tell", Event(name="shop/told"))

    async def astory(ctx: Context) -> None:
        await ctx.step.run("flaky", flaky)
        await ctx.step.send_event("tell", Event(name="shop/told"))

    def listen(ctx: ContextSync) -> None: ...

    create = client.create_function
    trigger = TriggerEvent(event="shop/story")
    create(fn_id="story", trigger=trigger, retries=1)(story if blocking else astory)
    create(fn_id="listen", trigger=TriggerEvent(event="shop/told"))(listen)


@pytest.mark.parametrize("blocking", [True, False], ids=["sync", "async"])
def test_a_run_is_traced_from_its_event_to_the_event_that_it_sends(blocking: bool) -> None:
    tracing = Tracing()
    middleware: list[Any] = [OpenTelemetryMiddleware.factory(tracer_provider=tracing.provider)]
    with DevServer(poll=False, retry_interval=0.05) as server:
        client = Inngest(
            app_id="shop",
            is_production=False,
            api_base_url=server.url,
            event_api_base_url=server.url,
            middleware=middleware,
        )
        define(client, blocking)
        with serving(client):
            client.send_sync(Event(name="shop/story"))
            await_spans(tracing, sum(EXPECTED.values()))
        client.close()
    assert Counter(tracing.names) == EXPECTED
    calls = [span for span in tracing.spans if span.name == "shop-story"]
    assert len({attributes(span)["inngest.run.id"] for span in calls}) == 1
    assert [attributes(span)["inngest.attempt"] for span in calls] == [0, 1, 0, 0]
    # The server gives a run a trace: all of its calls and steps are in that one.
    of_run = {"shop-story", "flaky", "tell", "send shop/told"}
    (found,) = {span.context.trace_id for span in tracing.spans if span.name in of_run}
    assert all(span.parent is not None and span.parent.is_remote for span in calls)
    assert tracing.named("shop-listen").context.trace_id != found
    failed, worked = (span for span in tracing.spans if span.name == "flaky")
    assert failed.status.status_code is StatusCode.ERROR
    assert worked.status.status_code is StatusCode.UNSET
    told, tell = tracing.named("send shop/told"), tracing.named("tell")
    assert told.parent is not None
    assert told.parent.span_id == tell.context.span_id


@contextmanager
def serving(client: Inngest) -> Iterator[str]:
    """Serve a client's functions over HTTP, and register them."""
    handler = CommHandler(client=client, framework="test")

    class Door(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            address = f"http://{self.headers['host']}{self.path}"
            query = dict(parse_qsl(urlsplit(self.path).query))
            reply = handler.answer_sync(CommRequest(self.command, address, headers, query, body))
            self.send_response(reply.status)
            for name, value in {**reply.headers, "content-length": str(len(reply.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, *args: Any) -> None: ...

    http = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    url = f"http://127.0.0.1:{http.server_port}/api/inngest"
    try:
        assert httpx.put(url, trust_env=False).status_code == 200
        yield url
    finally:
        http.shutdown()
        http.server_close()


def await_spans(tracing: Tracing, count: int) -> None:
    deadline = time.monotonic() + 30
    while len(tracing.spans) < count:
        assert time.monotonic() < deadline, f"only {tracing.names}"
        time.sleep(0.02)
