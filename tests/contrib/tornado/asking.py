"""Requests to a Tornado app over a socket: its own server, and a client on the same loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application

from inngest_contrib.testing.conformance import Answered, Asked


@asynccontextmanager
async def listening(app: Application, **options: Any) -> AsyncIterator[str]:
    """Serve an app for a block; give the origin. options: of Tornado's HTTPServer."""
    socket, port = bind_unused_port()
    server = HTTPServer(app, **options)
    server.add_socket(socket)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        await server.close_all_connections()


def ask_all(app: Application, asked: Sequence[Asked], **options: Any) -> list[Answered]:
    """Make requests of an app at the same time, on one loop."""

    async def all_of_them() -> list[Answered]:
        client = AsyncHTTPClient(force_instance=True, max_clients=len(asked))
        try:
            async with listening(app, **options) as origin:
                fetched = (client.fetch(request(origin, one), raise_error=False) for one in asked)
                return [answered(one) for one in await asyncio.gather(*fetched)]
        finally:
            client.close()

    return asyncio.run(all_of_them())


def ask(app: Application, asked: Asked, **options: Any) -> Answered:
    """Make a request of an app, on a loop of its own."""
    return ask_all(app, [asked], **options)[0]


def request(origin: str, asked: Asked) -> HTTPRequest:
    return HTTPRequest(
        origin + asked.target,
        method=asked.method,
        headers=dict(asked.headers),
        body=asked.body or None,
        allow_nonstandard_methods=True,
        follow_redirects=False,
        decompress_response=False,
        request_timeout=60,
    )


def answered(response: HTTPResponse) -> Answered:
    headers = {name.lower(): value for name, value in response.headers.get_all()}
    return Answered(response.code, headers, response.body)
