"""A state that one thread changes and that others, and loops, wait for."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from dataclasses import dataclass

from ..errors import InngestError
from .states import ConnectionState


@dataclass(frozen=True, slots=True, eq=False)
class _Waiter:
    state: ConnectionState
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[None]


class Watch:
    """
    The state of a worker, as all may see it.

    Whoever waits for a state is told of it even if it has passed by then. A worker that is
    CLOSING becomes nothing but CLOSED, and a CLOSED one nothing.
    """

    def __init__(self, state: ConnectionState) -> None:
        self.state = state
        # Reentrant: a signal handler may come while its own thread is in here.
        self._lock = threading.RLock()
        self._waiters: list[_Waiter] = []

    def become(self, state: ConnectionState) -> None:
        """Change the state, and tell those who wait."""
        with self._lock:
            if not self._may_become(state):
                return
            self.state = state
            told = [each for each in self._waiters if self._is_over(each)]
            for waiter in told:
                self._waiters.remove(waiter)
        for waiter in told:
            _tell(waiter, state)

    async def wait_for(self, state: ConnectionState) -> None:
        """Wait until the state is *state*; InngestError if it is closed before that."""
        loop = asyncio.get_running_loop()
        waiter = _Waiter(state, loop, loop.create_future())
        with self._lock:
            if self._is_over(waiter):
                _settle(waiter.future, state, self.state)
            else:
                self._waiters.append(waiter)
        try:
            await waiter.future
        finally:
            with self._lock:
                if waiter in self._waiters:
                    self._waiters.remove(waiter)

    def _may_become(self, state: ConnectionState) -> bool:
        if self.state is ConnectionState.CLOSING:
            return state is ConnectionState.CLOSED
        return self.state is not ConnectionState.CLOSED and state is not self.state

    def _is_over(self, waiter: _Waiter) -> bool:
        return self.state in (waiter.state, ConnectionState.CLOSED)


def _tell(waiter: _Waiter, state: ConnectionState) -> None:
    # On a loop that is closed nobody waits any more.
    with contextlib.suppress(RuntimeError):
        waiter.loop.call_soon_threadsafe(_settle, waiter.future, waiter.state, state)


def _settle(future: asyncio.Future[None], wanted: ConnectionState, state: ConnectionState) -> None:
    if future.done():
        return
    if wanted is state:
        future.set_result(None)
    else:
        error = InngestError(f"the connection was closed before it was {wanted.value}")
        future.set_exception(error)
