"""The base classes of middleware. Override what you need; the rest is left out of the chain."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from typing import TYPE_CHECKING, Any

from .flow.pipeline import noop
from .flow.send import SendEventsResult
from .plugin.types import StepInfo, StepMemos, TransformOutputResult
from .result import Outcome
from .wire.event import Event

if TYPE_CHECKING:
    from .client import Inngest
    from .context import Context, ContextSync
    from .function import Function

Wrapper = Generator[None, Outcome[Any], Outcome[Any] | None]
"""Yields once and is sent the outcome; may return another one in its place."""

AnyWrapper = Wrapper | AsyncGenerator[None, Outcome[Any]]


class Middleware:
    """
    Watches calls, and may change what goes in and out. One instance a request.

    A ``wrap_`` method is a generator, async or not, that yields exactly once: before
    the yield it stands in front of what it surrounds, and behind it afterwards. The
    yield gives the outcome: Ok, Err or Paused. ``outcome.unwrap()`` raises the
    error of an Err, and that may leave the method: it stays the outcome.

    raw_request: the framework's own request, None outside a call.
    """

    def __init__(self, client: Inngest, raw_request: object) -> None:
        self.client = client
        self.raw_request = raw_request

    @noop
    async def transform_input(
        self, ctx: Context | ContextSync, function: Function[Any], steps: StepMemos
    ) -> None:
        """Before anything of the function runs; may change ctx, its events, and memos."""

    @noop
    async def before_execution(self) -> None:
        """Before the first code that did not run in an earlier call."""

    @noop
    async def after_execution(self) -> None:
        """After the function has returned, failed, or paused."""

    @noop
    async def after_memoization(self) -> None:
        """Once the last memo is consumed, right before before_execution."""

    @noop
    async def transform_output(self, result: TransformOutputResult) -> None:
        """Before the output or error of a step or the function is written."""

    @noop
    async def before_response(self) -> None:
        """Before the reply goes out."""

    @noop
    async def before_send_events(self, events: list[Event]) -> None:
        """Before events are sent; may change them."""

    @noop
    async def before_send_request(self, headers: dict[str, str]) -> None:
        """Before events leave; may change the headers of the request that carries them."""

    @noop
    async def after_send_events(self, result: SendEventsResult) -> None:
        """After events were sent, or were refused."""

    @noop
    def wrap_call(self, ctx: Context | ContextSync, function: Function[Any]) -> AnyWrapper:
        """Around one call: its code, transform_input, before_execution and after_execution."""
        return (yield)

    @noop
    def wrap_step(self, step: StepInfo) -> AnyWrapper:
        """Around a step that executes; never around one that is remembered or planned."""
        return (yield)

    @noop
    def wrap_send(self, events: list[Event]) -> AnyWrapper:
        """Around a send and its hooks. Its outcome is Ok with the ids."""
        return (yield)


class MiddlewareSync:
    """As Middleware, with plain methods; serves blocking and async functions alike."""

    def __init__(self, client: Inngest, raw_request: object) -> None:
        self.client = client
        self.raw_request = raw_request

    @noop
    def transform_input(
        self, ctx: Context | ContextSync, function: Function[Any], steps: StepMemos
    ) -> None:
        """See Middleware.transform_input."""

    @noop
    def before_execution(self) -> None:
        """See Middleware.before_execution."""

    @noop
    def after_execution(self) -> None:
        """See Middleware.after_execution."""

    @noop
    def after_memoization(self) -> None:
        """See Middleware.after_memoization."""

    @noop
    def transform_output(self, result: TransformOutputResult) -> None:
        """See Middleware.transform_output."""

    @noop
    def before_response(self) -> None:
        """See Middleware.before_response."""

    @noop
    def before_send_events(self, events: list[Event]) -> None:
        """See Middleware.before_send_events."""

    @noop
    def before_send_request(self, headers: dict[str, str]) -> None:
        """See Middleware.before_send_request."""

    @noop
    def after_send_events(self, result: SendEventsResult) -> None:
        """See Middleware.after_send_events."""

    @noop
    def wrap_call(self, ctx: Context | ContextSync, function: Function[Any]) -> Wrapper:
        """See Middleware.wrap_call."""
        return (yield)

    @noop
    def wrap_step(self, step: StepInfo) -> Wrapper:
        """See Middleware.wrap_step."""
        return (yield)

    @noop
    def wrap_send(self, events: list[Event]) -> Wrapper:
        """See Middleware.wrap_send."""
        return (yield)
