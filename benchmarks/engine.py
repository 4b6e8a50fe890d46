"""
The embedded server with a file database: sequential steps a second, and runs a second.

In process (`inngest-core dev --app`) and over HTTP (uvicorn, one worker), and beside them the
official package as the client of the same server. Seconds are the server's own: from the first
event to the end of the last run. Without checkpoints every call replays all memos; with them one
call runs all steps, and each is stored by itself before the next begins.

    python -m benchmarks.engine [--rounds 3]
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
START_SECONDS = 30.0
RUN_SECONDS = 120.0


@dataclass(frozen=True)
class Load:
    """What is asked of the server: so many runs, of so many steps."""

    title: str
    runs: int
    steps: int
    unit: str

    @property
    def work(self) -> int:
        return self.runs * self.steps


LOADS = (
    Load("1,000 steps in one run", 1, 1000, "steps/s"),
    Load("100 steps in one run", 1, 100, "steps/s"),
    Load("1,000 runs of one step", 1000, 1, "runs/s"),
)
SETUPS = ("in process", "http", "official sdk, http")
KINDS = ("sync", "async")
CHECKPOINTED = tuple(f"{kind}-checkpoint" for kind in KINDS)
"""For ours alone, and where a run has more than one step."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    print(f"{'':24}" + "".join(f"{setup:>20}" for setup in SETUPS))
    for kind in KINDS:
        for load in LOADS:
            show(load, kind, SETUPS, rounds)
    for kind in CHECKPOINTED:
        for load in LOADS[:2]:
            show(load, kind, SETUPS[:2], rounds)


def show(load: Load, kind: str, setups: tuple[str, ...], rounds: int) -> None:
    """Print one line of the table."""
    figures = [statistics.median(measure(setup, load, kind, rounds)) for setup in setups]
    cells = "".join(f"{figure:12.0f} {load.unit:7}" for figure in figures)
    print(f"{load.title:24}{cells:{20 * len(SETUPS)}}  {kind}", flush=True)


def measure(setup: str, load: Load, kind: str, rounds: int) -> list[float]:
    """Units of work a second, of each round on one freshly started server."""
    with running(setup) as origin:
        send(origin, Load("warm-up", 20, 1, ""), kind)
        return [load.work / send(origin, load, kind) for _ in range(rounds)]


def send(origin: str, load: Load, kind: str) -> float:
    """Send the events of *load*; the seconds until their runs have ended."""
    event = {"name": f"bench/{kind}", "data": {"steps": load.steps}}
    ids = post(f"{origin}/e/bench", [event] * load.runs)["ids"]
    deadline = time.monotonic() + RUN_SECONDS
    while time.monotonic() < deadline:
        time.sleep(0.2)
        # The event that came last says when it is worth to look at all of them.
        if ended(origin, ids[-1]):
            break
    return spent(origin, ids)


def ended(origin: str, event_id: str) -> bool:
    return all(run["status"] == "COMPLETED" for run in runs_of(origin, event_id))


def spent(origin: str, ids: list[str]) -> float:
    """Seconds between the first run's start and the last one's end."""
    starts, ends = [], []
    for event_id in ids:
        runs = runs_of(origin, event_id)
        while any("endedAt" not in run for run in runs):
            time.sleep(0.05)
            runs = runs_of(origin, event_id)
        assert runs, f"no function ran for {event_id}"
        assert all(run["status"] == "COMPLETED" for run in runs), runs
        starts += [moment(run["queuedAt"]) for run in runs]
        ends += [moment(run["endedAt"]) for run in runs]
    return max(ends) - min(starts)


def runs_of(origin: str, event_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = get(f"{origin}/v2/events/{event_id}/runs").get("data", [])
    return found


def moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


# ---- processes


@contextlib.contextmanager
def running(setup: str) -> Iterator[str]:
    """A server with a file database, and an app that is synced with it; the server's address."""
    port, app_port = free_port(), free_port()
    origin = f"http://127.0.0.1:{port}"
    app = f"http://127.0.0.1:{app_port}/api/inngest"
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        command = ["-m", "inngest_contrib.devserver", "--port", str(port), "--no-poll"]
        command += ["--db", f"{folder}/bench.db", "--log-level", "error"]
        if setup == "in process":
            command += ["--app", "benchmarks.engine_app:client"]
        else:
            target = "benchmarks.engine_app:asgi"
            if setup.startswith("official"):
                target = "benchmarks.engine_official:asgi"
            serve = ["-m", "uvicorn", target, "--port", str(app_port), "--log-level", "error"]
            stack.enter_context(process(serve, origin))
            command += ["-u", app]
        stack.enter_context(process(command, origin))
        wait_for_app(origin)
        yield origin


@contextlib.contextmanager
def process(arguments: list[str], origin: str) -> Iterator[None]:
    env = {**os.environ, "INNGEST_DEV": origin, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen([sys.executable, *arguments], env=env, stdout=subprocess.DEVNULL)
    try:
        yield
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait()


def wait_for_app(origin: str) -> None:
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


def get(url: str) -> Any:
    with urllib.request.urlopen(url) as reply:
        return json.load(reply)


def post(url: str, doc: object) -> Any:
    request = urllib.request.Request(url, json.dumps(doc).encode(), method="POST")
    with urllib.request.urlopen(request) as reply:
        return json.load(reply)


if __name__ == "__main__":
    main()
