"""The default transports, over real sockets on this machine."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import inngest_core as inngest
from inngest_core.errors import TransportError
from inngest_core.net.http import AsyncHttpTransport, HttpTransport
from inngest_core.wire.http import HttpRequest, HttpResponse

GONE = "http://127.0.0.1:1"
CERTIFICATE = Path(__file__).parent.parent / "samples" / "tls" / "server.pem"


class Echo(BaseHTTPRequestHandler):
    """Answers with what it was asked; ``/e/…`` as an event API, ``/slow`` after a while."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.path == "/drop":
            self.close_connection = True
            return
        if "slow" in self.path:
            time.sleep(0.1)
        if self.path.startswith("/e/"):
            doc: Any = {"ids": ["id"] * len(json.loads(body)), "status": 200}
        else:
            doc = {
                "method": self.command,
                "path": self.path,
                "body": body.decode(),
                "headers": {name.lower(): value for name, value in self.headers.items()},
            }
        content = json.dumps(doc).encode()
        self.send_response(302 if self.path == "/moved" else 200)
        self.send_header("X-Upper-Case", "Yes")
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_POST

    def log_message(self, *args: Any) -> None: ...


class Listening(ThreadingHTTPServer):
    request_queue_size = 512


@pytest.fixture(scope="module")
def origin() -> Iterator[str]:
    server = Listening(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def blocking(request: HttpRequest) -> HttpResponse:
    transport = HttpTransport()
    try:
        return transport.send(request)
    finally:
        transport.close()


def awaiting(request: HttpRequest) -> HttpResponse:
    async def send() -> HttpResponse:
        transport = AsyncHttpTransport()
        try:
            return await transport.send(request)
        finally:
            await transport.close()

    return asyncio.run(send())


BOTH = pytest.mark.parametrize("send", [blocking, awaiting])


@BOTH
def test_bytes_go_out_and_come_back(send: Any, origin: str) -> None:
    headers = {"x-inngest-sdk": "inngest-py:v0", "content-type": "application/json"}
    response = send(HttpRequest("POST", f"{origin}/a%2Fb?x=1", headers, b'{"n":1}'))
    assert response.status == 200
    assert response.headers["x-upper-case"] == "Yes"
    echoed = json.loads(response.body)
    assert (echoed["method"], echoed["path"], echoed["body"]) == ("POST", "/a%2Fb?x=1", '{"n":1}')
    assert headers.items() <= echoed["headers"].items()


@BOTH
def test_a_redirect_is_an_answer_and_is_not_followed(send: Any, origin: str) -> None:
    assert send(HttpRequest("POST", f"{origin}/moved")).status == 302


@BOTH
@pytest.mark.parametrize("path", ["/e/the-secret-key", "/drop"])
def test_no_reply_is_a_transport_error_that_names_only_the_origin(
    send: Any, path: str, origin: str
) -> None:
    base = origin if path == "/drop" else GONE
    with pytest.raises(TransportError, match=f"no reply from {base}: ") as raised:
        send(HttpRequest("POST", f"{base}{path}", timeout=2))
    assert "secret" not in str(raised.value)
    assert raised.value.__cause__ is not None


@BOTH
def test_the_timeout_is_that_of_the_request(send: Any, origin: str) -> None:
    with pytest.raises(TransportError):
        send(HttpRequest("POST", f"{origin}/slow", timeout=0.01))


@BOTH
@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("http://a b/", {}),
        (GONE, {"x-inngest-env": "zweig-ü"}),
        (GONE, {"x-inngest-env": "two\nlines"}),
    ],
)
def test_what_cannot_be_sent_is_a_transport_error_too(
    send: Any, url: str, headers: dict[str, str]
) -> None:
    with pytest.raises(TransportError):
        send(HttpRequest("POST", url, headers, timeout=1))


@BOTH
@pytest.mark.parametrize("path", ["/e/the-secret-key", "/moved"])
def test_no_log_line_shows_more_of_an_address_than_its_origin(
    send: Any, path: str, origin: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    assert send(HttpRequest("POST", f"{origin}{path}?q=hidden", {}, b"[]")).status in (200, 302)
    assert f"POST {origin} " in caplog.text
    for hidden in ("secret", "moved", "hidden"):
        assert hidden not in caplog.text


# ---- what surrounds a program says where its requests go

EVENTS_API = "http://events.example"


@BOTH
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_proxy_in_the_environment_is_used(
    send: Any, variable: str, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, origin)
    echoed = json.loads(send(HttpRequest("POST", f"{EVENTS_API}/x", {}, b"{}")).body)
    assert (echoed["path"], echoed["headers"]["host"]) == (f"{EVENTS_API}/x", "events.example")


@BOTH
def test_unless_the_address_is_exempt(
    send: Any, origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", GONE)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert send(HttpRequest("POST", f"{origin}/x")).status == 200


@pytest.fixture(scope="module")
def secure_origin() -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    server = Listening(("127.0.0.1", 0), Echo)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


@BOTH
def test_authorities_in_the_environment_are_trusted(
    send: Any, secure_origin: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    request = HttpRequest("POST", f"{secure_origin}/x", timeout=5)
    with pytest.raises(TransportError, match="CERTIFICATE_VERIFY_FAILED"):
        send(request)
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    assert send(request).status == 200


# ---- the end


def test_a_transport_that_was_closed_opens_again(origin: str) -> None:
    transport = HttpTransport()
    for _ in range(2):
        assert transport.send(HttpRequest("GET", f"{origin}/x")).status == 200
        transport.close()
    transport.close()


def test_one_async_transport_serves_several_loops(origin: str) -> None:
    transport = AsyncHttpTransport()

    async def twice() -> list[int]:
        found = [(await transport.send(HttpRequest("GET", f"{origin}/x"))).status for _ in "ab"]
        await transport.close()
        return found

    assert asyncio.run(twice()) == asyncio.run(twice()) == [200, 200]


@pytest.mark.slow
def test_500_concurrent_sends_wait_for_their_turn_as_long_as_it_takes(origin: str) -> None:
    # A request's timeout counts from when it is on the wire, not from when it was asked for.
    client = inngest.Inngest(
        app_id="shop",
        is_production=False,
        event_api_base_url=origin,
        event_key="slow",
        request_timeout=2500,
    )

    async def many() -> list[list[str]]:
        sends = (client.send(inngest.Event(name=str(n))) for n in range(500))
        found = await asyncio.gather(*sends)
        await client.aclose()
        return found

    assert asyncio.run(many()) == [["id"]] * 500


def test_a_client_sends_over_the_default_transports(origin: str) -> None:
    client = inngest.Inngest(app_id="shop", is_production=False, event_api_base_url=origin)
    assert client.send_sync(inngest.Event(name="a")) == ["id"]
    client.close()

    async def send() -> list[str]:
        try:
            return await client.send([inngest.Event(name="a")] * 2)
        finally:
            await client.aclose()

    assert asyncio.run(send()) == ["id", "id"]
