"""
The router: an APIRouter that serves functions, and whose lifespan closes their client.

Law: ``app.state.inngest`` is the client of an app; while the app lives it is found there.
FastAPI before 0.112.2 ignores the lifespans of routers: there the client is left open.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.params import Depends
from starlette.responses import Response

from inngest_core import CommHandler, ConfigError, Function, Inngest, Streaming
from inngest_core.settings import read

from ..asgi import InngestApp, Receive, Scope, Send
from .adapter import FRAMEWORK, path_of, routes_of

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"]

Endpoint = Callable[[Scope, Receive, Send], Any]


def create_router(
    client: Inngest,
    functions: Sequence[Function[Any]] | None = None,
    *,
    dependencies: Sequence[Depends] | None = None,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
    streaming: Streaming | None = None,
) -> APIRouter:
    """
    Make a router that serves functions of a client, all unless some are given.

    dependencies: of FastAPI, asked before the functions are. The other options are those of
    ``serve``. Raises SigningKeyMissingError in cloud mode without a key.
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
    router = APIRouter(lifespan=_lifespan(lambda app: client))
    endpoint = InngestApp(handler, Request)
    if dependencies:
        _add_guarded(router, path, endpoint, dependencies)
    else:
        router.routes.extend(routes_of(path, endpoint))
    return router


def _add_guarded(
    router: APIRouter, path: str, endpoint: Endpoint, dependencies: Sequence[Depends]
) -> None:
    """Add a route that FastAPI resolves dependencies for, at a cost that a plain one has not."""

    async def guarded(request: Request) -> Response:
        return _Forwarded(endpoint, request)

    for form in dict.fromkeys((path, path.rstrip("/") + "/")):
        router.add_api_route(
            form,
            guarded,
            dependencies=dependencies,
            include_in_schema=False,
            methods=METHODS,
            response_model=None,
        )


class _Forwarded(Response):
    """A response that an ASGI app makes, with the body that a dependency may have read before."""

    def __init__(self, endpoint: Endpoint, request: Request) -> None:
        super().__init__()
        self._endpoint = endpoint
        self._request = request

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        chunks = self._request.stream()

        async def again() -> dict[str, Any]:
            async for chunk in chunks:
                return {"type": "http.request", "body": chunk, "more_body": bool(chunk)}
            return {"type": "http.request", "body": b"", "more_body": False}

        await self._endpoint(scope, again, send)


# ---- one router for every app


class _Found:
    """An endpoint that serves, in each app, the functions of that app's client."""

    def __init__(self) -> None:
        self._endpoints: weakref.WeakKeyDictionary[FastAPI, InngestApp] = (
            weakref.WeakKeyDictionary()
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.endpoint(scope["app"])(scope, receive, send)

    def endpoint(self, app: FastAPI) -> InngestApp:
        """The endpoint of an app, made when it is first needed."""
        endpoint = self._endpoints.get(app)
        if endpoint is None:
            handler = CommHandler(client=client_of(app), framework=FRAMEWORK)
            handler.require_key()
            endpoint = self._endpoints[app] = InngestApp(handler, Request)
        return endpoint

    def client(self, app: FastAPI) -> Inngest:
        """The client of an app. Raises where there is none, or where it cannot serve."""
        self.endpoint(app)
        return client_of(app)


def client_of(app: FastAPI) -> Inngest:
    """The client of an app: ``app.state.inngest``, or the one that INNGEST_CLIENT names."""
    client = getattr(app.state, "inngest", None)
    if client is None:
        named = os.environ.get("INNGEST_CLIENT")
        if not named:
            raise ConfigError(
                "inngest_router: whose functions shall it serve? Set app.state.inngest to your "
                'client, or the variable INNGEST_CLIENT to its path, like "shop.jobs.client"'
            )
        client = app.state.inngest = read({"CLIENT": named}, prefix="INNGEST_").client()
    if not isinstance(client, Inngest):
        raise ConfigError(
            "app.state.inngest: expected a client, an inngest_core.Inngest, got "
            f"{type(client).__name__}"
        )
    return client


def _lifespan(
    find: Callable[[FastAPI], Inngest],
) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        client = find(app)
        if getattr(app.state, "inngest", None) is None:
            app.state.inngest = client
        try:
            yield
        finally:
            await client.aclose()

    return lifespan


def _router_of_the_app() -> APIRouter:
    found = _Found()
    router = APIRouter(lifespan=_lifespan(found.client))
    # The client is not known before there is an app, and the route has to be.
    router.routes.extend(routes_of(path_of(os.environ.get("INNGEST_SERVE_PATH")), found))
    return router


inngest_router = _router_of_the_app()
"""The router of the client in ``app.state.inngest``, or of the one that INNGEST_CLIENT names."""
