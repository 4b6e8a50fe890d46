"""
A server and apps for tests: real sockets on free ports, each in a thread of this process.

What they log is logged here, so pytest shows it when a test fails.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

import httpx

from inngest_contrib.devserver.hosting import InThread
from inngest_contrib.devserver.serving import Options

PATIENCE = 15.0
ENDED = ("COMPLETED", "FAILED", "CANCELLED")
NAP_ID = "395df8f7c51f007019cb30201c49e884b46b92fa"


def nap(duration: str) -> dict[str, Any]:
    """Make the op of a sleep."""
    opts = {"duration": duration}
    return {"id": NAP_ID, "op": "Sleep", "displayName": "z", "opts": opts}


def eventually(ask: Callable[[], Any], *, seconds: float = PATIENCE, what: str = "it") -> Any:
    """Ask until the answer is true, and return it."""
    deadline = time.monotonic() + seconds
    while not (answer := ask()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not happen within {seconds} seconds")
        time.sleep(0.02)
    return answer


class HasHttp(Protocol):
    """A server that can be asked."""

    http: httpx.Client


class Running:
    """An embedded server in a thread."""

    def __init__(self, options: Options) -> None:
        self._host = InThread(options)
        self.url = ""
        self.http = httpx.Client(timeout=10, trust_env=False)

    def start(self) -> None:
        """Return once the server takes requests."""
        self.url = self._host.start(PATIENCE)
        self.http.base_url = httpx.URL(self.url)

    def stop(self) -> None:
        """End the server as a signal would."""
        self.http.close()
        self._host.stop()

    def get(self, path: str, **query: str | int) -> Any:
        """Return the JSON of a path that must answer 200."""
        response = self.http.get(path, params=query)
        assert response.status_code == 200, f"{path}: {response.status_code} {response.text}"
        return response.json()

    def send(self, name: str, data: Mapping[str, Any] | None = None, **more: Any) -> str:
        """Send one event; return its id."""
        event = {"name": name, "data": dict(data or {}), **more}
        response = self.http.post("/e/test", json=event)
        assert response.status_code == 200, response.text
        return str(response.json()["ids"][0])

    def runs_of(self, event_id: str) -> list[dict[str, Any]]:
        """List the runs that an event started."""
        found: list[dict[str, Any]] = self.get(
            f"/v2/events/{event_id}/runs", includeOutput="true"
        ).get("data", [])
        return found

    def ended_runs(self, event_id: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until so many runs of an event have ended, and return them."""

        def ended() -> list[dict[str, Any]]:
            found = self.runs_of(event_id)
            return found if sum(run["status"] in ENDED for run in found) >= count else []

        found: list[dict[str, Any]] = eventually(ended, what=f"the end of {count} run(s)")
        return found

    def run(self, name: str, data: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send an event that starts one run, and return the run once it has ended."""
        return self.ended_runs(self.send(name, data))[0]

    def waiting(self, event_id: str, op: str) -> dict[str, Any]:
        """Wait until the run of an event has a step of a kind that waits; return the run."""

        def waits() -> dict[str, Any] | None:
            for run in self.runs_of(event_id):
                for span in self.steps(run["id"]):
                    if span.get("stepOp") == op and span["status"] == "WAITING":
                        return run
            return None

        found: dict[str, Any] = eventually(waits, what=f"a waiting {op}")
        return found

    def steps(self, run_id: str) -> list[dict[str, Any]]:
        """List the step spans of a run."""
        root = self.get(f"/v2/runs/{run_id}/trace", includeOutput="true")["data"]["rootSpan"]
        return [span for span in root["children"] if span.get("stepId")]

    def functions(self, app: str) -> list[str]:
        """List the functions of an app by their ids."""
        response = self.http.get(f"/v2/apps/{app}/functions", params={"limit": 100})
        return [one["id"] for one in response.json().get("data", [])] if response.is_success else []


@contextmanager
def running(**options: Any) -> Iterator[Running]:
    """Run a server for a block; in memory, on a free port and with short intervals."""
    chosen = {"port": 0, "retry_interval": 0.1, "poll_interval": 0.3, **options}
    server = Running(Options(**chosen))
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class Call:
    """A request that a stand-in got."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Its body."""
        return json.loads(self.body)


@dataclass
class Reply:
    """What a stand-in answers."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    raw: bytes | None = None


class StandIn:
    """An app that answers as it is told: `answer` is asked for every call of a function."""

    def __init__(self, answer: Callable[[Call], Reply]) -> None:
        self.calls: list[Call] = []
        self.answer = answer
        self.on_put: Callable[[Call], Reply] = lambda call: Reply(200, {"message": "ok"})
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _any(self) -> None:
                stand_in._handle(self)

            do_GET = do_PUT = do_POST = _any

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/api/inngest"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("content-length") or 0)
        target = urlsplit(handler.path)
        call = Call(
            method=handler.command,
            path=target.path,
            query={key: values[0] for key, values in parse_qs(target.query).items()},
            headers={key.lower(): value for key, value in handler.headers.items()},
            body=handler.rfile.read(length),
        )
        if call.method == "POST":
            self.calls.append(call)
        try:
            reply = self.on_put(call) if call.method == "PUT" else self.answer(call)
        except ConnectionAbortedError:
            # So an `answer` hangs up.
            handler.close_connection = True
            return
        with suppress(ConnectionError):  # The server may be gone, as some tests want it.
            _write(handler, reply)

    def function(self, app: str, name: str, **config: Any) -> dict[str, Any]:
        """Make the registration of a function of this stand-in."""
        url = f"{self.url}?fnId={app}-{name}&stepId=step"
        step = {"id": "step", "name": "step", "runtime": {"type": "http", "url": url}}
        config.setdefault("triggers", [{"event": f"{app}/{name}"}])
        if "retries" in config:
            step["retries"] = {"attempts": config.pop("retries")}
        return {"id": f"{app}-{name}", "name": name, "steps": {"step": step}, **config}

    def register(self, server: HasHttp, app: str, *functions: dict[str, Any]) -> httpx.Response:
        """Register with a server, as an SDK does."""
        payload = {
            "url": self.url,
            "deployType": "ping",
            "v": "0.1",
            "sdk": "test:v1.0.0",
            "framework": "test",
            "appName": app,
            "functions": list(functions),
        }
        return server.http.post("/fn/register", json=payload)


def _write(handler: BaseHTTPRequestHandler, reply: Reply) -> None:
    body = reply.raw if reply.raw is not None else json.dumps(reply.body).encode()
    headers = {
        "x-inngest-sdk": "test:v1.0.0",
        "x-inngest-req-version": "2",
        "content-type": "application/json",
        "content-length": str(len(body)),
        **reply.headers,
    }
    handler.send_response(reply.status)
    for name, value in headers.items():
        if value:
            handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def stand_in(answer: Callable[[Call], Reply]) -> Iterator[StandIn]:
    """Run a stand-in for a block."""
    app = StandIn(answer)
    try:
        yield app
    finally:
        app.close()
