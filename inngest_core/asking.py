"""How each kind of step asks for what it needs: what both faces of steps share."""

from __future__ import annotations

import asyncio
import datetime
import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .ai.adapter import BaseAdapter
from .errors import ConfigError
from .execution.build import (
    INFER,
    SEND_SIGNAL,
    defer_opts,
    fetch_opts,
    infer_opts,
    invoke_opts,
    is_too_short,
    json_copy,
    require_text,
    sleep_opts,
    sleep_until_opts,
    wait_opts,
)
from .execution.op import memo_data
from .execution.standing import MISSING
from .flow.defer import defer_flow
from .flow.effect import Flow
from .flow.running import Running
from .flow.send import as_list, send_events
from .flow.signal import send_signal
from .flow.step import (
    Body,
    callable_body,
    step_flow,
)
from .function import Function
from .types import Duration
from .wire.event import Event
from .wire.names import DEFERRED, Opcode
from .wire.time import to_ms


class Asking:
    """What both kinds of steps share: how each asks for what it needs."""

    __slots__ = ("_running", "_warned")

    def __init__(self, running: Running) -> None:
        self._running = running
        self._warned = False

    @property
    def sessions(self) -> Mapping[str, object] | None:
        """The event sessions of the run, which go along with the events that are sent in it."""
        return self._running.sessions

    def _own(self) -> bool:
        """Whether the caller stands in the handler's own task; a blocking function has no other."""
        task = self._running.task
        return task is None or asyncio.current_task() is task

    def _recall(self, step_id: str) -> Any:
        """The memo of a step if it may return at once; else MISSING, and it must be reached."""
        machine = self._running.machine
        if self._running.task is None:
            return machine.recall(step_id)
        return machine.recall_next(step_id) if self._own() else MISSING

    def _call(
        self,
        step_id: str,
        handler: Callable[..., Any],
        args: tuple[Any, ...],
        output_type: Any,
        kind: str | None = None,
    ) -> Flow[Any]:
        _require_callable(step_id, handler)
        body = callable_body(self._running, step_id, handler, args, output_type)
        return self._local(step_id, body, kind)

    def _send(self, step_id: str, events: Event | Sequence[Event]) -> Flow[Any]:
        return self._local(step_id, _send_body(self._running, events))

    def _signal(self, step_id: str, signal: str, data: object) -> Flow[Any]:
        return self._local(step_id, _signal_body(self._running, signal, data), SEND_SIGNAL)

    def _local(self, step_id: str, body: Body, kind: str | None = None) -> Flow[Any]:
        """A step that is executed here. kind: how servers name it, None for a plain run."""
        opts = None if kind is None else {"type": kind}
        return step_flow(
            self._running, step_id, Opcode.STEP_RUN, own=self._own(), body=body, opts=opts
        )

    def _remote(self, step_id: str, code: Opcode, opts: dict[str, Any]) -> Flow[Any]:
        """A step that is left to the server."""
        return step_flow(self._running, step_id, code, own=self._own(), opts=opts)

    def _infer(self, step_id: str, adapter: BaseAdapter, body: Mapping[str, Any]) -> Flow[Any]:
        return self._remote(step_id, Opcode.AI_GATEWAY, _infer_opts(adapter, body))

    def _fetch(
        self, step_id: str, url: str, method: str, headers: Mapping[str, str] | None, body: object
    ) -> Flow[Any]:
        opts = fetch_opts(url, method, headers, body)
        return self._remote(step_id, Opcode.GATEWAY, opts)

    def _sleep(self, step_id: str, duration: Duration) -> Flow[Any]:
        opts = sleep_opts(duration)
        if is_too_short(duration):
            self._warn_of_rounding(step_id, duration)
        return self._remote(step_id, Opcode.SLEEP, opts)

    def _warn_of_rounding(self, step_id: str, duration: Duration) -> None:
        """Say, once a call, that a sleep that has not begun yet will be longer than asked for."""
        if self._running.awake and not self._warned:
            self._warned = True
            self._running.home.logger.warning(
                'step.sleep "%s": %s is shorter than a second, and servers drop such sleeps; '
                "it becomes one second",
                step_id,
                duration if isinstance(duration, str) else f"{to_ms(duration)}ms",
            )

    def _sleep_until(self, step_id: str, until: datetime.datetime) -> Flow[Any]:
        return self._remote(step_id, Opcode.SLEEP, sleep_until_opts(until))

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
        return self._remote(step_id, Opcode.INVOKE, invoke_opts(function_id, data, v, timeout))

    def _function_id(self, app_id: str | None, function_id: str) -> str:
        return f"{app_id or self._running.home.config.app_id}-{function_id}"

    def _defer(
        self,
        step_id: str,
        function: Function[Any] | None,
        function_id: str | None,
        app_id: str | None,
        data: Mapping[str, object] | None,
    ) -> Flow[str]:
        target = self._deferrable(step_id, function, function_id, app_id)
        return defer_flow(self._running, step_id, functools.partial(defer_opts, target, data))

    def _deferrable(
        self,
        step_id: str,
        function: Function[Any] | None,
        function_id: str | None,
        app_id: str | None,
    ) -> str:
        if (function is None) == (function_id is None):
            raise ConfigError(f'step.defer "{step_id}": give either function or function_id')
        if function is None:
            return self._function_id(app_id, require_text(function_id, "step.defer function_id"))
        _require_deferred_trigger(step_id, function)
        return function.id

    def _result(self, step_id: str, memo: Any, function: Function[Any]) -> Any:
        """What an invoked function returned, by its own output type."""
        codec = self._running.codec
        typ = codec.type_of(function.handler, function.output_type)
        return codec.load(memo_data(memo, step_id), typ)


def _send_body(running: Running, events: Event | Sequence[Event]) -> Body:
    def body(edited: Any) -> Flow[Any]:
        ids = yield from send_events(
            running.home, as_list(events), running.pipeline, running.sessions
        )
        return ids

    return body


def _signal_body(running: Running, signal: str, data: object) -> Body:
    def body(edited: Any) -> Flow[Any]:
        woken = yield from send_signal(running.home, signal, data)
        return woken

    return body


def _infer_opts(adapter: BaseAdapter, body: Mapping[str, Any]) -> dict[str, Any]:
    """What an adapter makes of a body, which stays as the user wrote it."""
    if isinstance(adapter, type) or not isinstance(adapter, BaseAdapter):
        raise ConfigError(
            f"{INFER} adapter: expected one such as inngest_core.ai.openai.Adapter(...), "
            f"got {getattr(adapter, '__qualname__', type(adapter).__qualname__)}"
        )
    filled = json_copy(body, f"{INFER} body")
    adapter.on_call(filled)
    return infer_opts(
        url=adapter.url_infer(),
        headers=adapter.headers(),
        auth_key=adapter.auth_key(),
        dialect=adapter.format(),
        body=filled,
    )


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


def _require_deferred_trigger(step_id: str, function: Any) -> None:
    """Refuse a function that would never start: a deferral is an event, which it must ask for."""
    if not isinstance(function, Function):
        raise ConfigError(
            f'step.defer "{step_id}": function must be a Function made by create_function, got '
            f"{type(function).__name__}"
        )
    triggers = function.config.opts.triggers
    if not any(getattr(one, "event", None) == DEFERRED for one in triggers):
        raise ConfigError(
            f'step.defer "{step_id}": {function.id} does not ask to be deferred; add '
            f'TriggerEvent(event="{DEFERRED}", '
            f"expression=\"event.data._inngest.fn_slug == '{function.id}'\") to its trigger"
        )


class Deferred:
    """A function that starts when this run ends, unless it is aborted."""

    __slots__ = ("_hashed", "_running", "_step_id")

    def __init__(self, running: Running, hashed: str, step_id: str) -> None:
        self._running = running
        self._hashed = hashed
        self._step_id = step_id

    def __repr__(self) -> str:
        return f"<Deferred {self._step_id}>"

    def abort(self) -> None:
        """Let the function not start after all. Nothing happens if it is aborted already."""
        self._running.machine.abort(self._hashed, self._step_id)


def invocable(function: Any) -> Function[Any]:
    if isinstance(function, Function):
        return function
    raise ConfigError(
        f"step.invoke: function must be a Function made by create_function, got "
        f"{type(function).__name__}; to run a callable as a step use step.run"
    )
