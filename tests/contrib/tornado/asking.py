"""A Tornado app on its own server: asked on the same loop, or hosted in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
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


@contextmanager
def hosted(app: Application) -> Iterator[str]:
    """Serve an app for a block, in a thread with a loop of its own; give the origin."""
    started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        ending = asyncio.Event()
        async with listening(app) as origin:
            started.set_result((origin, asyncio.get_running_loop(), ending))
            await ending.wait()

    thread = threading.Thread(target=lambda: asyncio.run(run()))
    thread.start()
    origin, loop, ending = started.result(timeout=30)
    try:
        yield origin
    finally:
        loop.call_soon_threadsafe(ending.set)
        thread.join()


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
