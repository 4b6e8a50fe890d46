"""
Steps that the server itself ends: sleeps, waits for events and signals, invokes.

Each is a `Wait` with a time at which it ends in any case, and maybe something that ends it before.
"""

from __future__ import annotations

from inngest_contrib.devserver.engine import steps, text
from inngest_contrib.devserver.engine.state import Event, Run, Status, Step, Wait, WaitKind
from inngest_contrib.devserver.engine.turn import Turn

_TIMED_OUT = "Timed out waiting for invoked function to complete"
INVOKE_TIMEOUT_MEMO = text.write(
    {
        "error": {
            "error": f"InngestInvokeTimeoutError: {_TIMED_OUT}",
            "message": _TIMED_OUT,
            "name": "InngestInvokeTimeoutError",
        }
    }
)


def wait(
    turn: Turn,
    run: Run,
    step: Step,
    kind: WaitKind,
    expires: int,
    *,
    event: str = "",
    expression: str | None = None,
) -> None:
    """Let a step wait."""
    step.status = Status.WAITING
    step.started_at = turn.now
    waiting = Wait(run, step, kind, expires, event, expression)
    register(turn, waiting)
    turn.changes.keep(step)
    turn.changes.keep(waiting)


def register(turn: Turn, waiting: Wait) -> None:
    """Put a wait where its end will find it."""
    waiting.run.waits[waiting.step.id] = waiting
    if waiting.kind is WaitKind.EVENT:
        turn.state.event_waits.setdefault(waiting.event, {})[waiting.key] = waiting
    elif waiting.kind is WaitKind.INVOKE:
        turn.state.invokes[waiting.correlation] = waiting
    elif waiting.kind is WaitKind.SIGNAL and waiting.event:
        turn.state.signals[waiting.event] = waiting
    waiting.timer = turn.timers.add(waiting.expires, waiting)


def release(turn: Turn, waiting: Wait) -> None:
    """Nothing will end this wait any more."""
    waiting.run.waits.pop(waiting.step.id, None)
    if waiting.timer is not None:
        waiting.timer.cancel()
    turn.state.invokes.pop(waiting.correlation, None)
    if waiting.kind is WaitKind.SIGNAL:
        # One that was displaced has no name any more.
        turn.state.signals.pop(waiting.event, None)
    others = turn.state.event_waits.get(waiting.event)
    if others is not None:
        others.pop(waiting.key, None)
        if not others:
            del turn.state.event_waits[waiting.event]
    turn.changes.drop(waiting)


def expire(turn: Turn, waiting: Wait) -> None:
    """Its time has come: a sleep is over, a wait has been in vain."""
    release(turn, waiting)
    if waiting.kind is WaitKind.INVOKE:
        waiting.step.details = text.write({"timed_out": True})
        steps.end(turn, waiting.run, waiting.step, INVOKE_TIMEOUT_MEMO, failed=True)
        return
    if waiting.kind in (WaitKind.EVENT, WaitKind.SIGNAL):
        waiting.step.details = text.write({"timed_out": True})
    steps.end(turn, waiting.run, waiting.step, b"null")


def offer(turn: Turn, event: Event) -> None:
    """End every wait that this event fulfils."""
    waiting = turn.state.event_waits.get(event.name)
    if not waiting:
        return
    for candidate in list(waiting.values()):
        if _fulfils(turn, event, candidate):
            release(turn, candidate)
            candidate.step.details = text.write({"event_id": event.id, "timed_out": False})
            steps.end(turn, candidate.run, candidate.step, event.bare)


def _fulfils(turn: Turn, event: Event, waiting: Wait) -> bool:
    if waiting.expression is None:
        return True
    return turn.expressions.matches(waiting.expression, waiting.run.event.value, event.value)


def answer(turn: Turn, correlation: str, memo: bytes, *, run_id: str, failed: bool) -> None:
    """The invoked function has ended: its result is the memo of the step that invoked it."""
    waiting = turn.state.invokes.get(correlation)
    if waiting is not None:
        release(turn, waiting)
        waiting.step.details = text.write({"run_id": run_id, "timed_out": False})
        steps.end(turn, waiting.run, waiting.step, memo, failed=failed)
