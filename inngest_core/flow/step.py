"""
The story of one step: reached, perhaps waited for, executed or remembered.

It runs in the task or thread that called the step, so its hooks, its context
variables and its callable do, too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from ..errors import Interrupt, MiddlewareError, OutputUnserializableError
from ..execution.machine import Machine
from ..execution.op import memo_data
from ..execution.reply import step_op
from ..execution.standing import Reached
from ..types import EmptySentinel
from ..wire.call import CallRequest
from ..wire.names import Opcode, ParallelMode
from .codec import Codec
from .effect import Do, Effect, Flow, Leave, Stand, Standing
from .pipeline import Pipeline, each
from .site import Home

inside_step: ContextVar[bool] = ContextVar("inngest_inside_step", default=False)
parallel_mode: ContextVar[ParallelMode] = ContextVar("inngest_mode", default=ParallelMode.WAIT)

Body = Callable[[Any], Flow[Any]]
"""Executes a step, given its edited arguments or None; the result is its JSON value."""


class Running:
    """One call in progress, as its steps see it."""

    __slots__ = (
        "awake",
        "codec",
        "home",
        "machine",
        "perform",
        "pipeline",
        "request",
        "step_error",
        "task",
    )

    perform: Callable[[Effect], Any]
    task: object

    def __init__(
        self, home: Home, machine: Machine, request: CallRequest, pipeline: Pipeline
    ) -> None:
        self.home = home
        self.codec: Codec = home.codec
        self.machine = machine
        self.request = request
        self.pipeline = pipeline
        self.awake = False
        """Whether everything that ran before is behind us; loggers are quiet until then."""
        self.step_error: Exception | None = None

    def connect(self, perform: Callable[[Effect], Any], task: object) -> None:
        """Take what a driver offers to steps; task: the handler's own, None if it blocks."""
        self.perform = perform
        self.task = task

    def value(self, memo: Any, handler: Callable[..., Any], output_type: Any) -> Any:
        """What a step returns to the function, of its memo."""
        try:
            data = memo["data"]
        except (KeyError, TypeError):
            data = memo_data(memo)
        typ = self.codec.type_of(handler, output_type)
        return data if typ is EmptySentinel else self.codec.load(data, typ)

    def wake(self) -> Flow[None]:
        """Run ``after_memoization`` and ``before_execution``, once a call."""
        if self.awake:
            return
        self.awake = self.machine.resting = True
        try:
            yield from each(self.pipeline.after_memoization)
            yield from each(self.pipeline.before_execution)
        finally:
            self.machine.resting = False

    def wake_inside(self) -> Flow[None]:
        """
        Wake in the middle of the function.

        A hook that fails decides the call; the user's code must not catch its error.
        """
        try:
            yield from self.wake()
        except MiddlewareError as error:
            self.machine.fail(error)
            yield Leave()


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


def execute(running: Running, step: Reached) -> Flow[None]:
    """Execute a step and leave the function with its op."""
    yield from running.wake_inside()
    machine = running.machine
    machine.begin(step)
    inside = inside_step.set(True)
    try:
        op = step.op()
        op.data = yield from step.body(step.input)
    except OutputUnserializableError as error:
        machine.fail(error)
    except Exception as raised:
        cause = raised.error if isinstance(raised, _Carried) else raised
        running.step_error = cause
        machine.finish(step_op(step, cause, running.request))
    except Interrupt:
        # Of a step that the callable used in another thread, where no variable told of it.
        machine.nested()
        raise
    except BaseException:
        machine.withdraw(step)
        raise
    else:
        machine.finish(op)
    finally:
        inside_step.reset(inside)
    yield Leave()


class _Carried(Exception):
    """Carries an error through a generator that would make another one of it."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


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
            raise _Carried(error) from None
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
        yield from execute(running, step)
    yield Leave()
