"""What flow control remembers: what is counted, what is held back, and who waits for what."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from inngest_contrib.devserver.engine.lanes import (
        Gate,
        Lane,
        LaneKey,
        Line,
        MeterGate,
        MeterKey,
    )
    from inngest_contrib.devserver.engine.state import Event, Function, Run
    from inngest_contrib.devserver.engine.timers import Timer
    from inngest_contrib.devserver.engine.workers import WorkersGate


@dataclass(slots=True)
class Meter:
    """How much of a rate is used up. `even_at`: unix microseconds, see meters.py."""

    TABLE: ClassVar[str] = "meters"
    function_id: str
    kind: str
    bucket: str
    even_at: int

    @property
    def key(self) -> str:
        return self.function_id + self.kind + self.bucket


@dataclass(slots=True)
class Held:
    """An event that is held back. `correlation`: of the step that invoked the function by it."""

    TABLE: ClassVar[str] = "held"
    holding_id: str
    number: int
    event: Event
    correlation: str | None

    @property
    def key(self) -> str:
        return f"{self.holding_id}.{self.number}"


@dataclass(slots=True)
class Holding:
    """Events of a function that are held back until `due`: a batch, or the last of a burst."""

    TABLE: ClassVar[str] = "holdings"
    id: str
    function: Function
    bucket: str
    began_at: int
    due: int
    held: list[Held] = field(default_factory=list)
    size: int = 0
    """Of the data of a batch, in bytes."""
    timer: Timer | None = None

    @property
    def key(self) -> str:
        return self.id


@dataclass(slots=True)
class Control:
    """All of it. What is not a record is made again from the live runs at a restart."""

    tickets: int = 0
    """The last ticket given to a job that waits for its turn."""
    lanes: dict[LaneKey, Lane] = field(default_factory=dict)
    throttles: dict[MeterKey, MeterGate] = field(default_factory=dict)
    workers: dict[str, WorkersGate] = field(default_factory=dict)
    """By the name of the app, of apps that have workers or wait for some."""
    lines: dict[tuple[Gate, ...], Line] = field(default_factory=dict)
    inside: dict[str, tuple[Gate, ...]] = field(default_factory=dict)
    """By the id of the job whose call is in progress: the gates it has passed and must leave."""
    singles: dict[tuple[str, str], dict[str, Run]] = field(default_factory=dict)
    """Live runs by function and bucket, of functions that allow one at a time."""
    meters: dict[tuple[str, str, str], Meter] = field(default_factory=dict)
    """By function, kind and bucket."""
    holdings: dict[tuple[str, str], Holding] = field(default_factory=dict)
    """By function and bucket."""
    reported: set[tuple[str, str]] = field(default_factory=set)
    """Functions and expressions of theirs that the log has named as failing."""
