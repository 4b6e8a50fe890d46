"""How apps come and go."""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import Response

from inngest_contrib.devserver.api.context import Api, read_body
from inngest_contrib.devserver.api.replies import TEXT, ApiError, reply
from inngest_contrib.devserver.engine.commands import NoteAppError, RemoveApp
from inngest_contrib.devserver.registration import (
    RegistrationRefused,
    describe,
    read_registration,
)
from inngest_core.wire.names import Header

logger = logging.getLogger("inngest.devserver")


async def register(api: Api, request: Request) -> Response:
    """POST /fn/register: an app says which functions it has."""
    body = await read_body(request)
    expected = request.headers.get(Header.EXPECTED_SERVER_KIND, "")
    try:
        app = read_registration(
            body, api.expressions.problem, expected_kind=expected, kind=api.keys.kind.value
        )
    except RegistrationRefused as refused:
        await _note(api, refused)
        raise ApiError(400, str(refused), code=refused.code) from refused
    synced = await api.server.submit(app)
    if synced.modified:
        logger.info("App synced: %s", describe(app))
    return reply(
        {
            "ok": True,
            "modified": synced.modified,
            "sync_id": synced.sync_id,
            "app_id": synced.app_id,
        },
        media=TEXT,
    )


async def _note(api: Api, refused: RegistrationRefused) -> None:
    logger.warning("A registration was refused: %s", refused)
    if refused.url:
        await api.server.submit(NoteAppError(refused.url, str(refused)))


async def remove(api: Api, request: Request) -> Response:
    """DELETE /fn/remove?url=: forget an app."""
    url = request.query_params.get("url", "")
    if not await api.server.submit(RemoveApp(url)):
        raise ApiError(404, f"App not found: {url}")
    return Response(status_code=200)
