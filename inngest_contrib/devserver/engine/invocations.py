"""Invocations by a key: for a day, the same key leads to the same run."""

from __future__ import annotations

from inngest_contrib.devserver.engine.commands import Invoked
from inngest_contrib.devserver.engine.limits import DEDUPE_WINDOW
from inngest_contrib.devserver.engine.state import Invocation
from inngest_contrib.devserver.engine.turn import Turn


def find(turn: Turn, function_id: str, word: str) -> Invoked | None:
    """What the key has led to before."""
    known = turn.state.invocations.get((function_id, word))
    if known is None or known.expires <= turn.now:
        return None
    return Invoked(known.event_id, known.run_id, known=True)


def remember(turn: Turn, function_id: str, word: str, invoked: Invoked) -> None:
    """Keep what a key has led to."""
    expires = turn.now + DEDUPE_WINDOW
    record = Invocation(function_id, word, invoked.event_id, invoked.run_id, expires)
    register(turn, record)
    turn.changes.keep(record)


def register(turn: Turn, record: Invocation) -> None:
    """Put a record where it is found, until its day is over."""
    turn.state.invocations[record.function_id, record.word] = record
    turn.timers.add(record.expires, record)


def forget(turn: Turn, record: Invocation) -> None:
    """The day is over."""
    place = (record.function_id, record.word)
    if turn.state.invocations.get(place) is record:
        del turn.state.invocations[place]
        turn.changes.drop(record)
