"""
Who may be called next: jobs stand in lines, lines stand behind gates.

A gate is a limit that a call must pass: places in a lane (concurrency), or a meter (throttle).
Jobs that must pass the same gates stand in one line, in order. A line is either ready to be tried,
or blocked at one gate that is shut. When a gate opens, the first of its lines is tried, and no
other: whoever tries a line sees to it that the next one is tried while its gates are open.

Law: behind a gate that is open no line is left without another line with that gate being ready.
So nothing waits in vain; and what a decision costs does not depend on how many jobs wait.
"""

from __future__ import annotations

import abc
import heapq
from typing import TYPE_CHECKING

from inngest_contrib.devserver.engine import meters
from inngest_contrib.devserver.engine.options import Rate

if TYPE_CHECKING:
    from inngest_contrib.devserver.engine.state import Job
    from inngest_contrib.devserver.engine.timers import Timer
    from inngest_contrib.devserver.engine.turn import Turn

Place = tuple[int, str, int]
"""By which jobs are ordered: a time; for the same time the id of the run; within it the ticket."""
LaneKey = tuple[str, str, str, str, str]
"""Of calls or of runs; the scope and whose it is; the expression and the bucket of its value."""
MeterKey = tuple[str, str, Rate]
"""The function, the bucket, and how fast."""

_NOWHERE: Place = (0, "", 0)


class Line:
    """Jobs that must pass the same gates, the first on top."""

    __slots__ = ("at", "gates", "jobs")

    def __init__(self, gates: tuple[Gate, ...]) -> None:
        self.gates = gates
        self.jobs: list[tuple[int, str, int, Job]] = []
        self.at: Gate | None = None
        """The gate it is blocked at; None: it is ready to be tried."""

    def head(self) -> Job | None:
        """The first job that still stands here."""
        while self.jobs:
            *_, ticket, job = self.jobs[0]
            if job.ticket == ticket:
                return job
            heapq.heappop(self.jobs)
        return None

    @property
    def place(self) -> Place:
        """That of the job on top."""
        return self.jobs[0][:3] if self.jobs else _NOWHERE


class Gate(abc.ABC):
    """What a call must pass, and the lines that are blocked here."""

    __slots__ = ("blocked",)

    def __init__(self) -> None:
        self.blocked: list[tuple[int, str, int, Line]] = []

    @abc.abstractmethod
    def is_open(self, now: int) -> bool:
        """Whether one more may pass."""

    @abc.abstractmethod
    def enter(self, turn: Turn) -> None:
        """One passes."""

    @abc.abstractmethod
    def leave(self, turn: Turn) -> None:
        """One that had passed has ended."""

    @abc.abstractmethod
    def turn_away(self, turn: Turn) -> None:
        """Somebody was tried and found it shut."""

    def block(self, line: Line) -> None:
        """Let a line wait here, or move up to where its first job belongs."""
        line.at = self
        heapq.heappush(self.blocked, (*line.place, line))

    def settle(self, turn: Turn) -> None:
        """Keep the law: while the gate is open, have a line tried."""
        if self.blocked and self.is_open(turn.now):
            self._wake(turn)

    def _wake(self, turn: Turn) -> None:
        while self.blocked:
            *place, line = heapq.heappop(self.blocked)
            # A line that went on, or moved up, has left its old place behind.
            if line.at is self and line.place == tuple(place):
                line.at = None
                heapq.heappush(turn.state.ready, (*line.place, line))
                return


class Lane:
    """Places for calls, or for runs: those taken, and one gate for each limit in use."""

    __slots__ = ("gates", "key", "members", "used")

    def __init__(self, key: LaneKey) -> None:
        self.key = key
        self.used = 0
        self.members = 0
        """Runs whose calls go through here; without any, the lane is forgotten."""
        self.gates: dict[int, LaneGate] = {}

    def gate(self, limit: int) -> LaneGate:
        """The gate that lets in one more as long as fewer than `limit` are inside."""
        if limit not in self.gates:
            self.gates[limit] = LaneGate(self, limit)
        return self.gates[limit]

    def join(self) -> None:
        """A run's calls will go through here."""
        self.members += 1

    def part(self, turn: Turn) -> None:
        """They will no more."""
        self.members -= 1
        self._forget(turn)

    def leave(self, turn: Turn) -> None:
        """A place is free again."""
        self.used -= 1
        for gate in self.gates.values():
            gate.settle(turn)
        self._forget(turn)

    def _forget(self, turn: Turn) -> None:
        if not (self.members or self.used):
            turn.state.control.lanes.pop(self.key, None)


class LaneGate(Gate):
    """A limit on a lane. Functions may share a lane and differ in its limit."""

    __slots__ = ("lane", "limit")

    def __init__(self, lane: Lane, limit: int) -> None:
        super().__init__()
        self.lane = lane
        self.limit = limit

    def is_open(self, now: int) -> bool:
        """Whether a place is free."""
        return self.lane.used < self.limit

    def enter(self, turn: Turn) -> None:
        """Take a place."""
        self.lane.used += 1

    def leave(self, turn: Turn) -> None:
        """Give it back."""
        self.lane.leave(turn)

    def turn_away(self, turn: Turn) -> None:
        """Nothing: that is what a limit is for."""


class MeterGate(Gate):
    """A throttle: it opens by itself when its time has come."""

    __slots__ = ("key", "members", "timer")

    def __init__(self, key: MeterKey) -> None:
        super().__init__()
        self.key = key
        self.members = 0
        self.timer: Timer | None = None

    def is_open(self, now: int) -> bool:
        """Whether its time has come."""
        return self.timer is None

    def enter(self, turn: Turn) -> None:
        """One passes; shut until the next may."""
        meters.take(turn, meters.THROTTLE, *self.key)
        self.watch(turn)

    def leave(self, turn: Turn) -> None:
        """Nothing: what has passed a meter is not given back."""

    def turn_away(self, turn: Turn) -> None:
        """Nothing: that is what a throttle is for."""

    def watch(self, turn: Turn) -> None:
        """Stay shut until the meter lets one through."""
        opens = meters.opens_at(turn, meters.THROTTLE, *self.key)
        self.timer = turn.timers.add(opens, self) if opens > turn.now else None

    def due(self, turn: Turn) -> None:
        """The time has come."""
        self.timer = None
        self.settle(turn)

    def join(self) -> None:
        """A run is to start through here."""
        self.members += 1

    def part(self, turn: Turn) -> None:
        """It has ended. Without any, the gate is forgotten; the meter is not."""
        self.members -= 1
        if not self.members:
            self._forget(turn)

    def _forget(self, turn: Turn) -> None:
        if self.timer is not None:
            self.timer.cancel()
        turn.state.control.throttles.pop(self.key, None)
        # Nobody stands in the lines here any more.
        for *_, line in self.blocked:
            if line.at is self:
                turn.state.control.lines.pop(line.gates, None)


def line_up(turn: Turn, job: Job) -> None:
    """Put a job that is due where it waits its turn."""
    control = turn.state.control
    control.tickets += 1
    job.ticket = control.tickets
    terms = job.run.terms
    # What is under way goes before what is new; what has failed comes again at its time.
    since = job.run.queued_at if job.attempt == 0 else job.run_at
    if terms is None:
        heapq.heappush(turn.state.ready, (since, job.run.id, job.ticket, job))
        return
    entry = (since - terms.shift, job.run.id, job.ticket, job)
    gates = terms.gates_before(job.run)
    if gates:
        _join_line(turn, gates, entry)
    else:
        heapq.heappush(turn.state.ready, entry)


def _join_line(turn: Turn, gates: tuple[Gate, ...], entry: tuple[int, str, int, Job]) -> None:
    lines = turn.state.control.lines
    line = lines.get(gates)
    if line is None:
        line = lines[gates] = Line(gates)
    heapq.heappush(line.jobs, entry)
    if line.jobs[0] is not entry:
        return
    if line.at is not None:
        line.at.block(line)
    else:
        heapq.heappush(turn.state.ready, (*entry[:3], line))


def advance(turn: Turn, line: Line, place: Place) -> Job | None:
    """Try a line at the place it was ready at: its first job, if all gates are open."""
    if line.at is not None or line.place != place:
        return None
    job = line.head()
    if job is not None and line.place != place:
        # Whoever stood first has gone; others may be before the next.
        heapq.heappush(turn.state.ready, (*line.place, line))
        return None
    shut = next((gate for gate in line.gates if not gate.is_open(turn.now)), None)
    if job is not None and shut is None:
        _pass(turn, line)
    _put_back(turn, line, shut)
    for gate in line.gates:
        gate.settle(turn)
    return job if shut is None else None


def _pass(turn: Turn, line: Line) -> None:
    heapq.heappop(line.jobs)
    for gate in line.gates:
        gate.enter(turn)


def _put_back(turn: Turn, line: Line, shut: Gate | None) -> None:
    if line.head() is None:
        turn.state.control.lines.pop(line.gates, None)
    elif shut is not None:
        shut.turn_away(turn)
        shut.block(line)
    else:
        heapq.heappush(turn.state.ready, (*line.place, line))
