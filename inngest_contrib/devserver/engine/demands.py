"""
What all ops have in common: how their options are read, and the bounds of the run they ask for.

Whatever is wrong with an op is raised as `GaveUp`, and ends its run with the reason.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from inngest_contrib.devserver.engine import runs, steps, text
from inngest_contrib.devserver.engine.instants import read_end
from inngest_contrib.devserver.engine.limits import MAX_PAUSE, MAX_STATE, MAX_STEPS
from inngest_contrib.devserver.engine.replies import Op
from inngest_contrib.devserver.engine.state import Job, Run, Status, Step
from inngest_contrib.devserver.engine.turn import Turn

BAD_OP = "InngestErrBadOp"


class GaveUp(Exception):
    """The run cannot go on; it fails with this name and message."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name
        self.message = message


@contextmanager
def giving_up(turn: Turn, run: Run) -> Iterator[None]:
    """Let the run fail with whatever gives it up within."""
    try:
        yield
    except GaveUp as error:
        runs.fail_with(turn, run, error.name, error.message)


def check_state(run: Run, size: int, *, ahead: int = 0) -> None:
    """Give the run up if a memo of this size is more than it may hold, `ahead` others before it."""
    if len(run.memos) + ahead >= MAX_STEPS:
        raise GaveUp(
            "InngestErrFunctionOverflowed",
            f"The function run exceeded the step limit of {MAX_STEPS} steps.",
        )
    if run.memos.size + run.events_size + size > MAX_STATE:
        raise GaveUp(
            "InngestErrStateOverflowed",
            f"The function run exceeded the state size limit of {MAX_STATE} bytes.",
        )


def notice_step(turn: Turn, job: Job, op: Op) -> Step:
    """The step that an op reports about."""
    step = steps.notice(turn, job.run, op.id, name=op.name, op=op.code.value, status=Status.RUNNING)
    if step.started_at is None:
        step.started_at = step.queued_at = job.started_at
    return step


def add_step(turn: Turn, job: Job, op: Op) -> Step | None:
    """A step that is heard of for the first time; None if it waits, runs or has ended already."""
    run = job.run
    if op.id in run.steps and (run.steps[op.id].ended or op.id in run.jobs or op.id in run.waits):
        return None
    check_state(run, 0)
    step = steps.notice(
        turn,
        run,
        op.id,
        name=op.name,
        op=op.code.value,
        status=Status.QUEUED,
        mode="race" if op.races else "wait" if op.id in run.pending else "",
    )
    step.opts = text.write(op.opts) if op.opts else None
    return step


def text_of(op: Op, key: str) -> str:
    """An option that is text; empty where there is none."""
    value = op.opts.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise GaveUp(BAD_OP, f'{op.code.value} "{op.name}": opts.{key} must be text, got {value!r}')
    return value


def read_until(turn: Turn, wish: str, *, what: str, limit: str) -> int:
    """The instant at which a pause ends. `what` and `limit` tell of it where it is too far off."""
    until = read_end(wish, turn.now)
    if until is None:
        raise GaveUp(
            BAD_OP, f'"{wish}" is neither a duration such as "1h30m" nor an RFC 3339 instant.'
        )
    if until - turn.now > MAX_PAUSE:
        raise GaveUp(
            "InngestErrTimeoutTooLong",
            f"{what} more than one year in the future; {limit} at most one year.",
        )
    return until
