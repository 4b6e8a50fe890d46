"""A server with a file database and an app beside it, each a process, for one measurement."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).parent.parent
START_SECONDS = 60.0
RUN_SECONDS = 300.0

IN_PROCESS, OVER_HTTP, OFFICIAL = SETUPS = ("in process", "http", "official sdk, http")


@contextlib.contextmanager
def running(setup: str) -> Iterator[str]:
    """A server with a file database, and an app that is synced with it; the server's address."""
    port, app_port = free_port(), free_port()
    origin = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        command = ["-m", "inngest_contrib.devserver", "--port", str(port), "--no-poll"]
        command += ["--db", f"{folder}/bench.db", "--log-level", "error"]
        if setup == IN_PROCESS:
            command += ["--app", "benchmarks.engine_app:client"]
        else:
            module = "engine_official" if setup == OFFICIAL else "engine_app"
            serve = ["-m", "uvicorn", f"benchmarks.{module}:asgi", "--port", str(app_port)]
            stack.enter_context(process([*serve, "--log-level", "error"], origin))
            command += ["-u", f"http://127.0.0.1:{app_port}/api/inngest"]
        stack.enter_context(process(command, origin))
        wait_for_app(origin)
        yield origin


@contextlib.contextmanager
def process(arguments: list[str], origin: str) -> Iterator[None]:
    """A Python process that takes the server at *origin* for its own."""
    env = {**os.environ, "INNGEST_DEV": origin, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen([sys.executable, *arguments], env=env, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()


def wait_for_app(origin: str) -> None:
    """Return once the server knows a function."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if get(f"{origin}/dev")["functions"]:
                return
        time.sleep(0.1)
    raise TimeoutError("the app was not registered in time")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


# ---- what is asked of it


class Events:
    """The Event API, on a connection that stays open."""

    def __init__(self, origin: str) -> None:
        place = urlsplit(origin)
        self._connection = http.client.HTTPConnection(place.hostname or "", place.port)

    def send(self, events: object) -> list[str]:
        """Their ids, once they are stored."""
        self._connection.request("POST", "/e/bench", json.dumps(events).encode())
        ids: list[str] = json.load(self._connection.getresponse())["ids"]
        return ids


def ended_runs(origin: str, event_id: str) -> list[dict[str, Any]]:
    """The runs of an event, with their outputs, once all have ended."""
    deadline = time.monotonic() + RUN_SECONDS
    url = f"{origin}/v2/events/{event_id}/runs?includeOutput=true"
    while time.monotonic() < deadline:
        runs: list[dict[str, Any]] = get(url).get("data", [])
        if runs and all("endedAt" in run for run in runs):
            assert all(run["status"] == "COMPLETED" for run in runs), runs
            return runs
        time.sleep(0.1)
    raise TimeoutError(f"the runs of {event_id} have not ended in {RUN_SECONDS} s")


def moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def get(url: str) -> Any:
    with urllib.request.urlopen(url) as reply:
        return json.load(reply)


def post(url: str, doc: object) -> Any:
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(url, json.dumps(doc).encode(), headers, method="POST")
    with urllib.request.urlopen(request) as reply:
        return json.loads(reply.read() or b"null")
