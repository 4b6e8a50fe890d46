"""
The Flask adapter: one plain view.

Async functions run on the client's one background loop, not on a loop per request.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import parse_qsl

from flask import Flask, Request, Response, request
from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.wsgi import get_input_stream

from inngest_core import CommHandler, Function, Inngest
from inngest_core.comm import CommRequest, CommResponse

FRAMEWORK = "flask"
DEFAULT_PATH = "/api/inngest"
# The core answers the methods that it does not know, as JSON.
_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


def serve(
    app: Flask,
    client: Inngest,
    functions: Sequence[Function[Any]] | None = None,
    *,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
) -> None:
    """
    Serve functions under serve_path, ``/api/inngest`` unless given.

    functions: None serves everything created on the client. public_path: the path
    as the Inngest server sees it, where a proxy rewrites it. Raises
    SigningKeyMissingError in cloud mode without a key.
    """
    handler = CommHandler(
        client=client,
        framework=FRAMEWORK,
        functions=functions,
        enable_unauthed_sync=enable_unauthed_sync,
        public_path=public_path,
        serve_origin=serve_origin,
        serve_path=serve_path,
    )
    handler.require_key()

    def inngest_view() -> Response:
        # The request itself: async functions run in another thread, where the proxy is empty.
        received = request._get_current_object()  # type: ignore[attr-defined]  # a LocalProxy's
        return from_response(handler.answer_sync(to_request(received, handler.max_body)))

    path = "/" + (serve_path or client.config.serve_path or DEFAULT_PATH).strip("/")
    app.add_url_rule(
        path,
        endpoint=f"inngest:{client.app_id}:{path}",
        view_func=inngest_view,
        methods=_METHODS,
        provide_automatic_options=False,
        strict_slashes=False,
    )


def to_request(request: Request, max_body: int) -> CommRequest:
    """What the core reads of a Flask request: of its body a byte more than it accepts."""
    return CommRequest(
        method=request.method,
        url=request.base_url,
        headers={key.lower(): value for key, value in request.headers.items()},
        query=_query(request.query_string.decode("latin-1")),
        body=_body(request, max_body),
        raw=request,
    )


def _query(query: str) -> dict[str, str]:
    """The first value of each parameter. Werkzeug's own parser raises for bytes beyond UTF-8."""
    return dict(reversed(parse_qsl(query, keep_blank_values=True)))


def _body(request: Request, max_body: int) -> bytes:
    if (request.content_length or 0) <= max_body:
        try:
            # Also where the app has read it before, to log or to check it.
            return request.get_data()
        except RequestEntityTooLarge:
            # The app's limit is for its own routes; a call carries the state of a run.
            pass
    return get_input_stream(request.environ).read(max_body + 1)


def from_response(response: CommResponse) -> Response:
    """The Flask response of what the core replied."""
    return Response([response.body], response.status, response.headers)
