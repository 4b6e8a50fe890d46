"""
How requests of functions (`Gateway`, `AIGateway`) leave this machine.

Law: nothing raises here, and no message holds more of a URL than its host: the rest may be secret.
Addresses that belong to a link, and those at which clouds hand out credentials, are refused, after
names have been resolved and at every redirect. The loopback is not: one develops with this server.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from typing import TYPE_CHECKING, Any

from inngest_contrib.devserver.engine.commands import Fetch, Fetched, FetchFailed
from inngest_contrib.devserver.engine.limits import MAX_STEP_OUTPUT, SECOND

if TYPE_CHECKING:
    import aiohttp
    from yarl import URL

    Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_METADATA = frozenset(map(ipaddress.ip_address, ("100.100.100.200", "fd00:ec2::254")))
"""Where clouds answer with credentials, other than on link-local addresses."""
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 10
_CREDENTIALS = ("authorization", "cookie", "proxy-authorization", "x-api-key")
_AT_ONCE = 100
"""Connections at a time."""


class Refused(Exception):
    """A request that will not be made, however often it is tried."""


class ForbiddenAddress(OSError):
    """A name has led to an address that is refused."""


def is_forbidden(host: str) -> bool:
    """Whether a host is an address that no request may go to; names are not looked up."""
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    return any(one.is_link_local or one in _METADATA for one in _meant_by(address))


def _meant_by(address: Address) -> list[Address]:
    """An address, and those inside it: IPv6 has several ways to write one of IPv4."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    plain = ipaddress.IPv6Address(int(address))
    inner = [plain.ipv4_mapped, plain.sixtofour]
    if plain in _NAT64:
        inner.append(ipaddress.IPv4Address(int(plain) & 0xFFFF_FFFF))
    return [plain, *(one for one in inner if one is not None)]


class Outbound:
    """Makes requests, with connections that stay open."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    async def fetch(self, fetch: Fetch) -> Fetched | FetchFailed:
        """Make a request, and say what came of it."""
        try:
            return await self._follow(fetch)
        except Refused as error:
            return FetchFailed(fetch.fetch_id, str(error), final=True)
        except asyncio.TimeoutError:
            return FetchFailed(fetch.fetch_id, f"no answer within {fetch.timeout / SECOND:g} s")
        except Exception as error:
            return _describe_failure(fetch, error)

    async def _follow(self, fetch: Fetch) -> Fetched:
        method, body, headers = fetch.method, fetch.body, dict(fetch.headers)
        url = _read_url(fetch.url)
        for _ in range(_MAX_REDIRECTS + 1):
            answer, location = await self._send(fetch, method, url, headers, body)
            if answer.status not in _REDIRECTS or not location:
                return answer
            target = _read_url(location, url)
            if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                method, body = "GET", None
                headers.pop("content-type", None)
            if target.origin() != url.origin():
                headers = {name: v for name, v in headers.items() if name not in _CREDENTIALS}
            url = target
        raise Refused(f"{_place(url)} redirected more than {_MAX_REDIRECTS} times")

    async def _send(
        self, fetch: Fetch, method: str, url: URL, headers: dict[str, str], body: bytes | None
    ) -> tuple[Fetched, str | None]:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=fetch.timeout / SECOND, sock_connect=10)
        async with self._open().request(
            method, url, data=body, headers=headers, allow_redirects=False, timeout=timeout
        ) as response:
            content = await _read_bounded(response, url)
            received = list(response.headers.items())
            answer = Fetched(fetch.fetch_id, str(url), response.status, received, content)
            return answer, response.headers.get("location")

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=_AT_ONCE, resolver=_checked_resolver(), use_dns_cache=False
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("accept", "content-type"),
                headers={"user-agent": "Inngest"},
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _checked_resolver() -> aiohttp.abc.AbstractResolver:
    """A resolver that refuses. What it lets through is what is connected to."""
    import aiohttp

    class Checked(aiohttp.ThreadedResolver):
        async def resolve(
            self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
        ) -> list[Any]:
            found: list[Any] = await super().resolve(host, port, family)
            if any(is_forbidden(one["host"]) for one in found):
                raise ForbiddenAddress(f"{host} is a link-local or cloud metadata address")
            return found

    return Checked()


def _read_url(text: str, base: URL | None = None) -> URL:
    from yarl import URL

    try:
        # What is well-formed goes out as it is: a signature may be over its very characters.
        url = URL(text, encoded=text.isascii() and text.isprintable() and " " not in text)
        url = url if base is None else base.join(url)
        host = url.raw_host
    except ValueError:
        raise Refused("the URL cannot be read") from None
    if url.scheme not in ("http", "https") or not host:
        raise Refused("the URL must begin with http:// or https:// and name a host")
    if is_forbidden(host):
        raise Refused(f"{host} is a link-local or cloud metadata address, which is not allowed")
    return url


async def _read_bounded(response: aiohttp.ClientResponse, url: URL) -> bytes:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_STEP_OUTPUT:
            response.close()
            raise Refused(
                f"the answer of {_place(url)} is larger than a step may return "
                f"({MAX_STEP_OUTPUT} bytes)"
            )
    return b"".join(chunks)


def _describe_failure(fetch: Fetch, error: Exception) -> FetchFailed:
    cause = error
    while isinstance(cause.__cause__, Exception):
        cause = cause.__cause__
        if isinstance(cause, ForbiddenAddress):
            return FetchFailed(fetch.fetch_id, f"{cause}, which is not allowed", final=True)
    place = _place(_read_url(fetch.url))
    if isinstance(error, ValueError):
        return FetchFailed(fetch.fetch_id, f"{place} cannot be asked like this", final=True)
    return FetchFailed(fetch.fetch_id, f"Unable to reach {place}: {_reason(error)}")


def _reason(error: Exception) -> str:
    """Why there was no answer; the library's own words may hold the URL."""
    cause = getattr(error, "os_error", error)
    if isinstance(cause, OSError):
        return cause.strerror or str(cause)
    return type(error).__name__


def _place(url: URL) -> str:
    return f"{url.host}:{url.port}"
