"""
The door of a server with keys: who does not prove to have one is not let in.

Law: what is not named here as open demands the signing key, so that a new route is shut until
someone decides otherwise. Websockets and streams of realtime bring a token, which they check.
"""

from __future__ import annotations

import re

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from inngest_contrib.devserver.api.replies import bearer, reply
from inngest_contrib.devserver.keys import Keys
from inngest_contrib.devserver.tokens import Tokens
from inngest_core.wire.names import Header

_EVENTS = "/e/"
_OPEN = frozenset({"/health", _EVENTS})
_TOKENED = frozenset({"/v1/realtime/connect", "/v1/realtime/sse"})
_PUBLISHING = frozenset({"/v1/realtime/publish", "/v1/realtime/publish/tee"})
"""A token will do here, if it is one to publish with; that is looked at behind the door."""
_OUTPUT = re.compile(r"/v1/(checkpoint|http/runs)/[^/]+/output")
"""What a run came to; it wants a token, too."""


class Gate:
    """ASGI middleware: let in who has a key. Without keys it lets everyone in."""

    def __init__(self, app: ASGIApp, keys: Keys, tokens: Tokens) -> None:
        self._app = app
        self._keys = keys
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        answer = None if scope["type"] != "http" else self._refusal(scope)
        await (answer or self._app)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        path: str = scope["path"]
        if self._keys.signing is None or path in _OPEN or path in _TOKENED:
            return None
        if _OUTPUT.fullmatch(path):
            return None
        if path == "/dev":
            # By this SDKs look for a development server, and this one is none.
            return _plain("404 page not found", 404)
        if path.startswith(_EVENTS):
            return self._event_refusal(path)
        headers = Headers(scope=scope)
        given = headers.get(Header.AUTHORIZATION)
        if path in _PUBLISHING and self._tokens.is_one(bearer(given or "")):
            return None
        return None if self._keys.admits(given) else _demand(headers)

    def _event_refusal(self, path: str) -> Response | None:
        if self._keys.admits_event_key(path.removeprefix(_EVENTS)):
            return None
        return reply({"status": 401, "message": "", "error": "Event key not found"}, 401)


def _demand(headers: Headers) -> Response:
    # A browser asks its user only where it is told of a scheme that it knows.
    known = "Basic" if "text/html" in headers.get("accept", "") else "Bearer"
    challenge = {"www-authenticate": f'{known} realm="inngest-core dev"'}
    return _plain("Authentication failed", 401, challenge)


def _plain(text: str, status: int, headers: dict[str, str] | None = None) -> Response:
    return PlainTextResponse(
        f"{text}\n", status, {"x-content-type-options": "nosniff", **(headers or {})}
    )
