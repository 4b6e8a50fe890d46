"""
Runs that repeat another one: from the beginning, or from a step on, maybe with other arguments.

From a step on, what had ended before it is taken over, and the first call names that step. Its new
arguments stand in the place of its memo until it has one.
"""

from __future__ import annotations

from inngest_contrib.devserver.engine import queue, runs, steps, text
from inngest_contrib.devserver.engine.commands import KeptStep, Rerun
from inngest_contrib.devserver.engine.state import Run, Status, Step
from inngest_contrib.devserver.engine.turn import Turn


def rerun(turn: Turn, command: Rerun) -> str | None:
    """Start a run that repeats another; None if its function is no longer registered."""
    function = turn.state.functions.get(command.function_id)
    if function is None or function.archived:
        return None
    for event in command.events:
        # The original may have been old, and deleted with its events a moment ago.
        turn.changes.keep(event)
    run = runs.create(
        turn,
        function,
        command.events,
        cron=command.cron,
        original_run_id=command.original_run_id,
    )
    run.retries = command.retries
    if command.step is None:
        queue.discover(turn, run)
        return run.id
    for kept in command.kept:
        _take_over(turn, run, kept)
    _begin_at(turn, run, command.step, command.input)
    return run.id


def _take_over(turn: Turn, run: Run, kept: KeptStep) -> None:
    step = _add(run, kept, Status.FAILED if kept.failed else Status.COMPLETED)
    step.ended_at = kept.ended_at
    step.opts, step.details = kept.opts, kept.details
    steps.memoize(run, step, kept.memo)
    turn.changes.keep(step)


def _begin_at(turn: Turn, run: Run, target: KeptStep, given: bytes | None) -> None:
    step = _add(run, target, Status.QUEUED)
    step.queued_at, step.started_at, step.attempts = turn.now, None, 0
    if given is not None:
        step.details = b'{"input":%b}' % given
        restore_input(run, step)
    turn.changes.keep(step)
    queue.enqueue(turn, run, step.id)


def _add(run: Run, kept: KeptStep, status: Status) -> Step:
    number = len(run.steps)
    step = Step(run.id, kept.id, kept.name, kept.op, status, kept.queued_at, number)
    step.started_at, step.attempts = kept.started_at, kept.attempts
    run.steps[step.id] = step
    return step


def restore_input(run: Run, step: Step) -> None:
    """Let calls tell the new arguments of a step, if it was given some."""
    given = None if step.details is None else text.read(step.details).get("input")
    if given is not None:
        run.memos.add(step.id, text.write_key(step.id) + text.write({"input": given}))
