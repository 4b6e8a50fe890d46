"""The states of a worker's connection, as its users see them."""

from __future__ import annotations

import enum


class ConnectionState(str, enum.Enum):
    """
    Where a worker stands.

    After a loss it is RECONNECTING until the next attempt, then CONNECTING. Once it is told to
    close it is CLOSING while its work ends, whatever becomes of the connection meanwhile.
    """

    CONNECTING = "CONNECTING"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    RECONNECTING = "RECONNECTING"
    CLOSING = "CLOSING"
    CLOSED = "CLOSED"
