"""
The spans: one around each call, each step that executes and each send.

Law: no data of events and no output stands in a span. Without an SDK nothing is done at all.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from inngest_core import (
    ConfigError,
    Context,
    ContextSync,
    Err,
    Event,
    Function,
    Inngest,
    MiddlewareSync,
    Outcome,
    Paused,
    StepInfo,
)
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.trace import Span, SpanKind, StatusCode, Tracer, TracerProvider
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from . import attributes
from .version import VERSION

Wrapper = Generator[None, Outcome[Any], None]

_SCOPE = "inngest_core_otel"
_W3C = TraceContextTextMapPropagator()
_SILENT = (trace.NoOpTracerProvider, trace.ProxyTracerProvider)
"""What the API has in the place of an SDK."""


class OpenTelemetryMiddleware(MiddlewareSync):
    """
    Makes spans of calls, of steps that execute, and of sends; for blocking and async functions.

    Calls go on with the trace of whatever span surrounds them, or else with that of the server's
    headers, and sends hand theirs on. Name it first: what other middleware does is then inside.
    tracer_provider: None for the one that is set for the process.
    """

    def __init__(
        self,
        client: Inngest,
        raw_request: object,
        *,
        tracer_provider: TracerProvider | None = None,
    ) -> None:
        super().__init__(client, raw_request)
        self._provider = tracer_provider
        self._made: Tracer | None = None
        self._call: otel.Context | None = None

    @classmethod
    def factory(
        cls, *, tracer_provider: TracerProvider | None = None
    ) -> Callable[[Inngest, object], OpenTelemetryMiddleware]:
        """What ``middleware=[...]`` takes in the place of the class, with options."""
        if tracer_provider is not None and not hasattr(tracer_provider, "get_tracer"):
            raise ConfigError(
                "tracer_provider: expected one of OpenTelemetry, got "
                f"{type(tracer_provider).__name__}"
            )

        def make(client: Inngest, raw_request: object) -> OpenTelemetryMiddleware:
            return cls(client, raw_request, tracer_provider=tracer_provider)

        return make

    def wrap_call(self, ctx: Context | ContextSync, function: Function[Any]) -> Wrapper:
        """A span around one call of a function, of which a run has one for each of its parts."""
        tracer = self._tracer()
        if tracer is None:
            yield
            return
        name, about = attributes.of_call(self.client, ctx, function)
        parent = _surrounding() or _W3C.extract(ctx.headers)
        with _spanning(tracer, name, SpanKind.CONSUMER, parent, about) as span:
            self._call = otel.get_current()
            outcome = yield
            _conclude(span, outcome)

    def wrap_step(self, step: StepInfo) -> Wrapper:
        """A span around a step that executes."""
        tracer = self._tracer()
        if tracer is None:
            yield
            return
        # In a thread that the function has started, nothing surrounds the step.
        parent = _surrounding() or self._call
        about = attributes.of_step(step)
        with _spanning(tracer, step.id, SpanKind.INTERNAL, parent, about) as span:
            outcome = yield
            _conclude(span, outcome)

    def wrap_send(self, events: list[Event]) -> Wrapper:
        """A span around a send."""
        tracer = self._tracer()
        if tracer is None:
            yield
            return
        name, about = attributes.of_send(events)
        parent = _surrounding() or self._call
        with _spanning(tracer, name, SpanKind.PRODUCER, parent, about) as span:
            outcome = yield
            _conclude(span, outcome)

    def before_send_request(self, headers: dict[str, str]) -> None:
        """Hand the trace on, in the headers of W3C."""
        if self._tracer() is not None:
            _W3C.inject(headers)

    def _tracer(self) -> Tracer | None:
        """What makes spans; None where nobody has set up an SDK."""
        if self._made is None:
            provider = self._provider or trace.get_tracer_provider()
            if not isinstance(provider, _SILENT):
                self._made = provider.get_tracer(_SCOPE, VERSION)
        return self._made


def _surrounding() -> otel.Context | None:
    """The context of the caller, if there is a span in it."""
    here = trace.get_current_span().get_span_context()
    return otel.get_current() if here.is_valid else None


@contextmanager
def _spanning(
    tracer: Tracer,
    name: str,
    kind: SpanKind,
    parent: otel.Context | None,
    about: Mapping[str, AttributeValue],
) -> Iterator[Span]:
    """Make a span the current one; how it ends is told by ``_conclude`` alone."""
    span = tracer.start_span(name, context=parent, kind=kind, attributes=about)
    with trace.use_span(
        span, end_on_exit=True, record_exception=False, set_status_on_exception=False
    ):
        yield span


def _conclude(span: Span, outcome: Outcome[Any]) -> None:
    """Tell how it has ended. A pause, and a call that was cancelled, is no error."""
    if not isinstance(outcome, Err):
        span.set_attribute(attributes.OUTCOME, "paused" if isinstance(outcome, Paused) else "ok")
        return
    error = outcome.error
    if not isinstance(error, (Exception, SystemExit)):
        span.set_attribute(attributes.OUTCOME, "cancelled")
        return
    kind = type(error).__qualname__
    span.set_attribute(attributes.OUTCOME, "error")
    span.set_attribute(attributes.ERROR_TYPE, kind)
    span.record_exception(error)
    span.set_status(StatusCode.ERROR, f"{kind}: {error}")
