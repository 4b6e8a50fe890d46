"""
Signals: a step waits for one by its name, and whoever knows the name sends it.

A name has one waiter. A second one fails its own run, or takes over; the first then waits in vain.
"""

from __future__ import annotations

from inngest_contrib.devserver.engine import pauses, runs, steps, text
from inngest_contrib.devserver.engine.commands import SendSignal
from inngest_contrib.devserver.engine.demands import (
    BAD_OP,
    GaveUp,
    add_step,
    check_state,
    giving_up,
    read_until,
    text_of,
)
from inngest_contrib.devserver.engine.replies import Op
from inngest_contrib.devserver.engine.state import Job, Run, Wait, WaitKind
from inngest_contrib.devserver.engine.turn import Turn

_FAIL, _REPLACE = "fail", "replace"
_CONFLICT = "Signal conflict; signal wait already exists for another run"


def wait(turn: Turn, job: Job, op: Op) -> bool:
    """Let a step wait for a signal."""
    name, until, conflict = _read(turn, op)
    step = add_step(turn, job, op)
    if step is None:
        return False
    other = turn.state.signals.get(name)
    if other is not None and conflict == _FAIL:
        _fail(turn, job.run)
        return True
    if other is not None:
        _displace(turn, other)
    pauses.wait(turn, job.run, step, WaitKind.SIGNAL, until, event=name)
    return True


def _read(turn: Turn, op: Op) -> tuple[str, int, str]:
    name = text_of(op, "signal")
    if not name:
        raise GaveUp(BAD_OP, f'The wait for a signal "{op.name}" names no signal.')
    conflict = text_of(op, "conflict") or _FAIL
    if conflict not in (_FAIL, _REPLACE):
        raise GaveUp(
            BAD_OP,
            f'The wait for a signal "{op.name}" has conflict "{conflict}"; '
            f'it is "{_FAIL}" or "{_REPLACE}".',
        )
    wish = text_of(op, "timeout")
    what = f'The wait-for-signal timeout "{wish}" expires'
    return name, read_until(turn, wish, what=what, limit="timeouts may last"), conflict


def _fail(turn: Turn, run: Run) -> None:
    body = {"message": _CONFLICT, "name": "Error"}
    runs.fail(turn, run, body, {"error": _CONFLICT, **body})


def _displace(turn: Turn, waiting: Wait) -> None:
    """Nobody can signal this step any more; its time goes on."""
    del turn.state.signals[waiting.event]
    waiting.event = ""
    turn.changes.keep(waiting)


def send(turn: Turn, command: SendSignal) -> str | None:
    """Wake the step that waits for a signal."""
    waiting = turn.state.signals.get(command.signal)
    if waiting is None:
        return None
    memo = text.write({"data": {"signal": command.signal, "data": command.data}})
    pauses.release(turn, waiting)
    waiting.step.details = text.write({"signal": command.signal, "timed_out": False})
    with giving_up(turn, waiting.run):
        check_state(waiting.run, len(memo))
        steps.end(turn, waiting.run, waiting.step, memo)
    return waiting.run.id
