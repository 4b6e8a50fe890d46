"""The one event loop on which a blocking server runs async functions."""

from __future__ import annotations

import asyncio
import functools
import os
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from concurrent.futures import Future

T = TypeVar("T")

Wait = Callable[[Callable[[], "Future[Any]"]], Any]
"""How a thread waits for the loop: is given what starts the work, and gives its result."""

CLOSE_SECONDS = 5.0
"""How long ``close`` waits for what still runs on the loop to leave it."""


@dataclass(slots=True)
class _Served:
    """A loop, the thread that runs it, and the process in which that thread lives."""

    loop: asyncio.AbstractEventLoop
    thread: threading.Thread
    pid: int


class BackgroundLoop:
    """
    One event loop in a thread of its own, for async functions on blocking servers.

    give_back: awaited on the loop before it ends, behind everything else.
    """

    def __init__(self, give_back: Callable[[], Coroutine[Any, Any, None]] | None = None) -> None:
        self._lock = threading.Lock()
        self._give_back = give_back or _nothing
        self._served: _Served | None = None
        # A child of a fork keeps the loop of its parent: collected, it would complain.
        self._inherited: _Served | None = None

    def run(self, coroutine: Coroutine[Any, Any, T], wait: Wait | None = None) -> T:
        """
        Run a coroutine there and wait for its result.

        wait: what this thread does meanwhile, None for nothing. Raises RuntimeError on
        the loop itself, which would wait for ever, and CancelledError if the loop is
        closed meanwhile.
        """
        loop = self._ready()
        if _running() is loop:
            coroutine.close()
            raise RuntimeError(
                "a blocking call was made on the event loop that would have to answer it; "
                "await CommHandler.answer there"
            )
        start = functools.partial(asyncio.run_coroutine_threadsafe, coroutine, loop)
        return start().result() if wait is None else cast(T, wait(start))

    def close(self) -> None:
        """Stop the loop and wait for its end; a later run starts a new one."""
        with self._lock:
            served, self._served = self._served, None
        if served is None:
            return
        if served.pid != os.getpid():
            self._inherited = served
            return
        served.loop.call_soon_threadsafe(served.loop.stop)
        if served.thread is not threading.current_thread():
            served.thread.join(CLOSE_SECONDS)

    def _ready(self) -> asyncio.AbstractEventLoop:
        served = self._served
        # A thread does not survive a fork: the child starts its own.
        if served is None or served.pid != os.getpid():
            served = self._started()
        return served.loop

    def _started(self) -> _Served:
        with self._lock:
            served = self._served
            if served is None or served.pid != os.getpid():
                self._inherited = served
                loop = asyncio.new_event_loop()
                thread = threading.Thread(
                    target=_serve, args=(loop, self._give_back), name="inngest-loop", daemon=True
                )
                served = self._served = _Served(loop, thread, os.getpid())
                thread.start()
            return served


async def _nothing() -> None: ...


def _serve(
    loop: asyncio.AbstractEventLoop, give_back: Callable[[], Coroutine[Any, Any, None]]
) -> None:
    asyncio.set_event_loop(loop)
    try:
        while not _stopped(loop):
            pass
        _finish(loop)
        loop.run_until_complete(give_back())
    finally:
        loop.close()


def _stopped(loop: asyncio.AbstractEventLoop) -> bool:
    """Run until the loop is stopped; False if it was left by what a task raised instead."""
    try:
        loop.run_forever()
    except (SystemExit, KeyboardInterrupt):
        # The task keeps it for whoever waits; the others on this loop still have their turns.
        return False
    return True


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what still runs on a loop that was stopped, so that nobody waits for it for ever."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.run_until_complete(loop.shutdown_asyncgens())
