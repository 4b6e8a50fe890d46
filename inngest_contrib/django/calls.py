"""
What Django wants to know of each call: its signals, and when connections may be closed.

The endpoint's calls are requests, before and after which Django itself looks after its
connections. A call that comes otherwise, by a worker or within a server's own process,
is treated here as one.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import Any

from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.db import close_old_connections, reset_queries
from django.http import HttpRequest

from inngest_core import (
    Context,
    ContextSync,
    Err,
    Event,
    Function,
    Inngest,
    MiddlewareSync,
    Ok,
    SendEventsResult,
    StepInfo,
    StepMemos,
)

from .signals import (
    atell,
    events_sent,
    function_failed,
    function_finished,
    function_started,
    step_finished,
    tell,
)


class CallMiddleware(MiddlewareSync):
    """
    Tells Django of each call.

    Its methods serve blocking and async functions: for an async one they return
    coroutines and async generators, which the core awaits.
    """

    def __init__(self, client: Inngest, raw_request: object) -> None:
        super().__init__(client, raw_request)
        self._is_request = isinstance(raw_request, HttpRequest)
        self._ctx: Context | ContextSync | None = None
        self._function: Function[Any] | None = None
        self._events: list[Event] = []

    def wrap_call(self, ctx: Any, function: Function[Any]) -> Any:
        """Surround a call with what Django does around a request, and tell how it ended."""
        self._ctx, self._function = ctx, function
        if isinstance(ctx, ContextSync):
            return self._called() if self._is_request else self._looked_after()
        return self._acalled() if self._is_request else self._alooked_after()

    def transform_input(self, ctx: Any, function: Function[Any], steps: StepMemos) -> Any:
        """Tell that a run begins."""
        if ctx.attempt == 0 and steps.size == 0:
            return self._tell(function_started, ctx=ctx)
        return None

    def wrap_step(self, step: StepInfo) -> Any:
        """Tell that a step has ended."""
        return self._stepped(step) if isinstance(self._ctx, ContextSync) else self._astepped(step)

    def before_send_events(self, events: list[Event]) -> Any:
        """Remember what a step sends. What the client sends outside, it tells itself."""
        self._events = events

    def after_send_events(self, result: SendEventsResult) -> Any:
        """Tell that a step has sent."""
        if self._ctx is None or result.error is not None:
            return None
        return self._tell(
            events_sent, Inngest, client=self.client, events=list(self._events), ids=result.ids
        )

    # ---- for blocking functions

    def _called(self) -> Generator[None, Any, None]:
        outcome = yield
        signal, arguments = _ending(outcome)
        if signal is not None:
            tell(signal, self._function, ctx=self._ctx, **arguments)

    def _looked_after(self) -> Generator[None, Any, None]:
        _begin()
        try:
            yield from self._called()
        finally:
            close_old_connections()

    def _stepped(self, step: StepInfo) -> Generator[None, Any, None]:
        outcome = yield
        if isinstance(outcome, Ok | Err):
            tell(step_finished, self._function, ctx=self._ctx, step=step, outcome=outcome)

    # ---- for async functions

    async def _acalled(self) -> AsyncGenerator[None, Any]:
        outcome = yield
        signal, arguments = _ending(outcome)
        if signal is not None:
            await atell(signal, self._function, ctx=self._ctx, **arguments)

    async def _alooked_after(self) -> AsyncGenerator[None, Any]:
        async with ThreadSensitiveContext():
            await sync_to_async(_begin)()
            try:
                outcome = yield
                signal, arguments = _ending(outcome)
                if signal is not None:
                    await atell(signal, self._function, ctx=self._ctx, **arguments)
            finally:
                await sync_to_async(close_old_connections)()

    async def _astepped(self, step: StepInfo) -> AsyncGenerator[None, Any]:
        outcome = yield
        if isinstance(outcome, Ok | Err):
            await atell(step_finished, self._function, ctx=self._ctx, step=step, outcome=outcome)

    def _tell(self, signal: Any, sender: object = None, **arguments: Any) -> Any:
        send = tell if isinstance(self._ctx, ContextSync) else atell
        return send(signal, sender or self._function, **arguments)


def _begin() -> None:
    """What Django does at the beginning of a request."""
    reset_queries()
    close_old_connections()


def _ending(outcome: object) -> tuple[Any, dict[str, Any]]:
    """The signal of how a call ended, None if it is only paused; and its arguments."""
    if isinstance(outcome, Ok):
        return function_finished, {"output": outcome.value}
    if isinstance(outcome, Err):
        return function_failed, {"error": outcome.error}
    return None, {}
