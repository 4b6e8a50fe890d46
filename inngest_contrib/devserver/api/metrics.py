"""Figures for Prometheus."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from inngest_contrib.devserver.api.context import Api
from inngest_contrib.devserver.api.replies import ApiError

MEDIA = "text/plain; version=0.0.4; charset=utf-8"


async def answer(api: Api, request: Request) -> Response:
    """GET /metrics."""
    if api.metrics is None:
        raise ApiError(404, "This server counts nothing")
    return Response(api.metrics.write(api.version), headers={"content-type": MEDIA})
