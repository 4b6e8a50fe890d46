"""One heap of everything that is due at some time."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Any

_COMPACT_FROM = 1024


class Timer:
    """A thing in the heap. Cancelled, it lets go of the thing at once and of its place later."""

    __slots__ = ("thing",)

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def cancel(self) -> None:
        """It no longer matters."""
        self.thing = None


class Timers:
    """Things by the time they are due."""

    __slots__ = ("_compact_at", "_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Timer]] = []
        self._serial = 0
        self._compact_at = _COMPACT_FROM

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due: int, thing: Any) -> Timer:
        """Remember a thing; equal times come out in the order they went in."""
        timer = Timer(thing)
        self._serial += 1
        heapq.heappush(self._heap, (due, self._serial, timer))
        if len(self._heap) > self._compact_at:
            self._compact()
        return timer

    def next_due(self) -> int | None:
        """When the first thing that still matters is due."""
        while self._heap and self._heap[0][2].thing is None:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: int) -> Iterator[Any]:
        """Take out what is due by `now`, in order, also what becomes due while this goes on."""
        while self._heap and self._heap[0][0] <= now:
            _, _, timer = heapq.heappop(self._heap)
            if timer.thing is not None:
                yield timer.thing

    def _compact(self) -> None:
        # A fulfilled wait leaves its place of a year hence behind; without this they pile up.
        self._heap = [entry for entry in self._heap if entry[2].thing is not None]
        heapq.heapify(self._heap)
        self._compact_at = max(_COMPACT_FROM, 2 * len(self._heap))
