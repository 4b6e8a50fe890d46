"""Runs that repeat others, as they are asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from inngest_contrib.devserver.api.context import Api, find_run, read_object, run_id_of
from inngest_contrib.devserver.api.replies import ApiError, reply_v2
from inngest_contrib.devserver.engine.commands import KeptStep, Rerun
from inngest_contrib.devserver.engine.limits import MAX_STEP_OUTPUT
from inngest_contrib.devserver.views import RunView, StepView


async def rerun(api: Api, request: Request) -> Response:
    """POST /v2/runs/{id}/rerun: repeat a run, or what comes from one of its steps on."""
    run = find_run(api, run_id_of(request, "Run ID must be a valid ULID"), "Run not found")
    wish = (await read_object(request)).get("fromStep")
    if not isinstance(wish, dict | None):
        raise ApiError(400, "fromStep must be an object with a stepId")
    started = await repeat(api, run, wish)
    return reply_v2({"runId": started})


async def repeat(api: Api, run: RunView, wish: dict[str, Any] | None) -> str:
    """Start a run that repeats another; give its id. `wish`: from which step on, with what."""
    steps = api.reads.steps(run.id)
    step = None if wish is None else _find(steps, wish.get("stepId"))
    started: str | None = await api.server.submit(
        Rerun(
            original_run_id=run.id,
            function_id=run.function_id,
            events=api.reads.records(run.event_ids),
            cron=run.cron,
            retries=run.retries,
            step=None if step is None else _keep(step),
            kept=[] if step is None else [_keep(one) for one in _before(steps, step)],
            input=None if wish is None else _read_input(wish.get("input")),
        )
    )
    if started is None:
        raise ApiError(404, f'The function "{run.function_slug}" is no longer registered')
    return started


def _find(steps: Sequence[StepView], name: Any) -> StepView:
    if not isinstance(name, str) or not name:
        raise ApiError(400, "fromStep.stepId must name a step: its hash, or its name")
    for found in (*(s for s in steps if s.id == name), *(s for s in steps if s.name == name)):
        return found
    raise ApiError(400, "Step not found in original run", code="invalid_request")


def _before(steps: Sequence[StepView], step: StepView) -> list[StepView]:
    """The steps that had ended before another, in that order; all that have, if it never ended."""
    end = len(steps) if step.position is None else step.position
    ended = [(one.position, one) for one in steps if one.position is not None]
    return [one for position, one in sorted(ended, key=lambda p: p[0]) if position < end]


def _keep(step: StepView) -> KeptStep:
    return KeptStep(
        id=step.id,
        name=step.name,
        op=step.op,
        queued_at=step.queued_at,
        started_at=step.started_at,
        ended_at=step.ended_at,
        attempts=step.attempts,
        failed=step.status == "FAILED",
        memo=(step.memo_json or "null").encode(),
        opts=None if step.opts_json is None else step.opts_json.encode(),
        details=None if step.details_json is None else step.details_json.encode(),
    )


def _read_input(given: Any) -> bytes | None:
    if given is None:
        return None
    if not isinstance(given, list):
        raise ApiError(400, "fromStep.input must be an array: the arguments of the step, in order")
    text = json.dumps(given, ensure_ascii=False).encode("utf-8", "replace")
    if len(text) > MAX_STEP_OUTPUT:
        raise ApiError(
            400, f"fromStep.input has {len(text)} bytes, and {MAX_STEP_OUTPUT} are allowed"
        )
    return text
