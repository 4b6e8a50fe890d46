"""What every handler is given, and the reading of bodies and ids that all of them share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from inngest_contrib.devserver.api.replies import ApiError
from inngest_contrib.devserver.connect.times import REAL, Times
from inngest_contrib.devserver.events import EventRefused, read_json
from inngest_contrib.devserver.expressions import Expressions
from inngest_contrib.devserver.keys import Keys
from inngest_contrib.devserver.loop import Server
from inngest_contrib.devserver.metrics import Metrics
from inngest_contrib.devserver.reads import Reads
from inngest_contrib.devserver.realtime import Hub
from inngest_contrib.devserver.tokens import Tokens
from inngest_contrib.devserver.views import AppView, FunctionView, RunView
from inngest_core.wire.ids import is_ulid

if TYPE_CHECKING:
    from inngest_contrib.devserver.connect.driver import Workers

MAX_BODY = 64 * 1024 * 1024


@dataclass(slots=True)
class Api:
    """The server behind the interface, and the facts about it that the interface tells."""

    server: Server
    expressions: Expressions
    version: str = "0"
    start_options: dict[str, Any] = field(default_factory=dict)
    keys: Keys = field(default_factory=Keys)
    hub: Hub = field(default_factory=Hub)
    """Who listens to realtime messages."""
    tokens: Tokens = field(default_factory=Tokens)
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the server ends: who waits for something is told to ask again."""
    metrics: Metrics | None = None
    workers: Workers | None = None
    """Who is connected; there once the first worker has asked where to connect."""
    connect_times: Times = REAL

    @property
    def reads(self) -> Reads:
        """What was committed."""
        return self.server.reads


Handler = Callable[[Api, Request], Awaitable[Response]]


async def read_body(request: Request) -> bytes:
    """Read a body up to the limit; over it, stop reading and raise a 413."""
    chunks = []
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > MAX_BODY:
                raise ApiError(
                    413, f"The body is larger than {MAX_BODY} bytes", code="body_too_large"
                )
            chunks.append(chunk)
    except ClientDisconnect:
        raise ApiError(400, "The client left before the body had ended") from None
    return b"".join(chunks)


async def read_object(request: Request) -> dict[str, Any]:
    """Read a body that is a JSON object; nothing counts as an empty one."""
    body = await read_body(request)
    if not body.strip():
        return {}
    try:
        document = read_json(body)
    except EventRefused as error:
        raise ApiError(400, f"The body is not JSON: {error}") from error
    if not isinstance(document, dict):
        raise ApiError(400, "The body must be a JSON object")
    return document


def run_id_of(request: Request, wording: str = "Invalid run ID: {}") -> str:
    """Return the run id of a path."""
    return _ulid(request, wording)


def event_id_of(request: Request, wording: str = "Invalid event ID: {}") -> str:
    """Return the event id of a path."""
    return _ulid(request, wording)


def _ulid(request: Request, wording: str) -> str:
    text = str(request.path_params["id"])
    if not is_ulid(text):
        raise ApiError(400, wording.format(text))
    return text


def find_run(api: Api, run_id: str, wording: str) -> RunView:
    """Return a run; raise a 404 if there is none."""
    run = api.reads.run(run_id)
    if run is None:
        raise ApiError(404, wording.format(run_id))
    return run


def find_app(api: Api, name: str) -> AppView:
    """Return the app of a name; raise a 404 if there is none."""
    for app in api.reads.apps():
        if app.name == name:
            return app
    raise ApiError(404, "App not found")


def find_function(api: Api, app: AppView, name: str) -> FunctionView:
    """Return a function by its id, with or without the app's prefix; raise a 404 if none is."""
    for function in api.reads.functions(app.id):
        if not function.archived and function.slug in (name, f"{app.name}-{name}"):
            return function
    raise ApiError(404, "Function not found")


async def until_first(*work: Any, seconds: float | None = None) -> None:
    """Do several things until one of them has ended, however it did."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
