"""
An outcome as the reply of a call: status, body and the headers about retries.

The body is dumped here, once: the bytes that are signed are the bytes that are sent.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from ..errors import (
    InngestError,
    NonRetriableError,
    OutputUnserializableError,
    RetryAfterError,
    StepError,
)
from ..result import error_record
from ..wire.call import CallRequest
from ..wire.ids import hash_step
from ..wire.names import Header, Opcode
from ..wire.time import format_instant, instant_ms
from .op import Op
from .standing import Reached

_COMPLETE = "complete"
_JSON = {Header.CONTENT_TYPE: "application/json"}

dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


@dataclass(slots=True)
class Reply:
    """The status, headers and body of a reply, unsigned."""

    status: int
    body: bytes
    headers: dict[str, str]


def json_reply(status: int, value: object, headers: dict[str, str] | None = None) -> Reply:
    """A reply whose body is the JSON of *value*."""
    return Reply(status, _encoded(dump(value)), {**_JSON, **(headers or {})})


def _encoded(text: str) -> bytes:
    # What UTF-8 cannot hold, half of a surrogate pair, becomes the escape that JSON has for it.
    return text.encode("utf-8", "backslashreplace")


def op_text(op: Op) -> str:
    """The JSON of an op."""
    return dump(op.to_wire()) if op.text is None else op.text


def fix(op: Op) -> None:
    """Fix what an op says: its text. Raises OutputUnserializableError."""
    try:
        op.text = dump(op.to_wire())
    except (TypeError, ValueError, RecursionError) as error:
        raise unserializable(op) from error


def value_reply(value: object) -> Reply:
    """The function has returned *value*. Raises OutputUnserializableError."""
    try:
        return json_reply(200, value)
    except (TypeError, ValueError, RecursionError) as error:
        raise unserializable(None) from error


def end_reply(value: object, along: list[Op]) -> Reply:
    """The function has returned *value*, and *along* goes out with it."""
    if not along:
        return value_reply(value)
    end = Op(hash_step(_COMPLETE), _COMPLETE, None, Opcode.RUN_COMPLETE, _COMPLETE, data=value)
    return ops_reply([*along, end], {})


def ops_reply(ops: list[Op], headers: dict[str, str]) -> Reply:
    """The server has something to do. Raises OutputUnserializableError, naming the step."""
    try:
        texts = ",".join(map(op_text, ops))
    except (TypeError, ValueError, RecursionError) as error:
        raise unserializable(_culprit(ops)) from error
    return Reply(206, _encoded(f"[{texts}]"), {**_JSON, **headers})


def error_reply(error: BaseException) -> Reply:
    """The function, or the request, has failed."""
    record = _unserializable_record(error) or _final_record(error)
    status = error.status if isinstance(error, InngestError) else 500
    return json_reply(status, record, retry_headers(error))


def step_op(step: Reached, error: BaseException, call: CallRequest) -> Op:
    """The op of a step that raised."""
    op = step.op()
    fail(op, error, call)
    return op


def fail(op: Op, error: BaseException, call: CallRequest) -> None:
    """Let *op* say that its step raised: to be tried again, or failed for good."""
    final = call.last_attempt or not retriable(error)
    op.code = Opcode.STEP_FAILED if final else Opcode.STEP_ERROR
    op.error = error_record(error)


def retriable(error: BaseException) -> bool:
    """Whether another attempt may help."""
    return error.retriable if isinstance(error, InngestError) else True


def retry_headers(error: BaseException) -> dict[str, str]:
    """The headers that tell whether, and when, the server tries again."""
    return {
        Header.NO_RETRY: "false" if retriable(error) else "true",
        **retry_after_header(error),
    }


def retry_after_header(error: BaseException | None) -> dict[str, str]:
    """The header that sets the time of the next attempt, if the error asks for one."""
    if not isinstance(error, RetryAfterError):
        return {}
    return {Header.RETRY_AFTER: format_instant(instant_ms(error.retry_after))}


def _final_record(error: BaseException) -> dict[str, Any]:
    record = error_record(error)
    if isinstance(error, StepError) and error.name == NonRetriableError.__name__:
        record["code"] = NonRetriableError.code
    return record


def _unserializable_record(error: BaseException) -> dict[str, Any] | None:
    # Its shape on the wire is fixed, without a stack.
    if not isinstance(error, OutputUnserializableError):
        return None
    return {"code": error.code, "message": error.message, "name": error.name}


def unserializable(op: Op | None) -> OutputUnserializableError:
    """The error of a step, or of the function, whose output is not JSON."""
    whose = f'"{op.step_id}" ' if op else ""
    return OutputUnserializableError(f"{whose}returned unserializable data")


def _culprit(ops: list[Op]) -> Op | None:
    for op in ops:
        try:
            op_text(op)
        except (TypeError, ValueError, RecursionError):
            return None if op.code is Opcode.RUN_COMPLETE else op
    return None
