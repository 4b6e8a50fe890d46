"""How long everything may take. Milliseconds; the defaults are those of the real server."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Moment(NamedTuple):
    """A point in time, by two clocks."""

    at: int
    """By one that only goes forward: all intervals are measured with it."""
    wall: int
    """Unix time, for what others read: the ids of leases, and lists."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Times:
    """The intervals of a gateway."""

    hello: int = 5_000
    """From the opening of a socket to the worker's first message."""
    heartbeat: int = 10_000
    """Between two heartbeats of a worker."""
    stale_after: int = 2
    """Heartbeats missed until a worker gets no more requests."""
    lost_after: int = 5
    """Heartbeats missed until its socket is dropped."""
    lease: int = 120_000
    """From a request, or the extension of its lease, to the lease's end."""
    extend_lease: int = 30_000
    """Between two extensions."""
    grace: int = 5_000
    """By how much an extension may be late."""
    status: int = 0
    """Between two reports of a worker on what it does; 0: none."""
    drain: int = 25_000
    """For which a worker that was asked to leave may stay."""
    session: int = 300_000
    """From the start request to the handshake."""


REAL = Times()


def go_duration(ms: int) -> str:
    """A duration as workers are told it: `10s`, `50ms`, `0s`."""
    return f"{ms // 1000}s" if ms % 1000 == 0 else f"{ms}ms"
