"""
WSGI, in two words: to_request and from_response. Any WSGI framework mounts the app here.

Async functions run on the client's one background loop, not on a loop per request.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any

from inngest_core import CommHandler, Function, Inngest
from inngest_core.comm import CommRequest, CommResponse, first_values

FRAMEWORK = "wsgi"

Environ = dict[str, Any]
StartResponse = Callable[..., Any]

_STATUS = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
# What WSGI keeps of a header that is not named HTTP_*.
_BARE = {"CONTENT_TYPE": "content-type", "CONTENT_LENGTH": "content-length"}


def serve(
    client: Inngest,
    functions: Sequence[Function[Any]] | None = None,
    *,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
) -> InngestApp:
    """
    Make a WSGI app that serves functions, whatever the path under which it is mounted.

    functions: None serves everything created on the client. serve_path: the path that
    is registered, unless the request is to tell; public_path beats it. Raises
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
    return InngestApp(handler)


class InngestApp:
    """A WSGI app that answers the Inngest server. Middleware sees the environ as its request."""

    def __init__(self, handler: CommHandler) -> None:
        self._handler = handler

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        body = read_body(environ, self._handler.max_body)
        response = self._handler.answer_sync(to_request(environ, body, environ))
        return from_response(response, start_response)


def to_request(environ: Environ, body: bytes, raw: object) -> CommRequest:
    """What the core reads of a WSGI request."""
    headers = {
        key[5:].replace("_", "-").lower(): value
        for key, value in environ.items()
        if key.startswith("HTTP_")
    }
    for key, name in _BARE.items():
        if environ.get(key):
            headers[name] = environ[key]
    query = first_values(environ.get("QUERY_STRING", ""))
    return CommRequest(environ["REQUEST_METHOD"], _url(environ), headers, query, body, raw)


def from_response(response: CommResponse, start_response: StartResponse) -> Iterable[bytes]:
    """Send what the core replied."""
    headers = list(response.headers.items())
    if "content-length" not in response.headers:
        headers.append(("content-length", str(len(response.body))))
    start_response(_STATUS.get(response.status, f"{response.status} Unknown"), headers)
    return [response.body]


def read_body(environ: Environ, limit: int) -> bytes:
    """The body; a byte more than *limit* at most, for the core to refuse."""
    length = _length(environ.get("CONTENT_LENGTH"))
    if length is None and not environ.get("wsgi.input_terminated"):
        # Without a length and without a server that ends the stream, a read waits for ever.
        return b""
    wanted = limit + 1 if length is None else min(length, limit + 1)
    read = environ["wsgi.input"].read
    parts: list[bytes] = []
    while wanted > 0 and (part := read(wanted)):
        parts.append(part)
        wanted -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _length(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None


def _url(environ: Environ) -> str:
    host = environ.get("HTTP_HOST") or f"{environ['SERVER_NAME']}:{environ['SERVER_PORT']}"
    path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
    # WSGI carries the bytes of a path as if they were latin-1.
    text = path if path.isascii() else path.encode("latin-1").decode("utf-8", "replace")
    return f"{environ['wsgi.url_scheme']}://{host}{text}"
