"""Metadata and scores as they are sent: notes about a run, or one of its steps."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from inngest_contrib.devserver.api.context import (
    Api,
    find_run,
    read_body,
    read_object,
    run_id_of,
)
from inngest_contrib.devserver.api.replies import JSON, ApiError, reply_v2
from inngest_contrib.devserver.engine.commands import NoteMetadata
from inngest_contrib.devserver.engine.limits import MAX_RUN_METADATA
from inngest_contrib.devserver.engine.metadata import BadUpdate, read_update
from inngest_contrib.devserver.events import EventRefused, read_json
from inngest_contrib.devserver.views import StepView
from inngest_core.wire.ids import hash_step

_UNKNOWN_RUN = "Unable to load function run: {}"
_SCORE = "inngest.score"
_EXPERIMENT = "inngest.experiment"
_TARGET = "Invalid metadata target"


async def note(api: Api, request: Request) -> Response:
    """POST /v1/runs/{id}/metadata: note something about a run or a step; answers nothing."""
    run = find_run(api, run_id_of(request), _UNKNOWN_RUN)
    body = await read_object(request)
    updates = body.get("metadata")
    if not isinstance(updates, list):
        raise ApiError(400, "Invalid metadata: it must be a list")
    step_id, scope = _read_target(body.get("target"), api.reads.steps(run.id))
    await _note(api, run.id, step_id, scope, updates)
    return Response(status_code=200, media_type=JSON)


async def _note(api: Api, run_id: str, step_id: str, scope: str, updates: list[Any]) -> None:
    try:
        for item in updates:
            read_update(item)
    except BadUpdate as error:
        raise ApiError(400, f"Invalid metadata: {error}") from error
    if api.reads.notes_size(run_id) > MAX_RUN_METADATA:
        raise ApiError(400, f"Invalid metadata: a run may have {MAX_RUN_METADATA} bytes of it")
    await api.server.submit(NoteMetadata(run_id, updates, step_id=step_id, scope=scope))


def _read_target(target: Any, steps: list[StepView]) -> tuple[str, str]:
    """The step that is meant, empty for the run; and the scope."""
    if target is None:
        return "", "run"
    if not isinstance(target, dict):
        raise ApiError(400, f"{_TARGET}: it must be an object")
    name, index = target.get("step_id"), target.get("step_index") or 0
    if name is None:
        return "", "extended_trace" if target.get("span_id") else "run"
    if not isinstance(name, str) or not isinstance(index, int):
        raise ApiError(400, f"{_TARGET}: step_id must be a text, and step_index a whole number")
    scope = "step" if target.get("step_attempt") is None else "step_attempt"
    return _step_id(name, index, steps), scope if not target.get("span_id") else "extended_trace"


def _step_id(name: str, index: int, steps: list[StepView]) -> str:
    """The hash of a step, which is given by its hash or its id."""
    if any(step.id == name for step in steps):
        return name
    return hash_step(f"{name}:{index}" if index else name)


async def score(api: Api, request: Request) -> Response:
    """POST /v2/runs/{id}/scores: note how good a run, or a step, was."""
    run = find_run(api, run_id_of(request, "Run ID must be a valid ULID"), "Run not found")
    scores = await _read_scores(request)
    steps = api.reads.steps(run.id)
    for one in scores:
        step_id = _step_id(one["stepId"], 0, steps) if one.get("stepId") else ""
        await _note(api, run.id, step_id, "step" if step_id else "run", _updates(one))
    kept = ("name", "value", "stepId")
    told = [{"runId": run.id, **{key: one[key] for key in kept if key in one}} for one in scores]
    return reply_v2(told)


async def _read_scores(request: Request) -> list[dict[str, Any]]:
    try:
        given = read_json(await read_body(request))
    except EventRefused as error:
        raise ApiError(400, f"The body is not JSON: {error}") from error
    if not isinstance(given, list):
        raise ApiError(400, "The body must be a list of scores")
    for index, one in enumerate(given):
        problem = _find_problem(one)
        if problem:
            raise ApiError(400, f"scores[{index}]: {problem}", code="invalid_field_format")
    return given


def _find_problem(score: Any) -> str:
    if not isinstance(score, dict):
        return "Score must be an object"
    if not isinstance(score.get("name"), str) or not score["name"].strip():
        return "Score name is required"
    if not isinstance(score.get("value"), (int, float)):
        return "Score value must be a number or a boolean"
    if not isinstance(score.get("stepId"), str | None):
        return "Score stepId must be a text"
    if not isinstance(score.get("experiment"), dict | None):
        return "Score experiment must be an object"
    return ""


def _updates(score: dict[str, Any]) -> list[dict[str, Any]]:
    values = {score["name"]: {"value": score["value"]}}
    updates: list[dict[str, Any]] = [{"kind": _SCORE, "op": "merge", "values": values}]
    if score.get("experiment"):
        updates.append({"kind": _EXPERIMENT, "op": "merge", "values": score["experiment"]})
    return updates
