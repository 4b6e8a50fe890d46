"""One turn of the engine: a moment, and what it has led to so far."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from inngest_contrib.devserver.engine.commands import (
    Changes,
    Effect,
    Expressions,
    NextTick,
    Settings,
)
from inngest_contrib.devserver.engine.ids import Ids
from inngest_contrib.devserver.engine.state import Event, Function, State
from inngest_contrib.devserver.engine.timers import Timers


@dataclass(slots=True, frozen=True)
class Start:
    """A run that something inside the engine asked for: an invoke, or a tick of a schedule."""

    function: Function
    event: Event
    correlation: str | None = None
    cron: str | None = None


@dataclass(slots=True)
class Turn:
    """What every part of the engine is handed: the state, the time, and where to put results."""

    state: State
    timers: Timers
    ids: Ids
    settings: Settings
    expressions: Expressions
    next_tick: NextTick
    now: int
    changes: Changes = field(default_factory=Changes)
    effects: list[Effect] = field(default_factory=list)
    events: deque[Event] = field(default_factory=deque)
    """Internal events that arose and are still to be matched. This is also what keeps the modules
    in layers: whoever ends a run need not know who starts one."""
    starts: deque[Start] = field(default_factory=deque)
    mistakes: list[Exception] = field(default_factory=list)
    """Errors of the engine itself, contained where they arose; for the log."""
