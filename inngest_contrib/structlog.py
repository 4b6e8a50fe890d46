"""
structlog: every line of a call says of which run, function, attempt, event and step it is.

And a processor that drops the lines of a replay, whichever logger wrote them.
"""

from __future__ import annotations

from collections.abc import Generator, MutableMapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from structlog import DropEvent
from structlog.contextvars import bound_contextvars

from inngest_core import (
    Context,
    ContextSync,
    Function,
    MiddlewareSync,
    Outcome,
    StepInfo,
    StepMemos,
)

Wrapper = Generator[None, Outcome[Any], None]


@dataclass(slots=True)
class _Replay:
    """Whether a call only repeats, so far, what earlier calls have done."""

    going_on: bool = False


_replay: ContextVar[_Replay | None] = ContextVar("inngest_structlog_replay", default=None)


class StructlogMiddleware(MiddlewareSync):
    """
    Binds run_id, function_id, attempt and event_name for a call, step_id for a step that executes.

    They stand in ``structlog.contextvars``: the processor ``merge_contextvars`` puts them
    into each line, also into those of libraries. What was bound before is back afterwards.
    """

    def wrap_call(self, ctx: Context | ContextSync, function: Function[Any]) -> Wrapper:
        """What each line of the call says."""
        before = _replay.set(_Replay())
        try:
            with bound_contextvars(
                run_id=ctx.run_id,
                function_id=function.id,
                attempt=ctx.attempt,
                event_name=ctx.event.name,
            ):
                yield
        finally:
            _replay.reset(before)

    def transform_input(
        self, ctx: Context | ContextSync, function: Function[Any], steps: StepMemos
    ) -> None:
        """From here on the call is a replay, if steps of it have run before."""
        self._replaying(steps.size > 0)

    def before_execution(self) -> None:
        """From here on it is not."""
        self._replaying(False)

    def wrap_step(self, step: StepInfo) -> Wrapper:
        """What each line of a step says beside that."""
        with bound_contextvars(step_id=step.id):
            yield

    def _replaying(self, going_on: bool) -> None:
        replay = _replay.get()
        if replay is not None:
            replay.going_on = going_on


def drop_replayed(
    logger: Any, method_name: str, event_dict: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """
    Drop the lines that the code writes again while it is replayed: a structlog processor.

    Stands first, so that a dropped line costs next to nothing. Needs StructlogMiddleware.
    """
    replay = _replay.get()
    if replay is not None and replay.going_on:
        raise DropEvent
    return event_dict
