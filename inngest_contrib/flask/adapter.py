"""
The Flask adapter: one plain view.

Async functions run on the client's one background loop, not on a loop per request.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response, request
from werkzeug.datastructures import Headers

from inngest_core import CommHandler, ConfigError, Function, Inngest
from inngest_core.comm import CommRequest, CommResponse

from .. import wsgi

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

FRAMEWORK = "flask"
DEFAULT_PATH = "/api/inngest"
# The core answers the methods that it does not know, as JSON.
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


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
    path = path_of(client, serve_path)
    require_free(app, path)
    endpoint = f"inngest:{client.app_id}:{path}"
    app.add_url_rule(path, endpoint, view_of(handler), **RULE)


RULE: dict[str, Any] = {
    "methods": METHODS,
    "provide_automatic_options": False,
    "strict_slashes": False,
}
"""How our rule differs from others."""


def path_of(client: Inngest, serve_path: str | None) -> str:
    """The route: the option, else the variable, else the usual one."""
    return "/" + (serve_path or client.config.serve_path or DEFAULT_PATH).strip("/")


def require_free(app: Flask, path: str) -> None:
    """Raise ConfigError where another rule of the app has the path: only one would be asked."""
    if any(rule.rule == path for rule in app.url_map.iter_rules()):
        raise ConfigError(
            f'serve_path: "{path}" is served by this app already; give one of the two another'
        )


def view_of(handler: CommHandler) -> Callable[[], Response]:
    """The view through which *handler* answers."""

    def inngest_view() -> Response:
        # The request itself: async functions run in another thread, where the proxy is empty.
        received = request._get_current_object()  # type: ignore[attr-defined]  # a LocalProxy's
        return from_response(handler.answer_sync(to_request(received, handler.max_body)))

    return inngest_view


def to_request(request: Request, max_body: int) -> CommRequest:
    """What the core reads of a Flask request: of its body a byte more than it accepts."""
    return wsgi.to_request(request.environ, _body(request, max_body), request)


def _body(request: Request, max_body: int) -> bytes:
    if "stream" in vars(request):
        # The app has read it before, to log or to check it.
        return request.get_data()
    # The app's own limit is for its own routes; a call carries the state of a run.
    body = wsgi.read_body(request.environ, max_body)
    # Middleware may want to read it, too.
    request.environ["wsgi.input"] = io.BytesIO(body)
    return body


def from_response(response: CommResponse) -> Response:
    """The Flask response of what the core replied."""
    response.headers.setdefault("content-length", str(len(response.body)))
    return _Reply([response.body], response.status, Headers(response.headers))


class _Reply(Response):
    """A response whose headers are complete: there is nothing to mend in a copy of them."""

    def get_wsgi_headers(self, environ: WSGIEnvironment) -> Headers:
        return self.headers
