"""
The trace of a run: one span for the run, one for each step, one for each attempt below it.

Span ids are made from what the span is about, so that asking again gives the same ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from inngest_contrib.devserver.api.shapes import ENDED, output_v2, times
from inngest_contrib.devserver.engine.tracing import RUN, span_id
from inngest_contrib.devserver.notes import NoteView, fold
from inngest_contrib.devserver.views import AttemptView, EventView, RunView, SpanView, StepView
from inngest_core.wire.time import format_instant

_MAX_DEPTH = 50
"""How deep spans of an app are nested where they are shown."""
_STEP_OPS = {
    "Step": "RUN",
    "StepRun": "RUN",
    "StepPlanned": "RUN",
    "StepError": "RUN",
    "StepFailed": "RUN",
    "Sleep": "SLEEP",
    "WaitForEvent": "WAIT_FOR_EVENT",
    "WaitForSignal": "WAIT_FOR_SIGNAL",
    "InvokeFunction": "INVOKE",
    "AIGateway": "AI_GATEWAY",
    "Gateway": "GATEWAY",
}


def trace(
    run: RunView,
    steps: Sequence[StepView],
    attempts: Sequence[AttemptView],
    events: Sequence[EventView],
    *,
    include_output: bool,
    notes: Sequence[NoteView] = (),
    spans: Sequence[SpanView] = (),
) -> dict[str, Any]:
    """The document of /v2/runs/{id}/trace."""
    noted = fold(notes)
    children = [
        {**_step_span(step, attempts, include_output), **_metadata(noted.get(step.id))}
        for step in steps
    ]
    if run.status in ENDED:
        children.append(_finalization(run, attempts, include_output))
    root = _span("Run", run.id, RUN, run.status, run.queued_at, run.started_at, run.ended_at)
    root["input"] = {"data": [event.event for event in events]}
    if include_output and run.output_json is not None:
        root["output"] = output_v2(run)
    root |= _metadata(noted.get(""))
    root["children"] = children
    _hang(root, spans)
    return {"runId": run.id, "rootSpan": root}


def _hang(root: dict[str, Any], spans: Sequence[SpanView]) -> None:
    """Put what the app has traced below its parents; below the run where these are unknown."""
    places = {root["id"]: root, **{child["id"]: child for child in root["children"]}}
    parents = {span.id: span.parent for span in spans}
    shown = {span.id: _userland(span) for span in spans}
    for one, shape in shown.items():
        parent = parents[one]
        above = root if _in_ring(one, parents) else shown.get(parent) or places.get(parent)
        (above or root).setdefault("children", []).append(shape)


def _in_ring(span: str, parents: Mapping[str, str]) -> bool:
    """Whether a span is said to be below itself, or too deep: it could not be shown there."""
    above: str | None = span
    for _ in range(_MAX_DEPTH):
        above = parents.get(above or "")
        if above not in parents:
            return False
    return True


def _userland(span: SpanView) -> dict[str, Any]:
    return {
        "id": span.id,
        "name": span.name,
        "status": "FAILED" if span.failed else "COMPLETED",
        "isUserland": True,
        "kind": span.kind,
        "service": span.service,
        "scope": span.scope,
        "attributes": span.attributes,
        "queuedAt": format_instant(span.began_at),
        **times(span.began_at, span.ended_at),
    }


def _metadata(notes: Sequence[NoteView] | None) -> dict[str, Any]:
    """The member of a span that tells its metadata; none where there is none."""
    found = [
        {
            "kind": note.kind,
            "scope": note.scope,
            "updatedAt": format_instant(note.noted_at),
            "values": note.values,
        }
        for note in notes or ()
    ]
    return {"metadata": found} if found else {}


def _step_span(
    step: StepView, attempts: Sequence[AttemptView], include_output: bool
) -> dict[str, Any]:
    span = _span(
        step.name, step.run_id, step.id, step.status, step.queued_at, step.started_at, step.ended_at
    )
    span["stepId"] = step.id
    span["stepOp"] = _STEP_OPS.get(step.op, step.op.upper())
    span["attempts"] = step.attempts
    span |= {key: json.loads(text) for key, text in _texts(step) if text is not None}
    if include_output and step.memo_json is not None:
        span["output"] = _output(json.loads(step.memo_json))
    tries = _tries(step, [one for one in attempts if one.step_id == step.id], include_output)
    return {**span, "children": tries} if tries else span


def _tries(
    step: StepView, failed: Sequence[AttemptView], include_output: bool
) -> list[dict[str, Any]]:
    """List the attempts at a step: those that failed, and the one it ended with or is in."""
    spans = [_attempt_span(one, include_output) for one in failed]
    if not spans or len(spans) >= step.attempts:
        return spans
    began = failed[-1].retry_at or failed[-1].ended_at
    name, key = f"Attempt {len(spans)}", f"{step.id}/{len(spans)}"
    return [*spans, _span(name, step.run_id, key, step.status, began, began, step.ended_at)]


def _texts(step: StepView) -> tuple[tuple[str, str | None], ...]:
    return ("stepOptions", step.opts_json), ("stepInfo", step.details_json)


def _attempt_span(attempt: AttemptView, include_output: bool) -> dict[str, Any]:
    name = f"Attempt {attempt.attempt}"
    started, ended = attempt.started_at, attempt.ended_at
    key = f"{attempt.step_id}/{attempt.attempt}"
    span = _span(name, attempt.run_id, key, "FAILED", started, started, ended)
    if include_output:
        span["output"] = {"error": json.loads(attempt.error_json)}
    return span


def _finalization(
    run: RunView, attempts: Sequence[AttemptView], include_output: bool
) -> dict[str, Any]:
    """The end of a run, with the attempts at the function itself that failed."""
    ended = run.ended_at if run.ended_at is not None else run.queued_at
    span = _span("Finalization", run.id, "finalization", run.status, ended, ended, ended)
    failed = [_attempt_span(one, include_output) for one in attempts if not one.step_id]
    return {**span, "children": failed} if failed else span


def _output(memo: Any) -> Any:
    """A memo as an output: an object as it is, everything else as data."""
    value = memo["data"] if isinstance(memo, dict) and set(memo) == {"data"} else memo
    return value if isinstance(value, dict) else {"data": value}


def _span(
    name: str,
    run_id: str,
    key: str,
    status: str,
    queued: int,
    started: int | None,
    ended: int | None,
) -> dict[str, Any]:
    return {
        "id": span_id(run_id, key),
        "name": name,
        "status": status,
        "queuedAt": format_instant(queued),
        **times(started, ended),
    }
