"""
The story of one step: reached, perhaps waited for, executed or remembered.

It runs in the task or thread that called the step, so its hooks, its context
variables and its callable do, too.
"""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, cast

from ..errors import FunctionError, Interrupt, MiddlewareError, OutputUnserializableError
from ..execution.op import Op
from ..execution.reply import fix, step_op
from ..execution.standing import Reached
from ..plugin.types import StepInfo
from ..result import Outcome
from ..wire.names import Opcode, ParallelMode
from .checkpoint import Checkpoints, flush
from .cipher import seal_op
from .effect import Do, Flow, Leave, Resume, Stand, Standing
from .onion import Carried, outcome_of, surround
from .output import show
from .running import Running

inside_step: ContextVar[bool] = ContextVar("inngest_inside_step", default=False)
parallel_mode: ContextVar[ParallelMode] = ContextVar("inngest_mode", default=ParallelMode.WAIT)

Body = Callable[[Any], Flow[Any]]
"""Executes a step, given its edited arguments or None; the result is its JSON value."""


def step_flow(
    running: Running,
    step_id: str,
    code: Opcode,
    *,
    own: bool,
    body: Body | None = None,
    name: str | None = None,
    opts: dict[str, Any] | None = None,
) -> Flow[Any]:
    """
    The memo of a step. own: it was called in the handler's own task.

    A step without one is executed here, planned, or left to the server; either
    way the function does not continue behind it in this call.
    """
    machine = running.machine
    step = machine.reach(
        step_id,
        code,
        name=name or step_id,
        opts=opts,
        race=parallel_mode.get() is ParallelMode.RACE,
        own=own,
    )
    step.body = body
    if inside_step.get():
        machine.nested()
    standing = machine.stand(step)
    if standing is Standing.WAIT:
        try:
            standing = yield Stand(step)
        except Interrupt:
            raise
        except BaseException:
            machine.withdraw(step)
            raise
    if standing is Standing.RUN:
        yield from execute(running, step)
    if not machine.unasked:
        yield from running.wake_inside()
    return step.memo


def execute(running: Running, step: Reached, *, alone: bool = True) -> Flow[None]:
    """
    Execute a step and leave the function with its op.

    alone: nothing else is left to be found, so that the function may go on behind the
    step, if it is one whose steps are reported meanwhile.
    """
    yield from running.wake_inside()
    machine, checkpoints = running.machine, running.checkpoints
    if checkpoints is not None and checkpoints.is_over(running.now()):
        machine.postpone(step)
        yield Leave()
    machine.begin(step)
    op = yield from _executed(running, step)
    if op is not None:
        if alone and (yield from _kept(running, step, op)):
            return
        machine.finish(op)
    yield Leave()


def _executed(running: Running, step: Reached) -> Flow[Op | None]:
    """The op of a step that has executed; None where the call has failed."""
    inside = inside_step.set(True)
    try:
        op = step.op()
        outcome = yield from _surrounded(running, step)
        op.data = outcome.unwrap()
    except (MiddlewareError, OutputUnserializableError) as error:
        running.machine.fail(error)
        return None
    except (Exception, SystemExit) as raised:
        # One that exits has failed as well: the server around it is not its to end.
        running.step_error = cast(Exception, raised)
        return step_op(step, raised, running.request)
    except Interrupt:
        # Of a step that the callable used in another thread, where no variable told of it.
        running.machine.nested()
        raise
    except BaseException:
        running.machine.withdraw(step)
        raise
    finally:
        inside_step.reset(inside)
    return op


def _kept(running: Running, step: Reached, op: Op) -> Flow[bool]:
    """Let the function go on behind a step that has ended; False where the call ends with it."""
    machine, checkpoints = running.machine, running.checkpoints
    if machine.decided or checkpoints is None:
        return False
    try:
        memo = yield from _kept_memo(running, checkpoints, op)
    except FunctionError as error:
        machine.fail(error)
        return False
    except BaseException:
        machine.withdraw(step)
        raise
    if memo is None:
        return False
    machine.go_on(step, memo)
    yield Resume()
    return True


def _kept_memo(running: Running, checkpoints: Checkpoints, op: Op) -> Flow[dict[str, Any] | None]:
    """
    Keep what a step has returned, and report it if it is time; its memo.

    None if it has failed; or if middleware has put something else in its place, which only
    the next call brings through the middleware again.
    """
    returned = op.data
    if op.code is Opcode.STEP_RUN:
        yield from show(running, op)
    if op.code is not Opcode.STEP_RUN or op.data is not returned:
        return None
    memo = _fixed(running, op)
    checkpoints.pending.append(op)
    if checkpoints.is_due(running.now()):
        yield from flush(checkpoints, running.home)
    return memo


def _fixed(running: Running, op: Op) -> dict[str, Any]:
    """Fix what an op says to the server; the memo, which says it plainly."""
    fix(op)
    memo = {"data": json.loads(op.text or "")["data"]}
    if running.home.sealer is not None:
        op.text = None
        fix(seal_op(running.home.sealer, op))
    return memo


def _surrounded(running: Running, step: Reached) -> Flow[Outcome[Any]]:
    """The outcome of a step's body, as the wrappers leave it."""
    inner = outcome_of(step.body(step.input))
    wrappers = running.pipeline.wrap_step
    if not wrappers:
        return (yield from inner)
    info = StepInfo(id=step.step_id, hashed_id=step.id, index=step.index, op=step.code)
    return (yield from surround(wrappers, (info,), inner))


def callable_body(
    running: Running,
    step_id: str,
    handler: Callable[..., Any],
    args: tuple[Any, ...],
    output_type: Any,
) -> Body:
    """The body of a ``step.run``."""

    def body(edited: Any) -> Flow[Any]:
        try:
            value = yield Do(handler, args if edited is None else tuple(edited))
        except StopIteration as error:
            # It cannot leave a generator as what it is.
            raise Carried(error) from None
        if inspect.iscoroutine(value):
            # Only a blocking driver leaves it unawaited.
            value.close()
            raise OutputUnserializableError(f'"{step_id}" returned unserializable data')
        typ = running.codec.type_of(handler, output_type)
        return running.codec.dump(value, typ, f'"{step_id}" ')

    return body


def gathered_flow(running: Running) -> Flow[None]:
    """Decide what a group of a blocking function has found, and leave the function."""
    step = running.machine.gathered()
    if step is not None:
        yield from execute(running, step, alone=False)
    yield Leave()
