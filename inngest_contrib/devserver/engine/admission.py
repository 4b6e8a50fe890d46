"""
The gate between an event that matches a function and the run that it starts.

Whatever decides that an event starts no run, or another, or a later one (rate limit, debounce,
batch, throttle, singleton, idempotency) belongs here. So far: one run per event id and function.
"""

from __future__ import annotations

from inngest_contrib.devserver.engine import runs
from inngest_contrib.devserver.engine.limits import DEDUPE_WINDOW
from inngest_contrib.devserver.engine.state import Dedupe, Event, Function
from inngest_contrib.devserver.engine.turn import Turn


def admit(turn: Turn, function: Function, event: Event) -> None:
    """Start a run of the function for the event, unless something stands against it."""
    # Ids that the server made itself cannot come twice.
    if event.external_id == event.id or first_seen(turn, function.id, event.external_id):
        runs.start(turn, function, [event])


def first_seen(turn: Turn, function_id: str, event_id: str) -> bool:
    """Remember an event id for a day; False if it was known. Without a function: to the server."""
    known = turn.state.dedupes.get((function_id, event_id))
    if known is not None and known.expires > turn.now:
        return False
    seen = Dedupe(function_id, event_id, turn.now + DEDUPE_WINDOW)
    turn.state.dedupes[function_id, event_id] = seen
    turn.timers.add(seen.expires, seen)
    turn.changes.keep(seen)
    return True


def forget(turn: Turn, seen: Dedupe) -> None:
    """The day is over."""
    del turn.state.dedupes[seen.function_id, seen.event_id]
    turn.changes.drop(seen)
