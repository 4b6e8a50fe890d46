"""
The awaiting driver: performs a flow on an event loop.

What a function's own steps ask for is performed by its conductor.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from ..flow.effect import Call, Do, Effect, Flow, Pause, Send
from ..plugin.types import AsyncTransport
from .conductor import Conductor

T = TypeVar("T")


async def arun(flow: Flow[T], perform: Callable[[Effect], Any]) -> T:
    """Perform a flow to its end; its result."""
    resume: Callable[[Any], Effect] = flow.send
    value: Any = None
    try:
        while True:
            effect = resume(value)
            try:
                value, resume = perform(effect), flow.send
                if hasattr(type(value), "__await__"):
                    value = await value
            except BaseException as error:
                value, resume = error, flow.throw
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        # An error that stays here would hold its own traceback, and with it all frames.
        del value, resume


class AsyncDriver:
    """Performs effects with an async transport, made when it is first needed."""

    __slots__ = ("_new_transport", "_perform_by_type", "_transport")

    def __init__(self, new_transport: Callable[[], AsyncTransport]) -> None:
        self._new_transport = new_transport
        self._transport: AsyncTransport | None = None
        self._perform_by_type: dict[type, Callable[[Any], Any]] = {
            Call: self._call,
            Do: _do,
            Pause: _pause,
            Send: self._send,
        }

    def perform(self, effect: Effect) -> Any:
        """The result of one effect, or an awaitable of it."""
        return self._perform_by_type[type(effect)](effect)

    def run(self, flow: Flow[T]) -> Coroutine[Any, Any, T]:
        """Perform a flow to its end; its result."""
        return arun(flow, self.perform)

    async def close(self) -> None:
        """Close the transport; a later send opens it again."""
        if self._transport is not None:
            await self._transport.close()

    def _send(self, effect: Send) -> Any:
        if self._transport is None:
            self._transport = self._new_transport()
        return self._transport.send(effect.request)

    def _call(self, effect: Call) -> Any:
        return Conductor(effect, self._perform_by_type).conduct()


def _do(effect: Do) -> Any:
    return effect.function(*effect.args)


def _pause(effect: Pause) -> Any:
    return asyncio.sleep(effect.seconds)
