"""
The body of a call, as a record.

Parsed into plain dicts and checked by hand: a model would cost more than all
the rest of a call. Memos stay the dicts that the parser made; nothing is copied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import BodyError, QueryError
from .names import DISCOVERY_STEP, Query

Memos = dict[str, Any]


@dataclass(slots=True)
class CallRequest:
    """
    One request of the server to run a function.

    target: the hash of the only step that may run, or None to discover.
    steps: memos by step hash. stack: hashes of ended steps, in completion order.
    defers: by hash, the deferrals that the server knows of.
    """

    function_id: str
    target: str | None
    stack: list[str]
    steps: Memos
    defers: dict[str, Any]
    event: dict[str, Any]
    events: list[dict[str, Any]]
    use_api: bool
    run_id: str
    attempt: int
    max_attempts: int | None
    plan_only: bool
    request_id: str | None
    job_id: str | None
    generation_id: int | None
    internal_fn_id: str | None
    qi_id: str | None

    @property
    def last_attempt(self) -> bool:
        return self.max_attempts is not None and self.attempt + 1 >= self.max_attempts


def call_target(query: Mapping[str, str]) -> tuple[str, str | None]:
    """The function id and the targeted step of a call's query."""
    function_id = query.get(Query.FUNCTION_ID)
    if not function_id:
        raise QueryError("the query parameter fnId is missing; the server adds it to every call")
    step = query.get(Query.STEP_ID, DISCOVERY_STEP)
    return function_id, None if step in (DISCOVERY_STEP, "") else step


def parse_body(body: bytes) -> Any:
    """The JSON value of a request's body; BodyError if it is none."""
    from pydantic_core import from_json

    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise BodyError(f"the body is not JSON: {error}") from None


def parse_call(body: bytes, query: Mapping[str, str]) -> CallRequest:
    """
    The call that *body* and *query* describe.

    Keys that older servers do not send may be absent. Raises QueryError or
    BodyError, naming the field.
    """
    function_id, target = call_target(query)
    ctx, events, event, steps, use_api, defers = _read(parse_body(body), _BODY, "body")
    stack, use_api_too, *fields = _read(ctx, _CTX, "ctx")
    if event is None and not events:
        raise BodyError("body.event is missing")
    (completed,) = _read(stack, _STACK, "ctx.stack")
    return CallRequest(
        function_id,
        target,
        _all_of(completed, str, "ctx.stack.stack"),
        steps,
        defers,
        events[0] if event is None else event,
        _all_of(events, dict, "events"),
        use_api or use_api_too,
        *fields,
    )


def parse_steps(body: bytes) -> Memos:
    """The memos that the server kept back (``/v0/runs/{id}/actions``)."""
    steps = parse_body(body)
    if not isinstance(steps, dict):
        raise BodyError(f"steps must be an object, got {type(steps).__name__}")
    return steps


def parse_events(body: bytes) -> list[dict[str, Any]]:
    """The events that the server kept back (``/v0/runs/{id}/batch``)."""
    events = parse_body(body)
    if not isinstance(events, list):
        raise BodyError(f"events must be an array, got {type(events).__name__}")
    return _all_of(events, dict, "events")


_REQUIRED = object()
_Field = tuple[str, type, Any]

# Name, type, and what stands for it where it is absent or null; dict and list: an empty one.
_BODY: tuple[_Field, ...] = (
    ("ctx", dict, _REQUIRED),
    ("events", list, list),
    ("event", dict, None),
    ("steps", dict, dict),
    ("use_api", bool, False),
    ("defers", dict, dict),
)
_CTX: tuple[_Field, ...] = (
    ("stack", dict, dict),
    ("use_api", bool, False),
    ("run_id", str, _REQUIRED),
    ("attempt", int, 0),
    ("max_attempts", int, None),
    ("disable_immediate_execution", bool, False),
    ("request_id", str, None),
    ("job_id", str, None),
    ("generation_id", int, None),
    ("fn_id", str, None),
    ("qi_id", str, None),
)
_STACK: tuple[_Field, ...] = (("stack", list, list),)


def _read(doc: object, fields: tuple[_Field, ...], where: str) -> list[Any]:
    """The values of *fields* in an object, their types checked."""
    if not isinstance(doc, dict):
        raise BodyError(f"{where} must be an object, got {type(doc).__name__}")
    values = []
    for field in fields:
        value = doc.get(field[0])
        values.append(value if type(value) is field[1] else _absent(value, field, where))
    return values


def _absent(value: object, field: _Field, where: str) -> Any:
    """What stands for an absent field; BodyError if it has another type or must be there."""
    name, kind, default = field
    if value is not None:
        raise BodyError(
            f"{where}.{name} must be of type {kind.__name__}, got {type(value).__name__}"
        )
    if default is _REQUIRED:
        raise BodyError(f"{where}.{name} is missing")
    return default() if isinstance(default, type) else default


def _all_of(values: list[Any], kind: type, where: str) -> list[Any]:
    if set(map(type, values)) <= {kind}:
        return values
    index, odd = next((n, value) for n, value in enumerate(values) if type(value) is not kind)
    raise BodyError(f"{where}[{index}] must be of type {kind.__name__}, got {type(odd).__name__}")
