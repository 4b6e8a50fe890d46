"""
Sentry: every call a transaction, every error once, with run, function, attempt and event.

What a replay only repeats is not reported: a step's error is when its callable raises it, and
the StepError that comes of it in later calls is not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Generator, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import sentry_sdk
from sentry_sdk.scope import add_global_event_processor
from sentry_sdk.utils import event_from_exception

from inngest_core import (
    ConfigError,
    Context,
    ContextSync,
    Err,
    Function,
    Inngest,
    InngestError,
    MiddlewareSync,
    Outcome,
    RetryAfterError,
    StepError,
    StepInfo,
)

if TYPE_CHECKING:
    from sentry_sdk.types import Event, Hint

Wrapper = Generator[None, Outcome[Any], None]

# Beside them there are cancellations, and what leaves a function whose call is decided.
_ERRORS = (Exception, SystemExit)
_DEFAULT_RETRIES = 4
_FAILED = "inngest/function.failed"
_JUDGED = "_inngest_judged"
_MECHANISM = {"type": "inngest", "handled": False}


@dataclass(frozen=True, slots=True)
class _Call:
    """What is to be known of a call once its context is gone."""

    function_id: str
    is_async: bool
    is_last_attempt: bool
    mark: object = field(default_factory=object)


_current: ContextVar[_Call | None] = ContextVar("inngest_sentry_call", default=None)


class SentryMiddleware(MiddlewareSync):
    """
    Reports errors to Sentry, and calls and steps as transactions and spans.

    Does nothing until ``sentry_sdk.init`` was called. Stands best in front of other
    middleware, whose failures it reports then. only_last_attempt: errors that are tried
    again are not reported. flush_timeout: seconds to wait before each reply until reports
    are sent, for platforms that freeze the process after it; None does not wait.
    """

    def __init__(
        self,
        client: Inngest,
        raw_request: object,
        *,
        only_last_attempt: bool = False,
        flush_timeout: float | None = None,
    ) -> None:
        super().__init__(client, raw_request)
        self._only_last_attempt = only_last_attempt
        self._flush_timeout = flush_timeout

    @classmethod
    def factory(
        cls, *, only_last_attempt: bool = False, flush_timeout: float | None = None
    ) -> Callable[[Inngest, object], SentryMiddleware]:
        """What ``middleware=[...]`` takes in the place of the class, with options."""
        if flush_timeout is not None and flush_timeout <= 0:
            raise ConfigError(f"flush_timeout: expected seconds, above 0, got {flush_timeout!r}")

        def make(client: Inngest, raw_request: object) -> SentryMiddleware:
            return cls(
                client,
                raw_request,
                only_last_attempt=only_last_attempt,
                flush_timeout=flush_timeout,
            )

        return make

    def wrap_call(self, ctx: Context | ContextSync, function: Function[Any]) -> Wrapper:
        """A transaction in a scope of its own; the error that ends the call, if it is news."""
        if not sentry_sdk.is_initialized():
            yield
            return
        call = _new_call(ctx, function)
        # It stays when the call ends: the core logs errors only then.
        _current.set(call)
        with _call_scope(self.client, ctx, function, call) as span:
            outcome = yield
            span.set_status(_status(outcome))
            if isinstance(outcome, Err):
                self._judge(outcome.error, call)

    def wrap_step(self, step: StepInfo) -> Wrapper:
        """A span around a step that executes; the error that it raises."""
        if not sentry_sdk.is_initialized():
            yield
            return
        with sentry_sdk.new_scope() as scope:
            scope.set_tag("inngest.step.id", step.id)
            with sentry_sdk.start_span(op="inngest.step", name=step.id) as span:
                outcome = yield
                span.set_status(_status(outcome))
                if isinstance(outcome, Err):
                    self._judge(outcome.error, _current.get())

    def before_response(self) -> Any:
        """Wait for Sentry, if wanted: in a thread where a loop must not wait."""
        if self._flush_timeout is None or not sentry_sdk.is_initialized():
            return None
        call = _current.get()
        if call is not None and call.is_async:
            return asyncio.to_thread(sentry_sdk.flush, self._flush_timeout)
        return sentry_sdk.flush(self._flush_timeout)

    def _judge(self, error: BaseException, call: _Call | None) -> None:
        """Report an error if it is to be reported, once."""
        if call is not None:
            if getattr(error, _JUDGED, None) is call.mark:
                return
            with contextlib.suppress(AttributeError):
                setattr(error, _JUDGED, call.mark)
        final = call is not None and _is_final(error, call)
        if _is_news(error, final) and (final or not self._only_last_attempt):
            _report(error)


def _new_call(ctx: Context | ContextSync, function: Function[Any]) -> _Call:
    is_async = isinstance(ctx, Context)
    if _is_failure_handler(ctx, function):
        return _Call(function.on_failure_fn_id or function.id, is_async, is_last_attempt=True)
    retries = function.config.opts.retries
    last = _DEFAULT_RETRIES if retries is None else retries
    return _Call(function.id, is_async, is_last_attempt=ctx.attempt >= last)


def _is_failure_handler(ctx: Context | ContextSync, function: Function[Any]) -> bool:
    """Whether it is the failure handler of *function* that is called, a function of its own."""
    failed = ctx.event.name == _FAILED and ctx.event.data.get("function_id") == function.id
    return failed and function.on_failure_fn_id is not None


@contextlib.contextmanager
def _call_scope(
    client: Inngest, ctx: Context | ContextSync, function: Function[Any], call: _Call
) -> Iterator[Any]:
    """The scope and the transaction of a call, in the trace of the request if that has one."""
    trace = _current_trace()
    with sentry_sdk.isolation_scope() as scope:
        scope.set_tag("inngest.client.id", client.app_id)
        scope.set_tag("inngest.function.id", call.function_id)
        scope.set_tag("inngest.function.name", function.name)
        scope.set_tag("inngest.run.id", ctx.run_id)
        scope.set_tag("inngest.attempt", str(ctx.attempt))
        scope.set_tag("inngest.event.name", ctx.event.name)
        # Were the source a task, the ASGI integration would put the URL in the place of the name.
        transaction = sentry_sdk.continue_trace(
            trace, op="queue.task.inngest", name=call.function_id, source="custom"
        )
        with sentry_sdk.start_transaction(transaction) as span:
            yield span


def _current_trace() -> dict[str, str]:
    # Without a span there is only the trace of the whole process, and all runs would be in it.
    if sentry_sdk.get_current_span() is None:
        return {}
    return {
        "sentry-trace": sentry_sdk.get_traceparent() or "",
        "baggage": sentry_sdk.get_baggage() or "",
    }


def _status(outcome: object) -> str:
    if not isinstance(outcome, Err):
        return "ok"
    return "internal_error" if isinstance(outcome.error, _ERRORS) else "cancelled"


def _is_final(error: BaseException, call: _Call) -> bool:
    return call.is_last_attempt or (isinstance(error, InngestError) and not error.retriable)


def _is_news(error: BaseException, final: bool) -> bool:
    if not isinstance(error, _ERRORS) or getattr(error, "quiet", False):
        return False
    if isinstance(error, RetryAfterError):
        return final
    # One with a stack was raised by code, and reported there; without, a wait for an invoked
    # function has timed out.
    return not isinstance(error, StepError) or error.stack is None


def _report(error: BaseException) -> None:
    event, hint = event_from_exception(
        error, client_options=sentry_sdk.get_client().options, mechanism=dict(_MECHANISM)
    )
    sentry_sdk.capture_event(event, hint=hint)


@add_global_event_processor
def _drop_logged(event: Event, hint: Hint) -> Event | None:
    """Drop what Sentry makes of the core's log line about an error that was judged here."""
    call, error = _current.get(), (hint.get("exc_info") or (None, None))[1]
    if call is None or error is None or "log_record" not in hint:
        return event
    return None if getattr(error, _JUDGED, None) is call.mark else event
