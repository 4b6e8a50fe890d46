"""The FastAPI adapter: plain Starlette routes, which do not appear in the app's OpenAPI."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, Request
from starlette.routing import Route

from inngest_core import CommHandler, ConfigError, Function, Inngest, Streaming

from ..asgi import InngestApp

FRAMEWORK = "fast_api"
DEFAULT_PATH = "/api/inngest"


def serve(
    app: FastAPI,
    client: Inngest,
    functions: Sequence[Function[Any]] | None = None,
    *,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
    streaming: Streaming | None = None,
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
        streaming=streaming,
    )
    handler.require_key()
    path = path_of(serve_path or client.config.serve_path)
    if any(getattr(route, "path", None) == path for route in app.router.routes):
        raise ConfigError(
            f'serve_path: "{path}" is served by this app already; give one of the two another'
        )
    app.router.routes.extend(routes_of(path, InngestApp(handler, Request)))


def path_of(serve_path: str | None) -> str:
    """The route: what was chosen, else the usual one."""
    return "/" + (serve_path or DEFAULT_PATH).strip("/")


def routes_of(path: str, endpoint: Any) -> list[Route]:
    """The routes of an endpoint, an ASGI app: without and with a slash at their end."""
    # A redirect to the other form would be followed with a second POST.
    forms = dict.fromkeys((path, path.rstrip("/") + "/"))
    return [Route(form, endpoint=endpoint, include_in_schema=False) for form in forms]
