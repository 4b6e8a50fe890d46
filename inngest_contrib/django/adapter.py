"""
The Django adapter: one view, native under WSGI and under ASGI, and the URL that leads to it.

It needs neither the app in INSTALLED_APPS nor the setting INNGEST nor a database.
"""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from asgiref.sync import markcoroutinefunction
from django.core.exceptions import DisallowedHost
from django.db import connections
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase, JsonResponse
from django.urls import URLPattern, re_path
from django.utils.encoding import escape_uri_path

from inngest_core import CommHandler, Function, Inngest, InngestError, Streaming
from inngest_core.comm import CommRequest, CommResponse

from . import threads

FRAMEWORK = "django"
DEFAULT_PATH = "/api/inngest"
NAME = "inngest"
"""Of the URL, for ``reverse``."""

# A reply to a signed request is for whoever signed it, and for nobody's cache.
_NEVER_CACHED = {"cache-control": "private, no-store, max-age=0"}


def serve(
    client: Inngest,
    functions: Sequence[Function[Any]] | None = None,
    *,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
    streaming: Streaming | None = None,
) -> URLPattern:
    """
    The entry of ``urlpatterns`` that serves functions under serve_path.

    functions: None serves everything created on the client. serve_path:
    ``/api/inngest`` unless given. public_path: the path as the Inngest server sees it,
    where a proxy rewrites it. streaming: acts under ASGI. Raises
    SigningKeyMissingError in cloud mode without a key.
    """
    handler = new_handler(
        client,
        functions,
        enable_unauthed_sync=enable_unauthed_sync,
        public_path=public_path,
        serve_origin=serve_origin,
        serve_path=serve_path,
        streaming=streaming,
    )
    handler.require_key()
    path = serve_path or client.config.serve_path or DEFAULT_PATH
    return url_of(path, Endpoint(lambda: handler))


def new_handler(
    client: Inngest, functions: Sequence[Function[Any]] | None = None, **options: Any
) -> CommHandler:
    """What answers requests for functions, in Django's threads."""
    return CommHandler(
        client=client,
        framework=FRAMEWORK,
        functions=functions,
        to_thread=threads.to_thread,
        wait=threads.wait,
        **options,
    )


def url_of(path: str, endpoint: Endpoint) -> URLPattern:
    """Lead to an endpoint, with a slash at the end and without: a redirect would lose the body."""
    route = re.escape(path.strip("/"))
    return re_path(rf"^{route}/?$" if route else "^$", endpoint, name=NAME)


class _Marked:
    """Takes whatever asgiref marks async views with; that depends on the Python."""


_MARKS: dict[str, Any] = vars(markcoroutinefunction(_Marked()))  # type: ignore[type-var]  # any object will do


class Endpoint:
    """
    The view: blocking where the server is, async on a loop.

    new_handler: makes what answers; asked at the first request, and again after
    ``forget``.
    """

    csrf_exempt = True
    """Requests are signed, and servers have no cookies."""
    login_required = False
    """As csrf_exempt, for LoginRequiredMiddleware."""

    def __init__(self, new_handler: Callable[[], CommHandler]) -> None:
        self._new_handler = new_handler
        self._handler: CommHandler | None = None

    def __getattr__(self, name: str) -> Any:
        # Django asks each view whether it is async. An async view costs ten times as much
        # under WSGI, and a blocking one a thread under ASGI: this one is what fits.
        if name in _MARKS and _on_loop():
            return _MARKS[name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    @property
    def _non_atomic_requests(self) -> set[str]:
        """The databases whose ATOMIC_REQUESTS must not surround a call: all of them."""
        return set(connections)

    def forget(self) -> None:
        """Make the handler anew at the next request."""
        self._handler = None

    def __call__(self, request: HttpRequest) -> Any:
        """The response; on a loop, a coroutine of it."""
        return self._answer(request) if _on_loop() else self._answer_sync(request)

    def _answer_sync(self, request: HttpRequest) -> HttpResponseBase:
        try:
            handler = self._ready()
            asked = to_request(request, handler.max_body)
        except Exception as error:
            return _refusal(error)
        return from_response(handler.answer_sync(asked))

    async def _answer(self, request: HttpRequest) -> HttpResponseBase:
        try:
            handler = self._ready()
            asked = to_request(request, handler.max_body)
        except Exception as error:
            return _refusal(error)
        return from_response(await handler.answer(asked))

    def _ready(self) -> CommHandler:
        handler = self._handler
        if handler is None:
            handler = self._handler = self._new_handler()
        return handler


def to_request(request: HttpRequest, max_body: int) -> CommRequest:
    """What the core reads of a Django request: of its body a byte more than it accepts."""
    return CommRequest(
        method=request.method or "",
        url=f"{request.scheme}://{request.get_host()}{_escaped(request.path)}",
        headers=_headers(request.META),
        query=_query(request.META.get("QUERY_STRING", "")),
        body=_body(request, max_body),
        raw=request,
    )


def from_response(response: CommResponse) -> HttpResponseBase:
    """The Django response of what the core replied."""
    headers = {**response.headers, **_NEVER_CACHED}
    if response.stream is not None:
        return StreamingHttpResponse(response.stream, status=response.status, headers=headers)
    headers.setdefault("content-length", str(len(response.body)))
    made = HttpResponse(response.body, status=response.status, content_type="application/json")
    # Each would be encoded, decoded and searched for line breaks: a fifth of the view's time.
    made.headers._store.update((name, (name, value)) for name, value in headers.items())
    return made


def _headers(meta: Mapping[str, Any]) -> dict[str, str]:
    """The headers of a request. ``request.headers`` takes four times as long."""
    headers = {
        key[5:].replace("_", "-").lower(): value
        for key, value in meta.items()
        if key.startswith("HTTP_")
    }
    headers["content-type"] = meta.get("CONTENT_TYPE", "")
    headers["content-length"] = meta.get("CONTENT_LENGTH", "")
    return headers


# Only paths of endpoints come here, and those are few.
_escaped = functools.lru_cache(maxsize=64)(escape_uri_path)


def _query(query: str) -> dict[str, str]:
    """The first value of each parameter. Django's own parser has a limit, and takes the last."""
    if "%" not in query and "+" not in query:
        found: dict[str, str] = {}
        for name, _, value in (part.partition("=") for part in query.split("&") if part):
            found.setdefault(name, value)
        return found
    return dict(reversed(parse_qsl(query, keep_blank_values=True)))


def _body(request: HttpRequest, max_body: int) -> bytes:
    """
    The body, whatever DATA_UPLOAD_MAX_MEMORY_SIZE says: a call carries the state of a run.

    It is left where ``request.body`` finds it.
    """
    found: bytes | None = getattr(request, "_body", None)
    if found is None:
        found = request.read(max_body + 1)
        request._body = found  # what HttpRequest.body itself sets
    return found


def _on_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _refusal(error: Exception) -> HttpResponseBase:
    """The reply where the core cannot be asked; what is none of ours is raised."""
    if isinstance(error, DisallowedHost):
        return refuse_host(str(error))
    if isinstance(error, UnreadablePostError):
        return _error(400, "body_unreadable", f"the body could not be read: {error}")
    if isinstance(error, InngestError):
        return _error(500, error.code, str(error))
    raise error


def refuse_host(reason: str) -> HttpResponseBase:
    """The reply to a request for a host that is not in ALLOWED_HOSTS."""
    return _error(400, "host_disallowed", f"{reason} Or set INNGEST_SERVE_ORIGIN to one that is.")


def _error(status: int, code: str, message: str) -> HttpResponseBase:
    body = {"code": code, "message": message, "name": "EndpointError"}
    return JsonResponse(body, status=status, headers=_NEVER_CACHED)
