"""Connections of workers: their phases, and which of them gets the next request of an app."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from inngest_contrib.devserver.connect.handshake import Introduction
from inngest_contrib.devserver.connect.requests import Request
from inngest_contrib.devserver.connect.times import Moment
from inngest_core.connect import connect_pb2 as pb

if TYPE_CHECKING:
    from inngest_contrib.devserver.engine.timers import Timer


class Phase(Enum):
    """Where a connection stands."""

    GREETED = "greeted"
    """It is open; the worker has not said who it is."""
    SYNCING = "syncing"
    """Its apps are being registered."""
    CONNECTED = "connected"
    """They are; the worker wants to say itself when it is ready."""
    READY = "ready"
    DRAINING = "draining"
    """It gets no more requests, and goes on with those it has."""
    CLOSED = "closed"


STATUS = {
    Phase.GREETED: pb.CONNECTED,
    Phase.SYNCING: pb.CONNECTED,
    Phase.CONNECTED: pb.CONNECTED,
    Phase.READY: pb.READY,
    Phase.DRAINING: pb.DRAINING,
    Phase.CLOSED: pb.DISCONNECTED,
}
"""What the lists of workers call it."""


@dataclass(slots=True, eq=False)
class Connection:
    """One socket of a worker."""

    link: int
    """By which the driver knows its socket."""
    opened: Moment
    heard: Moment
    """When the worker last gave a sign of life of the kind that counts."""
    phase: Phase = Phase.GREETED
    worker: Introduction | None = None
    groups: dict[str, str] = field(default_factory=dict)
    """By app: the checksum of its functions."""
    synced: dict[str, str] = field(default_factory=dict)
    """The same by the ids of the apps, once they are registered."""
    app_ids: dict[str, str] = field(default_factory=dict)
    fresh: bool = True
    """Whether that was not too long ago."""
    leaves_at: int | None = None
    """By when it must be gone, once it was asked to go."""
    closed: Moment | None = None
    requests: dict[str, Request] = field(default_factory=dict)
    turn: int = 0
    """The higher, the later it got its last request."""
    timer: Timer | None = None

    @property
    def apps(self) -> tuple[str, ...]:
        """The names of the apps it runs."""
        return () if self.worker is None else tuple({app.name: 0 for app in self.worker.apps})

    @property
    def routable(self) -> bool:
        """Whether it may get requests at all."""
        return self.phase is Phase.READY and self.fresh

    @property
    def room(self) -> int | None:
        """How many more it takes; None: any number."""
        limit = None if self.worker is None else self.worker.limit
        return None if limit is None else max(0, limit - len(self.requests))

    def disarm(self) -> None:
        """Nothing is due any more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None


class Roster:
    """The connections by their apps."""

    def __init__(self) -> None:
        self._by_app: dict[str, list[Connection]] = {}
        self._turns = 0

    def enter(self, connection: Connection) -> None:
        """Let it be found."""
        for app in connection.apps:
            self._by_app.setdefault(app, []).append(connection)

    def leave(self, connection: Connection) -> None:
        """It is no more."""
        for app in connection.apps:
            found = self._by_app.get(app, [])
            if connection in found:
                found.remove(connection)

    def choose(self, app: str, *, rather_not: Connection | None = None) -> Connection | None:
        """The one that gets the next request: with the fewest, of these the one longest without."""
        free = [one for one in self._by_app.get(app, ()) if one.routable and one.room != 0]
        if not free:
            return None
        found = min(free, key=lambda one: (one is rather_not, len(one.requests), one.turn))
        self._turns += 1
        found.turn = self._turns
        return found

    def connected(self, app: str) -> int:
        """How many there are that get requests."""
        return sum(one.routable for one in self._by_app.get(app, ()))

    def room(self, app: str) -> int | None:
        """How many requests they take together; None: any number."""
        rooms = [one.room for one in self._by_app.get(app, ()) if one.routable]
        return None if None in rooms else sum(room or 0 for room in rooms)
