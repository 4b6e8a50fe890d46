"""
A proxy that notes what goes through it.

An app behind it is known to the server by the proxy's address, so that another app may take its
place between two calls.
"""

from __future__ import annotations

import http.client
import itertools
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

moment = itertools.count().__next__
"""What was first has the smaller number; clocks of threads need not agree."""

_OF_ONE_HOP = {"connection", "transfer-encoding", "content-length", "keep-alive", "server", "date"}


@dataclass
class Exchange:
    """A request and what was replied; header names in lower case."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes
    status: int = 0
    reply_headers: dict[str, str] | None = None
    reply: bytes = b""
    began: int = 0
    ended: int = 0

    @property
    def json(self) -> Any:
        """What was asked."""
        return json.loads(self.body)

    @property
    def replied(self) -> Any:
        """What was answered."""
        return json.loads(self.reply)

    @property
    def ends(self) -> str | None:
        """The event whose run has ended with this reply."""
        if self.status == 206 or self.method != "POST" or not self.body:
            return None
        ctx = self.json["ctx"]
        lasting = (self.reply_headers or {}).get("x-inngest-no-retry") == "true"
        last = lasting or ctx["attempt"] + 1 >= ctx["max_attempts"]
        return str(self.json["event"]["id"]) if self.status == 200 or last else None

    @property
    def run_id(self) -> str | None:
        """The run of a call."""
        return self.json["ctx"]["run_id"] if self.method == "POST" and self.body else None


class Tap:
    """A proxy in a thread; `route` gives the origin for each request."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.route: Callable[[Exchange], str] = lambda exchange: ""
        self._ended: set[str | None] = set()
        self._changed = threading.Condition()
        tap = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _any(self) -> None:
                tap._pass(self)

            do_GET = do_PUT = do_POST = _any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def lead_to(self, origin: str) -> None:
        """Send everything to one place."""
        self.route = lambda exchange: origin

    def await_end(self, event_id: str) -> None:
        """Return once the run of an event was answered for the last time, or after a while."""
        with self._changed:
            self._changed.wait_for(lambda: event_id in self._ended, timeout=10)

    def calls(self, run_id: str) -> list[Exchange]:
        """The calls of a run, in order."""
        calls = [one for one in self.exchanges if one.method == "POST"]
        return [one for one in calls if one.run_id == run_id]

    def _pass(self, handler: BaseHTTPRequestHandler) -> None:
        exchange = _read(handler)
        origin = urlsplit(self.route(exchange))
        exchange.began = moment()
        onward = http.client.HTTPConnection(str(origin.hostname), origin.port, timeout=30)
        try:
            _ask(onward, handler.path, exchange)
        finally:
            onward.close()
        exchange.ended = moment()
        if exchange.path.rpartition("/")[2] == "inngest" or exchange.method == "POST":
            self.exchanges.append(exchange)
        with suppress(ConnectionError):  # The server may have gone.
            _answer(handler, exchange)
        with self._changed:
            self._ended.add(exchange.ends)
            self._changed.notify_all()


def _read(handler: BaseHTTPRequestHandler) -> Exchange:
    target = urlsplit(handler.path)
    length = int(handler.headers.get("content-length") or 0)
    return Exchange(
        method=handler.command,
        path=target.path,
        query={key: values[0] for key, values in parse_qs(target.query).items()},
        headers={key.lower(): value for key, value in handler.headers.items()},
        body=handler.rfile.read(length),
    )


def _ask(onward: http.client.HTTPConnection, target: str, exchange: Exchange) -> None:
    # The host stays that of the proxy, so that an app believes that it lives here.
    kept = {key: value for key, value in exchange.headers.items() if key not in _OF_ONE_HOP}
    onward.request(exchange.method, target, exchange.body, {**kept, "connection": "close"})
    response = onward.getresponse()
    exchange.status = response.status
    exchange.reply_headers = {key.lower(): value for key, value in response.getheaders()}
    exchange.reply = response.read()


def _answer(handler: BaseHTTPRequestHandler, exchange: Exchange) -> None:
    handler.send_response_only(exchange.status)
    for name, value in (exchange.reply_headers or {}).items():
        if name not in _OF_ONE_HOP:
            handler.send_header(name, value)
    handler.send_header("content-length", str(len(exchange.reply)))
    handler.end_headers()
    handler.wfile.write(exchange.reply)


@contextmanager
def tapping() -> Iterator[Tap]:
    """Run a tap for a block."""
    tap = Tap()
    try:
        yield tap
    finally:
        tap.close()
