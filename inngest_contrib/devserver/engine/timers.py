"""One heap of everything that is due at some time. Nothing is ever removed early: it goes stale."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from typing import Any

_COMPACT_FROM = 1024


class Timers:
    """Things by the time they are due. `stale` says whether an entry no longer matters."""

    __slots__ = ("_compact_at", "_heap", "_serial", "_stale")

    def __init__(self, stale: Callable[[int, Any], bool]) -> None:
        self._heap: list[tuple[int, int, Any]] = []
        self._serial = 0
        self._stale = stale
        self._compact_at = _COMPACT_FROM

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, due: int, thing: Any) -> None:
        """Remember a thing; equal times come out in the order they went in."""
        self._serial += 1
        heapq.heappush(self._heap, (due, self._serial, thing))
        if len(self._heap) > self._compact_at:
            self._compact()

    def next_due(self) -> int | None:
        """When the first thing that still matters is due."""
        self._shed()
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: int) -> Iterator[Any]:
        """Take out what is due by `now`, in order."""
        while self._heap and self._heap[0][0] <= now:
            due, _, thing = heapq.heappop(self._heap)
            if not self._stale(due, thing):
                yield thing

    def _shed(self) -> None:
        while self._heap and self._stale(self._heap[0][0], self._heap[0][2]):
            heapq.heappop(self._heap)

    def _compact(self) -> None:
        # A fulfilled wait leaves its one-year timeout behind; without this the heap only grows.
        self._heap = [entry for entry in self._heap if not self._stale(entry[0], entry[2])]
        heapq.heapify(self._heap)
        self._compact_at = max(_COMPACT_FROM, 2 * len(self._heap))
