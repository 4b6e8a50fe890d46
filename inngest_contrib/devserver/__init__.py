"""
The embedded Inngest server: one process, one SQLite file, for development, tests and one machine.

`engine` decides, `store` keeps, `loop` drives, `executors` call the apps, `api` is the HTTP face.
Importing this package imports none of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from inngest_contrib.devserver.instance import DevServer, SessionServer

    server: SessionServer

__all__ = ["DevServer", "server"]


def __getattr__(name: str) -> Any:
    """Fetch a public name when it is first used; `server` is one for the whole process."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from inngest_contrib.devserver import instance

    value = instance.SessionServer() if name == "server" else instance.DevServer
    globals()[name] = value
    return value
