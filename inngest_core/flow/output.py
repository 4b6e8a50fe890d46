"""What goes out passes middleware first."""

from __future__ import annotations

from ..execution.op import Op
from ..execution.reply import fail
from ..plugin.types import TransformOutputResult, TransformOutputStepInfo
from ..types import EmptySentinel
from ..wire.names import Opcode
from .effect import Flow
from .pipeline import each
from .running import Running

_EXECUTED = (Opcode.STEP_RUN, Opcode.STEP_ERROR, Opcode.STEP_FAILED)


def show(running: Running, op: Op) -> Flow[None]:
    """Let middleware see an op, once, and change it."""
    op.shown = True
    if not running.pipeline.transform_output:
        return
    finished = op.code is Opcode.STEP_RUN
    info = TransformOutputStepInfo(op.step_id, op.code, op.opts)
    # What goes along with a step that failed has not failed.
    error = running.step_error if op.code in _EXECUTED else None
    result = TransformOutputResult(error, op.data if finished else EmptySentinel, info)
    yield from each(running.pipeline.transform_output, result)
    _take_over(running, op, result)


def _take_over(running: Running, op: Op, result: TransformOutputResult) -> None:
    """Let what middleware left of a result be what is sent."""
    op.opts = result.step.opts if result.step else op.opts
    if op.code not in _EXECUTED:
        return
    if result.error is not None:
        running.step_error = result.error
        fail(op, result.error, running.request)
    elif result.has_output():
        running.step_error = None
        op.code, op.data, op.error = Opcode.STEP_RUN, result.output, None
