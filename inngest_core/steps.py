"""
The steps of a function, as users call them: ``ctx.step``.

Law: a method here is a line or two; what a step means stands in flow and execution.
"""

from __future__ import annotations

import asyncio
import datetime
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeVar, cast, overload

from typing_extensions import TypeVarTuple, Unpack

from .ai.adapter import BaseAdapter
from .asking import Asking, Deferred, invocable
from .execution.build import (
    WRAP,
    signal_opts,
)
from .execution.op import memo_data, memo_event
from .execution.records import FetchResponse, Signal, memo_response, memo_signal
from .execution.standing import MISSING
from .function import Function
from .net.aio import arun
from .net.blocking import run
from .types import Duration, EmptySentinel
from .wire.event import Event
from .wire.names import Opcode

T = TypeVar("T")
Ts = TypeVarTuple("Ts")
Conflict = Literal["fail", "replace"]


class AI(Asking):
    """Steps of an async function that call models: ``ctx.step.ai``."""

    __slots__ = ()

    async def infer(
        self, step_id: str, *, adapter: BaseAdapter, body: dict[str, Any]
    ) -> dict[str, object]:
        """
        Let the server ask a model; meanwhile nothing of the run stays in memory.

        body: as the provider takes it; the adapter names the model where it names
        none. The result is the provider's JSON. Raises StepError, named
        AIGatewayError, once every attempt has failed.
        """
        memo = self._recall(step_id)
        if memo is MISSING:
            memo = await arun(self._infer(step_id, adapter, body), self._running.perform)
        return cast("dict[str, object]", memo_data(memo, step_id))

    @overload
    async def wrap(
        self,
        step_id: str,
        handler: Callable[[Unpack[Ts]], Awaitable[T]],
        *handler_args: Unpack[Ts],
        output_type: object = EmptySentinel,
    ) -> T: ...

    @overload
    async def wrap(
        self,
        step_id: str,
        handler: Callable[[Unpack[Ts]], T],
        *handler_args: Unpack[Ts],
        output_type: object = EmptySentinel,
    ) -> T: ...

    async def wrap(
        self,
        step_id: str,
        handler: Callable[[Unpack[Ts]], Any],
        *handler_args: Unpack[Ts],
        output_type: object = EmptySentinel,
    ) -> Any:
        """As ``step.run``, for a callable that asks a model itself: servers show it as such."""
        memo = self._recall(step_id)
        if memo is MISSING:
            flow = self._call(step_id, handler, handler_args, output_type, WRAP)
            memo = await arun(flow, self._running.perform)
        return self._running.value(step_id, memo, handler, output_type)


class AISync(Asking):
    """Steps of a blocking function that call models: as ``AI``, without ``await``."""

    __slots__ = ()

    def infer(
        self, step_id: str, *, adapter: BaseAdapter, body: dict[str, Any]
    ) -> dict[str, object]:
        """See AI.infer."""
        memo = self._recall(step_id)
        if memo is MISSING:
            memo = run(self._infer(step_id, adapter, body), self._running.perform)
        return cast("dict[str, object]", memo_data(memo, step_id))

    def wrap(
        self,
        step_id: str,
        handler: Callable[[Unpack[Ts]], T],
        *handler_args: Unpack[Ts],
        output_type: object = EmptySentinel,
    ) -> T:
        """See AI.wrap."""
        memo = self._recall(step_id)
        if memo is MISSING:
            flow = self._call(step_id, handler, handler_args, output_type, WRAP)
            memo = run(flow, self._running.perform)
        value: T = self._running.value(step_id, memo, handler, output_type)
        return value


class Step(Asking):
    """The steps of an async function."""

    __slots__ = ()

    @property
    def ai(self) -> AI:
        """Steps that call models."""
        return AI(self._running)

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
        return running.value(step_id, memo, handler, output_type)

    async def send_event(self, step_id: str, events: Event | list[Event]) -> list[str]:
        """Send events once in the life of the run; their ids."""
        memo = await arun(self._send(step_id, events), self._running.perform)
        return cast("list[str]", memo_data(memo, step_id))

    async def sleep(self, step_id: str, duration: Duration) -> None:
        """Let the run sleep; nothing of it stays in memory. At least a second."""
        memo = await arun(self._sleep(step_id, duration), self._running.perform)
        memo_data(memo, step_id)

    async def sleep_until(self, step_id: str, until: datetime.datetime) -> None:
        """Let the run sleep until an instant; a naive datetime is local time."""
        memo = await arun(self._sleep_until(step_id, until), self._running.perform)
        memo_data(memo, step_id)

    async def wait_for_event(
        self, step_id: str, *, event: str, if_exp: str | None = None, timeout: Duration
    ) -> Event | None:
        """
        Wait for an event; None if the timeout comes first.

        if_exp: an expression in which ``event`` is what started the run and
        ``async`` the event that has come.
        """
        flow = self._wait(step_id, event, if_exp, timeout)
        return _event(await arun(flow, self._running.perform), step_id)

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
        flow = self._invoke(step_id, invocable(function).id, data, timeout, v)
        memo = await arun(flow, self._running.perform)
        return cast(T, self._result(step_id, memo, function))

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
        return memo_data(await arun(flow, self._running.perform), step_id)

    async def wait_for_signal(
        self,
        step_id: str,
        *,
        signal: str,
        timeout: Duration,
        on_conflict: Conflict = "fail",
    ) -> Signal | None:
        """
        Wait for a signal, by its name; None if the timeout comes first.

        on_conflict: where another run waits for the same signal, ``fail`` fails
        this run, ``replace`` takes the signal over, and the other run goes on with
        None at its own timeout.
        """
        flow = self._remote(
            step_id, Opcode.WAIT_FOR_SIGNAL, signal_opts(signal, timeout, on_conflict)
        )
        return memo_signal(await arun(flow, self._running.perform), step_id)

    async def send_signal(self, step_id: str, signal: str, data: object = None) -> str | None:
        """
        Wake the run that waits for *signal*; its id, or None if no run does.

        data: any JSON value. It reaches the run as ``Signal.data``.
        """
        memo = await arun(self._signal(step_id, signal, data), self._running.perform)
        return cast("str | None", memo_data(memo, step_id))

    async def fetch(
        self,
        step_id: str,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str | dict[str, Any] | list[Any] | None = None,
    ) -> FetchResponse:
        """
        Let the server make a request; meanwhile nothing of the run stays in memory.

        body: a dict or list goes out as JSON. Any status is a response. Raises
        StepError once every attempt to reach the address has failed.
        """
        memo = self._recall(step_id)
        if memo is MISSING:
            flow = self._fetch(step_id, url, method, headers, body)
            memo = await arun(flow, self._running.perform)
        return memo_response(memo, step_id)

    async def defer(
        self,
        step_id: str,
        *,
        function: Function[Any] | None = None,
        function_id: str | None = None,
        app_id: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> Deferred:
        """
        Let another function start when this run ends, whichever way it ends.

        Give function, or function_id and perhaps app_id. This waits for nothing:
        the server is told with whatever it is told next.
        """
        flow = self._defer(step_id, function, function_id, app_id, data)
        return Deferred(self._running, await arun(flow, self._running.perform), step_id)


class StepSync(Asking):
    """The steps of a blocking function: as ``Step``, without ``await``."""

    __slots__ = ()

    @property
    def ai(self) -> AISync:
        """Steps that call models."""
        return AISync(self._running)

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
        value: T = running.value(step_id, memo, handler, output_type)
        return value

    def send_event(self, step_id: str, events: Event | list[Event]) -> list[str]:
        """See Step.send_event."""
        memo = run(self._send(step_id, events), self._running.perform)
        return cast("list[str]", memo_data(memo, step_id))

    def sleep(self, step_id: str, duration: Duration) -> None:
        """See Step.sleep."""
        memo_data(run(self._sleep(step_id, duration), self._running.perform), step_id)

    def sleep_until(self, step_id: str, until: datetime.datetime) -> None:
        """See Step.sleep_until."""
        memo_data(run(self._sleep_until(step_id, until), self._running.perform), step_id)

    def wait_for_event(
        self, step_id: str, *, event: str, if_exp: str | None = None, timeout: Duration
    ) -> Event | None:
        """See Step.wait_for_event."""
        flow = self._wait(step_id, event, if_exp, timeout)
        return _event(run(flow, self._running.perform), step_id)

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
        flow = self._invoke(step_id, invocable(function).id, data, timeout, v)
        return cast(T, self._result(step_id, run(flow, self._running.perform), function))

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
        return memo_data(run(flow, self._running.perform), step_id)

    def wait_for_signal(
        self,
        step_id: str,
        *,
        signal: str,
        timeout: Duration,
        on_conflict: Conflict = "fail",
    ) -> Signal | None:
        """See Step.wait_for_signal."""
        flow = self._remote(
            step_id, Opcode.WAIT_FOR_SIGNAL, signal_opts(signal, timeout, on_conflict)
        )
        return memo_signal(run(flow, self._running.perform), step_id)

    def send_signal(self, step_id: str, signal: str, data: object = None) -> str | None:
        """See Step.send_signal."""
        memo = run(self._signal(step_id, signal, data), self._running.perform)
        return cast("str | None", memo_data(memo, step_id))

    def fetch(
        self,
        step_id: str,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: str | dict[str, Any] | list[Any] | None = None,
    ) -> FetchResponse:
        """See Step.fetch."""
        memo = self._recall(step_id)
        if memo is MISSING:
            flow = self._fetch(step_id, url, method, headers, body)
            memo = run(flow, self._running.perform)
        return memo_response(memo, step_id)

    def defer(
        self,
        step_id: str,
        *,
        function: Function[Any] | None = None,
        function_id: str | None = None,
        app_id: str | None = None,
        data: Mapping[str, object] | None = None,
    ) -> Deferred:
        """See Step.defer."""
        flow = self._defer(step_id, function, function_id, app_id, data)
        return Deferred(self._running, run(flow, self._running.perform), step_id)


def _event(memo: Any, step_id: str) -> Event | None:
    found = memo_event(memo, step_id)
    return None if found is None else Event.model_validate(found)
