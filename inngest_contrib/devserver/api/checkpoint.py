"""Results that functions report while they go on."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from inngest_contrib.devserver.api.context import Api, read_body
from inngest_contrib.devserver.api.replies import JSON
from inngest_contrib.devserver.engine.commands import Report
from inngest_contrib.devserver.reports import read


async def report(api: Api, request: Request) -> Response:
    """POST /v1/checkpoint/{id}/async: store results. The run is that of the body."""
    answer = read(await api.server.submit(Report(await read_body(request))))
    return Response(answer.body, answer.status, media_type=JSON)
