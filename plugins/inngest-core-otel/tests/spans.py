"""A tracer that keeps what it is told, and clients that tell it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from inngest_core import CommHandler, CommRequest, Inngest, TriggerEvent, hookimpl
from inngest_core.wire.http import HttpRequest, HttpResponse
from inngest_core.wire.ids import hash_step
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from inngest_core_otel import OpenTelemetryMiddleware

RUN = "01M81CV4SR9WGEDKMNJWE4XNQ5"
TRACE = 0x84629ACB637583CE998F9A1E4130FC96
PARENT = 0x084F145E328F2402
HEADERS = {
    "traceparent": f"00-{TRACE:032x}-{PARENT:016x}-01",
    "tracestate": "inngest@fn=9b5d385f-dec7-5cd5-be98-67faced3dcd2",
}


class Tracing:
    """A provider, and the spans that have ended."""

    def __init__(self) -> None:
        self.exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self.exporter))

    @property
    def spans(self) -> list[ReadableSpan]:
        return list(self.exporter.get_finished_spans())

    def named(self, name: str) -> ReadableSpan:
        """The one span of a name."""
        (found,) = (span for span in self.spans if span.name == name)
        return found

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]


class Sent:
    """A plugin whose transports keep every request and accept it."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []

    @hookimpl
    def inngest_transport(self, kind: str) -> Any:
        return _Blocking(self) if kind == "blocking" else _Awaiting(self)

    def take(self, request: HttpRequest) -> HttpResponse:
        self.requests.append(request)
        ids = ["1"] * len(json.loads(request.body))
        return HttpResponse(200, {}, json.dumps({"ids": ids, "status": 200}).encode())


class _Blocking:
    def __init__(self, sent: Sent) -> None:
        self.send = sent.take

    def close(self) -> None: ...


class _Awaiting:
    def __init__(self, sent: Sent) -> None:
        self._sent = sent

    async def send(self, request: HttpRequest) -> HttpResponse:
        return self._sent.take(request)

    async def close(self) -> None: ...


def client_of(tracing: Tracing | None, **options: Any) -> Inngest:
    """A client that tells *tracing*, or whatever is set for the process."""
    factory = OpenTelemetryMiddleware.factory
    given = factory() if tracing is None else factory(tracer_provider=tracing.provider)
    middleware = [given, *options.pop("middleware", [])]
    return Inngest(app_id="shop", is_production=False, middleware=middleware, **options)


def door(client: Inngest, handler: Callable[[Any], Any], **options: Any) -> CommHandler:
    client.create_function(fn_id="f", trigger=TriggerEvent(event="a/b"), **options)(handler)
    return CommHandler(client=client, framework="flask")


def call(
    steps: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
    events: list[dict[str, Any]] | None = None,
    fn_id: str = "shop-f",
) -> CommRequest:
    """A call of the function; memos by the ids of steps."""
    memos = {hash_step(name): memo for name, memo in (steps or {}).items()}
    found = events or [{"data": {"secret": "s3cret"}, "id": "e1", "name": "a/b", "ts": 1}]
    ctx = {
        "attempt": 2,
        "request_id": "01REQUEST",
        "run_id": RUN,
        "stack": {"current": len(memos), "stack": list(memos)},
    }
    doc = {"ctx": ctx, "event": found[0], "events": found, "steps": memos}
    query = {"fnId": fn_id, "stepId": "step"}
    url = "http://127.0.0.1:8000/api/inngest"
    return CommRequest("POST", url, dict(headers or {}), query, json.dumps(doc).encode())


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})
