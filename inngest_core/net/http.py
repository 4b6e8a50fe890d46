"""
The default transports: a plugin like any other, asked last.

Plain HTTP, as to a server on this machine, goes over h11; TLS and proxies are left to httpx. What
carries requests is imported at the first of them.
"""

from __future__ import annotations

import logging
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..plugin.types import hookimpl
from ..wire.http import HttpRequest, HttpResponse

if TYPE_CHECKING:
    from .on_h11 import Address, AsyncPlainTransport, PlainTransport
    from .on_httpx import AsyncHttpxTransport, HttpxTransport

KINDS = ("blocking", "async")

_log = logging.getLogger("inngest.http")


class _Choice:
    """Which way a request goes."""

    @cached_property
    def _proxied(self) -> bool:
        """Whether the environment names a proxy that plain HTTP could go through."""
        from urllib.request import getproxies

        return not getproxies().keys().isdisjoint(("http", "all"))

    def _plain(self, request: HttpRequest) -> Address | None:
        from .on_h11 import plain_address

        return None if self._proxied else plain_address(request.url)


class HttpTransport(_Choice):
    """Carries requests from threads."""

    @cached_property
    def _on_h11(self) -> PlainTransport:
        from .on_h11 import PlainTransport

        return PlainTransport()

    @cached_property
    def _on_httpx(self) -> HttpxTransport:
        from .on_httpx import HttpxTransport

        return HttpxTransport()

    def send(self, request: HttpRequest) -> HttpResponse:
        address = self._plain(request)
        if address is None:
            return self._on_httpx.send(request)
        return _logged(request, self._on_h11.send(request, address))

    def close(self) -> None:
        self._on_h11.close()
        self._on_httpx.close()


class AsyncHttpTransport(_Choice):
    """Carries requests from event loops."""

    @cached_property
    def _on_h11(self) -> AsyncPlainTransport:
        from .on_h11 import AsyncPlainTransport

        return AsyncPlainTransport()

    @cached_property
    def _on_httpx(self) -> AsyncHttpxTransport:
        from .on_httpx import AsyncHttpxTransport

        return AsyncHttpxTransport()

    async def send(self, request: HttpRequest) -> HttpResponse:
        address = self._plain(request)
        if address is None:
            return await self._on_httpx.send(request)
        return _logged(request, await self._on_h11.send(request, address))

    async def close(self) -> None:
        await self._on_h11.close()
        await self._on_httpx.close()


def _logged(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    if _log.isEnabledFor(logging.DEBUG):
        _log.debug("%s %s %d", request.method, request.origin, response.status)
    return response


@hookimpl(trylast=True)
def inngest_transport(config: Any, kind: str) -> HttpTransport | AsyncHttpTransport | None:
    """The transport of a client whose plugins offer no other."""
    if kind not in KINDS:
        return None
    return HttpTransport() if kind == "blocking" else AsyncHttpTransport()
