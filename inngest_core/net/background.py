"""The one event loop on which a blocking server runs async functions."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class BackgroundLoop:
    """One event loop in a thread of its own, for async functions on blocking servers."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pid = 0

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """
        Run a coroutine there and wait for its result.

        Raises RuntimeError on the loop itself, which would wait for ever, and
        CancelledError if the loop is closed meanwhile.
        """
        if _running() is self._ready():
            coroutine.close()
            raise RuntimeError(
                "a blocking call was made on the event loop that would have to answer it; "
                "await CommHandler.answer there"
            )
        return asyncio.run_coroutine_threadsafe(coroutine, self._ready()).result()

    def close(self) -> None:
        """Stop the loop; a later run starts a new one."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is not None:
            loop.call_soon_threadsafe(loop.stop)

    def _ready(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            # A thread does not survive a fork: the child starts its own.
            if self._loop is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._loop = asyncio.new_event_loop()
                threading.Thread(
                    target=_serve, args=(self._loop,), name="inngest-loop", daemon=True
                ).start()
            return self._loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    try:
        while not _stopped(loop):
            pass
        _finish(loop)
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
