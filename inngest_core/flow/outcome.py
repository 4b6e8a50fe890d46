"""What becomes of an outcome: shown to middleware, written down as a reply, logged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from ..errors import CipherError, InngestError, OutputUnserializableError
from ..execution.op import Op
from ..execution.reply import (
    Reply,
    end_reply,
    error_reply,
    ops_reply,
    retry_after_header,
    unserializable,
)
from ..plugin.types import TransformOutputResult
from ..result import Err, Ok, Outcome, Paused
from ..types import EmptySentinel
from ..wire.names import Opcode
from .checkpoint import flush
from .cipher import seal_op
from .effect import Flow
from .output import show
from .pipeline import each
from .running import Running
from .site import Served


def reply_to(served: Served, running: Running, outcome: Outcome[Any]) -> Flow[Reply]:
    """The reply to a call whose code has come to *outcome*."""
    if isinstance(outcome, Paused):
        yield from _show_all(running)
        _log(running, running.step_error)
        return (yield from _ops_reply(running))
    result = _final_result(running, served, outcome)
    yield from each(running.pipeline.transform_output, result)
    if result.error is not None:
        _log(running, result.error)
        return (yield from _error_reply(running, result.error))
    yield from _show_all(running)
    output = result.output if result.has_output() else None
    return _sent(running, lambda: end_reply(_sealed(running, output), _outgoing(running)))


def _ops_reply(running: Running) -> Flow[Reply]:
    yield from flush(running.checkpoints, running.home)
    headers = retry_after_header(running.step_error)
    return _sent(running, lambda: ops_reply(_outgoing(running), headers))


def _outgoing(running: Running) -> list[Op]:
    """What goes out, as the server is to see it."""
    sealer = running.home.sealer
    return [*running.unreported, *(seal_op(sealer, op) for op in running.machine.ops)]


def _sealed(running: Running, output: object) -> object:
    """What the function has returned, as the server is to see it."""
    sealer = running.home.sealer
    try:
        return output if sealer is None else sealer.seal(output)
    except (TypeError, ValueError, RecursionError) as error:
        raise unserializable(None) from error


def _error_reply(running: Running, error: Exception) -> Flow[Reply]:
    """The error; but where steps could not be reported they go first, and it comes again."""
    yield from flush(running.checkpoints, running.home)
    unreported = running.unreported
    if not unreported:
        return error_reply(error)
    if len(unreported) > 1:
        # Servers would ask once for each of several steps that come without a plan.
        unreported[-1] = unreported[-1].plan()
    return _sent(running, lambda: ops_reply(unreported, {}))


def _sent(running: Running, reply: Callable[[], Reply]) -> Reply:
    """The reply; where it cannot be made of its values, the error that says so, which is logged."""
    try:
        return reply()
    except (CipherError, OutputUnserializableError) as error:
        _log(running, error)
        return error_reply(error)


def _final_result(
    running: Running, served: Served, outcome: Ok[Any] | Err
) -> TransformOutputResult:
    if isinstance(outcome, Ok):
        codec = running.codec
        typ = codec.type_of(served.handler, served.output_type)
        try:
            return TransformOutputResult(None, codec.dump(outcome.value, typ), None)
        except InngestError as error:
            return TransformOutputResult(error, EmptySentinel, None)
    return TransformOutputResult(cast(Exception, outcome.error), EmptySentinel, None)


def _show_all(running: Running) -> Flow[None]:
    """Let middleware see every op that goes out, but those that are only planned."""
    for op in running.machine.ops:
        if op.code is not Opcode.PLANNED and not op.shown:
            yield from show(running, op)


def _log(running: Running, error: BaseException | None) -> None:
    if error is None or getattr(error, "quiet", False):
        return
    call = running.request
    running.home.logger.error(
        "%s, run %s, attempt %d: %s: %s",
        call.function_id,
        call.run_id,
        call.attempt,
        type(error).__name__,
        error,
        exc_info=error,
    )
