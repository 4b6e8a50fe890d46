"""What a finished call means for its job and its run: the retry rule, and who acts on the rest."""

from __future__ import annotations

from inngest_contrib.devserver.engine import (
    defers,
    metadata,
    ops,
    queue,
    retries,
    runs,
    text,
    workers,
)
from inngest_contrib.devserver.engine.commands import CallFailed, CallPostponed, Json, Replied
from inngest_contrib.devserver.engine.demands import notice_step
from inngest_contrib.devserver.engine.replies import (
    Failure,
    Finished,
    Op,
    Ops,
    Reply,
    failure,
    read_reply,
)
from inngest_contrib.devserver.engine.state import Attempt, Job
from inngest_contrib.devserver.engine.turn import Turn
from inngest_core.wire.names import Opcode


def take_reply(turn: Turn, command: Replied) -> None:
    """An app answered. A reply that nobody waits for any more is dropped."""
    job = _end_call(turn, command.job_id)
    if job is not None:
        _settle_safely(turn, job, command)


def _settle_safely(turn: Turn, job: Job, command: Replied) -> None:
    try:
        settle(turn, job, read_reply(command))
    except Exception as error:
        # A mistake of ours: this run ends with it, the others go on, and the log has the trace.
        turn.mistakes.append(error)
        if job.run.ended_at is None:
            message = f"The server could not process the reply: {error!r}"
            runs.fail_with(turn, job.run, "InngestErrInternal", message)


def take_failure(turn: Turn, command: CallFailed) -> None:
    """A call brought no answer."""
    job = _end_call(turn, command.job_id)
    if job is not None:
        settle(turn, job, Reply(failure(command.error)))


def take_postponement(turn: Turn, command: CallPostponed) -> None:
    """No worker had a place for a call, although it looked as if one had."""
    job = _end_call(turn, command.job_id)
    if job is None:
        return
    gate = workers.gate_of(turn, job.run.function)
    if gate is None:
        # Meanwhile its app is to be found at an address.
        settle(turn, job, Reply(failure(command.error)))
        return
    gate.room = 0
    queue.postpone(turn, job)


def _end_call(turn: Turn, job_id: str) -> Job | None:
    queue.end_call(turn, job_id)
    job = turn.state.jobs.get(job_id)
    return job if job is not None and job.calling else None


def settle(turn: Turn, job: Job, reply: Reply) -> None:
    """Do what a reply to a job asks for."""
    again = job.again
    verdict = reply.verdict
    if isinstance(verdict, Ops):
        _settle_ops(turn, job, reply, verdict.ops)
    elif isinstance(verdict, Finished):
        queue.drop(turn, job)
        runs.complete(turn, job.run, verdict.output)
    else:
        _fail_attempt(turn, job, reply, verdict)
    if job.run.ended_at is None and (again or not (job.run.jobs or job.run.waits)):
        # The second condition cannot come true by the rules above; if it does, nothing hangs.
        queue.discover(turn, job.run)


def _note_version(turn: Turn, job: Job, reply: Reply) -> None:
    version = reply.request_version
    if version is not None and version != job.run.request_version:
        job.run.request_version = version
        turn.changes.keep(job.run)


def _settle_ops(turn: Turn, job: Job, reply: Reply, found: list[Op]) -> None:
    bad = _find_bad(found)
    if bad is not None:
        _fail_attempt(turn, job, reply, bad)
        return
    if any(op.code is not Opcode.NONE for op in found):
        _note_version(turn, job, reply)
    errors = [op for op in found if op.code is Opcode.STEP_ERROR]
    last = reply.no_retry or job.attempt + 1 >= job.run.max_attempts
    queue.drop(turn, job)
    metadata.take(turn, job.run, found)
    deferred = defers.take(turn, job.run, found)
    apart = (Opcode.STEP_ERROR, *defers.LAZY)
    others = [op for op in found if op.code not in apart]
    if others or not (errors or deferred):
        ops.perform(turn, job, others)
    elif not errors:
        queue.discover(turn, job.run)
    for op in errors:
        if job.run.ended_at is None:
            _take_step_error(turn, job, reply, op, last=last)


def _find_bad(found: list[Op]) -> Failure | None:
    for op in found:
        if op.code is Opcode.STEP_ERROR and op.error is None:
            return failure(f"OpcodeStepError received without Error field set (step {op.id})")
    return None


def _take_step_error(turn: Turn, job: Job, reply: Reply, op: Op, *, last: bool) -> None:
    retry_at = None if last else retries.next_try(turn, job.attempt, reply.retry_after)
    _record(turn, job, op.id, ops.trim_error(op.error), retry_at)
    step = notice_step(turn, job, op)
    if not step.ended:
        step.op = Opcode.STEP_RUN.value
        step.attempts = job.attempt + 1
        turn.changes.keep(step)
    if retry_at is not None:
        _try_again(turn, job, retry_at)
    elif step.ended:
        # The app ignores the error that it was told was the last; it is told again.
        ops.repeat(turn, job)
    else:
        ops.fail_step_for_good(turn, job, op, no_retry=reply.no_retry)


def _try_again(turn: Turn, job: Job, retry_at: int) -> None:
    if job.step not in job.run.jobs:
        job.run.jobs[job.step] = job
        queue.try_again(turn, job, retry_at)


def _fail_attempt(turn: Turn, job: Job, reply: Reply, found: Failure) -> None:
    if reply.no_retry or job.attempt + 1 >= job.run.max_attempts:
        _record(turn, job, _step_of(job), found.body, None)
        queue.drop(turn, job)
        runs.fail(turn, job.run, found.body, found.error)
        return
    retry_at = retries.next_try(turn, job.attempt, reply.retry_after)
    _record(turn, job, _step_of(job), found.body, retry_at)
    queue.try_again(turn, job, retry_at)


def _step_of(job: Job) -> str:
    return "" if job.discovers else job.step


def _record(turn: Turn, job: Job, step_id: str, error: Json, retry_at: int | None) -> None:
    turn.changes.keep(
        Attempt(
            run_id=job.run.id,
            step_id=step_id,
            job_id=job.id,
            attempt=job.attempt,
            started_at=job.started_at,
            ended_at=turn.now,
            error=text.write(error),
            retry_at=retry_at,
        )
    )
