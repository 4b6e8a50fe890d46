"""What apps, functions and runs look like in `/v2` and `/v1`. Records in, JSON documents out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from inngest_contrib.devserver.api.configurations import (
    configuration,
    registered_retries,
    trigger,
)
from inngest_contrib.devserver.engine.body import ACCOUNT
from inngest_contrib.devserver.realtime import ENVIRONMENT
from inngest_contrib.devserver.views import AppView, EventView, FunctionView, JobView, RunView
from inngest_core.wire.time import format_instant

ENDED = frozenset({"COMPLETED", "FAILED", "CANCELLED"})
ENVIRONMENT_ID = ENVIRONMENT
ACCOUNT_ID = ACCOUNT
_V1_STATUSES = {"QUEUED": "Scheduled"}


def run_v2(run: RunView, *, include_output: bool) -> dict[str, Any]:
    """A run of `/v2`. Its output is there only if asked for and known."""
    shape: dict[str, Any] = {
        "app": {"id": run.app_name},
        "function": {"id": short_id(run.function_slug, run.app_name), "name": run.function_name},
        "id": run.id,
        "status": run.status,
        "queuedAt": format_instant(run.queued_at),
        **times(run.started_at, run.ended_at),
        "trigger": {"eventIds": list(run.event_ids)},
    }
    if include_output and run.output_json is not None:
        shape["output"] = output_v2(run)
    return shape


def output_v2(run: RunView) -> dict[str, Any]:
    """An output is always an object: an error, the function's own object, or its value as data."""
    value = _load(run.output_json)
    if run.status == "FAILED":
        return {"error": value}
    return value if isinstance(value, dict) else {"data": value}


def times(started: int | None, ended: int | None) -> dict[str, str]:
    """The times of a run, step or attempt that are known. Durations are text, as all int64 are."""
    shape = {}
    if started is not None:
        shape["startedAt"] = format_instant(started)
    if ended is not None:
        shape["endedAt"] = format_instant(ended)
        shape["durationMs"] = str(max(0, ended - (ended if started is None else started)))
    return shape


def app_v2(app: AppView, functions: int) -> dict[str, Any]:
    """An app of `/v2`."""
    language, _, version = app.sdk.partition(":")
    sync = {
        "framework": app.framework,
        "sdkLanguage": language,
        "sdkVersion": version,
        "url": app.url,
        "error": app.error,
    }
    return {
        "createdAt": format_instant(app.synced_at),
        "functionCount": functions,
        "id": app.name,
        "latestSync": {key: value for key, value in sync.items() if value},
        "method": "CONNECT" if app.method == "connect" else "SERVE",
        "name": app.name,
    }


def function_v2(function: FunctionView) -> dict[str, Any]:
    """A function of `/v2`."""
    config = _load(function.config_json)
    short = short_id(function.slug, function.app_name)
    return {
        "app": {"id": function.app_name},
        "configuration": configuration(config),
        "id": short,
        "name": function.name,
        "slug": short,
        "triggers": [trigger(one) for one in config.get("triggers") or ()],
    }


def function_v1(function: FunctionView) -> dict[str, Any]:
    """A function of `/v1`, with its configuration as registered."""
    config = _load(function.config_json)
    return {
        "internal_id": function.id,
        "env_id": ENVIRONMENT_ID,
        "app_id": function.app_id,
        "id": function.slug,
        "name": function.name,
        "config": stored_config(function, config),
    }


def stored_config(function: FunctionView, config: Mapping[str, Any] | None = None) -> Any:
    """The configuration of a function as `/dev` and `/v1` show it."""
    config = _load(function.config_json) if config is None else config
    step = {"id": "step", "name": "step", "uri": function.url}
    retries = registered_retries(config)
    if retries is not None:
        step["retries"] = retries  # type: ignore[assignment]  # the one number among texts
    rest = {key: value for key, value in config.items() if key not in ("steps", "id", "name")}
    identity = {"id": function.id, "fv": 1, "name": function.name, "slug": function.slug}
    return {**identity, **rest, "steps": [step]}


def run_v1(run: RunView) -> dict[str, Any]:
    """A run of `/v1`."""
    return {
        "run_id": run.id,
        "run_started_at": format_instant(run.started_at or run.queued_at),
        "function_id": run.function_id,
        "function_version": 0,
        "environment_id": ENVIRONMENT_ID,
        "event_id": run.event_ids[0] if run.event_ids else None,
        "status": _V1_STATUSES.get(run.status, run.status.title()),
        "ended_at": None if run.ended_at is None else format_instant(run.ended_at),
        "output": _load(run.output_json),
    }


def job_v1(job: JobView) -> dict[str, Any]:
    """A job of `/v1`."""
    return {
        "JobID": job.id,
        "at": format_instant(job.at),
        "position": 0,
        "kind": job.kind,
        "attempt": job.attempt,
    }


def event_v1(event: EventView) -> dict[str, Any]:
    """An event of `/v1`."""
    return {
        "internal_id": event.id,
        "account_id": ACCOUNT_ID,
        "environment_id": ENVIRONMENT_ID,
        "source": "",
        "source_id": None,
        "received_at": format_instant(event.received_at),
        **event.event,
    }


def short_id(slug: str, app_name: str) -> str:
    """A function's id without the prefix of its app."""
    return slug.removeprefix(f"{app_name}-")


def _load(text: str | None) -> Any:
    return None if text is None else json.loads(text)
