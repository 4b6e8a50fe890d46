"""How long an event loop was blocked during a call."""

from __future__ import annotations

import asyncio

PULSE_SECONDS = 0.02
PULSE_TOLERANCE = 0.005


class Pulse:
    """
    Tells how long a loop was blocked: a timer that looks at how late it is.

    A little lateness is that of every timer, and does not count.
    """

    __slots__ = ("_due", "_late", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._late = 0.0
        self._due = loop.time() + PULSE_SECONDS
        self._timer = loop.call_at(self._due, self._beat)

    def _beat(self) -> None:
        now = self._loop.time()
        self._late += _counted(now - self._due)
        self._due = now + PULSE_SECONDS
        self._timer = self._loop.call_at(self._due, self._beat)

    def stop(self) -> float:
        """Seconds for which the loop was blocked."""
        self._timer.cancel()
        return self._late + _counted(self._loop.time() - self._due)


def _counted(late: float) -> float:
    return late if late >= PULSE_TOLERANCE else 0.0
