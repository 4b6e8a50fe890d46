"""
Drives the engine: one loop, one turn at a time, no polling.

A turn applies every command that is waiting and everything that is due, stores all changes in
one transaction, and only then performs the effects and answers the callers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inngest_contrib.devserver.engine.commands import Command, Expressions, NextTick
from inngest_contrib.devserver.reads import Reads


@dataclass(slots=True, frozen=True, kw_only=True)
class ServerConfig:
    """What an embedded server is started with."""

    database: str | None = None
    """Path of the SQLite file; None keeps everything in memory."""
    durability: str = "normal"
    """`normal` survives kill -9; `full` also the loss of power, at a price per commit."""
    retry_interval: float | None = None
    """Seconds between attempts, always; None means the real server's backoff table."""
    max_calls: int = 100
    """Calls to apps in progress at once."""
    signing_key: str | None = None
    """Signs the calls to apps when given."""


class Server:
    """The embedded server without its HTTP face."""

    reads: Reads
    """What was committed: events, runs, steps, apps, functions."""

    def __init__(
        self, config: ServerConfig, *, expressions: Expressions, next_tick: NextTick
    ) -> None: ...

    async def start(self) -> None:
        """Open the store, take up what is unfinished. Raises StoreInUse, StoreRefused."""

    async def stop(self, *, grace: float = 10.0) -> None:
        """Start nothing new, wait up to `grace` seconds for calls in progress, close the store."""

    async def submit(self, command: Command) -> Any:
        """Apply a command; return its result (see `commands`) once it is stored."""

    def attach(self, url: str, handler: Any) -> None:
        """Call the app at `url` in process: `handler` is a CommHandler (`answer(request)`)."""

    def watch(self, listener: Callable[[list[Any]], None]) -> Callable[[], None]:
        """Tell `listener` after every commit which records changed; the result ends it."""
        raise NotImplementedError
