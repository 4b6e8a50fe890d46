"""
One attempt to be connected: its phases, what can happen to it, and what it was told.

Pure data: what becomes of it is decided in ``protocol``.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ..wire.time import parse_duration
from . import connect_pb2 as pb

# What gateways usually ask for.
HEARTBEAT_SECONDS = 10.0
LEASE_SECONDS = 30.0
SHORTEST_INTERVAL = 0.02


class Phase(enum.Enum):
    """How far a link is. seconds: how long it may be there."""

    STARTING = ("asking the API for a gateway", 60.0)
    OPENING = ("opening the websocket", 15.0)
    GREETING = ("waiting for the gateway's hello", 10.0)
    INTRODUCED = ("waiting until the gateway has taken our apps", 30.0)
    READY = ("ready", None)
    LEAVING = ("leaving its gateway", 30.0)

    def __init__(self, title: str, seconds: float | None) -> None:
        self.title = title
        self.seconds = seconds


class Input(enum.Enum):
    """What can happen to a link."""

    STARTED = enum.auto()
    REFUSED = enum.auto()
    OPENED = enum.auto()
    LOST = enum.auto()
    OVERDUE = enum.auto()
    HELLO = enum.auto()
    READY = enum.auto()
    REQUEST = enum.auto()
    REPLY_ACK = enum.auto()
    HEARTBEAT = enum.auto()
    CLOSING = enum.auto()
    LEASE_ACK = enum.auto()
    SYNC_FAILED = enum.auto()


INPUT_OF = {
    pb.GATEWAY_HELLO: Input.HELLO,
    pb.GATEWAY_CONNECTION_READY: Input.READY,
    pb.GATEWAY_EXECUTOR_REQUEST: Input.REQUEST,
    pb.WORKER_REPLY_ACK: Input.REPLY_ACK,
    pb.GATEWAY_HEARTBEAT: Input.HEARTBEAT,
    pb.GATEWAY_CLOSING: Input.CLOSING,
    pb.WORKER_REQUEST_EXTEND_LEASE_ACK: Input.LEASE_ACK,
    pb.SYNC_FAILED: Input.SYNC_FAILED,
}
"""What a frame is, by its kind; the others are only for gateways."""


@dataclass(slots=True)
class Link:
    """One attempt to be connected. Times are of the protocol's own clock."""

    id: int
    phase: Phase = Phase.STARTING
    deadline: float | None = None
    heartbeat_at: float | None = None
    unanswered: int = 0
    start: pb.StartResponse | None = None

    @property
    def group(self) -> str:
        return self.start.gateway_group if self.start else ""


@dataclass(frozen=True, slots=True)
class Intervals:
    """What a gateway asks for, in seconds; None for never."""

    heartbeat: float = HEARTBEAT_SECONDS
    lease: float = LEASE_SECONDS
    status: float | None = None

    @classmethod
    def read(cls, data: pb.GatewayConnectionReadyData) -> Intervals:
        """Those of a gateway; where it names none, the usual ones. ValueError for no duration."""
        return cls(
            heartbeat=_seconds(data.heartbeat_interval) or HEARTBEAT_SECONDS,
            lease=_seconds(data.extend_lease_interval) or LEASE_SECONDS,
            status=_seconds(data.status_interval),
        )


def _seconds(text: str) -> float | None:
    """The seconds of a duration; None for none."""
    seconds = parse_duration(text) / 1000 if text else 0.0
    return max(seconds, SHORTEST_INTERVAL) if seconds else None
