"""The questions: each looks records up and hands them to `shapes`."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from graphql import GraphQLError

from inngest_contrib.devserver.api.gql.ask import Ask
from inngest_contrib.devserver.api.gql.shapes import (
    Shape,
    app_shape,
    event_shape,
    event_v2_shape,
    function_run_shape,
    function_shape,
    functions_of,
    method_of,
    run_shape,
)
from inngest_contrib.devserver.api.gql.spans import output_of, trace_of, trigger_of
from inngest_contrib.devserver.api.gql.workers import find_worker, find_workers, worker_shape
from inngest_contrib.devserver.views import EventView, RunView
from inngest_core.wire.time import parse_instant

MAX_PAGE = 400
_FIELDS = {"QUEUED_AT": "queued_at", "STARTED_AT": "started_at", "ENDED_AT": "ended_at"}
_NO_CEL = "filter.query is not supported by this server: filter by name, function, status and time"


def _apps(info: Any, filter: Any = None) -> list[Shape]:
    wanted = (filter or {}).get("method")
    ask: Ask = info.context
    found = ask.take(ask.reads.apps())
    return [app_shape(ask, app) for app in found if wanted in (None, method_of(app))]


def _app(info: Any, id: str) -> Shape | None:
    found = (app for app in info.context.reads.apps() if app.id == id)
    return next((app_shape(info.context, app) for app in found), None)


def _functions(info: Any) -> list[Shape]:
    return [function_shape(info.context, one) for one in functions_of(info.context)]


def _function_by_slug(info: Any, query: Any) -> Shape | None:
    found = (one for one in functions_of(info.context) if one.slug == query["functionSlug"])
    return next((function_shape(info.context, one) for one in found), None)


# --- events ---------------------------------------------------------------------------------


def _event(info: Any, query: Any) -> Shape:
    return event_shape(info.context, _find_event(info.context, query["eventId"]))


def _event_v2(info: Any, id: str) -> Shape:
    return event_v2_shape(info.context, _find_event(info.context, id))


def _find_event(ask: Ask, event_id: str) -> EventView:
    found = ask.reads.event(str(event_id))
    if found is None:
        raise GraphQLError("event not found")
    return found


def _events_v2(info: Any, first: int, after: str | None = None, filter: Any = None) -> Shape:
    ask: Ask = info.context
    wish = filter or {}
    _refuse_cel(wish)
    chosen: dict[str, Any] = {
        "names": wish.get("eventNames") or (),
        "include_internal": bool(wish.get("includeInternalEvents")),
        "since": _moment(wish, "from"),
        "until": _moment(wish, "until"),
    }
    limit = _page_size(first)
    cursor = _read_cursor(after)
    before = None if cursor is None else cursor[0]
    found = list(ask.take(ask.reads.events(**chosen, before=before, limit=limit + 1)))
    edges = [(event.id, event_v2_shape(ask, event)) for event in found[:limit]]
    page = _connection(edges, more=len(found) > limit, began=after)
    return {**page, "totalCount": lambda info: ask.reads.count_events(**chosen)}


# --- runs -----------------------------------------------------------------------------------


def _run(info: Any, runID: str) -> Shape | None:
    found = info.context.reads.run(runID)
    return None if found is None else run_shape(info.context, found)


def _function_run(info: Any, query: Any) -> Shape:
    return function_run_shape(info.context, _find_run(info.context, query["functionRunId"]))


def _run_trace(info: Any, runID: str) -> Shape:
    return trace_of(info.context, _find_run(info.context, runID))


def _run_trigger(info: Any, runID: str) -> Shape:
    return trigger_of(info.context, _find_run(info.context, runID))


def _span_output(info: Any, outputID: str) -> Shape:
    return output_of(info.context, outputID)


def _find_run(ask: Ask, run_id: str) -> RunView:
    found = ask.reads.run(str(run_id))
    if found is None:
        raise GraphQLError("run not found")
    return found


def _runs(
    info: Any, first: int, after: str | None = None, orderBy: Any = None, filter: Any = None
) -> Shape:
    ask: Ask = info.context
    wish, order = filter or {}, (orderBy or [{"field": "QUEUED_AT", "direction": "DESC"}])[0]
    _refuse_cel(wish)
    field = _FIELDS[order["field"]]
    chosen: dict[str, Any] = {
        "statuses": wish.get("status") or (),
        "function_ids": wish.get("functionIDs") or (),
        "app_ids": wish.get("appIDs") or (),
        "since": _moment(wish, "from"),
        "until": _moment(wish, "until"),
        "time_field": _FIELDS[wish.get("timeField") or "QUEUED_AT"],
        "deferred": wish.get("isDeferred"),
    }
    limit = _page_size(first)
    found = list(
        ask.take(
            ask.reads.sorted_runs(
                **chosen,
                field=field,
                ascending=order["direction"] == "ASC",
                after=_place(_read_cursor(after)),
                limit=limit + 1,
            )
        )
    )
    edges = [((run.id, getattr(run, field) or 0), run_shape(ask, run)) for run in found[:limit]]
    page = _connection(edges, more=len(found) > limit, began=after)
    return {**page, "totalCount": lambda info: ask.reads.count_runs(**chosen)}


# --- pages ----------------------------------------------------------------------------------


def _page_size(first: int) -> int:
    if not 0 < first <= MAX_PAGE:
        raise GraphQLError(f"first must be from 1 to {MAX_PAGE}, not {first}")
    return first


def _moment(wish: Any, name: str) -> int | None:
    given = wish.get(name)
    try:
        return None if given is None else parse_instant(str(given))
    except ValueError as error:
        raise GraphQLError(f"filter.{name} must be an RFC 3339 time") from error


def _refuse_cel(wish: Any) -> None:
    if wish.get("query"):
        raise GraphQLError(_NO_CEL)


def _connection(edges: list[tuple[Any, Shape]], *, more: bool, began: str | None) -> Shape:
    shown = [{"cursor": _write_cursor(key), "node": node} for key, node in edges]
    return {
        "edges": shown,
        "pageInfo": {
            "hasNextPage": more,
            "hasPreviousPage": bool(began),
            "startCursor": shown[0]["cursor"] if shown else None,
            "endCursor": shown[-1]["cursor"] if shown else None,
        },
    }


def _write_cursor(key: Any) -> str:
    parts = [key] if isinstance(key, str) else list(key)
    return base64.b64encode(json.dumps(parts).encode()).decode()


def _read_cursor(cursor: str | None) -> list[Any] | None:
    if not cursor:
        return None
    try:
        parts = json.loads(base64.b64decode(cursor, validate=True))
    except (binascii.Error, ValueError) as error:
        raise GraphQLError("after is not a cursor of this server") from error
    if not isinstance(parts, list) or not parts or not isinstance(parts[0], str):
        raise GraphQLError("after is not a cursor of this server")
    return parts


def _place(cursor: list[Any] | None) -> tuple[int, str] | None:
    if cursor is None:
        return None
    if len(cursor) != 2 or type(cursor[1]) is not int:
        raise GraphQLError("after is not a cursor of this server")
    return cursor[1], cursor[0]


# --- workers --------------------------------------------------------------------------------


def _worker_connections(
    info: Any, first: int, after: str | None = None, orderBy: Any = None, filter: Any = None
) -> Shape:
    wish, order = filter or {}, (orderBy or [{"field": "CONNECTED_AT", "direction": "DESC"}])[0]
    app_ids = None if wish.get("appIDs") is None else [str(one) for one in wish["appIDs"]]
    found = find_workers(
        info.context.api,
        statuses=wish.get("status"),
        app_ids=app_ids,
        time_field=wish.get("timeField") or "CONNECTED_AT",
        since=_moment(wish, "from"),
        until=_moment(wish, "until"),
        order=order["field"],
        ascending=order["direction"] == "ASC",
    )
    limit, keys = _page_size(first), [str(one.link) for one in found]
    begin = keys.index(place[0]) + 1 if (place := _read_cursor(after)) and place[0] in keys else 0
    shown = found[begin : begin + limit]
    edges = [(str(one.link), worker_shape(info.context.api, one, app_ids)) for one in shown]
    page = _connection(edges, more=len(found) > begin + limit, began=after)
    return {**page, "totalCount": len(found)}


def _worker_connection(info: Any, connectionId: str) -> Shape | None:
    return find_worker(info.context.api, str(connectionId))


QUERIES = {
    "apps": _apps,
    "app": _app,
    "functions": _functions,
    "functionBySlug": _function_by_slug,
    "event": _event,
    "eventV2": _event_v2,
    "eventsV2": _events_v2,
    "functionRun": _function_run,
    "run": _run,
    "runs": _runs,
    "runTrace": _run_trace,
    "runTraceSpanOutputByID": _span_output,
    "runTrigger": _run_trigger,
    "workerConnections": _worker_connections,
    "workerConnection": _worker_connection,
}
