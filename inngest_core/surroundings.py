"""The steps of the run that surrounds the code, for code that is not handed a context."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeVar, cast

from typing_extensions import ParamSpec

if TYPE_CHECKING:
    from .steps import Step, StepSync

T = TypeVar("T")
P = ParamSpec("P")

_current: ContextVar[Step | StepSync] = ContextVar("inngest_step")


def get_step_context() -> Step | StepSync:
    """The steps of the run that surrounds the caller; LookupError outside one."""
    return _current.get()


@contextmanager
def set_step_context(step: Step | StepSync) -> Generator[None, None, None]:
    """Make *step* the surrounding one; RuntimeError if there is one already."""
    if _current.get(None) is not None:
        raise RuntimeError("Step context already set")
    token = _current.set(step)
    try:
        yield
    finally:
        _current.reset(token)


def enter_step_context(step: Step | StepSync) -> Callable[[], None]:
    """Make *step* the surrounding one until the returned function is called."""
    token = _current.set(step)
    return functools.partial(_current.reset, token)


def surrounding_sessions() -> Mapping[str, object] | None:
    """The event sessions of the surrounding run, which go along with what is sent in it."""
    current = _current.get(None)
    return None if current is None else current.sessions


def step(step_id: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """
    Make every call of a function a step of the surrounding run.

    Outside a run the function is called as it is.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            current = _current.get(None)
            if current is None:
                return function(*args, **kwargs)
            bound = functools.partial(function, *args, **kwargs)
            return cast(T, current.run(step_id, bound))

        @functools.wraps(function)
        async def acall(*args: P.args, **kwargs: P.kwargs) -> Any:
            return await cast(Any, call)(*args, **kwargs)

        chosen = acall if inspect.iscoroutinefunction(function) else call
        return cast("Callable[P, T]", chosen)

    return decorate
