"""The trace of a run as GraphQL shows it, and outputs, which are asked for by ids of their own."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from graphql import GraphQLError

from inngest_contrib.devserver.api.gql.ask import Ask
from inngest_contrib.devserver.api.trace import trace
from inngest_contrib.devserver.engine.tracing import trace_id
from inngest_contrib.devserver.views import RunView
from inngest_core.wire.time import format_instant

Shape = dict[str, Any]
_NOBODY = "0" * 16
_NO_OUTPUT = "No output has this id"


@dataclass(slots=True)
class _Place:
    """Where a span hangs."""

    ask: Ask
    run: RunView
    parent: Shape | None = None
    step: str = ""


def trace_of(ask: Ask, run: RunView) -> Shape:
    """The spans of a run."""
    steps = ask.take(ask.reads.steps(run.id))
    attempts = ask.take(ask.reads.attempts(run.id))
    notes = ask.take(ask.reads.notes(run.id))
    spans = ask.take(ask.reads.spans(run.id))
    document = trace(run, steps, attempts, [], include_output=False, notes=notes, spans=spans)
    return _span(document["rootSpan"], _Place(ask, run))


def _span(given: Mapping[str, Any], place: _Place) -> Shape:
    run, parent = place.run, place.parent
    step_id = given.get("stepId")
    shape: Shape = {
        "appID": lambda info: _app_id(place),
        "functionID": run.function_id,
        "runID": run.id,
        "spanID": given["id"],
        "traceID": trace_id(run.id),
        "parentSpanID": parent["spanID"] if parent else _NOBODY,
        "parentSpan": parent,
        "name": given["name"],
        "status": given["status"],
        "attempts": given.get("attempts") or 0,
        "duration": _duration(given),
        "queuedAt": given["queuedAt"],
        "startedAt": given.get("startedAt"),
        "endedAt": given.get("endedAt"),
        "stepOp": given.get("stepOp"),
        "stepID": step_id,
        "stepType": given.get("stepOp") or ("FINALIZATION" if _is_end(given) else ""),
        "stepInfo": _step_info(given, place),
        "isRoot": parent is None,
        "isUserland": given.get("isUserland", False),
        "response": None,
        "metadata": given.get("metadata", []),
    }
    shape["outputID"] = _output_id(given, place)
    below = _Place(place.ask, run, shape, step_id or place.step)
    shape["childrenSpans"] = [_span(child, below) for child in given.get("children", ())]
    return shape


def _app_id(place: _Place) -> str | None:
    found = place.ask.take(place.ask.reads.functions())
    return next((one.app_id for one in found if one.id == place.run.function_id), None)


def _is_end(given: Mapping[str, Any]) -> bool:
    return given["name"] == "Finalization" and "stepId" not in given


def _duration(given: Mapping[str, Any]) -> int | None:
    return int(given["durationMs"]) if "durationMs" in given else None


def _output_id(given: Mapping[str, Any], place: _Place) -> str | None:
    """Name the output of a span: of the run, of a step, or of an attempt that failed."""
    if given["status"] not in ("COMPLETED", "FAILED") or given.get("isUserland"):
        return None
    number = given["name"].removeprefix("Attempt ")
    about: Shape = {"rid": place.run.id}
    if given.get("stepId") or place.step:
        about["step"] = given.get("stepId") or place.step
    if given["status"] == "FAILED" and number != given["name"]:
        about["attempt"] = int(number)
    return base64.b64encode(json.dumps(about).encode()).decode()


# --- what is known of a step by its kind ------------------------------------------------------


def _step_info(given: Mapping[str, Any], place: _Place) -> Shape | None:
    op = given.get("stepOp")
    if op is None:
        return None
    opts, told = given.get("stepOptions") or {}, given.get("stepInfo") or {}
    timeout = _expiry(given, place) if op in _EXPIRING else None
    common = {"timeout": timeout, "timedOut": told.get("timed_out")}
    if op == "SLEEP":
        until = told.get("until")
        return {
            "__typename": "SleepStepInfo",
            "sleepUntil": None if until is None else format_instant(until),
        }
    if op == "WAIT_FOR_EVENT":
        return {
            "__typename": "WaitForEventStepInfo",
            "eventName": str(opts.get("event") or given["name"]),
            "expression": opts.get("if"),
            "foundEventID": told.get("event_id"),
            **common,
        }
    if op == "WAIT_FOR_SIGNAL":
        signal = str(opts.get("signal") or given["name"])
        return {"__typename": "WaitForSignalStepInfo", "signal": signal, **common}
    if op == "INVOKE":
        return {
            "__typename": "InvokeStepInfo",
            "functionID": str(opts.get("function_id") or ""),
            "runID": told.get("run_id"),
            "triggeringEventID": None,
            "returnEventID": None,
            **common,
        }
    return {"__typename": "RunStepInfo", "type": opts.get("type")}


_EXPIRING = ("WAIT_FOR_EVENT", "WAIT_FOR_SIGNAL", "INVOKE")


def _expiry(given: Mapping[str, Any], place: _Place) -> str | None:
    expires = place.ask.reads.expiry(place.run.id, given["stepId"])
    return None if expires is None else format_instant(expires)


# --- outputs ----------------------------------------------------------------------------------


def output_of(ask: Ask, output_id: str) -> Shape:
    """What a span led to, and what the run was given where the span is the run's own."""
    about = _read_id(output_id)
    run = ask.reads.run(str(about.get("rid")))
    if run is None:
        raise GraphQLError(_NO_OUTPUT)
    step_id = str(about.get("step") or "")
    if "attempt" in about:
        return _attempt_output(ask, run, step_id, about["attempt"])
    return _step_output(ask, run, step_id) if step_id else _run_output(ask, run)


def _read_id(output_id: str) -> Mapping[str, Any]:
    try:
        about = json.loads(base64.b64decode(output_id, validate=True))
    except (binascii.Error, ValueError) as error:
        raise GraphQLError(_NO_OUTPUT) from error
    if not isinstance(about, dict):
        raise GraphQLError(_NO_OUTPUT)
    return about


def _run_output(ask: Ask, run: RunView) -> Shape:
    events = [event for event in map(ask.reads.event, run.event_ids) if event]
    given = f"[{','.join(event.event_json for event in events)}]"
    if run.status == "FAILED":
        return {"input": given, "data": None, "error": _error(run.output)}
    return {"input": given, "data": run.output_json, "error": None}


def _step_output(ask: Ask, run: RunView, step_id: str) -> Shape:
    step = next((one for one in ask.reads.steps(run.id) if one.id == step_id), None)
    if step is None:
        raise GraphQLError(_NO_OUTPUT)
    opts = json.loads(step.opts_json or "null") or {}
    given = _write(opts["input"]) if "input" in opts else None
    memo = json.loads(step.memo_json or "null")
    if isinstance(memo, dict) and set(memo) in ({"error"}, {"error", "noRetry"}):
        return {"input": given, "data": None, "error": _error(memo["error"])}
    value = memo["data"] if isinstance(memo, dict) and set(memo) == {"data"} else memo
    return {"input": given, "data": _write(value), "error": None}


def _attempt_output(ask: Ask, run: RunView, step_id: str, number: Any) -> Shape:
    for attempt in ask.reads.attempts(run.id):
        if (attempt.step_id, attempt.attempt) == (step_id, number):
            error = _error(json.loads(attempt.error_json))
            return {"input": None, "data": None, "error": error}
    raise GraphQLError(_NO_OUTPUT)


def _error(body: Any) -> Shape:
    if not isinstance(body, dict):
        return {"message": body if isinstance(body, str) else _write(body)}
    message = body.get("message")
    shape = {"message": message if isinstance(message, str) else _write(message)}
    for name in ("name", "stack"):
        if body.get(name) is not None:
            shape[name] = str(body[name])
    return {**shape, "cause": body.get("cause")}


def trigger_of(ask: Ask, run: RunView) -> Shape:
    """What started a run."""
    events = [event for event in map(ask.reads.event, run.event_ids) if event]
    timestamp = format_instant(events[0].ts if events else run.queued_at)
    return {
        "eventName": run.event_name or None,
        "IDs": list(run.event_ids),
        "payloads": [event.event_json for event in events],
        "timestamp": timestamp,
        "isBatch": run.batch,
        "batchID": None,
        "cron": run.cron,
    }


def _write(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
