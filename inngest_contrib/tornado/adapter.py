"""
The Tornado adapter: one handler, of native coroutines.

Blocking functions run in threads, off the loop. A call whose client goes away runs to its end.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

from tornado.httputil import HTTPServerRequest
from tornado.iostream import StreamClosedError
from tornado.web import Application, RequestHandler, stream_request_body

from inngest_core import CommHandler, ConfigError, Function, Inngest, Streaming
from inngest_core.comm import CommRequest, CommResponse

FRAMEWORK = "tornado"
DEFAULT_PATH = "/api/inngest"
READ_AT_MOST = 64 * 1024 * 1024
"""Bytes of a body that are taken off the wire; the core refuses those beyond its own limit."""


# A body that is read whole is first parsed as what its headers say, and limited as the app's are.
@stream_request_body
class InngestHandler(RequestHandler):
    """
    Answers the Inngest server, under the path of a rule.

        (r"/api/inngest", InngestHandler, {"client": client, "functions": functions})

    Its arguments are those of ``serve`` but the app. A missing signing key is told in the
    reply to each request.
    """

    # The core answers the methods that it does not know, as JSON.
    SUPPORTED_METHODS = (*RequestHandler.SUPPORTED_METHODS, "TRACE")

    def initialize(self, **arguments: Any) -> None:
        self._arguments = arguments
        self._parts: list[bytes] = []
        self.request.connection.set_max_body_size(READ_AT_MOST)  # type: ignore[union-attr]  # HTTP/1

    def data_received(self, chunk: bytes) -> None:
        """Keep a part of the body."""
        self._parts.append(chunk)

    def check_xsrf_cookie(self) -> None:
        """Let every request in: signatures are checked, and servers have no cookies."""

    def check_trusted_origin(self, origin: str) -> bool:
        """As ``check_xsrf_cookie``."""
        return True

    def compute_etag(self) -> None:
        """None: a reply is never the one that the server has already."""

    async def answer(self, *groups: str, **names: str) -> None:
        """Answer any request. groups, names: what the rule's pattern found."""
        self.request.body = b"".join(self._parts)
        door = _door(self.application, self._arguments)
        await from_response(await door.answer(to_request(self.request)), self)

    get = head = post = delete = patch = put = options = trace = answer

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Say in JSON what Tornado refuses before it asks this handler."""
        self.finish({"code": "unknown", "message": f"{status_code}: {self._reason}"})


def serve(
    app: Application,
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
    SigningKeyMissingError in cloud mode without a key, and ConfigError for a path that
    was served before.
    """
    arguments = {
        "client": client,
        "functions": functions,
        "enable_unauthed_sync": enable_unauthed_sync,
        "public_path": public_path,
        "serve_origin": serve_origin,
        "serve_path": serve_path,
        "streaming": streaming,
    }
    _door(app, arguments).require_key()
    path = "/" + (serve_path or client.config.serve_path or DEFAULT_PATH).strip("/")
    _require_free(app, path)
    pattern = re.escape(path.rstrip("/")) + "/?"
    app.add_handlers(".*", [(pattern, InngestHandler, arguments)])


def to_request(request: HTTPServerRequest) -> CommRequest:
    """What the core reads of a Tornado request."""
    return CommRequest(
        method=request.method or "",
        url=f"{request.protocol}://{request.host}{request.path}",
        headers={key.lower(): value for key, value in request.headers.get_all()},
        # The first value of each parameter counts.
        query={
            name: values[0].decode(errors="replace")
            for name, values in request.query_arguments.items()
        },
        body=request.body,
        raw=request,
    )


async def from_response(response: CommResponse, handler: RequestHandler) -> None:
    """Send what the core replied."""
    handler.set_status(response.status)
    for name, value in response.headers.items():
        handler.set_header(name, value)
    if response.stream is not None:
        try:
            async for chunk in response.stream:
                handler.write(chunk)
                await handler.flush()
        except StreamClosedError:
            return
    handler.finish(response.body)


_PATHS: WeakKeyDictionary[Application, set[str]] = WeakKeyDictionary()


def _require_free(app: Application, path: str) -> None:
    """Raise ConfigError where ``serve`` was given the path before: only one would be asked."""
    paths = _PATHS.setdefault(app, set())
    if path in paths:
        raise ConfigError(
            f'serve_path: "{path}" is served by this app already; give one of the two another'
        )
    paths.add(path)


_Key = tuple[tuple[str, int], ...]
_DOORS: WeakKeyDictionary[Application, dict[_Key, tuple[CommHandler, dict[str, Any]]]]
_DOORS = WeakKeyDictionary()


def _door(app: Application, arguments: dict[str, Any]) -> CommHandler:
    """The one door behind a rule: Tornado makes a handler for every request."""
    doors = _DOORS.setdefault(app, {})
    # A rule hands over the same objects each time; they are kept, so that no other has their id.
    key = tuple((name, id(value)) for name, value in arguments.items())
    if key not in doors:
        doors[key] = (CommHandler(framework=FRAMEWORK, **arguments), arguments)
    return doors[key][0]
