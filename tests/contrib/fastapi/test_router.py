"""The FastAPI router: the kit once more, its client, dependencies and lifespan."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import sys
import types
from collections.abc import AsyncIterator
from typing import Any

import fastapi
import pytest
from starlette.routing import Route

import inngest_core as inngest
from inngest_contrib.fastapi import create_router, inngest_router
from inngest_contrib.testing.conformance import (
    Asked,
    RecordedServer,
    call,
    create,
    dev_client,
    functions,
)
from inngest_contrib.testing.conformance.asgi import ask
from inngest_contrib.testing.conformance.functions import PLAIN

from .test_adapter import TestFastAPI as Table


class TestRouter(Table):
    """Everything that holds for ``serve`` holds for a router."""

    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        app = fastapi.FastAPI()
        app.include_router(create_router(client, functions, **options))
        return app


class TestGuardedRouter(Table):
    """And for one with dependencies, which may have read the body before."""

    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        app = fastapi.FastAPI()
        guards = [fastapi.Depends(reading)]
        app.include_router(create_router(client, functions, dependencies=guards, **options))
        return app


async def reading(request: fastapi.Request) -> None:
    await request.body()


def included(client: inngest.Inngest, **options: Any) -> fastapi.FastAPI:
    app = fastapi.FastAPI()
    app.include_router(create_router(client, **options))
    return app


def test_a_dependency_can_refuse() -> None:
    def closed() -> None:
        raise fastapi.HTTPException(403)

    client = dev_client()
    functions(client)
    app = included(client, dependencies=[fastapi.Depends(closed)])
    for form in ("/api/inngest", "/api/inngest/"):
        assert ask(app, call("plain", path=form)).status == 403


def test_without_dependencies_the_routes_are_plain_ones() -> None:
    router = create_router(dev_client())
    assert [type(route) for route in router.routes] == [Route, Route]


@pytest.mark.parametrize("dependencies", [None, [fastapi.Depends(reading)]])
def test_the_endpoint_is_in_no_documentation(dependencies: Any) -> None:
    assert included(dev_client(), dependencies=dependencies).openapi()["paths"] == {}


def test_a_prefix_is_part_of_route_and_registered_address() -> None:
    server = RecordedServer()
    app = fastapi.FastAPI()
    app.include_router(create_router(dev_client(server)), prefix="/jobs")
    assert ask(app, Asked("PUT", path="/jobs/api/inngest")).status == 200
    assert server.bodies[0]["url"].endswith("/jobs/api/inngest")


def version() -> tuple[int, ...]:
    return tuple(int(part) for part in fastapi.__version__.split(".")[:3])


of_routers = pytest.mark.skipif(
    version() < (0, 112, 2), reason="FastAPI ignored the lifespans of routers until then"
)


# ---- whose functions


def test_the_one_router_serves_the_client_of_each_app() -> None:
    apps = [fastapi.FastAPI(), fastapi.FastAPI()]
    for number, app in enumerate(apps):
        app.state.inngest = dev_client(app_id=f"app-{number}")
        app.include_router(inngest_router)
        create(app.state.inngest, "f", lambda ctx: number)  # noqa: B023  # called at once
        url = f"fnId=app-{number}-f&stepId=step"
        assert ask(app, Asked(query=url, body=call("f").body)).json == number


def test_the_client_may_be_named_by_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("fastapi_jobs")
    client = module.client = dev_client()  # type: ignore[attr-defined]
    functions(client)
    monkeypatch.setitem(sys.modules, "fastapi_jobs", module)
    monkeypatch.setenv("INNGEST_CLIENT", "fastapi_jobs:client")
    app = fastapi.FastAPI()
    app.include_router(inngest_router)
    assert ask(app, call("plain")).body == PLAIN
    assert app.state.inngest is client


@of_routers
def test_without_a_client_the_app_does_not_start_and_says_what_to_do() -> None:
    app = fastapi.FastAPI()
    app.include_router(inngest_router)
    with pytest.raises(inngest.ConfigError, match=r"app\.state\.inngest .* INNGEST_CLIENT"):
        asyncio.run(lived(app))


@of_routers
def test_what_is_no_client_is_named() -> None:
    app = fastapi.FastAPI()
    app.state.inngest = "shop"
    app.include_router(inngest_router)
    with pytest.raises(inngest.ConfigError, match="expected a client.*got str"):  # noqa: RUF043
        asyncio.run(lived(app))


# ---- lifespan


async def lived(app: fastapi.FastAPI) -> None:
    """Begin and end the life of an app."""
    async with app.router.lifespan_context(app):
        pass


class Closing(RecordedServer):
    """A plugin that knows when its client was closed."""

    closed = 0

    @inngest.hookimpl
    def inngest_close(self) -> None:
        self.closed += 1


@of_routers
@pytest.mark.parametrize("own", [True, False])
def test_the_lifespan_closes_the_client_within_that_of_the_app(own: bool) -> None:
    server = Closing()
    client = dev_client(server)
    told: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(app: fastapi.FastAPI) -> AsyncIterator[None]:
        told.append("begun")
        yield
        told.append(f"ended, closed {server.closed}")

    app = fastapi.FastAPI(lifespan=lifespan)
    if own:
        app.include_router(create_router(client))
    else:
        app.state.inngest = client
        app.include_router(inngest_router)
    asyncio.run(lived(app))
    assert server.closed == 1
    assert told == ["begun", "ended, closed 1"]
    assert app.state.inngest is client


# ---- where functions run


_user: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


@pytest.mark.parametrize("way", ["blocking", "async"])
def test_a_function_sees_the_context_variables_of_the_app(way: str) -> None:
    client = dev_client()

    async def awaiting(ctx: inngest.Context) -> str:
        return _user.get()

    create(client, "who", awaiting if way == "async" else lambda ctx: _user.get())
    app = included(client)

    async def outer(scope: Any, receive: Any, send: Any) -> None:
        _user.set("somebody")
        await app(scope, receive, send)

    assert ask(outer, call("who")).json == "somebody"
