"""
The body of a call, as a record.

Parsed into plain dicts and checked by hand: a model would cost more than all
the rest of a call. Memos stay the dicts that the parser made; nothing is copied.
"""

from __future__ import annotations

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
    """

    function_id: str
    target: str | None
    run_id: str
    attempt: int
    max_attempts: int | None
    plan_only: bool
    use_api: bool
    stack: list[str]
    steps: Memos
    event: dict[str, Any]
    events: list[dict[str, Any]]
    request_id: str | None
    job_id: str | None
    generation_id: int | None
    internal_fn_id: str | None
    qi_id: str | None

    @property
    def last_attempt(self) -> bool:
        return self.max_attempts is not None and self.attempt + 1 >= self.max_attempts


def call_target(query: Any) -> tuple[str, str | None]:
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


def parse_call(body: bytes, query: Any) -> CallRequest:
    """
    The call that *body* and *query* describe.

    Keys that older servers do not send may be absent. Raises QueryError or
    BodyError, naming the field.
    """
    function_id, target = call_target(query)
    doc = _Fields(parse_body(body), "body")
    ctx = _Fields(doc.get("ctx", dict, None), "ctx")
    stack = _Fields(ctx.get("stack", dict, {}), "ctx.stack")
    use_api = ctx.get("use_api", bool, False) or doc.get("use_api", bool, False)
    events = doc.get("events", list, [])
    return CallRequest(
        function_id=function_id,
        target=target,
        run_id=ctx.get("run_id", str, None),
        attempt=ctx.get("attempt", int, 0),
        max_attempts=ctx.maybe("max_attempts", int),
        plan_only=ctx.get("disable_immediate_execution", bool, False),
        use_api=use_api,
        stack=_all_of(stack.get("stack", list, []), str, "ctx.stack.stack"),
        steps=doc.get("steps", dict, {}),
        event=doc.get("event", dict, events[0] if events else None),
        events=_all_of(events, dict, "events"),
        request_id=ctx.maybe("request_id", str),
        job_id=ctx.maybe("job_id", str),
        generation_id=ctx.maybe("generation_id", int),
        internal_fn_id=ctx.maybe("fn_id", str),
        qi_id=ctx.maybe("qi_id", str),
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


class _Fields:
    """An object of the body whose fields are read with their type checked."""

    __slots__ = ("_doc", "_where")

    def __init__(self, doc: object, where: str) -> None:
        if not isinstance(doc, dict):
            raise BodyError(f"{where} must be an object, got {type(doc).__name__}")
        self._doc = doc
        self._where = where

    def get(self, name: str, kind: type, default: Any) -> Any:
        """The field, or *default* where it is absent or null; None as default: required."""
        value = self._doc.get(name)
        if type(value) is kind:
            return value
        if value is not None:
            raise BodyError(
                f"{self._where}.{name} must be of type {kind.__name__}, got {type(value).__name__}"
            )
        if default is None:
            raise BodyError(f"{self._where}.{name} is missing")
        return default

    def maybe(self, name: str, kind: type) -> Any:
        """The field, or None where it is absent or null."""
        return None if self._doc.get(name) is None else self.get(name, kind, None)


def _all_of(values: list[Any], kind: type, where: str) -> list[Any]:
    if set(map(type, values)) <= {kind}:
        return values
    index, odd = next((n, value) for n, value in enumerate(values) if type(value) is not kind)
    raise BodyError(f"{where}[{index}] must be of type {kind.__name__}, got {type(odd).__name__}")
