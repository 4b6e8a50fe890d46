"""
Durable endpoints: runs that apps begin and lead themselves, and what they come to.

A run that its app has ended without waiting gives its status and headers, too, as the others do.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from inngest_contrib.devserver.api.context import Api, read_body, until_first
from inngest_contrib.devserver.api.replies import JSON, ApiError, reply_v1
from inngest_contrib.devserver.engine.commands import BeginRun, Begun, ReportRun
from inngest_contrib.devserver.realtime import STREAM_TOPIC, Topic
from inngest_contrib.devserver.views import RunView

OUTPUT_SECONDS = 300.0
"""How long someone is let wait for the end of a run."""
_STREAM_SECONDS = 16 * 60
_NOT_HANDED_ON = ("connection", "content-length", "date", "keep-alive", "transfer-encoding")
_BAD_TOKEN = "Unable to find run with auth token"

_log = logging.getLogger("inngest.devserver")


async def begin(api: Api, request: Request) -> Response:
    """POST /v1/checkpoint: an app has begun a run. The same one again is answered the same."""
    body = await read_body(request)
    begun = _known(api, body) or await api.server.submit(BeginRun(body))
    if begun is None:
        raise ApiError(400, "Invalid request body")
    data = {"fn_id": begun.function_id, "app_id": begun.app_id, "run_id": begun.run_id}
    if begun.awaitable:
        data["token"] = api.tokens.issue_for_run(begun.run_id)
    topic = Topic(begun.run_id, STREAM_TOPIC)
    data["realtime_token"] = api.tokens.issue([topic], seconds=_STREAM_SECONDS)
    return reply_v1(data)


def _known(api: Api, body: bytes) -> Begun | None:
    """A run that has ended already; the engine knows only those that have not."""
    try:
        report = json.loads(body)
        run = api.reads.run(report["run_id"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    if run is None or run.ended_at is None:
        return None
    app = next((one.id for one in api.reads.apps() if one.name == run.app_name), "")
    return Begun(run.id, run.function_id, app, bool(report.get("steps")))


async def proceed(api: Api, request: Request) -> Response:
    """POST /v1/checkpoint/{id}/steps: how a run goes on. Always well; the log says what is not."""
    problem = await api.server.submit(ReportRun(await read_body(request)))
    if problem:
        _log.warning("steps of a durable endpoint were not taken: %s", problem)
    return Response(status_code=200, media_type=JSON)


async def output(api: Api, request: Request) -> Response:
    """GET /v1/checkpoint/{id}/output: what a run came to, once it has ended."""
    run_id = str(request.path_params["id"])
    if not api.tokens.opens(request.query_params.get("token", ""), run_id):
        raise ApiError(401, _BAD_TOKEN)
    await until_first(_end(api, run_id), api.ending.wait(), seconds=OUTPUT_SECONDS)
    if api.ending.is_set():
        raise ApiError(503, "The server ends; ask again")
    if _is_open(api, run_id):
        raise ApiError(504, "The run has not ended yet; ask again")
    run = api.reads.run(run_id)
    if run is None:
        raise ApiError(401, _BAD_TOKEN)
    return _response(run)


async def _end(api: Api, run_id: str) -> None:
    with _changes(api, run_id) as changed:
        while True:
            if not _is_open(api, run_id):
                return
            await changed.wait()
            changed.clear()


def _is_open(api: Api, run_id: str) -> bool:
    run = api.reads.run(run_id)
    return run is not None and run.ended_at is None


@contextmanager
def _changes(api: Api, run_id: str) -> Iterator[asyncio.Event]:
    changed = asyncio.Event()

    def look(records: list[Any]) -> None:
        if any(record.TABLE == "runs" and record.id == run_id for record in records):
            changed.set()

    end = api.server.watch(look)
    try:
        yield changed
    finally:
        end()


def _response(run: RunView) -> Response:
    if run.status != "COMPLETED":
        reason = f"The run has ended as {run.status}"
        body = json.dumps({"error": reason, "data": run.output, "status": 500})
        return Response(body, 500, media_type=JSON)
    found = run.output
    if not _is_response(found):
        return Response(run.output_json or "null", media_type=JSON)
    headers = {
        str(name): str(value)
        for name, value in (found.get("headers") or {}).items()
        if str(name).lower() not in _NOT_HANDED_ON and _is_plain(f"{name}{value}")
    }
    body = found.get("body")
    text = body if isinstance(body, str) else json.dumps(body)
    return Response(text.encode("utf-8", "replace"), found["status"], headers)


def _is_response(found: Any) -> bool:
    if not isinstance(found, dict) or not isinstance(found.get("headers") or {}, dict):
        return False
    status = found.get("status")
    return type(status) is int and 200 <= status < 600 and "body" in found


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable()
