"""An adapter: functions as a WSGI app, of the standard library alone."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl
from wsgiref.util import request_uri

from inngest_core import CommHandler, CommRequest, Framework, Inngest, hookimpl

DESCRIPTOR = Framework(name="acme", version="1.2", serve="acme_framework:serve")

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


@hookimpl
def inngest_framework() -> Framework:
    return DESCRIPTOR


def serve(client: Inngest) -> App:
    """Return the WSGI app that answers for a client."""
    handler = CommHandler(client=client, framework=DESCRIPTOR)

    def app(environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        response = handler.answer_sync(_request(environ))
        start(f"{response.status} -", list(response.headers.items()))
        return [response.body]

    return app


def _request(environ: dict[str, Any]) -> CommRequest:
    headers = {
        name.removeprefix("HTTP_").replace("_", "-").lower(): value
        for name, value in environ.items()
        if name.startswith("HTTP_")
    }
    return CommRequest(
        method=environ["REQUEST_METHOD"],
        url=request_uri(environ, include_query=False),
        headers=headers,
        query=dict(parse_qsl(environ["QUERY_STRING"])),
        body=environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)),
    )
