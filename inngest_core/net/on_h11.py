"""
Transports for plain HTTP/1.1, as to a server on this machine: h11 on sockets that stay open.

A request costs a fifth of what it costs with httpx, which counts where each step is reported by
itself. TLS and proxies are not for this room: see ``plain_address``.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import re
import select
import socket
import threading
import time
import weakref
from collections import deque
from typing import Generic, NamedTuple, Protocol, TypeVar

import h11

from ..wire.http import HttpRequest, HttpResponse
from .on_httpx import failure

MAX_CONNECTIONS = 100
"""To one place at once; who comes later waits for as long as it takes."""
IDLE_SECONDS = 5.0
"""How long a connection is kept unused; servers keep theirs about as long."""
_CHUNK = 256 * 1024
_PLAIN = re.compile(r"http://(\[[0-9a-fA-F:]+\]|[\w.-]+)(?::(\d{1,5}))?(/[!-\"$-~]*)?", re.ASCII)


class Address(NamedTuple):
    """Where a request goes: a host and a port, and the rest of the line that asks."""

    host: str
    port: int
    authority: bytes
    target: bytes


@functools.lru_cache(maxsize=256)
def plain_address(url: str) -> Address | None:
    """What this room needs to know of a URL; None where it is not one of plain HTTP."""
    found = _PLAIN.fullmatch(url)
    if found is None:
        return None
    host, port, target = found.groups()
    authority = url[len("http://") :].partition("/")[0]
    number = int(port or 80)
    if not 0 < number < 65536:
        return None
    return Address(host.strip("[]"), number, authority.encode(), (target or "/").encode())


class _Dialogue:
    """What is said on one connection, without a socket."""

    __slots__ = ("_body", "_head", "_wire")

    def __init__(self) -> None:
        self._wire = h11.Connection(h11.CLIENT)
        self._head: h11.Response | None = None
        self._body: list[bytes] = []

    def ask(self, request: HttpRequest, address: Address) -> bytes:
        """The bytes of a request. Raises LocalProtocolError, UnicodeError if there are none."""
        headers = [
            (name.encode(), value.encode("ascii")) for name, value in request.headers.items()
        ]
        headers.append((b"host", address.authority))
        headers.append((b"content-length", b"%d" % len(request.body)))
        head = h11.Request(method=request.method, target=address.target, headers=headers)
        told = self._wire.send(head) or b""
        if request.body:
            told += self._wire.send(h11.Data(request.body)) or b""
        self._wire.send(h11.EndOfMessage())
        return told

    def hear(self, data: bytes) -> HttpResponse | None:
        """
        The reply, once these bytes complete it; empty ones: there are no more.

        Raises RemoteProtocolError if this is no HTTP, or ends too early.
        """
        self._wire.receive_data(data)
        while True:
            event = self._wire.next_event()
            if event is h11.NEED_DATA:
                return None
            if isinstance(event, h11.Data):
                self._body.append(bytes(event.data))
            elif isinstance(event, h11.Response):
                self._head = event
            elif isinstance(event, h11.EndOfMessage):
                return self._reply()
            elif isinstance(event, h11.ConnectionClosed):
                raise h11.RemoteProtocolError("the server disconnected without a reply")

    def _reply(self) -> HttpResponse:
        head, body = self._head, b"".join(self._body)
        assert head is not None  # h11 ends no message that it has not begun
        self._head, self._body = None, []
        headers: dict[str, str] = {}
        for raw, text in head.headers:
            name, value = raw.decode("ascii"), text.decode("latin-1")
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
        if headers.get("content-encoding", "identity") != "identity":
            raise h11.RemoteProtocolError("the reply is compressed, which nobody has asked for")
        return HttpResponse(head.status_code, headers, body)

    def next(self) -> bool:
        """Whether another request may follow on this connection; it is made ready for it."""
        wire = self._wire
        if wire.our_state is not h11.DONE or wire.their_state is not h11.DONE:
            return False
        wire.start_next_cycle()
        return not wire.trailing_data[0]


class _Closable(Protocol):
    def usable(self) -> bool: ...

    def close(self) -> None: ...


Line = TypeVar("Line", bound=_Closable)


class _Idle(Generic[Line]):
    """Connections that nobody uses, by their place; the one used last is taken first."""

    def __init__(self) -> None:
        self._lines: dict[tuple[str, int], deque[tuple[float, Line]]] = {}

    def take(self, address: Address) -> Line | None:
        """A connection that is still open, if there is one."""
        lines = self._lines.get(address[:2])
        with contextlib.suppress(IndexError):
            # Another thread may take the last one meanwhile.
            while lines:
                since, line = lines.pop()
                if time.monotonic() - since < IDLE_SECONDS and line.usable():
                    return line
                line.close()
        return None

    def give(self, address: Address, line: Line) -> None:
        """Keep a connection for who comes next, and let go of those unused for too long."""
        lines = self._lines.setdefault(address[:2], deque())
        lines.append((time.monotonic(), line))
        with contextlib.suppress(IndexError):
            # Another thread may take the last one meanwhile.
            while time.monotonic() - lines[0][0] >= IDLE_SECONDS:
                lines.popleft()[1].close()

    def close(self) -> None:
        places, self._lines = self._lines, {}
        for lines in places.values():
            for _, line in lines:
                line.close()


# ---- from threads


class _SocketLine:
    """A connection that threads use, one at a time."""

    def __init__(self, address: Address, timeout: float) -> None:
        self._socket = socket.create_connection((address.host, address.port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._dialogue = _Dialogue()

    def exchange(self, request: HttpRequest, address: Address) -> HttpResponse:
        self._socket.settimeout(request.timeout)
        self._socket.sendall(self._dialogue.ask(request, address))
        while True:
            response = self._dialogue.hear(self._socket.recv(_CHUNK))
            if response is not None:
                return response

    def next(self) -> bool:
        return self._dialogue.next()

    def usable(self) -> bool:
        """Whether the other side has said nothing since: it could only be a farewell."""
        return not _readable(self._socket)

    def close(self) -> None:
        self._socket.close()


def _readable(sock: socket.socket) -> bool:
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(sock, select.POLLIN)
        return bool(poll.poll(0))
    return bool(select.select([sock], [], [], 0)[0])


class PlainTransport:
    """Carries requests over plain HTTP from threads."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._idle: _Idle[_SocketLine] = _Idle()
        self._room = threading.BoundedSemaphore(MAX_CONNECTIONS)
        self._pid = os.getpid()

    def send(self, request: HttpRequest, address: Address) -> HttpResponse:
        """The reply; TransportError if there is none."""
        if self._pid != os.getpid():
            # The connections are those of the parent that has forked.
            self._begin()
        with self._room:
            try:
                return self._exchange(request, address)
            except (OSError, h11.ProtocolError, UnicodeError) as error:
                raise failure(request, error) from error

    def _exchange(self, request: HttpRequest, address: Address) -> HttpResponse:
        line = self._idle.take(address) or _SocketLine(address, request.timeout)
        try:
            response = line.exchange(request, address)
        except BaseException:
            line.close()
            raise
        if line.next():
            self._idle.give(address, line)
        else:
            line.close()
        return response

    def close(self) -> None:
        self._idle.close()


# ---- from event loops


class _StreamLine(asyncio.Protocol):
    """A connection on an event loop, used by one task at a time."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._dialogue = _Dialogue()
        self._answer: asyncio.Future[HttpResponse] | None = None
        self._transport: asyncio.Transport
        self._open = False
        self._timeout = self._heard = 0.0
        self._unsent = 0

    async def exchange(self, request: HttpRequest, address: Address) -> HttpResponse:
        told = self._dialogue.ask(request, address)
        self._answer = self._loop.create_future()
        self._transport.write(told)
        self._timeout, self._heard = request.timeout, self._loop.time()
        self._unsent = self._transport.get_write_buffer_size()
        self._watch = self._loop.call_later(request.timeout, self._check)
        try:
            return await self._answer
        finally:
            self._watch.cancel()
            self._answer = None

    def _check(self) -> None:
        """Give up if nothing has moved for too long, in either direction."""
        unsent = self._transport.get_write_buffer_size()
        if unsent < self._unsent:
            self._unsent, self._heard = unsent, self._loop.time()
        left = self._heard + self._timeout - self._loop.time()
        if left > 0:
            self._watch = self._loop.call_later(left, self._check)
        else:
            self._fail(TimeoutError(f"nothing was heard for {self._timeout:g} s"))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]
        self._open = True

    def data_received(self, data: bytes) -> None:
        self._heard = self._loop.time()
        if self._answer is None:
            # Said unasked: it could only be a farewell.
            self.close()
            return
        try:
            response = self._dialogue.hear(data)
        except h11.RemoteProtocolError as error:
            self._fail(error)
            return
        if response is not None and not self._answer.done():
            self._answer.set_result(response)

    def eof_received(self) -> None:
        self._open = False
        if self._answer is not None and not self._answer.done():
            self.data_received(b"")

    def connection_lost(self, error: Exception | None) -> None:
        self._open = False
        self._fail(error or ConnectionResetError("the connection was lost"))

    def _fail(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)

    def next(self) -> bool:
        return self._open and self._dialogue.next()

    def usable(self) -> bool:
        return self._open

    def close(self) -> None:
        self._open = False
        if not self._loop.is_closed():
            self._transport.abort()


class _Connections:
    """What one event loop has open."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._idle: _Idle[_StreamLine] = _Idle()
        self._room = asyncio.Semaphore(MAX_CONNECTIONS)

    async def send(self, request: HttpRequest, address: Address) -> HttpResponse:
        async with self._room:
            line = self._idle.take(address) or await self._connected(address, request.timeout)
            try:
                response = await line.exchange(request, address)
            except BaseException:
                line.close()
                raise
            if line.next():
                self._idle.give(address, line)
            else:
                line.close()
            return response

    async def _connected(self, address: Address, timeout: float) -> _StreamLine:
        host, port, *_ = address
        connecting = self._loop.create_connection(lambda: _StreamLine(self._loop), host, port)
        _, line = await asyncio.wait_for(connecting, timeout)
        return line

    def close(self) -> None:
        self._idle.close()


class AsyncPlainTransport:
    """Carries requests over plain HTTP from event loops."""

    def __init__(self) -> None:
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Connections] = (
            weakref.WeakKeyDictionary()
        )

    async def send(self, request: HttpRequest, address: Address) -> HttpResponse:
        """The reply; TransportError if there is none."""
        loop = asyncio.get_running_loop()
        connections = self._loops.get(loop)
        if connections is None:
            connections = self._loops[loop] = _Connections(loop)
        try:
            return await connections.send(request, address)
        except (OSError, asyncio.TimeoutError, h11.ProtocolError, UnicodeError) as error:
            raise failure(request, error) from error

    async def close(self) -> None:
        connections = self._loops.pop(asyncio.get_running_loop(), None)
        if connections is not None:
            connections.close()
