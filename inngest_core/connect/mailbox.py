"""
Calls from other threads onto one event loop, many with one waking.

A loop that has ended takes nothing: its calls are dropped, and nobody is told.
"""

from __future__ import annotations

import asyncio
import collections
from collections.abc import Callable
from typing import Any


class Mailbox:
    """
    What a loop is to call next. Letters may come before it is opened, and from signal handlers:
    nothing here waits for a lock.
    """

    def __init__(self) -> None:
        self._letters: collections.deque[tuple[Callable[..., Any], tuple[Any, ...]]] = (
            collections.deque()
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._woken = False

    def open(self) -> None:
        """Let the running loop make the calls, from now on."""
        # In this order: whoever puts a letter in and sees no loop is before the emptying.
        self._loop = asyncio.get_running_loop()
        self._empty()

    def post(self, call: Callable[..., Any], *args: Any) -> None:
        """Have something called on the loop."""
        self._letters.append((call, args))
        loop = self._loop
        if loop is None or self._woken:
            return
        self._woken = True
        try:
            loop.call_soon_threadsafe(self._empty)
        except RuntimeError:
            # The loop is closed.
            self._letters.clear()

    def _empty(self) -> None:
        # Before the first letter is taken: one that comes behind the last wakes the loop again.
        self._woken = False
        for _ in range(len(self._letters)):
            call, args = self._letters.popleft()
            try:
                call(*args)
            except Exception as error:
                self._report(call, error)

    def _report(self, call: Callable[..., Any], error: Exception) -> None:
        assert self._loop is not None, "only an open mailbox is emptied"
        self._loop.call_exception_handler({"message": f"{call} failed", "exception": error})
