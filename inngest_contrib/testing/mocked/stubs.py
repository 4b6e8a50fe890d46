"""What stands in for a step: values, errors, timeouts and callables, as memos."""

from __future__ import annotations

import enum
import inspect
import json
from collections.abc import Mapping
from typing import Any, Final

import inngest_core
from inngest_core import Opcode

from ..runs import Memo, Op

_FREE = {Opcode.PLANNED.value, Opcode.SLEEP.value}
_TIMED_OUT = "Timed out waiting for invoked function to complete"
_HOW = {
    Opcode.WAIT_FOR_EVENT.value: (
        "waits for an event",
        "inngest_core.Event(...) or mocked.Timeout",
    ),
    Opcode.WAIT_FOR_SIGNAL.value: (
        "waits for a signal",
        "the signal's data or mocked.Timeout",
    ),
    Opcode.INVOKE.value: (
        "invokes another function",
        "what that returns, an exception or mocked.Timeout",
    ),
    Opcode.AI_GATEWAY.value: ("asks a model", "the response's JSON"),
    Opcode.GATEWAY.value: ("lets the server make a request", "inngest_core.FetchResponse(...)"),
}


class Status(enum.Enum):
    """How a run has ended."""

    COMPLETED = "Completed"
    FAILED = "Failed"


class _Timeout(enum.Enum):
    TIMEOUT = "Timeout"

    def __repr__(self) -> str:
        return "mocked.Timeout"


Timeout: Final = _Timeout.TIMEOUT
"""The stub of a wait or an invoke that nothing ends in time."""


class UnstubbedStepError(Exception):
    """A step needs a server, or a stub that says how it ends. step_id: the user's."""

    def __init__(self, step_id: str, op: str = "") -> None:
        self.step_id = step_id
        does, stub = _HOW.get(op, ("needs a server", "its result"))
        super().__init__(
            f'the step "{step_id}" {does}, and there is nobody who could answer; say how it '
            f'ends: step_stubs={{"{step_id}": <{stub}>}}'
        )


class Stubs:
    """The stubs of one run, by the user's step id; one serves every step of its id."""

    def __init__(self, stubs: Mapping[str, object]) -> None:
        self._stubs = stubs

    def settle(self, op: Op) -> Memo | None:
        """The memo that a stub gives an op; None for a step that executes."""
        kind, step_id = op["op"], op["displayName"]
        if kind == Opcode.SLEEP:
            return Memo(None)
        if step_id in self._stubs:
            return Memo(_memo(op, _called(step_id, self._stubs[step_id], op)))
        if kind in _FREE:
            return None
        raise UnstubbedStepError(step_id, kind)


def _called(step_id: str, stub: object, op: Op) -> object:
    """The stub, or what it makes of the op's opts if it is a callable."""
    if not callable(stub):
        return stub
    try:
        result: object = stub(op.get("opts") or {})
    except Exception as error:
        return error
    if inspect.iscoroutine(result):
        result.close()
        raise TypeError(f'step_stubs["{step_id}"]: a callable must be a plain function, not async')
    return result


def _memo(op: Op, stub: object) -> Any:
    if isinstance(stub, BaseException):
        error = {"name": type(stub).__name__, "message": str(stub), "stack": None}
        return {"error": error}
    if stub is Timeout:
        return _timeout(op)
    if op["op"] == Opcode.WAIT_FOR_EVENT:
        return _event(op, stub)
    if op["op"] == Opcode.WAIT_FOR_SIGNAL:
        return {"data": _signal(op, stub)}
    if isinstance(stub, inngest_core.FetchResponse):
        headers = dict(stub.headers)
        record = {"status_code": stub.status, "headers": headers, "body": stub.body}
        return {"data": {**record, "url": stub.url}}
    return {"data": _json(op, stub)}


def _timeout(op: Op) -> Any:
    """How a step ends that nothing has ended in time."""
    if op["op"] == Opcode.INVOKE:
        return {"error": {"name": "InngestInvokeTimeoutError", "message": _TIMED_OUT}}
    if op["op"] in (Opcode.WAIT_FOR_EVENT, Opcode.WAIT_FOR_SIGNAL):
        return None
    raise TypeError(
        f'step_stubs["{op["displayName"]}"]: mocked.Timeout stands for a wait or an invoke; to let '
        "this step fail, give an exception"
    )


def _event(op: Op, stub: object) -> Any:
    if stub is None:
        return None
    if not isinstance(stub, inngest_core.Event):
        raise TypeError(
            f'step_stubs["{op["displayName"]}"]: a wait for an event ends with an Event or '
            f"mocked.Timeout, got {type(stub).__name__}"
        )
    return _json(op, stub.model_dump())


def _signal(op: Op, stub: object) -> Any:
    if stub is None:
        return None
    if isinstance(stub, inngest_core.Signal):
        return _json(op, {"signal": stub.signal, "data": stub.data})
    return _json(op, {"signal": op["opts"]["signal"], "data": stub})


def _json(op: Op, value: object) -> Any:
    """A value as the wire carries it; models, dates and the like as pydantic writes them."""
    from pydantic_core import PydanticSerializationError, to_json

    try:
        return json.loads(to_json(value))
    except PydanticSerializationError as error:
        raise TypeError(
            f'step_stubs["{op["displayName"]}"]: a step\'s result is JSON: {error}'
        ) from error
