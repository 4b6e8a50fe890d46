"""The interfaces `/v1` and `/v0`: what SDKs ask for while they work, and older readers."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from inngest_contrib.devserver.api.context import Api, event_id_of, find_run, run_id_of
from inngest_contrib.devserver.api.replies import JSON, ApiError, reply, reply_v1
from inngest_contrib.devserver.api.shapes import event_v1, function_v1, job_v1, run_v1
from inngest_contrib.devserver.engine.commands import CancelRun
from inngest_core.wire.ids import is_ulid

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
_UNKNOWN_RUN = "Unable to load function run: {}"
_BAD_STATE = "The run ID specified is invalid"
_NO_STATE = "runtime state is no longer available for runID: {}"


async def events(api: Api, request: Request) -> Response:
    """GET /v1/events: newest first; the cursor is the last id of the page before.

    The server's own events are shown where one of them is asked for by its name.
    """
    query = request.query_params
    name = query.get("name") or None
    cursor = query.get("cursor") or None
    if cursor and not is_ulid(cursor):
        raise ApiError(400, f"Invalid cursor: {cursor}")
    found = api.reads.events(
        names=[name] if name else (),
        include_internal=name is not None,
        before=cursor,
        limit=_limit(request),
    )
    return reply_v1([event_v1(event) for event in found])


def _limit(request: Request) -> int:
    text = request.query_params.get("limit") or str(DEFAULT_LIMIT)
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= MAX_LIMIT:
        raise ApiError(400, f"Invalid limit: {text}. It must be a number from 1 to {MAX_LIMIT}")
    return int(text)


async def event(api: Api, request: Request) -> Response:
    """GET /v1/events/{id}."""
    event_id = event_id_of(request)
    found = api.reads.event(event_id)
    if found is None:
        raise ApiError(404, f"Event not found: {event_id}")
    return reply_v1(event_v1(found))


async def runs_of_event(api: Api, request: Request) -> Response:
    """GET /v1/events/{id}/runs."""
    return reply_v1([run_v1(run) for run in api.reads.runs_of_event(event_id_of(request))])


async def run(api: Api, request: Request) -> Response:
    """GET /v1/runs/{id}."""
    return reply_v1(run_v1(find_run(api, run_id_of(request), _UNKNOWN_RUN)))


async def jobs(api: Api, request: Request) -> Response:
    """GET /v1/runs/{id}/jobs: what the run has before it."""
    run_id = find_run(api, run_id_of(request), _UNKNOWN_RUN).id
    return reply_v1([job_v1(job) for job in api.reads.jobs(run_id)])


async def cancel_run(api: Api, request: Request) -> Response:
    """DELETE /v1/runs/{id}: also well if the run has ended."""
    await api.server.submit(CancelRun(find_run(api, run_id_of(request), _UNKNOWN_RUN).id))
    return Response(status_code=200, media_type=JSON)


async def functions(api: Api, request: Request) -> Response:
    """GET /v1/apps/{app}/functions: a bare list, empty for an unknown app."""
    name = request.path_params["app"]
    found = [
        function_v1(function)
        for app in api.reads.apps()
        if app.name == name
        for function in api.reads.functions(app.id)
        if not function.archived
    ]
    return reply(found)


async def actions(api: Api, request: Request) -> Response:
    """GET /v0/runs/{id}/actions: the memos that were too large for a call."""
    run_id = run_id_of(request, _BAD_STATE)
    return _state(run_id, api.reads.actions(run_id))


async def batch(api: Api, request: Request) -> Response:
    """GET /v0/runs/{id}/batch: the events that were too large for a call."""
    run_id = run_id_of(request, _BAD_STATE)
    return _state(run_id, api.reads.batch(run_id))


def _state(run_id: str, document: bytes | None) -> Response:
    if document is None:
        raise ApiError(410, _NO_STATE.format(run_id))
    return Response(document, media_type=JSON)
