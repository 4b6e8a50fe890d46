"""
An outcome as a value, and an error as the wire carries it.

The machine and middleware pass outcomes on instead of exceptions in flight.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, NoReturn, TypeVar, Union

from .errors import InngestError

T = TypeVar("T")

_HOME = os.path.dirname(os.path.abspath(__file__)) + os.sep
_MAX_TEXT = 64 * 1024
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


Outcome = Union[Ok[T], Err, Paused]


def format_stack(error: BaseException) -> str | None:
    """The traceback of *error* with the user's frames and without ours; None if it has none."""
    if error.__traceback__ is None:
        return None
    import traceback

    frames = traceback.StackSummary.extract(
        frame for frame in traceback.walk_tb(error.__traceback__) if not _ours(frame[0].f_code)
    )
    lines = ["Traceback (most recent call last):\n", *frames.format()]
    return cut("".join(lines + traceback.format_exception_only(type(error), error)))


def _ours(code: object) -> bool:
    filename: str = getattr(code, "co_filename", "")
    return filename.startswith(_HOME)


def strip_frames(tb: TracebackType | None) -> TracebackType | None:
    """Drop our own frames from the top of a traceback."""
    while tb is not None and _ours(tb.tb_frame.f_code):
        tb = tb.tb_next
    return tb


def cut(text: str) -> str:
    """Shorten a text that no reader would finish, and say so."""
    if len(text) <= _MAX_TEXT:
        return text
    half = _MAX_TEXT // 2
    return f"{text[:half]}\n[{len(text) - _MAX_TEXT} characters cut]\n{text[-half:]}"


def error_record(error: BaseException, depth: int = 0) -> dict[str, object]:
    """
    An error as the wire carries it: code, message, name and stack.

    cause is added only where the user wrote ``raise ... from``.
    """
    known = error if isinstance(error, InngestError) else None
    record: dict[str, object] = {
        "code": known.code if known else "unknown",
        "message": cut(known.message if known else str(error)),
        "name": known.name if known else type(error).__name__,
        "stack": known.stack if known else format_stack(error),
    }
    if error.__cause__ is not None and depth < _MAX_CAUSES:
        record["cause"] = error_record(error.__cause__, depth + 1)
    return record
