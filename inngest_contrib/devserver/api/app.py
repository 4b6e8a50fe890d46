"""
The door in: which request goes to which handler.

Law: a route is a method, a path and a handler; nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Iterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import ASGIApp

from inngest_contrib.devserver.api import (
    cancellations,
    checkpoint,
    endpoints,
    gql,
    ingest,
    metadata,
    metrics,
    pages,
    realtime,
    register,
    reruns,
    rest_v1,
    rest_v2,
    signals,
    traces,
)
from inngest_contrib.devserver.api.context import Api, Handler
from inngest_contrib.devserver.api.gate import Gate
from inngest_contrib.devserver.api.guard import Guard
from inngest_contrib.devserver.api.replies import V2_PREFIXES, from_error
from inngest_contrib.devserver.connect import doors
from inngest_contrib.devserver.keys import Keys

# The routes are tried in this order: events come first, because they come most.
ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("POST", "/e/{key}", ingest.send_events),
    ("POST", "/e/", ingest.refuse_empty_key),
    ("POST", "/invoke/{slug}", ingest.invoke),
    ("POST", "/fn/register", register.register),
    ("DELETE", "/fn/remove", register.remove),
    ("POST", "/v0/gql", gql.answer),
    ("GET", "/v0/runs/{id}/actions", rest_v1.actions),
    ("GET", "/v0/runs/{id}/batch", rest_v1.batch),
    ("GET", "/v1/events", rest_v1.events),
    ("GET", "/v1/events/{id}", rest_v1.event),
    ("GET", "/v1/events/{id}/runs", rest_v1.runs_of_event),
    ("GET", "/v1/runs/{id}", rest_v1.run),
    ("DELETE", "/v1/runs/{id}", rest_v1.cancel_run),
    ("GET", "/v1/runs/{id}/jobs", rest_v1.jobs),
    ("POST", "/v1/runs/{id}/metadata", metadata.note),
    ("POST", "/v1/traces/userland", traces.take),
    ("GET", "/v1/apps/{app}/functions", rest_v1.functions),
    ("POST", "/v1/checkpoint", endpoints.begin),
    ("POST", "/v1/checkpoint/{id}/async", checkpoint.report),
    ("POST", "/v1/checkpoint/{id}/steps", endpoints.proceed),
    ("GET", "/v1/checkpoint/{id}/output", endpoints.output),
    ("POST", "/v1/http/runs", endpoints.begin),
    ("POST", "/v1/http/runs/{id}/steps", endpoints.proceed),
    ("GET", "/v1/http/runs/{id}/output", endpoints.output),
    ("POST", "/v1/cancellations", cancellations.cancel_many),
    ("POST", "/v1/signals", signals.send),
    ("POST", "/v1/realtime/token", realtime.token),
    ("POST", "/v1/realtime/publish", realtime.publish),
    ("POST", "/v1/realtime/publish/tee", realtime.tee),
    ("GET", "/v1/realtime/sse", realtime.listen),
    ("GET", realtime.CONNECT, realtime.refuse_plain),
    ("POST", "/v0/connect/start", doors.start),
    ("POST", "/v0/connect/flush", doors.flush),
    ("POST", "/v0/connect/drain", doors.drain),
    ("GET", "/v0/connect/envs/{env}/conns", doors.connections),
    ("GET", "/health", pages.health),
    ("GET", "/dev", pages.dev),
    ("GET", "/metrics", metrics.answer),
    ("GET", "/openapi.json", pages.openapi),
    ("GET", "/", pages.landing),
)
V2_ROUTES: tuple[tuple[str, str, Handler], ...] = (
    ("GET", "/runs", rest_v2.runs),
    ("GET", "/runs/{id}", rest_v2.run),
    ("GET", "/runs/{id}/trace", rest_v2.run_trace),
    ("POST", "/runs/{id}/cancel", rest_v2.cancel_run),
    ("POST", "/runs/{id}/rerun", reruns.rerun),
    ("POST", "/runs/{id}/scores", metadata.score),
    ("POST", "/events", ingest.send_event_v2),
    ("GET", "/events/{id}/runs", rest_v2.runs_of_event),
    ("GET", "/apps", rest_v2.apps),
    ("GET", "/apps/{app}", rest_v2.app),
    ("GET", "/apps/{app}/functions", rest_v2.functions),
    ("GET", "/apps/{app}/functions/{function}", rest_v2.function),
    ("GET", "/apps/{app}/functions/{function}/runs", rest_v2.runs_of_function),
    ("POST", "/apps/{app}/functions/{function}/invoke", ingest.invoke_v2),
    ("GET", "/health", rest_v2.health),
    ("GET", "/account", rest_v2.account),
    ("GET", "/envs", rest_v2.environments),
    ("GET", "/keys/events", rest_v2.keys),
    ("GET", "/keys/signing", rest_v2.keys),
    *(
        (method, f"/{name}{rest}", rest_v2.not_implemented)
        for name in ("sessions", "experiments", "insights", "webhooks", "sandboxes")
        for rest in ("", "/{rest:path}")
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
    ),
)


def build(
    api: Api, *, keys: Keys, allowed_hosts: Collection[str] = (), any_host: bool = False
) -> ASGIApp:
    """Return the ASGI app that answers for a server."""
    starlette = Starlette(
        routes=[
            *_routes(api),
            WebSocketRoute(realtime.CONNECT, realtime.Connect(api)),
            WebSocketRoute(doors.GATEWAY, doors.Connect(api)),
        ],
        exception_handlers={HTTPException: _answer_routing},
    )
    # A redirect would make clients send again, or not at all; a wrong path is told instead.
    starlette.router.redirect_slashes = False
    inner = Gate(starlette, keys, api.tokens)
    return Guard(inner, allowed_hosts=allowed_hosts, any_host=any_host, kind=keys.kind)


def _routes(api: Api) -> Iterator[Route]:
    """Make one route of each path, so that a wrong method is told which ones are right."""
    by_path: dict[str, dict[str, Handler]] = {}
    everywhere = [(prefix, route) for prefix in V2_PREFIXES for route in V2_ROUTES]
    for prefix, (method, path, handler) in [*(("", route) for route in ROUTES), *everywhere]:
        by_path.setdefault(prefix + path, {})[method] = handler
    for path, handlers in by_path.items():
        yield Route(path, _endpoint(api, handlers), methods=[*handlers, "OPTIONS"])


def _endpoint(api: Api, handlers: dict[str, Handler]) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        method = "GET" if request.method == "HEAD" else request.method
        if method == "OPTIONS":
            return Response(headers={"allow": _allowed(handlers)})
        try:
            return await handlers[method](api, request)
        except Exception as error:
            return from_error(error, request)

    return answer


def _allowed(handlers: dict[str, Handler]) -> str:
    return ", ".join([*handlers, *(["HEAD"] if "GET" in handlers else []), "OPTIONS"])


async def _answer_routing(request: Request, error: Exception) -> Response:
    return from_error(error, request)
