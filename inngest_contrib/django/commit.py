"""
Sending events when the transaction around them commits, and not if it is rolled back.

The ids are known at once: they are made here, and the server is told to use them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

from inngest_core import ConfigError, Event, EventKeyUnspecifiedError, EventSeed, Inngest

from .signals import events_sent, tell


def send_on_commit(
    events: Event | Sequence[Event],
    *,
    client: Inngest | None = None,
    using: str | None = None,
    skip_middleware: bool = False,
    robust: bool = False,
) -> list[str]:
    """
    Send events, as they are now, once the transaction has committed; their ids, at once.

    Outside a transaction they are sent before this returns. client: the project's
    unless given. using: the database whose transaction counts; None for all that are
    open. robust: a send that fails is logged, and the other on_commit functions run; else
    it raises where the transaction ends, which has committed by then.
    """
    batch = _copied(events)
    if not batch:
        return []
    chosen = _project_client() if client is None else client
    if chosen.config.sending_key is None:
        raise EventKeyUnspecifiedError()
    seed = EventSeed.new()
    send = partial(send_now, chosen, batch, skip_middleware=skip_middleware, seed=seed)
    _after([using] if using else _open(), send, robust)
    return seed.ids(len(batch))


def send_now(
    client: Inngest, events: list[Event], *, skip_middleware: bool, seed: EventSeed | None
) -> list[str]:
    """Send events, and tell the signal."""
    ids = client.send_sync(events, skip_middleware=skip_middleware, seed=seed)
    tell(events_sent, Inngest, client=client, events=events, ids=ids)
    return ids


def in_transaction() -> bool:
    """Whether the caller is in a transaction of any database."""
    return any(connection.in_atomic_block for connection in connections.all(initialized_only=True))


def _after(aliases: list[str], send: Callable[[], Any], robust: bool) -> None:
    """Call *send* when the transactions of all these databases have committed."""
    pending = set(aliases)

    for alias in aliases:
        # No partial: Django 5.0 wants the name of what fails.
        def send_events(alias: str = alias) -> None:
            pending.discard(alias)
            if not pending:
                send()

        transaction.on_commit(send_events, using=alias, robust=robust)


def _open() -> list[str]:
    """The databases with a transaction; the default one if there is none."""
    found = [one.alias for one in connections.all(initialized_only=True) if _has_own_block(one)]
    return found or [DEFAULT_DB_ALIAS]


def _has_own_block(connection: BaseDatabaseWrapper) -> bool:
    # A TestCase surrounds every database with a block that never commits.
    return any(not getattr(block, "_from_testcase", False) for block in connection.atomic_blocks)


def _copied(events: Event | Sequence[Event]) -> list[Event]:
    given: list[Any] = [events] if isinstance(events, Event) else list(events)
    for index, event in enumerate(given):
        if not isinstance(event, Event):
            kind = type(event).__name__
            raise ConfigError(f"events[{index}]: expected an Event, got {kind}")
        if not event.name:
            raise ConfigError(f"events[{index}].name: an event needs a name")
    return [event.model_copy(deep=True) for event in given]


def _project_client() -> Inngest:
    from .project import project

    return project.client()
