"""One call on its way to a worker and back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from inngest_core.connect import connect_pb2 as pb

if TYPE_CHECKING:
    from inngest_contrib.devserver.connect.connections import Connection
    from inngest_contrib.devserver.engine.timers import Timer


@dataclass(slots=True, eq=False)
class Request:
    """A call, from the moment the gateway has it until its reply is stored."""

    message: pb.GatewayExecutorRequestData
    timeout: int
    ends_at: int
    """When it has taken too long, whatever its worker says."""
    connection: Connection | None = None
    """Whose it is; None: its worker is lost, or none was there yet."""
    acked: bool = False
    """Whether a worker has said that it works at it."""
    first_lease: str = ""
    """That of the last time it was sent: who knows only older ones has lost it."""
    timer: Timer | None = None
    dropped: bool = False
    """Nobody waits for it any more: its worker may stop."""
    answered: bool = False
    """Whether its outcome is known."""
    postponed: bool = False
    """Whether that is that it found no place."""
    waiting: list[object] = field(default_factory=list)
    """Who wants to know that its reply is stored: links, and tickets of flushes."""

    @property
    def id(self) -> str:
        return self.message.request_id

    @property
    def job_id(self) -> str:
        return self.message.job_id

    @property
    def app(self) -> str:
        return self.message.app_name

    def disarm(self) -> None:
        """Nothing is due any more."""
        if self.timer is not None:
            self.timer.cancel()
            self.timer = None
