"""What a handler is given."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .flow.site import Served
from .flow.step import Running
from .steps import Group, GroupSync, Step, StepSync, enter_step_context
from .wire.call import CallRequest
from .wire.event import Event, read_event


@dataclass(slots=True)
class Context:
    """
    What an async handler is given.

    attempt: from 0. event: what started the run, the first of events in a batch.
    logger: the client's, quiet while the function is replayed.
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


class ReplayLogger:
    """The client's logger, quiet until the function has passed what ran before."""

    __slots__ = ("_running",)

    def __init__(self, running: Running) -> None:
        self._running = running

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._running.home.logger, name)
        return (
            functools.partial(self._unless_replaying, attribute)
            if callable(attribute)
            else attribute
        )

    def _unless_replaying(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return method(*args, **kwargs) if self._running.awake else None


def new_context(running: Running, call: CallRequest, served: Served) -> Context | ContextSync:
    """The context of one call."""
    event, events = _events(call)
    shared: dict[str, Any] = {
        "attempt": call.attempt,
        "event": event,
        "events": events,
        "job_id": call.job_id,
        "logger": ReplayLogger(running),
        "request_id": call.request_id,
        "run_id": call.run_id,
    }
    if served.blocking:
        return ContextSync(group=GroupSync(running), step=StepSync(running), **shared)
    return Context(group=_GROUP, step=Step(running), **shared)


def _events(call: CallRequest) -> tuple[Event, list[Event]]:
    """The trigger and all events; the trigger is the first of them, unless a server differs."""
    events = [read_event(event, f"events.{n}") for n, event in enumerate(call.events)]
    if events and call.event == call.events[0]:
        return events[0], events
    return read_event(call.event, "event"), events


_GROUP = Group()


def enter(context: Context | ContextSync) -> Callable[[], None]:
    """Let ``get_step_context`` find the steps of this call, until the result is called."""
    return enter_step_context(context.step)
