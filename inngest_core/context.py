"""What a handler is given."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .flow.running import Running
from .flow.site import Served
from .groups import Group, GroupSync
from .steps import Step, StepSync
from .surroundings import enter_step_context
from .wire.call import CallRequest
from .wire.event import Event, read_event


@dataclass(slots=True)
class Context:
    """
    What an async handler is given.

    attempt: from 0. event: what started the run, the first of events in a batch.
    headers: of the server's request, their names in lower case. logger: the client's,
    quiet while the function is replayed.
    """

    attempt: int
    event: Event
    events: list[Event]
    group: Group
    job_id: str | None
    logger: Any
    request_id: str | None
    run_id: str
    step: Step
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(slots=True)
class ContextSync:
    """What a blocking handler is given: as Context, with blocking steps."""

    attempt: int
    event: Event
    events: list[Event]
    group: GroupSync
    job_id: str | None
    logger: Any
    request_id: str | None
    run_id: str
    step: StepSync
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)


class ReplayLogger:
    """The client's logger, quiet until the function has passed what ran before."""

    __slots__ = ("_derived", "_running")

    def __init__(self, running: Running, derived: Any = None) -> None:
        self._running = running
        self._derived = derived

    def __getattr__(self, name: str) -> Any:
        logger = self._running.home.logger if self._derived is None else self._derived
        attribute = getattr(logger, name)
        if name in _DERIVING:
            return functools.partial(self._derive, attribute)
        if self._running.awake or name in _TELLING or not callable(attribute):
            # As it is, so that a line is said to come from where the user wrote it.
            return attribute
        return functools.partial(self._unless_replaying, attribute)

    def _derive(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> ReplayLogger:
        return ReplayLogger(self._running, method(*args, **kwargs))

    def _unless_replaying(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if self._running.awake:
            return method(*args, **kwargs)
        return _nothing() if inspect.iscoroutinefunction(method) else None


async def _nothing() -> None:
    """What is awaited in the place of a line that is not written."""


# What makes another logger, in the standard library, structlog and loguru.
_DERIVING = frozenset({"bind", "getChild", "new", "opt", "patch", "try_unbind", "unbind"})
# What writes no line, but whose result counts.
_TELLING = frozenset(
    {
        "contextualize",
        "getChildren",
        "getEffectiveLevel",
        "get_effective_level",
        "hasHandlers",
        "isEnabledFor",
        "is_enabled_for",
    }
)


def new_context(running: Running, call: CallRequest, served: Served) -> Context | ContextSync:
    """The context of one call."""
    event, events = _events(call)
    shared: dict[str, Any] = {
        "attempt": call.attempt,
        "event": event,
        "events": events,
        "headers": running.headers,
        "job_id": call.job_id,
        "logger": ReplayLogger(running),
        "request_id": call.request_id,
        "run_id": call.run_id,
    }
    if served.blocking:
        return ContextSync(group=GroupSync(running), step=StepSync(running), **shared)
    return Context(group=_GROUP, step=Step(running), **shared)


def _events(call: CallRequest) -> tuple[Event, list[Event]]:
    """The trigger and all events: objects apart, since middleware may change each of them."""
    events = [read_event(event, f"events.{n}") for n, event in enumerate(call.events)]
    return read_event(call.event, "event"), events


_GROUP = Group()


def enter(context: Context | ContextSync) -> Callable[[], None]:
    """Let ``get_step_context`` find the steps of this call, until the result is called."""
    return enter_step_context(context.step)
