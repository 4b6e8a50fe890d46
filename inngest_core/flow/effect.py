"""
What a flow asks of its driver.

A flow is a generator: it yields effects and is sent their results. It never
performs anything, so one flow serves blocking and async drivers alike.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any, TypeVar

from ..execution.standing import Reached, Ruling, Standing, Verdict
from ..wire.http import HttpRequest

__all__ = [
    "Call",
    "Do",
    "Effect",
    "Flow",
    "Leave",
    "Pause",
    "Reached",
    "Resume",
    "Ruling",
    "Send",
    "Stand",
    "Standing",
    "Verdict",
]

T = TypeVar("T")


@dataclass(slots=True)
class Send:
    """Send a request; the result is its HttpResponse. Raises TransportError."""

    request: HttpRequest


@dataclass(slots=True)
class Pause:
    """Let some seconds pass."""

    seconds: float


@dataclass(slots=True)
class Do:
    """Call a user's function; an awaiting driver awaits what it returns, if it can."""

    function: Callable[..., Any]
    args: tuple[Any, ...]


@dataclass(slots=True)
class Call:
    """
    Run a handler; the result is its outcome.

    settle: asked by an awaiting driver about the steps that wait (see Machine.settle).
    connect: is given the driver's way to perform the effects of steps, and the
    handler's own task, or None where the driver blocks.
    blocked: seconds for which the loop did nothing else, set by an awaiting driver.
    """

    handler: Callable[[Any], Any]
    context: Any
    settle: Callable[..., Verdict]
    connect: Callable[[Callable[[Effect], Any], object], None]
    blocked: float | None = None


@dataclass(slots=True)
class Stand:
    """
    Wait where a step was reached; the result is its new Standing.

    A blocking driver leaves the function instead, by raising Interrupt.
    """

    step: Reached


@dataclass(slots=True)
class Leave:
    """Leave the function: its call is decided. There is no result."""


@dataclass(slots=True)
class Resume:
    """A step has ended and the function goes on behind it; others may be next."""


Effect = Send | Pause | Do | Call | Stand | Leave | Resume
Flow = Generator[Effect, Any, T]
