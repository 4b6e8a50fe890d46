"""
The embedded server with a history: 100,000 ended runs and 10,000 that sleep, wait or queue.

How long it takes to start, what memory it holds, how fast a new run is dispatched (from the event
to the first call) beside an empty server that runs at the same time, and how long the first and
the last page of each list takes; at last, how much the empty one grows by 10,000 runs that end.
Exits with 1 where a limit is passed.

    python -m benchmarks.scale [--ended 100000] [--waiting 10000] [--rounds 200]
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import partial
from typing import Any

from benchmarks.engine_server import ROOT, free_port, get, post, wait_for_app
from inngest_contrib.devserver.engine.commands import Changes
from inngest_contrib.devserver.engine.ids import Ids
from inngest_contrib.devserver.engine.state import (
    Cause,
    Event,
    Function,
    Job,
    Run,
    Status,
    Step,
    Wait,
    WaitKind,
)
from inngest_contrib.devserver.store import Store

MAX_MEGABYTES = 300
MAX_PAGE_MS = 50
WARM_RUNS = 40_000
"""By then the cache of the database, 32 MB, is full."""
MORE_RUNS = 10_000
DAY = 24 * 60 * 60 * 1000
_BATCH = 2_000
_AT_ONCE = 100
_LOOKS = 9
"""How often each page is read; the median counts."""
_PATIENCE = 10.0
QUERY = """{ runs(first: 40, orderBy: [{field: %s, direction: DESC}]) {
  edges { node { id status queuedAt endedAt } } pageInfo { hasNextPage endCursor } totalCount } }"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ended", type=int, default=100_000)
    parser.add_argument("--waiting", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=200)
    wish = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        full, empty = f"{folder}/full.db", f"{folder}/empty.db"
        register(full)
        since = time.perf_counter()
        History(full, wish.ended, wish.waiting).write()
        print(f"filled in {time.perf_counter() - since:.0f} s, {size(full):.0f} MB", flush=True)
        beside = stack.enter_context(served(empty))
        server = stack.enter_context(served(full))
        sys.exit(report(server, beside, wish.rounds))


# ---- what is there before


def register(database: str) -> None:
    """Let a server write the app and its functions down, as it would at home."""
    with served(database):
        pass


class History:
    """The runs of a server that has been at work for a day, written by its own store."""

    def __init__(self, database: str, ended: int, waiting: int) -> None:
        self._store = Store(database)
        self._ended, self._waiting = ended, waiting
        self._now = time.time_ns() // 1_000_000
        self._ids = Ids(b"scale")
        self._functions = dict(self._named())
        self._changes = Changes()
        self._written = 0

    def write(self) -> None:
        began = self._now - DAY
        total = self._ended + self._waiting
        kinds = (self._sleeping, self._expecting, self._queued)
        for n in range(total):
            at = began + n * DAY // total
            if n < self._ended:
                # The rare status is the oldest: who looks for it from the newest on finds it last.
                self._finished(at, Status.FAILED if n < 1000 else Status.COMPLETED)
            else:
                kinds[n % len(kinds)](at)
            if n % _BATCH == _BATCH - 1:
                self._flush()
        self._flush()
        self._store.close()

    def _named(self) -> Iterator[tuple[str, Function]]:
        sql = "SELECT id, slug, name, app_id, app_name, url, config FROM functions"
        for row in self._store.reader.execute(sql):
            function = Function(*row)
            yield function.name, function

    def _flush(self) -> None:
        self._store.commit(self._store.prepare(self._changes))
        self._changes = Changes()
        self._store.checkpoint()

    def _run(self, at: int, name: str, status: Status) -> Run:
        event_id = self._ids.ulid(at)
        event = Event(event_id, event_id, f"scale/{name}", at, at, b'{"n":1,"who":"somebody"}')
        run = Run(self._ids.ulid(at), self._functions[name], [event], at, status, at + 1)
        for record in (event, run, Cause(event.id, run.id)):
            self._changes.keep(record)
        return run

    def _finished(self, at: int, status: Status) -> None:
        run = self._run(at, "finished", status)
        run.ended_at, run.output = at + 5, b'{"ok":true}'
        step = Step(run.id, "0" * 40, "work", "StepRun", status, at + 1, 0, at + 1, at + 4, 1)
        step.fragment, step.memo_at, step.position = b'{"data":{"n":1}}', 0, 0
        self._changes.keep(step)
        told = self._ids.ulid(at + 5)
        data = b'{"function_id":"scale-finished","result":{"ok":true},"run_id":"%b"}'
        data %= run.id.encode()
        self._changes.keep(Event(told, told, "inngest/function.finished", at + 5, at + 5, data))

    def _sleeping(self, at: int) -> None:
        self._paused(at, "Sleep", WaitKind.SLEEP)

    def _expecting(self, at: int) -> None:
        self._paused(
            at, "WaitForEvent", WaitKind.EVENT, "scale/never", "event.data.n == async.data.n"
        )

    def _paused(
        self, at: int, op: str, kind: WaitKind, event: str = "", rule: str | None = None
    ) -> None:
        run = self._run(at, "waiting", Status.RUNNING)
        step = Step(run.id, "1" * 40, "pause", op, Status.WAITING, at + 1, 0, at + 1, mode="wait")
        self._changes.keep(step)
        self._changes.keep(Wait(run, step, kind, self._now + 7 * DAY, event, rule))

    def _queued(self, at: int) -> None:
        run = self._run(at, "queued", Status.QUEUED)
        run.started_at = None
        self._changes.keep(Job(self._ids.job(), run, "step", at))


def size(database: str) -> float:
    return os.stat(database).st_size / 1e6


# ---- servers


@dataclass(frozen=True)
class Served:
    """A server that runs, and how long it took to."""

    origin: str
    pid: int
    seconds: float


@contextlib.contextmanager
def served(database: str) -> Iterator[Served]:
    """A server on that database with the app in its process."""
    port = free_port()
    origin = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "inngest_contrib.devserver", "--port", str(port), "--no-poll"]
    command += ["--db", database, "--log-level", "error", "--app", "benchmarks.scale_app:client"]
    env = {**os.environ, "INNGEST_DEV": origin, "PYTHONPATH": str(ROOT)}
    since = time.perf_counter()
    child = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    try:
        wait_for_app(origin)
        yield Served(origin, child.pid, time.perf_counter() - since)
    finally:
        # A run of `queued` never ends, so that a gentle stop would wait for it.
        child.kill()
        child.wait()


def resident(pid: int) -> float:
    """Megabytes."""
    with open(f"/proc/{pid}/status") as file:
        (line,) = [line for line in file if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


# ---- what is measured


def report(server: Served, beside: Served, rounds: int) -> int:
    """Print the figures; 1 if one of them is beyond its limit."""
    print(f"start      {server.seconds:.1f} s, empty {beside.seconds:.1f} s")
    print(f"resident   {resident(server.pid):.0f} MB, empty {resident(beside.pid):.0f} MB")
    full, empty = dispatches(server, beside, rounds)
    print(f"dispatch   p50 {full:.1f} ms, empty {empty:.1f} ms: {full / empty:.2f} times")
    slowest = max(pages(server.origin))
    held = resident(server.pid)
    print(f"resident   {held:.0f} MB after all that")
    work(beside.origin, WARM_RUNS)
    first = resident(beside.pid)
    work(beside.origin, MORE_RUNS)
    grown = resident(beside.pid) - first
    print(f"grown      {grown:.1f} MB by {MORE_RUNS:,} runs that ended, in the empty one")
    return int(held > MAX_MEGABYTES or slowest > MAX_PAGE_MS)


def dispatches(server: Served, beside: Served, rounds: int) -> tuple[float, float]:
    """Milliseconds from event to first call, medians of both: in turns, since the load changes."""
    taken: dict[str, list[float]] = {server.origin: [], beside.origin: []}
    for _ in range(rounds):
        for origin, figures in taken.items():
            figures.append(dispatch(origin))
    return statistics.median(taken[server.origin]), statistics.median(taken[beside.origin])


def dispatch(origin: str) -> float:
    began = time.time()
    (event_id,) = post(f"{origin}/e/scale", {"name": "scale/quick"})["ids"]
    deadline = began + _PATIENCE
    while time.time() < deadline:
        runs = get(f"{origin}/v2/events/{event_id}/runs?includeOutput=true")["data"]
        if runs and runs[0]["status"] == "COMPLETED":
            return (float(output_of(runs[0])) - began) * 1000
        time.sleep(0.005)
    raise TimeoutError(f"{event_id} started no run within {_PATIENCE:g} s")


def output_of(run: dict[str, Any]) -> Any:
    output = run["output"]
    return output["data"] if isinstance(output, dict) else output


def work(origin: str, runs: int) -> None:
    """Let so many runs begin and end."""
    for _ in range(runs // _AT_ONCE):
        post(f"{origin}/e/scale", [{"name": "scale/quick"}] * _AT_ONCE)
        while get(f"{origin}/v2/runs?status=QUEUED,RUNNING&limit=1").get("data"):
            time.sleep(0.01)


def pages(origin: str) -> Iterator[float]:
    """Print how long each page takes; the milliseconds."""
    for title, query in lists():
        url = f"{origin}/v2/runs?{urllib.parse.urlencode(query)}"
        yield show(title, partial(get, url))
        if last := last_page(url):
            yield show(f"{title}, last page", partial(get, last))
    oldest = get(f"{origin}/v2/runs?limit=1&order=asc")["data"][0]
    event_id = oldest["trigger"]["eventIds"][0]
    yield show("runs of an event", partial(get, f"{origin}/v2/events/{event_id}/runs"))
    for field in ("QUEUED_AT", "STARTED_AT", "ENDED_AT"):
        asked = {"query": QUERY % field}
        yield show(f"GraphQL by {field}, with the count", partial(post, f"{origin}/v0/gql", asked))


def lists() -> Iterator[tuple[str, dict[str, str]]]:
    """Each filter of /v2/runs, by itself and together."""
    yield "all", {}
    for status in ("COMPLETED", "FAILED", "RUNNING", "CANCELLED", "FAILED,RUNNING"):
        yield status, {"status": status}
    yield "app", {"appId": "scale"}
    for name in ("finished", "queued", "quick"):
        yield f"function {name}", {"appId": "scale", "functionId": name}
    yield "function and status", {"appId": "scale", "functionId": "waiting", "status": "FAILED"}
    now = datetime.now(timezone.utc)
    edges = [(now - timedelta(hours=hours)).isoformat() for hours in (13, 12)]
    for field in ("QUEUED_AT", "STARTED_AT", "ENDED_AT"):
        window = {"from": edges[0], "until": edges[1], "timeField": field}
        yield f"an hour of {field}", window
    yield "since 12 hours", {"from": edges[1]}
    yield "until 12 hours ago", {"until": edges[1]}


def last_page(url: str) -> str | None:
    """The address of the page that ends at the oldest run; None if there is one page only."""
    oldest = get(f"{url}&order=asc&limit=21").get("data", [])
    if len(oldest) < 21:
        return None
    cursor = base64.urlsafe_b64encode(json.dumps({"id": oldest[-1]["id"]}).encode()).decode()
    return f"{url}&cursor={cursor}"


def show(title: str, read: Callable[[], Any]) -> float:
    """Print the median of some readings in milliseconds, and return it."""
    taken = []
    for _ in range(_LOOKS):
        began = time.perf_counter()
        read()
        taken.append((time.perf_counter() - began) * 1000)
    median = statistics.median(taken)
    print(f"{title:40} {median:7.1f} ms{'  !' if median > MAX_PAGE_MS else ''}", flush=True)
    return median


if __name__ == "__main__":
    main()
