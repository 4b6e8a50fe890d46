"""
Wrappers: middleware that surrounds a call, a step or a send.

A wrapper is a generator method that yields exactly once. What comes back at the
yield is an outcome, never an exception in flight; the innermost wrapper sees it
first. Each is driven in the task or thread of what it surrounds.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import MiddlewareError
from ..result import Err, Ok, Outcome, Paused
from .effect import Do, Flow

Wrapper = Callable[..., Any]


@dataclass(slots=True)
class _Ended:
    """The generator has ended; what it returned, None where it kept the outcome."""

    value: Any


@dataclass(slots=True)
class _InFlight(Err):
    """An error that is to be raised behind the wrappers; they see it, and cannot replace it."""


def surround(
    wrappers: tuple[Wrapper, ...], args: tuple[Any, ...], inner: Flow[Outcome[Any]]
) -> Flow[Outcome[Any]]:
    """
    The outcome of *inner*, as the wrappers leave it.

    Whatever else *inner* raises, a cancellation too, is shown to them as an Err and
    raised again behind them.
    """
    if not wrappers:
        return (yield from inner)
    entered: list[tuple[Wrapper, Any]] = []
    outcome = yield from _caught(_inside(wrappers, args, inner, entered))
    for wrapper, generator in reversed(entered):
        outcome = yield from _out_of(wrapper, generator, outcome)
    if isinstance(outcome, _InFlight):
        raise outcome.error
    return outcome


def _inside(
    wrappers: tuple[Wrapper, ...],
    args: tuple[Any, ...],
    inner: Flow[Outcome[Any]],
    entered: list[tuple[Wrapper, Any]],
) -> Flow[Outcome[Any]]:
    """Enter every wrapper, noting it in *entered*, and run *inner*."""
    for wrapper in wrappers:
        entered.append((wrapper, (yield from _enter(wrapper, args))))
    return (yield from inner)


def _caught(inner: Flow[Outcome[Any]]) -> Flow[Outcome[Any]]:
    try:
        return (yield from inner)
    except GeneratorExit:
        # Nobody drives this flow any more.
        raise
    except BaseException as error:
        return _InFlight(error)


class Carried(Exception):
    """Carries an error through a generator that would make another one of it."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def outcome_of(inner: Flow[Any]) -> Flow[Outcome[Any]]:
    """What *inner* returns or raises, as a value. Interrupts and cancellations pass."""
    try:
        return Ok((yield from inner))
    except Carried as carried:
        return Err(carried.error)
    except MiddlewareError:
        raise
    except (Exception, SystemExit) as error:
        return Err(error)


def _enter(wrapper: Wrapper, args: tuple[Any, ...]) -> Flow[Any]:
    """Run the first half of a wrapper; its generator."""
    try:
        generator = wrapper(*args)
        if not (inspect.isgenerator(generator) or inspect.isasyncgen(generator)):
            raise TypeError("it is no generator; it must yield exactly once")
        if isinstance((yield from _advance(wrapper, generator, None)), _Ended):
            raise TypeError("it ended without a yield; it must yield exactly once")
    except MiddlewareError:
        raise
    except Exception as error:
        raise _failure(wrapper, error) from error
    return generator


def _out_of(wrapper: Wrapper, generator: Any, outcome: Outcome[Any]) -> Flow[Outcome[Any]]:
    left = yield from _caught(_leave(wrapper, generator, outcome))
    return outcome if isinstance(outcome, _InFlight) else left


def _leave(wrapper: Wrapper, generator: Any, outcome: Outcome[Any]) -> Flow[Outcome[Any]]:
    """Run the second half of a wrapper; the outcome that it leaves."""
    try:
        ended = yield from _advance(wrapper, generator, outcome)
        if not isinstance(ended, _Ended):
            yield from _close(generator)
            raise TypeError("it yielded a second time; it must yield exactly once")
        return _replaced(outcome, ended.value)
    except BaseException as error:
        if isinstance(outcome, Err) and _unwrapped(error) is outcome.error:
            return outcome
        if isinstance(error, MiddlewareError) or not isinstance(error, Exception):
            raise
        raise _failure(wrapper, error) from error


def _unwrapped(error: BaseException) -> BaseException | None:
    """The error that ``outcome.unwrap()`` has raised, if it left the wrapper as *error*."""
    if isinstance(error, RuntimeError) and isinstance(error.__cause__, StopIteration):
        # No generator can raise that one as what it is.
        return error.__cause__
    return error


def _replaced(outcome: Outcome[Any], other: Any) -> Outcome[Any]:
    if other is None or other is outcome or isinstance(outcome, _InFlight):
        return outcome
    if isinstance(outcome, Paused):
        raise TypeError("it returned an outcome for a call that is only paused")
    if not isinstance(other, (Ok, Err)):
        raise TypeError(f"it returned a {type(other).__name__}; only Ok and Err are outcomes")
    return other


def _advance(wrapper: Wrapper, generator: Any, value: Any) -> Flow[Any]:
    """Let *generator* go on to its next yield, or to its end."""
    try:
        if inspect.isgenerator(generator):
            return generator.send(value)
        yielded = yield Do(generator.asend, (value,))
    except (StopIteration, StopAsyncIteration) as end:
        return _Ended(getattr(end, "value", None))
    if hasattr(type(yielded), "__await__"):
        # Only a blocking driver leaves it unawaited.
        yielded.close()
        raise MiddlewareError(async_in_blocking(wrapper))
    return yielded


def _close(generator: Any) -> Flow[None]:
    if inspect.isasyncgen(generator):
        yield Do(generator.aclose, ())
    else:
        generator.close()


def _failure(wrapper: Wrapper, error: BaseException) -> MiddlewareError:
    return MiddlewareError(f"middleware {title(wrapper)} failed: {error}")


def async_in_blocking(hook: Callable[..., Any]) -> str:
    """What to say of an async hook where nothing could await it."""
    return (
        f"middleware {title(hook)} is async, but the function or send is blocking; "
        "write it as a plain def, or derive from MiddlewareSync"
    )


def title(hook: Callable[..., Any]) -> str:
    """How a hook is called in errors."""
    return getattr(hook, "__qualname__", repr(hook))
