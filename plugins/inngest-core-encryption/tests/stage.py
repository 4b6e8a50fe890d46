"""An address behind which apps take turns, beside an embedded server."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
from inngest_contrib.devserver import DevServer

from .sides import Ours


class Stage:
    """One address behind which two apps take turns, and all that a server was told there."""

    def __init__(self, server: DevServer) -> None:
        self.server = server
        self.url = ""
        self.sides: list[Any] = []
        self.cut = 0
        self.calls: dict[str, int] = defaultdict(int)
        self.answered: set[int] = set()
        self.said: list[bytes] = []
        self.lock = threading.Lock()

    def register(self) -> None:
        """Let the server know the functions."""
        assert httpx.put(self.url, trust_env=False).status_code == 200

    def route(self, run_id: str | None) -> Any:
        """The side that answers: the first one for as many calls of a run as *cut* says."""
        if run_id is None:
            return next(side for side in self.sides if isinstance(side, Ours))
        with self.lock:
            self.calls[run_id] += 1
            chosen = 0 if self.calls[run_id] <= self.cut else 1
            self.answered.add(chosen)
        return self.sides[chosen]


def door(stage: Stage) -> type[BaseHTTPRequestHandler]:
    class Door(BaseHTTPRequestHandler):
        def do_PUT(self) -> None:
            self.do_POST()

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            side = stage.route(headers.get("x-run-id"))
            url = f"http://{self.headers['host']}{self.path}"
            query = dict(parse_qsl(urlsplit(self.path).query))
            status, found, content = side.answer(self.command, url, headers, query, body)
            stage.said.append(content)
            self.send_response(status)
            for name, value in {**found, "content-length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *args: Any) -> None: ...

    return Door


@contextmanager
def served(stage: Stage) -> Iterator[Stage]:
    """Let a stage have an address for a block."""
    http = ThreadingHTTPServer(("127.0.0.1", 0), door(stage))
    threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True).start()
    stage.url = f"http://127.0.0.1:{http.server_port}/api/inngest"
    try:
        yield stage
    finally:
        http.shutdown()
        http.server_close()


def runs_of(url: str, event_id: str) -> list[dict[str, Any]]:
    """The runs that an event has started."""
    path = f"{url}/v2/events/{event_id}/runs?includeOutput=true"
    found: list[dict[str, Any]] = httpx.get(path, trust_env=False).json().get("data", [])
    return found


def ended(url: str, event_id: str) -> Any:
    """Wait for the end of the run of an event; its output."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        runs = runs_of(url, event_id)
        if runs and runs[0]["status"] in ("COMPLETED", "FAILED", "CANCELLED"):
            assert runs[0]["status"] == "COMPLETED", runs
            output = runs[0]["output"]
            return output.get("data", output) if "__ENCRYPTED__" not in output else output
        time.sleep(0.02)
    raise AssertionError("the run did not end")
