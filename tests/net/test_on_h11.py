"""Plain HTTP over h11: connections that stay, end, and are not to be believed."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from inngest_core.errors import TransportError
from inngest_core.net.on_h11 import AsyncPlainTransport, PlainTransport, plain_address
from inngest_core.wire.http import HttpRequest, HttpResponse

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


class Scripted:
    """Answers the n-th request of the n-th connection as it was told; counts connections."""

    def __init__(self, *connections: list[bytes | None]) -> None:
        self._connections = connections
        self.accepted = 0
        self.closed = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}/x"

    def _serve(self) -> None:
        for replies in self._connections:
            connection, _ = self._listener.accept()
            self.accepted += 1
            with connection:
                self._answer(connection, replies)
            self.closed.release()

    def _answer(self, connection: socket.socket, replies: list[bytes | None]) -> None:
        for reply in replies:
            if not connection.recv(65536) or reply is None:
                return
            connection.sendall(reply)

    def stop(self) -> None:
        self._listener.close()


@pytest.fixture
def scripted() -> Iterator[Callable[..., Scripted]]:
    made: list[Scripted] = []

    def make(*connections: list[bytes | None]) -> Scripted:
        made.append(Scripted(*connections))
        return made[-1]

    yield make
    for one in made:
        one.stop()


class Blocking:
    """Both faces of a transport, so that one test serves both."""

    def __init__(self) -> None:
        self._transport = PlainTransport()

    def send(self, url: str, **options: Any) -> HttpResponse:
        address = plain_address(url)
        assert address is not None
        return self._transport.send(HttpRequest("GET", url, timeout=20, **options), address)

    def idle(self) -> None: ...

    def close(self) -> None:
        self._transport.close()


class Awaiting:
    def __init__(self) -> None:
        self._transport = AsyncPlainTransport()
        self._loop = asyncio.new_event_loop()

    def send(self, url: str, **options: Any) -> HttpResponse:
        address = plain_address(url)
        assert address is not None
        request = HttpRequest("GET", url, timeout=20, **options)
        return self._loop.run_until_complete(self._transport.send(request, address))

    def idle(self) -> None:
        """Let the loop hear what has come meanwhile."""
        self._loop.run_until_complete(asyncio.sleep(0.01))

    def close(self) -> None:
        self._loop.run_until_complete(self._transport.close())
        self._loop.run_until_complete(asyncio.sleep(0))
        self._loop.close()


@pytest.fixture(params=[Blocking, Awaiting])
def client(request: pytest.FixtureRequest) -> Iterator[Any]:
    made = request.param()
    yield made
    made.close()


def test_a_connection_stays_open_for_the_next_request(client: Any, scripted: Any) -> None:
    server = scripted([OK, OK, OK])
    assert [client.send(server.url).body for _ in range(3)] == [b"ok"] * 3
    assert server.accepted == 1


@pytest.mark.parametrize(
    ("reply", "body"),
    [
        (
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n",
            b"abc",
        ),
        (b"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\na", b"a"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b""),
    ],
)
def test_every_form_of_a_reply_is_read(
    client: Any, scripted: Any, reply: bytes, body: bytes
) -> None:
    server = scripted([reply, OK])
    assert client.send(server.url).body == body
    assert client.send(server.url).body == b"ok"
    assert server.accepted == 1


@pytest.mark.parametrize(
    "farewell",
    [
        b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\n\r\nok",
    ],
)
def test_a_server_that_closes_is_asked_on_a_new_connection(
    client: Any, scripted: Any, farewell: bytes
) -> None:
    server = scripted([farewell], [OK])
    assert client.send(server.url).body == b"ok"
    assert client.send(server.url).body == b"ok"
    assert server.accepted == 2


def test_a_connection_closed_while_nobody_used_it_is_not_used_again(
    client: Any, scripted: Any
) -> None:
    server = scripted([OK], [OK])
    assert client.send(server.url).status == 200
    assert server.closed.acquire(timeout=20)
    client.idle()
    assert client.send(server.url).status == 200


@pytest.mark.parametrize(
    "reply",
    [
        None,
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\nok",
    ],
)
def test_what_is_no_whole_reply_is_a_transport_error_and_the_next_request_succeeds(
    client: Any, scripted: Any, reply: bytes | None
) -> None:
    server = scripted([reply], [OK])
    with pytest.raises(TransportError, match="no reply from http://127"):
        client.send(server.url)
    assert client.send(server.url).body == b"ok"


def test_a_header_given_twice_has_both_values(client: Any, scripted: Any) -> None:
    reply = b"HTTP/1.1 200 OK\r\nVia: a\r\nvia: b\r\ncontent-length: 0\r\n\r\n"
    assert client.send(scripted([reply]).url).headers["via"] == "a, b"


def test_a_request_that_is_given_up_takes_its_connection_along(scripted: Any) -> None:
    server = scripted([OK, b"", OK], [OK])

    async def story() -> bytes:
        transport = AsyncPlainTransport()
        address = plain_address(server.url)
        assert address is not None
        request = HttpRequest("GET", server.url, timeout=20)
        await transport.send(request, address)
        left = asyncio.ensure_future(transport.send(request, address))
        await asyncio.sleep(0.05)
        left.cancel()
        with pytest.raises(asyncio.CancelledError):
            await left
        reply = await transport.send(request, address)
        await transport.close()
        return reply.body

    assert asyncio.run(story()) == b"ok"


def test_a_child_of_a_fork_opens_its_own_connections(
    scripted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = scripted([OK, OK], [OK])
    client = Blocking()
    client.send(server.url)
    inherited = client._transport._idle
    monkeypatch.setattr("inngest_core.net.on_h11.os.getpid", lambda: -1)
    # The server listens to one connection at a time: the parent's must end for the other's reply.
    ending = threading.Thread(target=inherited.close)
    ending.start()
    assert client.send(server.url).body == b"ok"
    ending.join()
    client.close()
    assert server.accepted == 2


@pytest.mark.parametrize(
    ("url", "there"),
    [
        ("http://localhost:8288/v1/x?y=1", ("localhost", 8288, b"localhost:8288", b"/v1/x?y=1")),
        ("http://inngest", ("inngest", 80, b"inngest", b"/")),
        ("http://[::1]:80/a%2Fb", ("::1", 80, b"[::1]:80", b"/a%2Fb")),
    ],
)
def test_an_address_is_read_from_a_url(url: str, there: tuple[Any, ...]) -> None:
    assert plain_address(url) == there


@pytest.mark.parametrize(
    "url",
    [
        "https://api.inngest.com/x",
        "http://user:secret@host/x",
        "http://a b/",
        "http://host/x#y",
        "http://host/ü",
        "http://host:99999/",
        "http://host:0/",
        "http:///x",
        "http://host/x\r\ny: z",
    ],
)
def test_what_is_not_plain_is_left_to_the_other_transport(url: str) -> None:
    assert plain_address(url) is None
