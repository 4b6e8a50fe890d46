"""
The requests a worker has taken on: which run, which wait for room, and when their leases are due.

Pure: no I/O; time comes in as seconds.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from . import connect_pb2 as pb


@dataclass(slots=True)
class Job:
    """
    One request, from its arrival until its function has ended.

    lease_id: the newest. lost: the server gave the request to somebody else; what comes of it
    is not told.
    """

    request: pb.GatewayExecutorRequestData
    lease_id: str
    running: bool = False
    lost: bool = False


@dataclass(slots=True)
class Jobs:
    """Every job, by the id of its request. limit: how many may run at once; None for any number."""

    limit: int | None
    running: int = 0
    _all: dict[str, Job] = field(default_factory=dict)
    _waiting: dict[str, Job] = field(default_factory=dict)
    # In the order of their times: a lease that was extended moves to the end.
    _due: dict[str, float] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def next_due(self) -> float | None:
        """When the first lease is to be extended."""
        return next(iter(self._due.values()), None)

    def get(self, request_id: str) -> Job | None:
        return self._all.get(request_id)

    def add(self, request: pb.GatewayExecutorRequestData, due: float) -> None:
        """Take a request on. due: when its lease is to be extended."""
        job = Job(request, request.lease_id)
        self._all[request.request_id] = job
        self._waiting[request.request_id] = job
        self._due[request.request_id] = due

    def start(self) -> Iterator[Job]:
        """The jobs for which there is room now; they count as running."""
        while self._waiting and (self.limit is None or self.running < self.limit):
            job = self._waiting.pop(next(iter(self._waiting)))
            job.running = True
            self.running += 1
            yield job

    def end(self, request_id: str) -> Job | None:
        """Take out a job whose function has ended."""
        job = self._all.pop(request_id, None)
        self._due.pop(request_id, None)
        if job is not None and job.running:
            self.running -= 1
        return job

    def lose(self, request_id: str) -> Job | None:
        """The lease of a job is gone: one that runs is lost, one that waits is never begun."""
        job = self._all.get(request_id)
        if job is None or job.lost:
            return None
        job.lost = True
        self._due.pop(request_id, None)
        if self._waiting.pop(request_id, None) is not None:
            del self._all[request_id]
        return job

    def take_due(self, now: float, again: float) -> Iterator[Job]:
        """The jobs whose leases are due; they are due once more at *again*."""
        while (due := self.next_due) is not None and due <= now:
            request_id = next(iter(self._due))
            del self._due[request_id]
            self._due[request_id] = again
            yield self._all[request_id]

    def postpone(self, again: float) -> list[Job]:
        """All jobs that have a lease; each is due at *again*."""
        self._due = dict.fromkeys(self._due, again)
        return [self._all[request_id] for request_id in self._due]
