"""
Workers that are connected: how many calls they can take, as their gateway tells it.

A call that they have no place for waits behind a gate, as for any other limit. So it takes nobody
else's place, and goes out the moment a worker is there.
"""

from __future__ import annotations

from inngest_contrib.devserver.engine.commands import NoteWorkers, Warn
from inngest_contrib.devserver.engine.lanes import Gate
from inngest_contrib.devserver.engine.state import Function
from inngest_contrib.devserver.engine.turn import Turn


class WorkersGate(Gate):
    """The places of an app's workers. What is told of them counts; entering only anticipates it."""

    __slots__ = ("_told", "app", "connected", "room")

    def __init__(self, app: str) -> None:
        super().__init__()
        self.app = app
        self.connected = 0
        self.room: int | None = 0
        self._told = False
        """Whether the log has it that nobody is there."""

    def is_open(self, now: int) -> bool:
        """Whether a worker has a place."""
        return self.room is None or self.room > 0

    def enter(self, turn: Turn) -> None:
        """Take a place, wherever it is."""
        if self.room is not None:
            self.room -= 1

    def leave(self, turn: Turn) -> None:
        """Nothing: the gateway tells which places are free again."""

    def turn_away(self, turn: Turn) -> None:
        """Tell whoever wonders why nothing happens."""
        if self.connected or self._told:
            return
        self._told = True
        message = f'No worker is connected for the app "{self.app}": its runs wait for one.'
        turn.effects.append(Warn(message))

    def note(self, turn: Turn, connected: int, room: int | None) -> None:
        """Believe what is told, and have those who wait tried."""
        self.connected, self.room = connected, room
        self._told = self._told and not connected
        self.settle(turn)


def note(turn: Turn, command: NoteWorkers) -> None:
    """Workers came or went, or have a place more or less."""
    _gate(turn, command.app).note(turn, command.connected, command.room)


def gate_of(turn: Turn, function: Function) -> WorkersGate | None:
    """The gate before the calls of a function; None where no worker runs it."""
    return _gate(turn, function.app_name) if function.by_worker else None


def _gate(turn: Turn, app: str) -> WorkersGate:
    gates = turn.state.control.workers
    if app not in gates:
        gates[app] = WorkersGate(app)
    return gates[app]
