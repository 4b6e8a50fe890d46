"""
Looking for apps where web frameworks usually serve them: on this machine only, if asked to.

A port is knocked at; where someone listens, the usual paths are read with GET, which changes
nothing. What answers as an Inngest endpoint does is handed to the discovery, which asks it to
register.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import aiohttp

from inngest_contrib.devserver.discovery import Discovery
from inngest_contrib.devserver.keys import Keys
from inngest_core.wire.names import Header
from inngest_core.wire.signing import sign

logger = logging.getLogger("inngest.devserver")

PORTS = (*range(3000, 3005), 5000, 5001, 5173, 8000, 8001, 8080, 8787, 8888)
PATHS = (
    "/api/inngest",
    "/x/inngest",
    "/.netlify/functions/inngest",
    "/.redwood/functions/inngest",
)
_HOSTS = ("127.0.0.1", "[::1]")
_KNOCK_SECONDS = 0.5
_READ_SECONDS = 3.0
_MAX_BODY = 64 * 1024
_SIGNS = frozenset({"function_count", "functionsFound"})
"""What the introspection of an SDK holds: of today's, and of old ones."""


@dataclass(slots=True)
class Scan:
    """Looks again and again, and hands on what it finds."""

    discovery: Discovery
    own_port: int
    interval: float = 5.0

    async def run(self) -> None:
        """Look until cancelled."""
        timeout = aiohttp.ClientTimeout(total=_READ_SECONDS)
        async with aiohttp.ClientSession(timeout=timeout) as client:
            while True:
                await self.look(client)
                await asyncio.sleep(self.interval)

    async def look(self, client: aiohttp.ClientSession) -> None:
        """Look once. A port at which an app is known already is left alone."""
        known = {_port_of(url) for url in self.discovery.known()} | {self.own_port}
        await asyncio.gather(*(self._look_at(client, port) for port in PORTS if port not in known))

    async def _look_at(self, client: aiohttp.ClientSession, port: int) -> None:
        for host in _HOSTS:
            if not await _is_open(host.strip("[]"), port):
                continue
            for path in PATHS:
                url = f"http://{host}:{port}{path}"
                if await _is_app(client, url, self.discovery.keys):
                    logger.info("Found an app at %s", url)
                    self.discovery.add(url)
                    return


def _port_of(url: str) -> int | None:
    try:
        return urlsplit(url).port
    except ValueError:
        return None


async def _is_open(host: str, port: int) -> bool:
    """Whether someone listens there."""
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, port), _KNOCK_SECONDS)
    except (OSError, asyncio.TimeoutError):
        return False
    writer.close()
    return True


async def _read_start(response: aiohttp.ClientResponse) -> bytes:
    try:
        return await response.content.readexactly(_MAX_BODY)
    except asyncio.IncompleteReadError as whole:
        return whole.partial


async def _is_app(client: aiohttp.ClientSession, url: str, keys: Keys) -> bool:
    """Whether what answers there is an Inngest endpoint."""
    headers = {}
    if keys.signing is not None:
        headers[Header.SIGNATURE] = sign(keys.signing, b"", int(time.time()))
    try:
        async with client.get(url, headers=headers, allow_redirects=False) as response:
            if response.status != 200:
                return False
            document = json.loads(await _read_start(response))
    except (aiohttp.ClientError, OSError, asyncio.TimeoutError, ValueError, RecursionError):
        return False
    return isinstance(document, dict) and not _SIGNS.isdisjoint(document)
