"""
How a call reaches an app: over HTTP, or in process, by handing it to the app's CommHandler.

Law: nothing raises here. Whatever goes wrong with a call becomes `CallFailed`, in words for the
page and the log of whoever wrote the app.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import parse_qsl, urljoin, urlsplit

from inngest_contrib.devserver.engine.commands import (
    Call,
    CallFailed,
    CallPostponed,
    Replied,
)
from inngest_contrib.devserver.engine.limits import MAX_REPLY, SECOND
from inngest_contrib.devserver.signatures import Signer
from inngest_core.wire.http import CommRequest, CommResponse

if TYPE_CHECKING:
    import aiohttp

UNREACHABLE = "Unable to reach SDK URL"
_REDIRECTS = (301, 302, 303, 307, 308)
_MAX_REDIRECTS = 10
_IDLE_FOR = 1.0
"""Seconds that a connection is kept unused: less than servers keep theirs (2 s and more), so that
none is used which the other side is about to close."""


class Handler(Protocol):
    """What an app in this process answers calls with; a CommHandler is one."""

    async def answer(self, request: CommRequest) -> CommResponse: ...


class Executor(Protocol):
    """One way of making calls."""

    async def call(self, call: Call) -> Replied | CallFailed:
        """Make a call, and say what came of it."""
        ...


class ByWorkers(Protocol):
    """Calls to workers that are connected. It stores what comes of them itself."""

    async def call(self, call: Call) -> Replied | CallFailed | CallPostponed:
        """Have a worker make a call; return once its outcome is stored."""
        ...

    def drop(self, job_id: str) -> None:
        """Nobody waits for a call any more."""
        ...

    def drain(self, *, ending: bool = False) -> None:
        """Ask all workers to connect anew."""
        ...

    async def close(self) -> None:
        """Let all workers go."""
        ...


class InProcess:
    """Hands calls to apps in this process, by the URL they registered: no socket."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._handlers: dict[str, Handler] = {}
        self.report: Callable[[bytes], Any] | None = None
        """How functions report while they go on; see CommRequest."""

    def attach(self, url: str, handler: Handler) -> None:
        """Let `handler` answer what goes to `url`, whatever its query."""
        self._handlers[_place(url)] = handler

    def serves(self, url: str) -> bool:
        """Whether an app in this process answers at this URL."""
        return bool(self._handlers) and _place(url) in self._handlers

    async def call(self, call: Call) -> Replied | CallFailed:
        """Let the handler answer."""
        handler = self._handlers[_place(call.url)]
        request = CommRequest(
            method="POST",
            url=call.url,
            headers=self._signer.headers(call.headers, call.body),
            query=dict(parse_qsl(urlsplit(call.url).query, keep_blank_values=True)),
            body=call.body,
            report=self.report,
        )
        try:
            response = await asyncio.wait_for(handler.answer(request), call.timeout / SECOND)
            body = await _join(response)
            reply = Replied(call.job_id, response.status, response.headers, body)
            return _accept(self._signer, reply)
        except asyncio.TimeoutError:
            return CallFailed(call.job_id, _took_too_long(call))
        except Exception as error:
            return CallFailed(call.job_id, f"the app in this process raised {error!r}")


class Http:
    """Calls over HTTP, with connections that stay open."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._session: aiohttp.ClientSession | None = None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            import aiohttp

            # The engine says how many calls there may be; a second limit here would only hide it.
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0, ttl_dns_cache=10, keepalive_timeout=_IDLE_FOR
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                skip_auto_headers=("accept",),
            )
        return self._session

    async def call(self, call: Call) -> Replied | CallFailed:
        """POST, following redirects with POST, as the real server does."""
        import aiohttp

        headers = self._signer.headers(call.headers, call.body)
        url = call.url
        try:
            for _ in range(_MAX_REDIRECTS + 1):
                reply = await self._post(call, url, headers)
                location = reply.headers.get("location")
                if reply.status not in _REDIRECTS or not location:
                    return _accept(self._signer, reply)
                url = urljoin(url, location)
            return CallFailed(call.job_id, f'Post "{url}": stopped after 10 redirects')
        except asyncio.TimeoutError:
            return CallFailed(call.job_id, _took_too_long(call))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return CallFailed(call.job_id, f"{UNREACHABLE}: {_describe(error)}")

    async def _post(self, call: Call, url: str, headers: Mapping[str, str]) -> Replied:
        import aiohttp

        timeout = aiohttp.ClientTimeout(total=call.timeout / SECOND, sock_connect=10)
        async with self._open().request(
            call.method,
            url,
            data=call.body or None,
            headers=headers,
            allow_redirects=False,
            timeout=timeout,
        ) as response:
            body = await _read_bounded(response)
            received = {name.lower(): value for name, value in response.headers.items()}
            return Replied(call.job_id, response.status, received, body)

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None


def _accept(signer: Signer, reply: Replied) -> Replied | CallFailed:
    """Pass a reply on, unless its signature makes it unbelievable."""
    # Of a reply that is too large only the beginning was read; the engine refuses it.
    problem = None if len(reply.body) > MAX_REPLY else signer.problem(reply)
    return reply if problem is None else CallFailed(reply.job_id, problem)


async def _read_bounded(response: aiohttp.ClientResponse) -> bytes:
    """The body, or just enough of it to see that it is too large."""
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > MAX_REPLY:
            response.close()
            break
    return b"".join(chunks)


async def _join(response: CommResponse) -> bytes:
    if response.stream is None:
        return response.body
    return b"".join([chunk async for chunk in response.stream])


def _place(url: str) -> str:
    return url.partition("?")[0].rstrip("/")


def _took_too_long(call: Call) -> str:
    return f"the app did not answer within {call.timeout // SECOND} s"


def _describe(error: BaseException) -> str:
    return str(error) or type(error).__name__
