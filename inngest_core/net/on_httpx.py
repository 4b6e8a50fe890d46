"""
Transports on httpx: TLS, proxies, and whatever else the environment says.

httpx is imported at the first request. Its clients are pooled: one for all
threads, one for each event loop, and new ones after a fork.
"""

from __future__ import annotations

import asyncio
import functools
import os
import weakref
from typing import TYPE_CHECKING

from ..errors import TransportError
from ..wire.http import HttpRequest, HttpResponse

if TYPE_CHECKING:
    import httpx


class HttpxTransport:
    """Carries requests from threads."""

    def __init__(self) -> None:
        self._client: httpx.Client | None = None
        self._pid = 0

    def send(self, request: HttpRequest) -> HttpResponse:
        import httpx

        client = self._ready()
        try:
            response = client.send(_built(client, request))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise failure(request, error) from error
        return _response(response)

    def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _ready(self) -> httpx.Client:
        import httpx

        if self._client is None or self._pid != os.getpid():
            self._client, self._pid = httpx.Client(), os.getpid()
        return self._client


class AsyncHttpxTransport:
    """Carries requests from event loops."""

    def __init__(self) -> None:
        self._clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = (
            weakref.WeakKeyDictionary()
        )

    async def send(self, request: HttpRequest) -> HttpResponse:
        import httpx

        client = self._ready()
        try:
            response = await client.send(_built(client, request))
        except (httpx.HTTPError, httpx.InvalidURL, UnicodeError) as error:
            raise failure(request, error) from error
        return _response(response)

    async def close(self) -> None:
        client = self._clients.pop(asyncio.get_running_loop(), None)
        if client is not None:
            await client.aclose()

    def _ready(self) -> httpx.AsyncClient:
        import httpx

        loop = asyncio.get_running_loop()
        client = self._clients.get(loop)
        if client is None:
            client = self._clients[loop] = httpx.AsyncClient()
        return client


def _built(client: httpx.Client | httpx.AsyncClient, request: HttpRequest) -> httpx.Request:
    import httpx

    built = client.build_request(
        request.method,
        request.url,
        headers=request.headers,
        content=request.body,
        # Waiting for a free connection does not count: what is on the wire ends in time.
        timeout=httpx.Timeout(request.timeout, pool=None),
    )
    built.url = _shown_as_origin()(built.url)
    return built


@functools.cache
def _shown_as_origin() -> type[httpx.URL]:
    import httpx

    class ShownAsOrigin(httpx.URL):
        """httpx logs every address at level INFO, and a path may hold the event key."""

        def __str__(self) -> str:
            return f"{self.scheme}://{self.netloc.decode()}"

    return ShownAsOrigin


def _response(response: httpx.Response) -> HttpResponse:
    headers = {name.lower(): value for name, value in response.headers.items()}
    return HttpResponse(response.status_code, headers, response.content)


def failure(request: HttpRequest, error: Exception) -> TransportError:
    """What to raise where there is no reply."""
    detail = str(error) or type(error).__name__
    return TransportError(f"no reply from {request.origin}: {detail}")
