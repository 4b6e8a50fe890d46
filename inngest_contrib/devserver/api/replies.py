"""
Replies, and what becomes of errors: each part of the interface has its own shape for them.

- `/v2` and `/api/v2`: `{"errors":[{"code","message"}]}`
- `/e`: `{"ids":[""],"status","error"}`
- everything else: `{"error","data":null,"status"}`

Nothing else writes an error response, and no reply is ever a page of HTML with a traceback.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Mapping
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from inngest_contrib.devserver.loop import ServerStopped
from inngest_core.wire.time import format_instant

logger = logging.getLogger("inngest.devserver")

JSON = "application/json"
V2_PREFIXES = ("/v2", "/api/v2")
TEXT = "text/plain; charset=utf-8"
"""What the event API and the registration call their JSON, on the real server as here."""


class ApiError(Exception):
    """A request cannot be answered. The message is for the user, the code for programs."""

    def __init__(self, status: int, message: str, *, code: str = "", headers: Any = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers: Mapping[str, str] = headers or {}


_CODES = {400: "invalid_field_format", 404: "not_found", 501: "not_implemented"}


def reply(
    document: Any, status: int = 200, *, media: str = JSON, headers: Mapping[str, str] | None = None
) -> Response:
    """Answer with a JSON document."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    # A lone surrogate in stored data must not make the reply impossible.
    return Response(body.encode("utf-8", "replace"), status, dict(headers or {}), media)


def reply_v1(data: Any) -> Response:
    """Answer in the envelope of `/v1`. Nothing is cached here, so nothing says until when."""
    return reply({"data": data, "metadata": {"fetched_at": _now()}})


def reply_v2(data: Any, status: int = 200, *, page: Mapping[str, Any] | None = None) -> Response:
    """Answer in the envelope of `/v2`. An empty list is left out, as the real server does."""
    document: dict[str, Any] = {} if data == [] else {"data": data}
    document["metadata"] = {"fetchedAt": _now()}
    if page is not None:
        document["page"] = page
    return reply(document, status)


def from_error(error: Exception, request: Request) -> Response:
    """Turn whatever was raised on the way into the reply that this part of the interface gives."""
    failure = _as_api_error(error, request)
    body = _error_body(failure, request.url.path)
    media = TEXT if request.url.path.startswith(("/e/", "/fn/", "/invoke/")) else JSON
    return reply(body, failure.status, media=media, headers=failure.headers)


def is_v2(path: str) -> bool:
    """Whether a path belongs to the v2 interface, which has two addresses."""
    return path.startswith(tuple(f"{prefix}/" for prefix in V2_PREFIXES))


def _as_api_error(error: Exception, request: Request) -> ApiError:
    if isinstance(error, ApiError):
        return error
    if isinstance(error, HTTPException):
        return _from_routing(error, request)
    if isinstance(error, ServerStopped):
        return ApiError(503, f"{error}. Send it again once a server runs here.")
    if isinstance(error, sqlite3.ProgrammingError) and "closed" in str(error):
        # Between the end of the store and that of the sockets.
        return ApiError(503, "the server ends. Send it again once a server runs here.")
    logger.error("%s %s failed", request.method, _shown(request.url.path), exc_info=error)
    return ApiError(500, f"The server failed: {type(error).__name__}. Its log has the details.")


def _shown(path: str) -> str:
    """A path for the log: an event key is a secret."""
    return "/e/..." if path.startswith("/e/") else path


def _from_routing(error: HTTPException, request: Request) -> ApiError:
    path = request.url.path
    message = {
        404: "Not Found" if is_v2(path) else f"There is nothing at {path}",
        405: f"{request.method} is not allowed at {path}",
    }.get(error.status_code, str(error.detail))
    code = "api_error" if is_v2(path) else ""
    return ApiError(error.status_code, message, code=code, headers=error.headers)


def _error_body(failure: ApiError, path: str) -> dict[str, Any]:
    if is_v2(path):
        code = failure.code or _CODES.get(failure.status, "api_error")
        return {"errors": [{"code": code, "message": str(failure)}]}
    if path.startswith("/e/"):
        return {"ids": [""], "status": failure.status, "error": str(failure)}
    body = {"error": str(failure), "data": None, "status": failure.status}
    return {"code": failure.code, **body} if failure.code else body


def _now() -> str:
    return format_instant(int(time.time() * 1000))


def bearer(header: str) -> str:
    """What an authorization header brings."""
    scheme, _, rest = header.strip().partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else ""
