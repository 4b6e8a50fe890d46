"""Requests to a WSGI app, as a server makes them, and the kit for adapters that are one."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from typing import Any

from .exchange import Answered, Asked
from .kit import Conformance

Close = Callable[[], None]


def environ_of(asked: Asked) -> dict[str, Any]:
    """The environ of a request."""
    headers = {"host": "testserver", **{k.lower(): v for k, v in asked.headers.items()}}
    environ: dict[str, Any] = {
        "REQUEST_METHOD": asked.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": asked.path,
        "QUERY_STRING": asked.query,
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(asked.body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(asked.body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in headers.items():
        key = name.upper().replace("-", "_")
        environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
    return environ


def ask(app: Any, asked: Asked) -> Answered:
    """Make a request of the app, in this thread."""
    return asked_with(app, environ_of(asked))


def asked_with(app: Any, environ: dict[str, Any]) -> Answered:
    """What the app replies to an environ; a reply to HEAD loses its body, as on a server."""
    started: list[tuple[str, list[tuple[str, str]]]] = []

    def start_response(
        status: str, headers: list[tuple[str, str]], error: object = None
    ) -> Callable[[bytes], None]:
        started.append((status, headers))
        return lambda _: None

    chunks = app(environ, start_response)
    try:
        body = b"".join(chunks)
    finally:
        close: Close | None = getattr(chunks, "close", None)
        if close is not None:
            close()
    status, headers = started[-1]
    found = {name.lower(): value for name, value in headers}
    shown = b"" if environ["REQUEST_METHOD"] == "HEAD" else body
    return Answered(int(status.split()[0]), found, shown)


class WSGIConformance(Conformance):
    """The kit for an adapter whose app is a WSGI app: it is asked without a server."""

    def ask(self, app: Any, asked: Asked) -> Answered:
        """Make a request of the app, in this thread."""
        return ask(app, asked)
