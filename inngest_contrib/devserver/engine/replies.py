"""
What an app's reply says: the function finished, or wants something, or failed.

Everything that can be wrong with a reply becomes a `Failure` here, in the real server's words
where it has some; nothing in a reply can raise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inngest_contrib.devserver.engine import text
from inngest_contrib.devserver.engine.commands import Json, Replied
from inngest_contrib.devserver.engine.hiding import hide_in_reply
from inngest_contrib.devserver.engine.limits import MAX_REPLY, MAX_STEP_OUTPUT
from inngest_core.wire.names import Header, Opcode

_OPCODES = {code.value.lower(): code for code in Opcode}
_TOO_LARGE = (
    "output_too_large: Your function's response body exceeds the maximum size limit of "
    f"{MAX_REPLY} bytes"
)
_NO_SDK = (
    "No step output was produced before the request failed — this can mean a proxy or load "
    "balancer in front of your app returned an error, or your app was unable to respond."
)
_LIMITED = (Opcode.STEP_RUN, Opcode.STEP)
_OPS = "error reading generator opcode response: "
_QUOTED = 2000
_VERSIONS = 1 << 31


@dataclass(slots=True, frozen=True)
class Op:
    """One thing that a function asks of the server, or reports."""

    code: Opcode
    id: str
    name: str
    """For people: the display name, else what the op calls its name."""
    raw_name: str
    opts: Mapping[str, Json]
    data: bytes
    """JSON text."""
    error: Json
    timing: Mapping[str, Json]
    metadata: Json = None

    @property
    def races(self) -> bool:
        """Whether the function wants to be called again as soon as this one has ended."""
        return self.opts.get("parallelMode") == "race"


@dataclass(slots=True, frozen=True)
class Finished:
    """The function returned; `output` is JSON text."""

    output: bytes


@dataclass(slots=True, frozen=True)
class Ops:
    """The function stands at these steps."""

    ops: list[Op]


@dataclass(slots=True, frozen=True)
class Failure:
    """
    The attempt failed.

    `body` is the error as the app sent it; `kind` the server's word for it, seen by events.
    """

    body: Json
    kind: str

    @property
    def error(self) -> dict[str, Json]:
        """The error as internal events and invokers see it."""
        return describe_error(self.body, self.kind)


@dataclass(slots=True, frozen=True)
class Reply:
    """A reply, understood."""

    verdict: Finished | Ops | Failure
    no_retry: bool = False
    retry_after: str | None = None
    request_version: int | None = None


def failure(message: str) -> Failure:
    """A failure in the server's own words."""
    return Failure({"error": message, "message": message, "name": "Error"}, message)


def describe_error(body: Json, kind: str) -> dict[str, Json]:
    """The four fields that an error has outside its run."""
    if not isinstance(body, dict):
        return {"error": kind, "message": str(body), "name": "Error"}
    known = {key: body[key] for key in ("message", "name", "stack") if body.get(key) is not None}
    return {"error": kind, **known}


def read_reply(reply: Replied) -> Reply:
    """Understand a reply."""
    if len(reply.body) > MAX_REPLY:
        return Reply(failure(_TOO_LARGE))
    status, headers, body = reply.status, reply.headers, reply.body
    if status == 201:
        inner = _read_stream(body)
        if isinstance(inner, Failure):
            return Reply(inner)
        status, headers, body = inner[0], {**headers, **inner[1]}, inner[2]
    no_retry = headers.get(Header.NO_RETRY) == "true"
    verdict = _judge(status, headers, body, no_retry)
    keeps_version = isinstance(verdict, Ops)
    return Reply(
        verdict=verdict,
        no_retry=no_retry,
        retry_after=headers.get(Header.RETRY_AFTER),
        request_version=_read_version(headers) if keeps_version else None,
    )


def _judge(
    status: int, headers: Mapping[str, str], body: bytes, no_retry: bool
) -> Finished | Ops | Failure:
    if Header.SDK not in headers:
        return _judge_stranger(status, headers, body)
    if status == 206:
        return _read_ops(body)
    if 200 <= status < 300 and not no_retry:
        return Finished(_read_output(body))
    if status < 300:
        return Failure(_read_value(body), "NonRetriableError")
    kind = "NonRetriableError" if no_retry else f"invalid status code: {status}"
    return Failure(_read_value(body) if body else f"invalid status code: {status}", kind)


def _judge_stranger(status: int, headers: Mapping[str, str], body: bytes) -> Failure:
    if 200 <= status < 300:
        kind = f"the reply lacks the header {Header.SDK}: it did not come from an Inngest SDK"
        return Failure(hide_in_reply(_read_value(body)), kind)
    message = f"Your server returned HTTP {status} before the SDK responded."
    media = headers.get(Header.CONTENT_TYPE, "")
    shown = body[:_QUOTED].decode(errors="replace")
    error = {
        "error": message,
        "message": message,
        "name": "Server returned a fatal error",
        "stack": f"{_NO_SDK}\n\nUpstream response ({media}):\n{shown}",
    }
    return Failure(error, message)


def _read_version(headers: Mapping[str, str]) -> int:
    try:
        version = int(headers.get(Header.REQUEST_VERSION, "0"))
    except ValueError:
        return 0
    return version if 0 <= version < _VERSIONS else 0


def _read_value(body: bytes) -> Json:
    try:
        return text.read(body)
    except ValueError:
        return body.decode(errors="replace")


def _read_output(body: bytes) -> bytes:
    return text.write(_read_value(body)) if body.strip() else b"null"


def _read_stream(body: bytes) -> tuple[int, dict[str, str], bytes] | Failure:
    try:
        inner = text.read(body)
    except ValueError as error:
        return failure(f"error parsing stream: {error}")
    if not isinstance(inner, dict) or not isinstance(inner.get("status"), int):
        problem = inner.get("error") if isinstance(inner, dict) else None
        return failure(f"error parsing stream: {problem or 'expected an object with a status'}")
    if inner.get("error") is not None:
        return failure(f"error parsing stream: {inner['error']}")
    content = inner.get("body")
    written = content.encode(errors="replace") if isinstance(content, str) else text.write(content)
    return inner["status"], _read_headers(inner.get("headers")), written


def _read_headers(headers: Any) -> dict[str, str]:
    if not isinstance(headers, dict):
        return {}
    return {str(name).lower(): str(value) for name, value in headers.items()}


def _read_ops(body: bytes) -> Ops | Failure:
    start = body.lstrip()[:1]
    if not start:
        return failure("no response data")
    if start not in b"[{":
        return failure(f"{_OPS}expected JSON object or array")
    try:
        items = text.read(body)
    except ValueError as error:
        return failure(f"{_OPS}{error}")
    ops: list[Op] = []
    for index, item in enumerate([items] if isinstance(items, dict) else items):
        op = parse_op(index, item)
        if isinstance(op, Failure):
            return op
        if len(op.data) > MAX_STEP_OUTPUT and op.code in _LIMITED:
            return _oversized(op.id)
        ops.append(op)
    return Ops(ops)


def parse_op(index: int, item: Any) -> Op | Failure:
    """The op that a JSON value describes, of whatever size."""
    if item is None:
        return failure(f"error validating generator opcode {index}: opcode cannot be null")
    if not isinstance(item, dict):
        return failure(f"{_OPS}opcode {index} is not an object")
    code = _OPCODES.get(str(item.get("op", "")).lower())
    if code is None:
        return failure(f"{_OPS}{item.get('op')} does not belong to Opcode values")
    wrong = _find_wrong_type(item)
    if wrong is not None:
        return failure(f"{_OPS}{wrong} of {code.value} has the wrong type")
    name = item.get("name") or ""
    return Op(
        code=code,
        id=item.get("id") or "",
        name=item.get("displayName") or name,
        raw_name=name,
        opts=item.get("opts") or {},
        data=text.write(item.get("data")),
        error=item.get("error"),
        timing=item.get("timing") or {},
        metadata=item.get("metadata"),
    )


_TYPES = {"id": str, "name": str, "displayName": str, "opts": dict, "timing": dict}


def _find_wrong_type(item: Mapping[str, Json]) -> str | None:
    for key, kind in _TYPES.items():
        value = item.get(key)
        if value is not None and not isinstance(value, kind):
            return key
    return None


def _oversized(step: str) -> Failure:
    return failure(
        f"error validating generator opcode {step}: step output size is greater than the limit"
    )
