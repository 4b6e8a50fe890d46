"""Steps as the server sees them: first heard of, then ended with a memo, once and for all."""

from __future__ import annotations

from inngest_contrib.devserver.engine import queue, text
from inngest_contrib.devserver.engine.state import Run, Status, Step
from inngest_contrib.devserver.engine.turn import Turn
from inngest_core.wire.names import Opcode

_COALESCES = 2
"""The request version from which a batch is answered by one discovery call."""


def notice(
    turn: Turn, run: Run, step_id: str, *, name: str, op: str, status: Status, mode: str = ""
) -> Step:
    """The step with this id, made now if nobody has spoken of it before."""
    step = run.steps.get(step_id)
    if step is None:
        number = len(run.steps)
        step = Step(run.id, step_id, name, op, status, turn.now, number, mode=mode)
        run.steps[step_id] = step
    return step


def end(turn: Turn, run: Run, step: Step, memo: bytes, *, failed: bool = False) -> None:
    """Store the memo of a step and let the run go on. The first memo of a step stays."""
    if step.ended:
        return
    record(turn, run, step, memo, failed=failed)
    go_on(turn, run, step)


def record(turn: Turn, run: Run, step: Step, memo: bytes, *, failed: bool = False) -> None:
    """Store the memo of a step that has none."""
    memoize(run, step, memo)
    step.status = Status.FAILED if failed else Status.COMPLETED
    step.ended_at = turn.now
    turn.changes.keep(step)
    run.idle = 0


def memoize(run: Run, step: Step, memo: bytes) -> None:
    """Let later calls know the memo of a step, as the latest."""
    key = text.write_key(step.id)
    step.fragment = key + memo
    step.memo_at = len(key)
    step.position = len(run.stack)
    run.memos.add(step.id, step.fragment)
    run.stack.append(key[:-1])


def go_on(turn: Turn, run: Run, step: Step) -> None:
    """
    Call the function again after a step, unless others of its batch are still open.

    SDKs before request version 2 are called after every step, and go on planning.
    """
    batch = step.id in run.pending
    run.pending.discard(step.id)
    if run.request_version >= _COALESCES:
        if run.pending and step.mode != "race":
            return
        # A batch that ends with a sleep leaves the flag on, as recorded; it costs one more call.
        ended = (batch and step.op != Opcode.SLEEP) or step.mode == "race"
        if run.force_plan and ended:
            run.force_plan = False
            turn.changes.keep(run)
    queue.discover(turn, run)
