"""
A worker that keeps a connection open to the server, and needs no inbound HTTP.

Importing this package imports nothing else: each name is fetched when it is first used, since
the messages alone (``connect_pb2``) are of use to others.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .connection import WorkerConnection, connect
    from .states import ConnectionState

__all__ = ["ConnectionState", "WorkerConnection", "connect"]

_MODULES = {"ConnectionState": "states", "WorkerConnection": "connection", "connect": "connection"}


def __getattr__(name: str) -> Any:
    """Fetch a public name from its module."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    try:
        module = import_module(f"{__name__}.{_MODULES[name]}")
    except ModuleNotFoundError as error:
        from .transport import missing

        if (error.name or "").partition(".")[0] != "google":
            raise
        raise missing("protobuf") from error
    value = globals()[name] = getattr(module, name)
    return value
