"""
Jobs: calls that are to be made, from the wish for one to the call itself.

A run has at most one discovery job, and one job per planned step. So the function is never asked
twice at once what comes next, and a step that is planned again is not run again.
What limits and orders the calls (concurrency, throttle, priority) stands in lanes.py.
"""

from __future__ import annotations

import heapq

from inngest_contrib.devserver.engine import lanes, terms
from inngest_contrib.devserver.engine.body import build_call
from inngest_contrib.devserver.engine.state import Deadline, Job, Run, Status, Step
from inngest_contrib.devserver.engine.turn import Turn
from inngest_core.wire.names import DISCOVERY_STEP


def discover(turn: Turn, run: Run, *, at: int | None = None) -> None:
    """Ask the function what comes next; a job that is waiting to do so serves as well."""
    job = run.jobs.get(DISCOVERY_STEP)
    if job is None:
        enqueue(turn, run, DISCOVERY_STEP, at=at)
    elif job.calling:
        # The call on its way does not know what has just ended.
        job.again = True


def enqueue(turn: Turn, run: Run, step: str, *, at: int | None = None) -> None:
    """Add a job of a run, now or at a later time."""
    run_at = turn.now if at is None else at
    if run.terms is not None and run.terms.shift < 0:
        run_at -= run.terms.shift
    job = Job(id=turn.ids.job(), run=run, step=step, run_at=run_at)
    run.jobs[step] = job
    arm(turn, job)
    turn.changes.keep(job)


def arm(turn: Turn, job: Job) -> None:
    """Put a job where it waits: in the queue, or in the heap until its time comes."""
    turn.state.jobs[job.id] = job
    if job.run_at <= turn.now:
        lanes.line_up(turn, job)
    else:
        job.timer = turn.timers.add(job.run_at, job)


def try_again(turn: Turn, job: Job, at: int) -> None:
    """The same job once more, as a new attempt."""
    job.attempt += 1
    job.generation += 1
    job.run_at = at
    job.calling = False
    job.again = False
    arm(turn, job)
    turn.changes.keep(job)


def postpone(turn: Turn, job: Job) -> None:
    """The same job once more, as the same attempt, when a worker has a place for it."""
    # A worker may still have heard of the call that was not made: it must not report any more.
    job.generation += 1
    job.calling = False
    job.again = False
    lanes.line_up(turn, job)
    turn.changes.keep(job)


def drop(turn: Turn, job: Job) -> None:
    """A job is done with."""
    turn.state.jobs.pop(job.id, None)
    job.ticket = 0
    if job.timer is not None:
        job.timer.cancel()
    if job.run.jobs.get(job.step) is job:
        del job.run.jobs[job.step]
        turn.changes.drop(job)


def dispatch(turn: Turn) -> None:
    """Make the calls of ready jobs, in order, as long as there is room."""
    state = turn.state
    while state.ready and len(state.calling) < turn.settings.max_calls:
        since, run_id, ticket, first = heapq.heappop(state.ready)
        if isinstance(first, Job):
            job: Job | None = first
        else:
            job = lanes.advance(turn, first, (since, run_id, ticket))
        # A job that was dropped, or lined up anew, has left its old place behind.
        if job is not None and job.ticket == ticket:
            _call(turn, job)


def _call(turn: Turn, job: Job) -> None:
    job.ticket = 0
    job.calling = True
    job.started_at = turn.now
    turn.state.calling.add(job.id)
    if job.run.terms is not None:
        terms.begin_call(turn, job, job.run.terms)
    if job.run.status is Status.QUEUED:
        _begin(turn, job.run)
    step = job.run.steps.get(job.step)
    if step is not None:
        _begin_step(turn, step)
    turn.effects.append(build_call(turn, job))


def end_call(turn: Turn, job_id: str) -> None:
    """A call has ended: whoever waited for its place may have it."""
    turn.state.calling.discard(job_id)
    if turn.state.control.inside:
        terms.end_call(turn, job_id)


def _begin(turn: Turn, run: Run) -> None:
    run.status = Status.RUNNING
    run.started_at = turn.now
    turn.changes.keep(run)
    watch_finish(turn, run)


def watch_finish(turn: Turn, run: Run) -> None:
    """Set the time by which a run that has started must have ended."""
    if run.function.finish_timeout is not None and run.started_at is not None:
        due = run.started_at + run.function.finish_timeout
        run.deadlines.append(turn.timers.add(due, Deadline(run, "finish")))


def _begin_step(turn: Turn, step: Step) -> None:
    if step.status is Status.QUEUED:
        step.status = Status.RUNNING
        step.started_at = turn.now
        turn.changes.keep(step)
