"""What becomes of the ops in a reply: results are stored, plans become jobs, pauses begin."""

from __future__ import annotations

from collections.abc import Callable

from inngest_contrib.devserver.engine import gateway, pauses, queue, runs, signals, steps, text
from inngest_contrib.devserver.engine.commands import Json, Warn
from inngest_contrib.devserver.engine.demands import (
    BAD_OP,
    GaveUp,
    add_step,
    check_state,
    giving_up,
    notice_step,
    read_until,
    text_of,
)
from inngest_contrib.devserver.engine.limits import (
    INVOKE_TIMEOUT,
    MAX_IDLE_CALLS,
    MAX_STATE,
    MAX_STEP_OUTPUT,
)
from inngest_contrib.devserver.engine.replies import Op
from inngest_contrib.devserver.engine.state import Event, Job, Run, Step, WaitKind
from inngest_contrib.devserver.engine.turn import Start, Turn
from inngest_core.wire.names import Opcode

_EMPTY = (Opcode.NONE, Opcode.DISCOVERY_REQUEST)
_HOLDING = (
    Opcode.PLANNED,
    Opcode.SLEEP,
    Opcode.WAIT_FOR_EVENT,
    Opcode.WAIT_FOR_SIGNAL,
    Opcode.INVOKE,
    Opcode.GATEWAY,
    Opcode.AI_GATEWAY,
)
"""Ops that end later; with others beside them they make a batch."""


def perform(turn: Turn, job: Job, ops: list[Op]) -> None:
    """Do what a reply asks for. The job that brought it is over."""
    with giving_up(turn, job.run):
        _perform(turn, job, [op for op in ops if op.code not in _EMPTY])


def repeat(turn: Turn, job: Job) -> None:
    """Call again after a reply that told only what was known."""
    with giving_up(turn, job.run):
        _go_on_idle(turn, job)


def _perform(turn: Turn, job: Job, ops: list[Op]) -> None:
    run = job.run
    _open_batch(turn, job, ops)
    progress = [_perform_one(turn, job, op) for op in _in_order(ops)]
    if run.ended_at is None:
        _leave_target(job)
        if not any(progress):
            _go_on_idle(turn, job)


def _leave_target(job: Job) -> None:
    """A targeted call that did not tell about its target leaves it to the next discovery."""
    step = job.run.steps.get(job.step)
    if step is not None and not step.ended and job.step not in job.run.waits:
        job.run.pending.discard(job.step)


def _in_order(ops: list[Op]) -> list[Op]:
    """Waits first: an event that a later op causes must find them."""
    return sorted(ops, key=lambda op: op.code is not Opcode.WAIT_FOR_EVENT)


def _open_batch(turn: Turn, job: Job, ops: list[Op]) -> None:
    run = job.run
    counted = [op for op in ops if op.code is not Opcode.RUN_COMPLETE]
    plan = len(counted) > 1 or (run.force_plan and not _may_stop_planning(job))
    if plan is not run.force_plan:
        run.force_plan = plan
        turn.changes.keep(run)
    if len(counted) > 1 and any(op.code in _HOLDING for op in counted):
        run.pending |= {op.id for op in counted if not op.races and not _known_result(run, op)}


def _may_stop_planning(job: Job) -> bool:
    return job.discovers and not job.run.pending and job.run.request_version >= 2


def _known_result(run: Run, op: Op) -> bool:
    step = run.steps.get(op.id)
    return step is not None and step.ended


def _perform_one(turn: Turn, job: Job, op: Op) -> bool:
    """Do one op. False: it told nothing new."""
    if job.run.ended_at is not None:
        return False
    return _PERFORM[op.code](turn, job, op)


def _go_on_idle(turn: Turn, job: Job) -> None:
    """Call again after a reply that asked for nothing new; but not for ever."""
    run = job.run
    if run.jobs or run.waits:
        # Steps that were planned or wait already were only named again: their end goes on.
        return
    run.idle += 1
    if run.idle > MAX_IDLE_CALLS:
        raise GaveUp(
            "InngestErrNoProgress",
            f"The function was called {MAX_IDLE_CALLS} times in a row without reporting "
            "anything new: it repeats steps whose results it was given, or asks for nothing.",
        )
    queue.discover(turn, run)


# --- steps that the app has run -------------------------------------------------------------


def _run(turn: Turn, job: Job, op: Op) -> bool:
    return _finish_step(turn, job, op, b'{"data":%b}' % op.data)


def _run_legacy(turn: Turn, job: Job, op: Op) -> bool:
    return _finish_step(turn, job, op, op.data)


def _fail_step(turn: Turn, job: Job, op: Op) -> bool:
    memo = text.write({"error": trim_error(op.error)})
    return _finish_step(turn, job, op, memo, failed=True)


def fail_step_for_good(turn: Turn, job: Job, op: Op, *, no_retry: bool) -> bool:
    """A step has no attempt left: its error becomes its memo, and the function may catch it."""
    error = trim_error(op.error)
    if no_retry:
        error["noRetry"] = True
    return _finish_step(turn, job, op, text.write({"error": error}), failed=True)


def trim_error(error: Json) -> dict[str, Json]:
    """The fields of a step's error that its memo keeps."""
    if not isinstance(error, dict):
        return {"message": str(error), "name": "Error"}
    kept = ("name", "message", "stack", "data", "cause")
    return {key: error[key] for key in kept if error.get(key) is not None}


def _finish_step(turn: Turn, job: Job, op: Op, memo: bytes, *, failed: bool = False) -> bool:
    step = notice_step(turn, job, op)
    if step.ended:
        return False
    check_state(job.run, len(memo))
    _warn_of_size(turn, job.run, op, len(memo))
    step.op = Opcode.STEP_RUN.value
    step.attempts = job.attempt + 1
    step.opts = text.write(op.opts) if op.opts else None
    steps.end(turn, job.run, step, memo, failed=failed)
    return True


def _warn_of_size(turn: Turn, run: Run, op: Op, size: int) -> None:
    half = MAX_STATE // 2
    if size > MAX_STEP_OUTPUT // 2:
        what, limit = f'step "{op.name or op.id}" returned {size} bytes', MAX_STEP_OUTPUT
    elif run.memos.size <= half < run.memos.size + size:
        what, limit = f"its steps have returned {run.memos.size + size} bytes", MAX_STATE
    else:
        return
    turn.effects.append(
        Warn(f"run {run.id} of {run.function.slug}: {what}; at {limit} bytes it fails")
    )


# --- steps that are still to come -----------------------------------------------------------


def _plan(turn: Turn, job: Job, op: Op) -> bool:
    step = add_step(turn, job, op)
    if step is None:
        return False
    step.op = Opcode.STEP_RUN.value
    turn.changes.keep(step)
    queue.enqueue(turn, job.run, op.id)
    return True


def _sleep(turn: Turn, job: Job, op: Op) -> bool:
    wish = text_of(op, "duration") or op.raw_name
    until = read_until(turn, wish, what=f'The sleep "{wish}" ends', limit="sleeps may last")
    step = add_step(turn, job, op)
    if step is None:
        return False
    step.details = text.write({"until": until})
    pauses.wait(turn, job.run, step, WaitKind.SLEEP, until)
    return True


def _wait_for_event(turn: Turn, job: Job, op: Op) -> bool:
    name = text_of(op, "event") or op.raw_name
    if not name:
        raise GaveUp(BAD_OP, f'The wait for an event "{op.name}" names no event.')
    expression = text_of(op, "if") or None
    _check_expression(turn, expression)
    wish = text_of(op, "timeout")
    what = f'The wait-for-event timeout "{wish}" expires'
    until = read_until(turn, wish, what=what, limit="timeouts may last")
    step = add_step(turn, job, op)
    if step is None:
        return False
    pauses.wait(turn, job.run, step, WaitKind.EVENT, until, event=name, expression=expression)
    return True


def _check_expression(turn: Turn, expression: str | None) -> None:
    problem = None if expression is None else turn.expressions.problem(expression)
    if problem is not None:
        raise GaveUp(
            "InvalidExpression", f"Wait for event If expression failed to compile: {problem}"
        )


def _invoke(turn: Turn, job: Job, op: Op) -> bool:
    payload = op.opts.get("payload")
    if not isinstance(payload, dict):
        raise GaveUp(BAD_OP, f'The invoke "{op.name}" has no payload object.')
    slug = text_of(op, "function_id")
    wish = text_of(op, "timeout")
    expires = _invoke_until(turn, wish) if wish else turn.now + INVOKE_TIMEOUT
    step = add_step(turn, job, op)
    if step is None:
        return False
    pauses.wait(turn, job.run, step, WaitKind.INVOKE, expires)
    _start_invoked(turn, job.run, step, slug, payload, expires)
    return True


def _invoke_until(turn: Turn, wish: str) -> int:
    what = f'The invoke timeout "{wish}" expires'
    return read_until(turn, wish, what=what, limit="timeouts may last")


def _start_invoked(
    turn: Turn, run: Run, step: Step, slug: str, payload: dict[str, Json], expires: int
) -> None:
    waiting = run.waits[step.id]
    event = _invoked_event(turn, run, step, slug, payload, expires)
    turn.changes.keep(event)
    function = turn.state.slugs.get(slug)
    if function is None or function.archived:
        message = f"could not find function with ID: {slug}"
        pauses.release(turn, waiting)
        memo = text.write({"error": {"message": message, "name": "Error"}})
        steps.end(turn, run, step, memo, failed=True)
        return
    turn.starts.append(Start(function, event, correlation=waiting.correlation))


def _invoked_event(
    turn: Turn, run: Run, step: Step, slug: str, payload: dict[str, Json], expires: int
) -> Event:
    data = payload.get("data")
    user = payload.get("user")
    origin = {
        "correlation_id": run.waits[step.id].correlation,
        "expire": expires,
        "fn_id": slug,
        "name": step.name,
        "source_app_id": run.function.app_id,
        "source_fn_id": run.function.id,
        "source_fn_v": 1,
    }
    event_id = turn.ids.ulid(turn.now)
    return Event(
        id=event_id,
        external_id=event_id,
        name=runs.INVOKED,
        ts=turn.now,
        received_at=turn.now,
        data=text.write({**(data if isinstance(data, dict) else {}), "_inngest": origin}),
        user=text.write(user) if isinstance(user, dict) else None,
        v=payload["v"] if isinstance(payload.get("v"), str) else None,
        meta=text.write(payload["meta"]) if isinstance(payload.get("meta"), dict) else None,
    )


# --- the rest -------------------------------------------------------------------------------


def _complete(turn: Turn, job: Job, op: Op) -> bool:
    runs.complete(turn, job.run, op.data)
    return True


_PERFORM: dict[Opcode, Callable[[Turn, Job, Op], bool]] = {
    Opcode.STEP_RUN: _run,
    Opcode.STEP: _run_legacy,
    Opcode.STEP_FAILED: _fail_step,
    Opcode.PLANNED: _plan,
    Opcode.SLEEP: _sleep,
    Opcode.WAIT_FOR_EVENT: _wait_for_event,
    Opcode.WAIT_FOR_SIGNAL: signals.wait,
    Opcode.INVOKE: _invoke,
    Opcode.RUN_COMPLETE: _complete,
    Opcode.SYNC_RUN_COMPLETE: _complete,
    Opcode.GATEWAY: gateway.begin,
    Opcode.AI_GATEWAY: gateway.begin,
}
