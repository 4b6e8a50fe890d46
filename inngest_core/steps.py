"""
The steps of a function, as users call them: ``ctx.step`` and ``ctx.group``.

Law: a method here is a line or two; what a step means stands in flow and execution.
"""

from __future__ import annotations

import asyncio
import datetime
import functools
import inspect
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar, cast, overload

from typing_extensions import ParamSpec, TypeVarTuple, Unpack

from .errors import ConfigError, Interrupt
from .execution.build import invoke_opts, sleep_opts, sleep_until_opts, wait_opts
from .execution.op import memo_data, memo_event
from .execution.standing import MISSING
from .flow.effect import Flow
from .flow.send import as_list, send_events
from .flow.step import (
    Body,
    Running,
    callable_body,
    gathered_flow,
    step_flow,
)
from .flow.step import (
    parallel_mode as mode_variable,
)
from .function import Function
from .net.aio import arun
from .net.blocking import run
from .types import Duration, EmptySentinel
from .wire.event import Event
from .wire.names import Opcode, ParallelMode

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
P = ParamSpec("P")


class _Base:
    """What both kinds of steps share: how each asks for what it needs."""

    __slots__ = ("_running",)

    def __init__(self, running: Running) -> None:
        self._running = running

    def _own(self) -> bool:
        """Whether the caller stands in the handler's own task; a blocking function has no other."""
        task = self._running.task
        return task is None or asyncio.current_task() is task

    def _call(
        self, step_id: str, handler: Callable[..., Any], args: tuple[Any, ...], output_type: Any
    ) -> Flow[Any]:
        _require_callable(step_id, handler)
        body = callable_body(self._running, step_id, handler, args, output_type)
        return step_flow(self._running, step_id, Opcode.STEP_RUN, own=self._own(), body=body)

    def _send(self, step_id: str, events: Event | Sequence[Event]) -> Flow[Any]:
        body = _send_body(self._running, events)
        return step_flow(self._running, step_id, Opcode.STEP_RUN, own=self._own(), body=body)

    def _sleep(self, step_id: str, opts: dict[str, Any]) -> Flow[Any]:
        return step_flow(self._running, step_id, Opcode.SLEEP, own=self._own(), opts=opts)

    def _wait(self, step_id: str, event: str, if_exp: str | None, timeout: Duration) -> Flow[Any]:
        opts = wait_opts(event, if_exp, timeout)
        return step_flow(
            self._running,
            step_id,
            Opcode.WAIT_FOR_EVENT,
            own=self._own(),
            name=event,
            opts=opts,
        )

    def _invoke(
        self,
        step_id: str,
        function_id: str,
        data: Mapping[str, object] | None,
        timeout: Duration | None,
        v: str | None,
    ) -> Flow[Any]:
        opts = invoke_opts(function_id, data, v, timeout)
        return step_flow(self._running, step_id, Opcode.INVOKE, own=self._own(), opts=opts)

    def _function_id(self, app_id: str | None, function_id: str) -> str:
        return f"{app_id or self._running.home.config.app_id}-{function_id}"

    def _result(self, memo: Any, function: Function[Any]) -> Any:
        """What an invoked function returned, by its own output type."""
        codec = self._running.codec
        typ = codec.type_of(function.handler, function.output_type)
        return codec.load(memo_data(memo), typ)


def _send_body(running: Running, events: Event | Sequence[Event]) -> Body:
    def body(edited: Any) -> Flow[Any]:
        ids = yield from send_events(running.home, as_list(events), running.pipeline)
        return ids

    return body


def _require_callable(step_id: str, handler: Any) -> None:
    if isinstance(handler, Function):
        raise ConfigError(
            f'step.run "{step_id}": {handler.id} is a function of its own; '
            "to run it from here use step.invoke"
        )
    if not callable(handler):
        if inspect.iscoroutine(handler):
            handler.close()
        raise ConfigError(
            f'step.run "{step_id}": expected a callable, got {type(handler).__name__}; '
            "pass the callable itself, then its arguments"
        )


def _invocable(function: Any) -> Function[Any]:
    if isinstance(function, Function):
        return function
    raise ConfigError(
        f"step.invoke: function must be a Function made by create_function, got "
        f"{type(function).__name__}; to run a callable as a step use step.run"
    )


class Step(_Base):
    """The steps of an async function."""

    __slots__ = ()

    @overload
    async def run(
        self,
        step_id: str,
        handler: Callable[[Unpack[Ts]], Awaitable[T]],
        *handler_args: Unpack[Ts],
        output_type: object = EmptySentinel,
    ) -> T: ...

    @overload
    async def run(
        self,
        step_id: str,
        handler: Callable[[Unpack[Ts]], T],
        *handler_args: Unpack[Ts],
        output_type: object = EmptySentinel,
    ) -> T: ...

    async def run(
        self,
        step_id: str,
        handler: Callable[[Unpack[Ts]], Any],
        *handler_args: Unpack[Ts],
        output_type: object = EmptySentinel,
    ) -> Any:
        """
        Call *handler* once in the life of the run, and return what it returned.

        The value is JSON; output_type converts it. Raises StepError once every
        attempt has failed.
        """
        running = self._running
        memo = MISSING
        if asyncio.current_task() is running.task:
            memo = running.machine.recall_next(step_id)
        if memo is MISSING:
            memo = await arun(
                self._call(step_id, handler, handler_args, output_type), running.perform
            )
        return running.value(memo, handler, output_type)

    async def send_event(self, step_id: str, events: Event | list[Event]) -> list[str]:
        """Send events once in the life of the run; their ids."""
        memo = await arun(self._send(step_id, events), self._running.perform)
        return cast("list[str]", memo_data(memo))

    async def sleep(self, step_id: str, duration: Duration) -> None:
        """Let the run sleep; nothing of it stays in memory. At least a second."""
        memo_data(await arun(self._sleep(step_id, sleep_opts(duration)), self._running.perform))

    async def sleep_until(self, step_id: str, until: datetime.datetime) -> None:
        """Let the run sleep until an instant; a naive datetime is local time."""
        memo_data(await arun(self._sleep(step_id, sleep_until_opts(until)), self._running.perform))

    async def wait_for_event(
        self, step_id: str, *, event: str, if_exp: str | None = None, timeout: Duration
    ) -> Event | None:
        """
        Wait for an event; None if the timeout comes first.

        if_exp: an expression in which ``event`` is what started the run and
        ``async`` the event that has come.
        """
        flow = self._wait(step_id, event, if_exp, timeout)
        return _event(await arun(flow, self._running.perform))

    async def invoke(
        self,
        step_id: str,
        *,
        function: Function[T],
        data: Mapping[str, object] | None = None,
        timeout: Duration | None = None,
        v: str | None = None,
    ) -> T:
        """Run another function and return its result. Raises StepError if it fails."""
        flow = self._invoke(step_id, _invocable(function).id, data, timeout, v)
        return cast(T, self._result(await arun(flow, self._running.perform), function))

    async def invoke_by_id(
        self,
        step_id: str,
        *,
        app_id: str | None = None,
        function_id: str,
        data: Mapping[str, object] | None = None,
        timeout: Duration | None = None,
        v: str | None = None,
    ) -> object:
        """Like invoke, for a function that may live in another app."""
        flow = self._invoke(step_id, self._function_id(app_id, function_id), data, timeout, v)
        return memo_data(await arun(flow, self._running.perform))


class StepSync(_Base):
    """The steps of a blocking function: as ``Step``, without ``await``."""

    __slots__ = ()

    def run(
        self,
        step_id: str,
        handler: Callable[[Unpack[Ts]], T],
        *handler_args: Unpack[Ts],
        output_type: object = EmptySentinel,
    ) -> T:
        """See Step.run."""
        running = self._running
        if (memo := running.machine.recall(step_id)) is MISSING:
            memo = run(self._call(step_id, handler, handler_args, output_type), running.perform)
        value: T = running.value(memo, handler, output_type)
        return value

    def send_event(self, step_id: str, events: Event | list[Event]) -> list[str]:
        """See Step.send_event."""
        memo = run(self._send(step_id, events), self._running.perform)
        return cast("list[str]", memo_data(memo))

    def sleep(self, step_id: str, duration: Duration) -> None:
        """See Step.sleep."""
        memo_data(run(self._sleep(step_id, sleep_opts(duration)), self._running.perform))

    def sleep_until(self, step_id: str, until: datetime.datetime) -> None:
        """See Step.sleep_until."""
        memo_data(run(self._sleep(step_id, sleep_until_opts(until)), self._running.perform))

    def wait_for_event(
        self, step_id: str, *, event: str, if_exp: str | None = None, timeout: Duration
    ) -> Event | None:
        """See Step.wait_for_event."""
        return _event(run(self._wait(step_id, event, if_exp, timeout), self._running.perform))

    def invoke(
        self,
        step_id: str,
        *,
        function: Function[T],
        data: Mapping[str, object] | None = None,
        timeout: Duration | None = None,
        v: str | None = None,
    ) -> T:
        """See Step.invoke."""
        flow = self._invoke(step_id, _invocable(function).id, data, timeout, v)
        return cast(T, self._result(run(flow, self._running.perform), function))

    def invoke_by_id(
        self,
        step_id: str,
        *,
        app_id: str | None = None,
        function_id: str,
        data: Mapping[str, object] | None = None,
        timeout: Duration | None = None,
        v: str | None = None,
    ) -> object:
        """See Step.invoke_by_id."""
        flow = self._invoke(step_id, self._function_id(app_id, function_id), data, timeout, v)
        return memo_data(run(flow, self._running.perform))


def _event(memo: Any) -> Event | None:
    found = memo_event(memo)
    return None if found is None else Event.model_validate(found)


@contextmanager
def _mode(mode: ParallelMode | None) -> Generator[None, None, None]:
    """Mark the steps found in here; None leaves the surrounding mode."""
    if mode is None:
        yield
        return
    token = mode_variable.set(mode)
    try:
        yield
    finally:
        mode_variable.reset(token)


class Group:
    """Parallel steps of an async function. Plain ``asyncio.gather`` does as well."""

    __slots__ = ()

    @staticmethod
    def mode(mode: ParallelMode) -> Any:
        """Mark the steps in a ``with`` block, and in the tasks made there, as wait or race."""
        return _mode(mode)

    async def parallel(
        self,
        callables: tuple[Callable[[], Awaitable[Any]], ...],
        *,
        parallel_mode: ParallelMode | None = None,
    ) -> tuple[Any, ...]:
        """Call all of *callables*; their results, in their order."""
        with _mode(parallel_mode):
            return tuple(await asyncio.gather(*(one() for one in callables)))


class GroupSync:
    """Parallel steps of a blocking function."""

    __slots__ = ("_running",)

    def __init__(self, running: Running) -> None:
        self._running = running

    @staticmethod
    def mode(mode: ParallelMode) -> Any:
        """Mark the steps in a ``with`` block as wait or race."""
        return _mode(mode)

    def parallel(
        self,
        callables: tuple[Callable[[], Any], ...],
        *,
        parallel_mode: ParallelMode | None = None,
    ) -> tuple[Any, ...]:
        """
        Call all of *callables*; their results, in their order.

        Each may run several steps; new ones of all callables run in parallel.
        """
        machine = self._running.machine
        results: list[Any] = []
        left = False
        race = (parallel_mode or mode_variable.get()) is ParallelMode.RACE
        with _mode(parallel_mode), machine.gathering(race=race):
            for one in callables:
                try:
                    results.append(one())
                except (Exception, Interrupt):
                    # One that is left stands at a new step, and the others go on.
                    if not machine.leaving:
                        raise
                left = machine.end_branch() or left
        if left:
            run(gathered_flow(self._running), self._running.perform)
        return tuple(results)


_current: ContextVar[Step | StepSync] = ContextVar("inngest_step")


def get_step_context() -> Step | StepSync:
    """The steps of the run that surrounds the caller; LookupError outside one."""
    return _current.get()


@contextmanager
def set_step_context(step: Step | StepSync) -> Generator[None, None, None]:
    """Make *step* the surrounding one; RuntimeError if there is one already."""
    if _current.get(None) is not None:
        raise RuntimeError("Step context already set")
    token = _current.set(step)
    try:
        yield
    finally:
        _current.reset(token)


def enter_step_context(step: Step | StepSync) -> Callable[[], None]:
    """Make *step* the surrounding one until the returned function is called."""
    token = _current.set(step)
    return functools.partial(_current.reset, token)


def step(step_id: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """
    Make every call of a function a step of the surrounding run.

    Outside a run the function is called as it is.
    """

    def decorate(function: Callable[P, T]) -> Callable[P, T]:
        @functools.wraps(function)
        def call(*args: P.args, **kwargs: P.kwargs) -> T:
            current = _current.get(None)
            if current is None:
                return function(*args, **kwargs)
            bound = functools.partial(function, *args, **kwargs)
            return cast(T, current.run(step_id, bound))

        @functools.wraps(function)
        async def acall(*args: P.args, **kwargs: P.kwargs) -> Any:
            return await cast(Any, call)(*args, **kwargs)

        chosen = acall if inspect.iscoroutinefunction(function) else call
        return cast("Callable[P, T]", chosen)

    return decorate
