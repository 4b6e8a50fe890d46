"""
The blocking driver: performs a flow in the thread that calls it.

A step that cannot return is left by raising Interrupt through the user's code.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import Interrupt
from ..flow.effect import Call, Do, Effect, Flow, Leave, Pause, Resume, Send, Stand
from ..plugin.types import BlockingTransport
from ..result import Err, Ok, Outcome, Paused

T = TypeVar("T")


def run(flow: Flow[T], perform: Callable[[Effect], Any]) -> T:
    """Perform a flow to its end; its result."""
    resume: Callable[[Any], Effect] = flow.send
    value: Any = None
    try:
        while True:
            effect = resume(value)
            try:
                value, resume = perform(effect), flow.send
            except BaseException as error:
                value, resume = error, flow.throw
    except StopIteration as end:
        result: T = end.value
        return result
    finally:
        # An error that stays here would hold its own traceback, and with it all frames.
        del value, resume


class BlockingDriver:
    """Performs effects with a blocking transport, made when it is first needed."""

    __slots__ = ("_lock", "_new_transport", "_perform_by_type", "_transport")

    def __init__(self, new_transport: Callable[[], BlockingTransport]) -> None:
        self._new_transport = new_transport
        self._transport: BlockingTransport | None = None
        self._lock = threading.Lock()
        self._perform_by_type: dict[type, Callable[[Any], Any]] = {
            Call: self._call,
            Do: _do,
            Leave: _leave,
            Pause: _pause,
            Resume: _resume,
            Send: self._send,
            Stand: _leave,
        }

    def perform(self, effect: Effect) -> Any:
        """The result of one effect."""
        return self._perform_by_type[type(effect)](effect)

    def run(self, flow: Flow[T]) -> T:
        """Perform a flow to its end; its result."""
        return run(flow, self.perform)

    def close(self) -> None:
        """Close the transport; a later send opens it again."""
        if self._transport is not None:
            self._transport.close()

    def _send(self, effect: Send) -> Any:
        return (self._transport or self._open()).send(effect.request)

    def _open(self) -> BlockingTransport:
        # Threads that send first at the same moment share what one of them opens.
        with self._lock:
            if self._transport is None:
                self._transport = self._new_transport()
            return self._transport

    def _call(self, effect: Call) -> Outcome[Any]:
        effect.connect(self.perform, None)
        try:
            return Ok(effect.handler(effect.context))
        except Interrupt:
            return Paused()
        except (Exception, SystemExit) as error:
            # What one function exits from is its call, and not the server around it.
            return Err(error)


def _do(effect: Do) -> Any:
    return effect.function(*effect.args)


def _pause(effect: Pause) -> None:
    time.sleep(effect.seconds)


def _resume(effect: Resume) -> None:
    """Nobody else waits in a blocking function."""


def _leave(effect: Stand | Leave) -> Any:
    raise Interrupt
