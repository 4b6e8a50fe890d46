"""
Keys: the value of an expression on an event says which limit, batch or window the event is under.

Law: an expression that fails crashes nothing. It is reported once and counts as no key at all.
"""

from __future__ import annotations

from hashlib import sha256

from inngest_contrib.devserver.engine import text
from inngest_contrib.devserver.engine.commands import Json, Warn
from inngest_contrib.devserver.engine.state import Event, Function
from inngest_contrib.devserver.engine.turn import Turn

NO_KEY = ""
_FAILED = object()


def find(turn: Turn, function: Function, expression: str, event: Event) -> str:
    """The bucket of an event: of all events without a key, or of those with the same value."""
    if not expression:
        return NO_KEY
    value = _evaluate(turn, function, expression, event)
    return NO_KEY if value is _FAILED else _bucket(value)


def find_if_given(
    turn: Turn, function: Function, expression: str, event: Event, *, unless: tuple[Json, ...]
) -> str | None:
    """The same; None where the value is one that lets the event pass by."""
    if not expression:
        return NO_KEY
    value = _evaluate(turn, function, expression, event)
    if value is _FAILED:
        return NO_KEY
    if any(type(value) is type(other) and value == other for other in unless):
        return None
    return _bucket(value)


def find_number(turn: Turn, function: Function, expression: str, event: Event) -> int:
    """A whole number; 0 for anything else: numbers of an event are doubles and do not count."""
    value = _evaluate(turn, function, expression, event)
    return value if type(value) is int else 0


def _evaluate(turn: Turn, function: Function, expression: str, event: Event) -> Json:
    try:
        return turn.expressions.evaluate(expression, event.value)
    except ValueError as error:
        _report(turn, function, expression, error)
        return _FAILED


def _report(turn: Turn, function: Function, expression: str, error: ValueError) -> None:
    if (function.id, expression) not in turn.state.control.reported:
        turn.state.control.reported.add((function.id, expression))
        turn.effects.append(
            Warn(f'{function.slug}: "{expression}" counts as if it were not there: {error}')
        )


def _bucket(value: Json) -> str:
    try:
        written = text.write(value)
    except (TypeError, ValueError):
        # Instants and bytes exist in expressions, but not in JSON.
        written = repr(value).encode()
    return sha256(written).hexdigest()[:32]
