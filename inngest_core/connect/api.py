"""The two requests to the server's API that connect needs: where to connect, and late replies."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from urllib.parse import urlsplit

from ..errors import InngestError
from ..flow.fetch import fetch
from ..flow.site import Home
from ..net.aio import AsyncDriver
from ..wire.http import HttpResponse
from ..wire.names import Header
from . import connect_pb2 as pb
from .frames import decode

_HEADERS = {Header.CONTENT_TYPE: "application/protobuf"}
_UNAUTHORIZED = (401, 403)
_PASSING = (408, 425, 429)
_MOST_SAID = 200


class Refused(InngestError):
    """The API has said no. final: it will say so another time as well."""

    def __init__(self, message: str, *, final: bool = False) -> None:
        super().__init__(message)
        self.final = final


class Api:
    """
    The server's API. rewrite: changes the address of a gateway, as the user wants it.

    In dev mode no key is sent: the server needs none, and may be anybody's.
    """

    def __init__(
        self, home: Home, driver: AsyncDriver, rewrite: Callable[[str], str] | None
    ) -> None:
        self._home = home if home.config.is_production else _without_keys(home)
        self._driver = driver
        self._rewrite = rewrite

    async def start(self, exclude: tuple[str, ...]) -> pb.StartResponse:
        """A gateway of none of these groups; Refused or TransportError if there is none."""
        request = pb.StartRequest(exclude_gateways=exclude)
        response = await self._post("/v0/connect/start", request.SerializeToString())
        start = decode(pb.StartResponse, response.body)
        start.gateway_endpoint = self._endpoint(start.gateway_endpoint)
        return start

    async def flush(self, reply: bytes) -> None:
        """Hand in a reply, encoded; Refused or TransportError if it is not taken."""
        await self._post("/v0/connect/flush", reply)

    async def close(self) -> None:
        """Give back the connections of the running loop."""
        await self._driver.close()

    async def _post(self, path: str, body: bytes) -> HttpResponse:
        request = fetch(self._home, "POST", path, body, _HEADERS)
        response = await self._driver.run(request)
        if response.status != 200:
            raise _refusal(path, response)
        return response

    def _endpoint(self, named: str) -> str:
        endpoint = self._home.config.connect_gateway_url or named
        if self._rewrite is not None:
            endpoint = self._rewritten(self._rewrite, endpoint)
        parts = urlsplit(endpoint)
        if parts.scheme not in ("ws", "wss") or not parts.hostname:
            raise Refused(
                f'the gateway\'s address "{endpoint}" is not one of a websocket, like ws://host:8289'
            )
        return endpoint

    def _rewritten(self, rewrite: Callable[[str], str], endpoint: str) -> str:
        try:
            return rewrite(endpoint)
        except Exception as error:
            raise Refused(f"rewrite_gateway_endpoint failed: {error!r}", final=True) from error


def _without_keys(home: Home) -> Home:
    config = dataclasses.replace(home.config, signing_key=None, signing_key_fallback=None)
    return dataclasses.replace(home, config=config)


def _refusal(path: str, response: HttpResponse) -> Refused:
    status = response.status
    if status in _UNAUTHORIZED:
        return Refused(
            f"unauthorized: the server refused our signing key with status {status}; compare "
            "INNGEST_SIGNING_KEY with the key of the environment that you mean",
            final=True,
        )
    said = response.body[:_MOST_SAID].decode(errors="replace").strip()
    if status == 429:
        said = f"too many connections. {said}".rstrip()
    final = 400 <= status < 500 and status not in _PASSING
    return Refused(f"POST {path} was answered with status {status}: {said}", final=final)
