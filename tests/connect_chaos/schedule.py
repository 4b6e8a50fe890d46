"""
What goes wrong, and when: drawn from a seed, so that a schedule can be played again.

Faults of traffic strike single frames, by kind and number; blows strike everything at a moment.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from inngest_core.connect import connect_pb2 as pb


class Fault(Enum):
    """What becomes of a frame."""

    DELAY = "delay"
    TWICE = "twice"
    LOSE = "lose"
    GARBAGE = "garbage"
    """It passes, and behind it comes something that is no message."""
    BREAK = "break"
    """The connection breaks instead."""
    FREEZE = "freeze"
    """From here on nothing passes in this direction, and nobody is told."""
    REFUSE = "refuse"
    """An extension of a lease is answered with no."""


class Blow(Enum):
    """What strikes all at once."""

    RESTART = "restart"
    """The server ends, and comes back with its database."""
    DRAIN = "drain"
    BREAK_ALL = "break all"
    FREEZE_ALL = "freeze all"
    REFUSE_CONNECTIONS = "refuse connections"
    """For a while nobody can connect."""
    JUMP = "jump"
    """The gateway's clock on the wall is set."""


_ANY = tuple(pb.MessageKind.values())
_WEIGHTS = {
    Fault.DELAY: 30,
    Fault.TWICE: 20,
    Fault.LOSE: 12,
    Fault.GARBAGE: 10,
    Fault.BREAK: 14,
    Fault.FREEZE: 8,
    Fault.REFUSE: 6,
}
_BLOWS = {
    Blow.RESTART: 2,
    Blow.DRAIN: 3,
    Blow.BREAK_ALL: 3,
    Blow.FREEZE_ALL: 2,
    Blow.REFUSE_CONNECTIONS: 2,
    Blow.JUMP: 3,
}


@dataclass
class Schedule:
    """One story of misfortune. `rate`: how many of the frames are struck while it lasts."""

    seed: int
    rate: float = 0.0
    seconds: float = 0.0
    blows: list[tuple[float, Blow, float]] = field(default_factory=list)
    """The pause before each, what it is, and a number that it may need."""
    limit: int | None = None
    """How many functions the worker runs at once."""

    @classmethod
    def of(cls, seed: int) -> Schedule:
        """The schedule of a seed."""
        chance = random.Random(seed)
        count = chance.choice((0, 1, 1, 2, 3))
        seconds = chance.uniform(0.15, 0.6)
        drawn = chance.choices(list(_BLOWS), list(_BLOWS.values()), k=count)
        return cls(
            seed=seed,
            rate=chance.choice((0.0, 0.05, 0.15, 0.3)),
            seconds=seconds,
            blows=[
                (chance.uniform(0.02, seconds / (count or 1)), b, chance.random()) for b in drawn
            ],
            limit=chance.choice((None, None, 2, 5)),
        )

    def faults(self) -> Iterator[tuple[Fault, float] | None]:
        """What becomes of one frame after the other, with a number that it may need."""
        chance = random.Random(self.seed + 1)
        while True:
            struck = chance.random() < self.rate
            fault = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))[0]
            yield (fault, chance.random()) if struck else None
