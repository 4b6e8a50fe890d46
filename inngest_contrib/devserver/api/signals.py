"""Signals as they are sent."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from inngest_contrib.devserver.api.context import Api, read_object
from inngest_contrib.devserver.api.replies import ApiError, reply_v1
from inngest_contrib.devserver.engine.commands import SendSignal


async def send(api: Api, request: Request) -> Response:
    """POST /v1/signals: wake the step that waits for a signal."""
    payload = await read_object(request)
    name = payload.get("signal")
    if not isinstance(name, str) or not name:
        raise ApiError(400, "signal is missing: it names the signal, as a text that is not empty")
    run_id = await api.server.submit(SendSignal(name, payload.get("data")))
    if run_id is None:
        raise ApiError(404, "No signal found")
    return reply_v1({"run_id": run_id})
