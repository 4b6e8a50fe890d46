"""The interface `/v2`: camel case, pages with cursors, and always what is true now."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from inngest_contrib.devserver.api.context import (
    Api,
    event_id_of,
    find_app,
    find_function,
    find_run,
    run_id_of,
)
from inngest_contrib.devserver.api.replies import ApiError, reply_v2
from inngest_contrib.devserver.api.shapes import (
    ACCOUNT_ID,
    ENVIRONMENT_ID,
    app_v2,
    function_v2,
    run_v2,
)
from inngest_contrib.devserver.api.trace import trace
from inngest_contrib.devserver.engine.commands import Cancelled, CancelRun
from inngest_contrib.devserver.views import AppView, RunView
from inngest_core.wire.time import parse_instant

T = TypeVar("T")

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
STATUSES = frozenset({"QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "SKIPPED"})
TIME_FIELDS = {"QUEUED_AT": "queued_at", "STARTED_AT": "started_at", "ENDED_AT": "ended_at"}
_BAD_RUN_ID = "Run ID must be a valid ULID"
_BIRTH = "2021-05-13T09:30:04Z"


async def runs(api: Api, request: Request) -> Response:
    """GET /v2/runs: the runs that fit, newest first."""
    return _page_of_runs(api, request, _owners(api, request))


async def runs_of_function(api: Api, request: Request) -> Response:
    """GET /v2/apps/{app}/functions/{function}/runs."""
    app = find_app(api, request.path_params["app"])
    function = find_function(api, app, request.path_params["function"])
    return _page_of_runs(api, request, {"function_ids": [function.id]})


def _page_of_runs(api: Api, request: Request, owners: dict[str, Any] | None) -> Response:
    limit, filters = _limit(request), _filters(request)
    if owners is None:
        return reply_v2([], page={"limit": limit})
    found = api.reads.runs(**owners, **filters, limit=limit + 1)
    return _runs_reply(request, found, limit)


def _runs_reply(request: Request, found: Sequence[RunView], limit: int) -> Response:
    """Answer with a page of runs, where `found` has one more if there are more."""
    include, shown = _wants_output(request), found[:limit]
    page = _page(limit, shown[-1].id if len(found) > limit else None)
    return reply_v2([run_v2(run, include_output=include) for run in shown], page=page)


def _page(limit: int, last: str | None) -> dict[str, Any]:
    """Describe a page; `last` is what ends it, if another follows."""
    if last is None:
        return {"limit": limit}
    return {"cursor": _cursor(last), "hasMore": True, "limit": limit}


def _owners(api: Api, request: Request) -> dict[str, Any] | None:
    """Translate appId and functionId; None if nobody bears these names, so that no run fits."""
    query = request.query_params
    app_name, function_name = query.get("appId"), query.get("functionId")
    if function_name and not app_name:
        raise ApiError(400, "appId is required when filtering by functionId")
    if not app_name:
        return {}
    apps = [app for app in api.reads.apps() if app.name == app_name]
    if not function_name:
        return {"app_ids": [app.id for app in apps]} if apps else None
    names = (function_name, f"{app_name}-{function_name}")
    known = [function for app in apps for function in api.reads.functions(app.id)]
    ids = [function.id for function in known if function.slug in names]
    return {"function_ids": ids} if ids else None


def _filters(request: Request) -> dict[str, Any]:
    query = request.query_params
    statuses = [text for value in query.getlist("status") for text in value.split(",") if text]
    if any(status not in STATUSES for status in statuses):
        raise ApiError(400, "Status is invalid")
    order = query.get("order", "desc").lower()
    if order not in ("asc", "desc"):
        raise ApiError(400, "order is invalid")
    time_field = TIME_FIELDS.get(query.get("timeField", "QUEUED_AT").upper())
    if time_field is None:
        raise ApiError(400, "timeField is invalid")
    return {
        "statuses": statuses,
        "since": _instant(request, "from"),
        "until": _instant(request, "until"),
        "time_field": time_field,
        "before": _read_cursor(query.get("cursor")),
        "ascending": order == "asc",
        "deferred": _flag(request, "isDeferred"),
    }


def _flag(request: Request, name: str) -> bool | None:
    text = request.query_params.get(name, "").lower()
    if text not in ("", "true", "false"):
        raise ApiError(400, f"{name} must be true or false")
    return text == "true" if text else None


def _limit(request: Request) -> int:
    text = request.query_params.get("limit") or "0"
    try:
        limit = int(text)
    except ValueError:
        raise ApiError(400, "Limit must be a number") from None
    if limit > MAX_LIMIT:
        raise ApiError(400, f"Limit cannot exceed {MAX_LIMIT}")
    if limit < 0:
        raise ApiError(400, "Limit cannot be negative")
    return limit or DEFAULT_LIMIT


def _instant(request: Request, name: str) -> int | None:
    text = request.query_params.get(name)
    try:
        return parse_instant(text) if text else None
    except ValueError:
        raise ApiError(400, f"{name} must be an RFC 3339 time") from None


def _cursor(last: str) -> str:
    return base64.urlsafe_b64encode(json.dumps({"id": last}).encode()).decode()


def _read_cursor(cursor: str | None) -> str | None:
    if not cursor:
        return None
    try:
        return str(json.loads(base64.urlsafe_b64decode(cursor))["id"])
    except (binascii.Error, ValueError, KeyError, TypeError):
        raise ApiError(400, "Cursor is invalid") from None


def _wants_output(request: Request) -> bool:
    return _flag(request, "includeOutput") or False


async def run(api: Api, request: Request) -> Response:
    """GET /v2/runs/{id}."""
    found = find_run(api, run_id_of(request, _BAD_RUN_ID), "Run not found")
    return reply_v2(run_v2(found, include_output=_wants_output(request)))


async def run_trace(api: Api, request: Request) -> Response:
    """GET /v2/runs/{id}/trace."""
    found = find_run(api, run_id_of(request, _BAD_RUN_ID), "Run not found")
    events = [event for event in map(api.reads.event, found.event_ids) if event]
    steps, attempts = api.reads.steps(found.id), api.reads.attempts(found.id)
    include, notes = _wants_output(request), api.reads.notes(found.id)
    spans = api.reads.spans(found.id)
    document = trace(
        found, steps, attempts, events, include_output=include, notes=notes, spans=spans
    )
    return reply_v2(document)


async def cancel_run(api: Api, request: Request) -> Response:
    """POST /v2/runs/{id}/cancel."""
    found = find_run(api, run_id_of(request, _BAD_RUN_ID), "Run not found")
    outcome = await api.server.submit(CancelRun(found.id))
    if outcome is Cancelled.ALREADY_CANCELLED or found.status == "CANCELLED":
        raise ApiError(409, "Run is already cancelled", code="run_already_cancelled")
    if outcome is Cancelled.ALREADY_ENDED:
        raise ApiError(409, "Cannot cancel an ended run", code="run_already_ended")
    return reply_v2({"runId": found.id})


async def runs_of_event(api: Api, request: Request) -> Response:
    """GET /v2/events/{id}/runs: what an event set off; the best question for a test to ask."""
    event_id = event_id_of(request, "Event ID must be a valid ULID")
    limit, after = _limit(request), _read_cursor(request.query_params.get("cursor")) or ""
    found = [run for run in api.reads.runs_of_event(event_id) if run.id > after]
    return _runs_reply(request, found, limit)


async def apps(api: Api, request: Request) -> Response:
    """GET /v2/apps."""
    named = {app.name: app for app in api.reads.apps() if app.name}
    shown, page = _page_by_name(request, named)
    return reply_v2([_app_shape(api, app) for app in shown], page=page)


def _page_by_name(request: Request, named: Mapping[str, T]) -> tuple[list[T], dict[str, Any]]:
    """Pick the page that is asked for of things that are sorted by their names."""
    limit, after = _limit(request), _read_cursor(request.query_params.get("cursor")) or ""
    names = sorted(name for name in named if name > after)
    shown = names[:limit]
    page = _page(limit, shown[-1] if len(names) > limit else None)
    return [named[name] for name in shown], page


async def app(api: Api, request: Request) -> Response:
    """GET /v2/apps/{app}."""
    return reply_v2(_app_shape(api, find_app(api, request.path_params["app"])))


def _app_shape(api: Api, found: AppView) -> dict[str, Any]:
    live = [function for function in api.reads.functions(found.id) if not function.archived]
    return app_v2(found, len(live))


async def functions(api: Api, request: Request) -> Response:
    """GET /v2/apps/{app}/functions."""
    found = api.reads.functions(find_app(api, request.path_params["app"]).id)
    named = {function.slug: function for function in found if not function.archived}
    shown, page = _page_by_name(request, named)
    return reply_v2([function_v2(function) for function in shown], page=page)


async def function(api: Api, request: Request) -> Response:
    """GET /v2/apps/{app}/functions/{function}."""
    found = find_app(api, request.path_params["app"])
    return reply_v2(function_v2(find_function(api, found, request.path_params["function"])))


async def health(api: Api, request: Request) -> Response:
    """GET /v2/health."""
    return reply_v2({"status": "ok"})


async def account(api: Api, request: Request) -> Response:
    """GET /v2/account: there is one, and it never changes."""
    return reply_v2(
        {
            "createdAt": _BIRTH,
            "email": "dev@inngest.local",
            "id": ACCOUNT_ID,
            "name": "Dev Server",
            "updatedAt": _BIRTH,
        }
    )


async def environments(api: Api, request: Request) -> Response:
    """GET /v2/envs: there is one."""
    only = {"createdAt": _BIRTH, "id": ENVIRONMENT_ID, "name": "dev", "type": "TEST"}
    return reply_v2([only], page={})


async def keys(api: Api, request: Request) -> Response:
    """GET /v2/keys/...: a server for development has none."""
    return reply_v2([], page={})


async def not_implemented(api: Api, request: Request) -> Response:
    """Answer for what only Inngest Cloud has, or what this server does not do."""
    raise ApiError(501, f"{request.method} {request.url.path} is not implemented by this server")
