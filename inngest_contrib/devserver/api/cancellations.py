"""Many runs of a function cancelled at once."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from inngest_contrib.devserver.api.context import Api, read_object
from inngest_contrib.devserver.api.replies import ApiError, reply
from inngest_contrib.devserver.api.shapes import ENVIRONMENT_ID
from inngest_contrib.devserver.engine.commands import CancelRun
from inngest_contrib.devserver.engine.state import Run
from inngest_core.wire.ids import ENTROPY_BYTES, ulid
from inngest_core.wire.time import parse_instant

_AT_ONCE = 100
"""Runs judged and cancelled in one turn; others come in between."""


@dataclass(slots=True, frozen=True)
class _Wish:
    """Which runs: of a function, created between two instants (neither included), that fit."""

    function_id: str
    after: int | None
    before: int
    expression: str | None

    def names(self, run: Run) -> bool:
        late_enough = self.after is None or self.after < run.queued_at
        return run.function.id == self.function_id and late_enough and run.queued_at < self.before


async def cancel_many(api: Api, request: Request) -> Response:
    """POST /v1/cancellations: cancel the runs of a function that are there now."""
    payload = await read_object(request)
    wish = _read(api, payload)
    named = [run for run in api.reads.live() if wish.names(run)]
    for start in range(0, len(named), _AT_ONCE):
        fitting = [run for run in named[start : start + _AT_ONCE] if _fits(api, wish, run)]
        await asyncio.gather(*(api.server.submit(CancelRun(run.id)) for run in fitting))
    return reply(_shown(payload))


def _fits(api: Api, wish: _Wish, run: Run) -> bool:
    return wish.expression is None or api.expressions.matches(wish.expression, run.event.value)


def _shown(payload: dict[str, Any]) -> dict[str, Any]:
    """The cancellation, as it was asked for."""
    shown = {
        "id": ulid(time.time_ns() // 1_000_000, os.urandom(ENTROPY_BYTES)),
        "environment_id": ENVIRONMENT_ID,
        "function_id": payload["function_id"],
        "started_after": payload.get("started_after"),
        "started_before": payload["started_before"],
    }
    return {**shown, "if": payload["if"]} if payload.get("if") else shown


def _read(api: Api, payload: dict[str, Any]) -> _Wish:
    function_id = _function_id(api, _text(payload, "app_id"), _text(payload, "function_id"))
    after = None if payload.get("started_after") is None else _instant(payload, "started_after")
    before = _instant(payload, "started_before")
    if after is not None and after >= before:
        raise ApiError(400, "started_after must be before started_before")
    return _Wish(function_id, after, before, _expression(api, payload.get("if")))


def _function_id(api: Api, app: str, name: str) -> str:
    """Find a function by its id, with or without the app's; an archived one may still have runs."""
    for function in api.reads.functions():
        if function.app_name == app and function.slug in (name, f"{app}-{name}"):
            return function.id
    raise ApiError(404, f'The app "{app}" has no function "{name}"')


def _text(payload: dict[str, Any], name: str) -> str:
    value = payload.get(name)
    if not isinstance(value, str) or not value:
        raise ApiError(400, f"{name} is missing: a text that is not empty")
    return value


def _instant(payload: dict[str, Any], name: str) -> int:
    text = _text(payload, name)
    try:
        return parse_instant(text)
    except (ValueError, OverflowError):
        raise ApiError(
            400, f'{name} must be an instant such as "2026-01-31T18:00:00Z", not "{text}"'
        ) from None


def _expression(api: Api, text: Any) -> str | None:
    if text is None or text == "":
        return None
    if not isinstance(text, str):
        raise ApiError(400, "if must be an expression: a text")
    problem = api.expressions.problem(text)
    if problem is not None:
        raise ApiError(400, f"if cannot be used: {problem}")
    return text
