"""
Workers on the embedded server: runs a second, how soon one is back, and what it keeps.

Ours beside the official one, at 1, 10 and 100 calls at once; the limit is the worker's own, given
to the server. A run's time is the server's, from the start of the run to its end. Where a worker
waits for the server, its processor time tells what it could do by itself.

    python -m benchmarks.connect [--rounds 3] [--only speed|return|memory]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import http.client
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

import inngest_core as inngest
from inngest_contrib.devserver import DevServer
from inngest_core.connect import ConnectionState, WorkerConnection, connect
from inngest_core.connect.transport import WebsocketsTransport

ROOT = Path(__file__).parent.parent
PACKAGES = ("ours", "official")
KINDS = ("async", "sync")
RUNS = {1: 500, 10: 2000, 100: 2000}
RUN_SECONDS = 120.0
RETURNS = 10
MEMORY_RUNS = 10_000
RECONNECT_EVERY = 200
MOST_MEGABYTES = 5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("speed", "return", "memory"))
    arguments = parser.parse_args()
    parts: dict[str, Callable[[], None]] = {
        "speed": lambda: speed(arguments.rounds),
        "return": lambda: asyncio.run(returning()),
        "memory": lambda: asyncio.run(memory()),
    }
    for name, part in parts.items():
        if arguments.only in (None, name):
            part()


# ---- the server, from outside


class Api:
    """The server's HTTP interface, over one connection."""

    def __init__(self, origin: str) -> None:
        parts = urlsplit(origin)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body)
        self._connection.request(method, path, data, {"content-type": "application/json"})
        return json.load(self._connection.getresponse())

    def send(self, name: str, count: int) -> list[str]:
        """Send as many events; their ids."""
        ids: list[str] = self.ask("POST", "/e/bench", [{"name": name, "data": {}}] * count)["ids"]
        return ids

    def ended(self, event_id: str) -> dict[str, Any]:
        """The run of an event, once it has ended."""
        deadline = time.monotonic() + RUN_SECONDS
        while time.monotonic() < deadline:
            for run in self.ask("GET", f"/v1/events/{event_id}/runs")["data"]:
                if run.get("ended_at"):
                    found: dict[str, Any] = run
                    return found
            time.sleep(0.02)
        raise TimeoutError(f"the run of {event_id} has not ended")


def moment(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


# ---- speed


@dataclass(frozen=True)
class Speed:
    """One round. p50 and p99: milliseconds. busy: the worker's processor time of a run, in us."""

    rate: float
    p50: float
    p99: float
    busy: float


def speed(rounds: int) -> None:
    print(f"{'':30}{'runs/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'CPU us/run':>12}")
    for kind in KINDS:
        for concurrency in RUNS:
            for package in PACKAGES:
                show_speed(package, kind, concurrency, rounds)


def show_speed(package: str, kind: str, concurrency: int, rounds: int) -> None:
    """Print one line: of each figure the median of the rounds."""
    with working(package, concurrency) as (api, worker):
        api.ended(api.send(f"bench/{kind}", 50)[-1])
        measured = [measure(api, worker, kind, RUNS[concurrency]) for _ in range(rounds)]
    cells = "".join(
        f"{statistics.median(getattr(each, field) for each in measured):{width}.0f}"
        for field, width in (("rate", 10), ("p50", 10), ("p99", 10), ("busy", 12))
    )
    print(f"{concurrency:4} at once, {kind:6} {package:9}{cells}", flush=True)


def measure(api: Api, worker: psutil.Process, kind: str, count: int) -> Speed:
    before = sum(worker.cpu_times()[:2])
    ids = api.send(f"bench/{kind}", count)
    api.ended(ids[-1])
    runs = [api.ended(event_id) for event_id in ids]
    busy = sum(worker.cpu_times()[:2]) - before
    starts = [moment(run["run_started_at"]) for run in runs]
    ends = [moment(run["ended_at"]) for run in runs]
    times = [(end - start) * 1000 for start, end in zip(starts, ends, strict=True)]
    cuts = statistics.quantiles(times, n=100)
    return Speed(count / (max(ends) - min(starts)), cuts[49], cuts[98], busy / count * 1e6)


@contextlib.contextmanager
def working(package: str, concurrency: int) -> Iterator[tuple[Api, psutil.Process]]:
    """A server and a worker, each in a process of its own."""
    with DevServer(kind="process", poll=False) as server:
        arguments = ["benchmarks.connect_worker", package, server.url, str(concurrency)]
        worker = subprocess.Popen(
            [sys.executable, "-m", *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        try:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
            yield Api(server.url), psutil.Process(worker.pid)
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.communicate()


# ---- coming back, and memory: a worker of ours in this process


class Breakable(WebsocketsTransport):
    """The usual transport, whose last socket can be broken."""

    def __init__(self) -> None:
        self.last: Any = None

    async def connect(self, url: str, *, subprotocol: str, timeout: float) -> Any:
        self.last = await super().connect(url, subprotocol=subprotocol, timeout=timeout)
        return self.last

    @inngest.hookimpl
    def inngest_transport(self, config: Any, kind: str) -> Any:
        return self if kind == "websocket" else None

    def break_off(self) -> None:
        """Break the connection, without a word to either side."""
        socket = self.last._socket
        socket.loop.call_soon_threadsafe(socket.transport.abort)


@contextlib.asynccontextmanager
async def at_work(origin: str, transport: Breakable) -> Any:
    client = inngest.Inngest(
        app_id="bench",
        is_production=False,
        api_base_url=origin,
        event_api_base_url=origin,
        plugins=[transport],
    )

    @client.create_function(fn_id="fn", trigger=inngest.TriggerEvent(event="bench/fn"))
    async def function(ctx: inngest.Context) -> Any:
        return await ctx.step.run("step", lambda: {"n": 1})

    connection = connect([(client, [function])])
    task = asyncio.create_task(connection.start())
    await connection.wait_for_state(ConnectionState.ACTIVE)
    try:
        yield connection
    finally:
        await connection.close()
        await task


async def returning() -> None:
    """How long after the server is back, or after its next try, a worker is ready."""
    took = []
    server = DevServer(kind="process", poll=False)
    server.start()
    port = server.port
    async with at_work(server.url, Breakable()) as connection:
        for _ in range(RETURNS):
            server.stop()
            await connection.wait_for_state(ConnectionState.RECONNECTING)
            server = DevServer(kind="process", poll=False, port=port)
            tries = asyncio.create_task(last_try(connection))
            await asyncio.to_thread(server.start)
            back = time.monotonic()
            tried, ready = await tries
            took.append((ready - max(back, tried)) * 1000)
    server.stop()
    print(f"ready again, first retry apart: median {statistics.median(took):.0f} ms", end=", ")
    print(f"longest {max(took):.0f} ms of {RETURNS}", flush=True)


async def last_try(connection: WorkerConnection) -> tuple[float, float]:
    """When the try began that made the worker ready, and when it was."""
    active = asyncio.create_task(connection.wait_for_state(ConnectionState.ACTIVE))
    tried = time.monotonic()
    while not active.done():
        trying = asyncio.create_task(connection.wait_for_state(ConnectionState.CONNECTING))
        await asyncio.wait({active, trying}, return_when=asyncio.FIRST_COMPLETED)
        if trying.done():
            tried = time.monotonic()
            waiting = asyncio.create_task(connection.wait_for_state(ConnectionState.RECONNECTING))
            await asyncio.wait({active, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
        trying.cancel()
    return tried, time.monotonic()


async def memory() -> None:
    """What a worker has grown by after many runs, and a loss of its connection every 200."""
    process = psutil.Process(os.getpid())
    transport = Breakable()
    sizes = []
    with DevServer(kind="process", poll=False) as server:
        api = Api(server.url)
        async with at_work(server.url, transport) as connection:
            for done in range(0, MEMORY_RUNS + 2 * RECONNECT_EVERY, RECONNECT_EVERY):
                for event_id in await asyncio.to_thread(api.send, "bench/fn", RECONNECT_EVERY):
                    await asyncio.to_thread(api.ended, event_id)
                # Behind the first two everything is loaded.
                if done >= RECONNECT_EVERY:
                    gc.collect()
                    sizes.append(process.memory_info().rss)
                transport.break_off()
                await connection.wait_for_state(ConnectionState.RECONNECTING)
                await connection.wait_for_state(ConnectionState.ACTIVE)
    grown = (sizes[-1] - sizes[0]) / 1024 / 1024
    losses = MEMORY_RUNS // RECONNECT_EVERY
    print(f"{MEMORY_RUNS:,} runs, {losses} losses: {grown:+.1f} MB of {sizes[0] / 2**20:.0f}")
    if grown > MOST_MEGABYTES:
        sys.exit(f"a worker may grow by {MOST_MEGABYTES} MB")


if __name__ == "__main__":
    main()
