"""
An outcome as a value, and an error as the wire carries it.

The machine and middleware pass outcomes on instead of exceptions in flight.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, NoReturn, TypeVar

from .errors import InngestError, fit, format_stack

T = TypeVar("T")

_MAX_CAUSES = 10


@dataclass(slots=True)
class Ok(Generic[T]):
    """It returned *value*."""

    value: T

    def unwrap(self) -> T:
        return self.value


@dataclass(slots=True)
class Err:
    """It raised *error*."""

    error: BaseException

    def unwrap(self) -> NoReturn:
        raise self.error


@dataclass(slots=True)
class Paused:
    """It neither returned nor raised: the server will call again."""

    def unwrap(self) -> None:
        return None


Outcome = Ok[T] | Err | Paused


def error_record(error: BaseException, depth: int = 0) -> dict[str, object]:
    """
    An error as the wire carries it: code, message, name and stack.

    cause is added only where the user wrote ``raise ... from``.
    """
    known = error if isinstance(error, InngestError) else None
    stack = known.stack if known else format_stack(error)
    record: dict[str, object] = {
        "code": known.code if known else "unknown",
        "message": fit(known.message if known else _text(error)),
        "name": known.name if known else type(error).__name__,
        "stack": None if stack is None else fit(stack),
    }
    if error.__cause__ is not None and depth < _MAX_CAUSES:
        record["cause"] = error_record(error.__cause__, depth + 1)
    return record


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as broken:
        return f"<its text cannot be made: {type(broken).__name__}>"
