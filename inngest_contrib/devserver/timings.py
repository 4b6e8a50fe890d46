"""How long calls to apps took, in the buckets of a histogram."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field

BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds; the last bucket, beyond them, has no bound."""


@dataclass(slots=True)
class Timings:
    """A histogram of seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS) + 1))
    seconds: float = 0.0
    failed: int = 0
    """How many of them brought no answer that counts."""

    def note(self, seconds: float, *, failed: bool) -> None:
        """Count a call."""
        self.counts[bisect_left(BOUNDS, seconds)] += 1
        self.seconds += seconds
        self.failed += failed

    @property
    def calls(self) -> int:
        """How many there were."""
        return sum(self.counts)
