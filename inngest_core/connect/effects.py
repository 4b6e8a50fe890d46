"""
What the protocol asks of its driver.

The protocol performs nothing: whatever it wants done it returns as one of these, in order.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from . import connect_pb2 as pb
from .states import ConnectionState


@dataclass(frozen=True, slots=True)
class Start:
    """Ask the API for a gateway, none of these groups; then ``started`` or ``refused``."""

    link: int
    exclude: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Open:
    """Open a websocket; then ``opened`` or ``lost``, and ``received`` for each frame."""

    link: int
    url: str


@dataclass(frozen=True, slots=True)
class Transmit:
    """Send a frame."""

    link: int
    frame: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Close:
    """End a link, at whatever stage it is. Nothing more is heard or told of it."""

    link: int
    code: int
    reason: str


@dataclass(frozen=True, slots=True)
class Run:
    """Run the function that a request names; then ``finished``."""

    request: pb.GatewayExecutorRequestData = field(repr=False)


@dataclass(frozen=True, slots=True)
class Cancel:
    """Cancel what ``Run`` began, if that is possible; then ``finished``, as without it."""

    request_id: str


@dataclass(frozen=True, slots=True)
class Flush:
    """Post a reply to the API; then ``flushed`` or ``unflushed``."""

    request_id: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Become:
    """Tell the new state."""

    state: ConnectionState


@dataclass(frozen=True, slots=True)
class Note:
    """Log a line. level: as in ``logging``."""

    level: int
    text: str
    args: tuple[object, ...] = ()


@dataclass(frozen=True, slots=True)
class End:
    """All is done: give everything back. error: what the worker failed with."""

    error: Exception | None


Effect = Start | Open | Transmit | Close | Run | Cancel | Flush | Become | Note | End
