"""
Records as GraphQL shows them.

What has to be looked up stands in a shape as a function, and is looked up only where it is asked
for. Its first argument is GraphQL's own, the context of which is the `Ask`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from inngest_contrib.devserver.api import configurations
from inngest_contrib.devserver.api.gql.ask import Ask
from inngest_contrib.devserver.api.gql.spans import trace_of
from inngest_contrib.devserver.api.shapes import ENDED, ENVIRONMENT_ID, stored_config
from inngest_contrib.devserver.engine.tracing import trace_id
from inngest_contrib.devserver.views import AppView, EventView, FunctionView, RunView, StepView
from inngest_core.wire.names import DEFERRED
from inngest_core.wire.time import format_instant

Shape = dict[str, Any]
_AI_STEP = "AIGateway"
_Happening = tuple[str, "str | None", int, int]
"""What happened, to which step, at which attempt, and when."""


def instant(moment: int | None) -> str | None:
    """A time, where there is one."""
    return None if moment is None else format_instant(moment)


def app_shape(ask: Ask, app: AppView) -> Shape:
    """An app."""
    language, _, version = app.sdk.partition(":")
    return {
        "id": app.id,
        "externalID": app.name,
        "name": app.name,
        "sdkLanguage": language,
        "sdkVersion": version,
        "framework": app.framework,
        "url": app.url,
        "checksum": app.checksum,
        "error": app.error or None,
        "connected": not app.error,
        "autodiscovered": False,
        "method": method_of(app),
        "appVersion": app.version,
        "functionCount": lambda info: len(functions_of(ask, app.id)),
        "functions": lambda info: [function_shape(ask, f) for f in functions_of(ask, app.id)],
    }


def method_of(app: AppView) -> str:
    """How an app is reached."""
    return "CONNECT" if app.method == "connect" else "SERVE"


def functions_of(ask: Ask, app_id: str | None = None) -> list[FunctionView]:
    """The functions that are registered now."""
    found = ask.take(ask.reads.functions(app_id))
    return [function for function in found if not function.archived]


def function_shape(ask: Ask, function: FunctionView) -> Shape:
    """A function."""
    config = json.loads(function.config_json)
    return {
        "id": function.id,
        "name": function.name,
        "slug": function.slug,
        "url": function.url,
        "appID": function.app_id,
        "concurrency": configurations.concurrency_limit(config),
        "config": _write(stored_config(function, config)),
        "triggers": [configurations.trigger(one) for one in config.get("triggers") or ()],
        "configuration": {"cancellations": [], **configurations.configuration(config)},
        "app": lambda info: _app_of(ask, function.app_id),
    }


def _app_of(ask: Ask, app_id: str) -> Shape | None:
    found = (app for app in ask.take(ask.reads.apps()) if app.id == app_id)
    return next((app_shape(ask, app) for app in found), None)


def _function_of(ask: Ask, function_id: str) -> Shape | None:
    found = (one for one in ask.take(ask.reads.functions()) if one.id == function_id)
    return next((function_shape(ask, one) for one in found), None)


# --- events ---------------------------------------------------------------------------------


def event_shape(ask: Ask, event: EventView) -> Shape:
    """An event, the older way."""
    runs = _once(lambda: ask.take(ask.reads.runs_of_event(event.id)))
    return {
        "id": event.id,
        "externalID": event.external_id,
        "name": event.name,
        "createdAt": format_instant(event.ts),
        "payload": _write(event.event.get("data")),
        "raw": event.event_json,
        "status": lambda info: _event_status(runs()),
        "pendingRuns": lambda info: sum(run.status not in ENDED for run in runs()),
        "totalRuns": lambda info: len(runs()),
        "functionRuns": lambda info: [function_run_shape(ask, run) for run in runs()],
    }


def event_v2_shape(ask: Ask, event: EventView) -> Shape:
    """An event."""
    return {
        "id": event.id,
        "idempotencyKey": event.external_id,
        "name": event.name,
        "occurredAt": format_instant(event.ts),
        "receivedAt": format_instant(event.received_at),
        "raw": event.event_json,
        "version": event.event.get("v") or "",
        "source": None,
        "envID": ENVIRONMENT_ID,
        "runs": lambda info: [
            run_shape(ask, run) for run in ask.take(ask.reads.runs_of_event(event.id))
        ],
    }


def _event_status(runs: Iterable[RunView]) -> str:
    statuses = {run.status for run in runs}
    if not statuses:
        return "NO_FUNCTIONS"
    if not statuses <= ENDED:
        return "RUNNING"
    if "FAILED" not in statuses:
        return "COMPLETED"
    return "FAILED" if statuses == {"FAILED"} else "PARTIALLY_FAILED"


# --- runs -----------------------------------------------------------------------------------


def run_shape(ask: Ask, run: RunView) -> Shape:
    """A run."""
    return {
        "id": run.id,
        "appID": lambda info: (_function_of(ask, run.function_id) or {}).get("appID"),
        "app": lambda info: _app_of_run(ask, run),
        "functionID": run.function_id,
        "function": lambda info: _function_of(ask, run.function_id),
        "status": run.status,
        "queuedAt": format_instant(run.queued_at),
        "startedAt": instant(run.started_at),
        "endedAt": instant(run.ended_at),
        "output": run.output_json,
        "traceID": trace_id(run.id),
        "eventName": run.event_name or None,
        "triggerIDs": list(run.event_ids),
        "isBatch": run.batch,
        "batchCreatedAt": format_instant(run.queued_at) if run.batch else None,
        "cronSchedule": run.cron,
        "sourceID": None,
        "hasAI": lambda info: any(step.op == _AI_STEP for step in _steps(ask, run)),
        "isDeferred": run.event_name == DEFERRED,
        "defers": lambda info: _defers(ask, run),
        "deferredFrom": lambda info: _deferred_from(ask, run),
        "trace": lambda info: trace_of(ask, run),
    }


def _app_of_run(ask: Ask, run: RunView) -> Shape | None:
    function = _function_of(ask, run.function_id)
    return None if function is None else _app_of(ask, function["appID"])


def _steps(ask: Ask, run: RunView) -> Iterable[StepView]:
    return ask.take(ask.reads.steps(run.id))


def _defers(ask: Ask, run: RunView) -> list[Shape]:
    shapes = []
    for defer in ask.take(ask.reads.defers(run.id)):
        started = ask.take(ask.reads.runs_of_event(defer.event_id)) if defer.event_id else ()
        shapes.append(
            {
                "hashedDeferID": defer.id,
                "userlandDeferID": defer.name,
                "fnSlug": defer.slug,
                "status": defer.status,
                "runID": started[0].id if started else None,
                "run": run_shape(ask, started[0]) if started else None,
            }
        )
    return shapes


def _deferred_from(ask: Ask, run: RunView) -> list[Shape]:
    if run.event_name != DEFERRED:
        return []
    return [shape for event_id in run.event_ids for shape in _origin(ask, event_id)]


def _origin(ask: Ask, event_id: str) -> list[Shape]:
    event = ask.reads.event(event_id)
    told = (event.event.get("data") or {}).get("_inngest") if event else None
    if not isinstance(told, Mapping) or not told.get("parent_run_id"):
        return []
    parent = ask.reads.run(told["parent_run_id"])
    return [
        {
            "runID": told["parent_run_id"],
            "fnSlug": str(told.get("parent_fn_slug") or ""),
            "run": None if parent is None else run_shape(ask, parent),
        }
    ]


def function_run_shape(ask: Ask, run: RunView) -> Shape:
    """A run, the older way."""
    return {
        "id": run.id,
        "functionID": run.function_id,
        "function": lambda info: _function_of(ask, run.function_id),
        "event": lambda info: _first_event(ask, run),
        "status": run.status,
        "output": run.output_json,
        "startedAt": format_instant(run.started_at or run.queued_at),
        "finishedAt": instant(run.ended_at),
        "pendingSteps": lambda info: sum(s.status not in ENDED for s in _steps(ask, run)),
        "waitingFor": lambda info: _waiting_for(ask, run),
        "history": lambda info: _history(ask, run),
        "cron": run.cron,
        "batchID": None,
    }


def _first_event(ask: Ask, run: RunView) -> Shape | None:
    event = ask.reads.event(run.event_ids[0]) if run.event_ids else None
    return None if event is None else event_shape(ask, event)


def _waiting_for(ask: Ask, run: RunView) -> Shape | None:
    for step in _steps(ask, run):
        if step.status == "WAITING" and step.op == "WaitForEvent":
            opts = json.loads(step.opts_json or "null") or {}
            expires = ask.reads.expiry(run.id, step.id)
            return {
                "eventName": opts.get("event"),
                "expression": opts.get("if"),
                "expiryTime": instant(expires) or format_instant(step.queued_at),
            }
    return None


_BEGINNINGS = {
    "Sleep": "StepSleeping",
    "WaitForEvent": "StepWaiting",
    "WaitForSignal": "StepWaiting",
    "InvokeFunction": "StepInvoking",
}
_ENDINGS = {"COMPLETED": "StepCompleted", "FAILED": "StepFailed", "CANCELLED": "StepCancelled"}
_RUN_ENDINGS = {
    "COMPLETED": "FunctionCompleted",
    "FAILED": "FunctionFailed",
    "CANCELLED": "FunctionCancelled",
}


def _history(ask: Ask, run: RunView) -> list[Shape]:
    """What happened to a run, in order of time."""
    happened: list[_Happening] = [("FunctionScheduled", None, 0, run.queued_at)]
    if run.started_at is not None:
        happened.append(("FunctionStarted", None, 0, run.started_at))
    steps = list(_steps(ask, run))
    names = {step.id: step.name for step in steps}
    for step in steps:
        happened += _history_of(step)
    for failed in ask.take(ask.reads.attempts(run.id)):
        kind = "StepErrored" if failed.step_id else "FunctionErrored"
        name = names.get(failed.step_id)
        happened.append((kind, name, failed.attempt, failed.ended_at))
    happened.sort(key=lambda one: one[3])
    if run.ended_at is not None and run.status in _RUN_ENDINGS:
        happened.append((_RUN_ENDINGS[run.status], None, 0, run.ended_at))
    return [
        {
            "id": f"{run.id}-{number}",
            "type": kind,
            "stepName": name,
            "attempt": attempt,
            "createdAt": format_instant(moment),
        }
        for number, (kind, name, attempt, moment) in enumerate(happened)
    ]


def _history_of(step: StepView) -> list[_Happening]:
    last = max(0, step.attempts - 1)
    happened: list[_Happening] = []
    if step.op in _BEGINNINGS:
        happened.append((_BEGINNINGS[step.op], step.name, 0, step.queued_at))
    elif step.started_at is not None:
        happened.append(("StepStarted", step.name, 0, step.started_at))
    if step.ended_at is not None and step.status in _ENDINGS:
        happened.append((_ENDINGS[step.status], step.name, last, step.ended_at))
    return happened


def _once(read: Callable[[], Any]) -> Callable[[], Any]:
    """Read when first asked, and then no more."""
    found: list[Any] = []

    def ask() -> Any:
        if not found:
            found.append(read())
        return found[0]

    return ask


def _write(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
