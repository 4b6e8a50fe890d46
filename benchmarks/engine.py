"""
The embedded server with a file database: every figure that it promises, each beside its target.

In process (`inngest-core dev --app`) and over HTTP (uvicorn, one worker), and beside them the
official package as the client of the same server. Seconds of runs are the server's own: from the
first event to the end of the last run. Without checkpoints every call replays all memos; with
them one call runs all steps, and each is stored by itself before the next begins.

    python -m benchmarks.engine [--rounds 3] [--only TEXT]
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.engine_server import (
    IN_PROCESS,
    OFFICIAL,
    OVER_HTTP,
    Events,
    ended_runs,
    moment,
    running,
)

KINDS = ("sync", "async")
RATE = 200
"""Events a second, of which the dispatch is measured."""
SECONDS = 10
BATCH = 100
BATCHES = 100


@dataclass(frozen=True)
class Figure:
    """Something measured: how, where, in which unit, and what it should be at least or at most."""

    title: str
    setup: str
    measure: Callable[[str], float]
    unit: str
    target: float | None = None
    at_most: bool = False

    def verdict(self, value: float) -> str:
        if self.target is None:
            return ""
        reached = value <= self.target if self.at_most else value >= self.target
        sign = "<=" if self.at_most else ">="
        return f"{sign} {self.target:6,.0f}  {'reached' if reached else 'MISSED'}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="measure what has this in its title or setup")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    print(f"load at the start: {load:.1f} on {os.cpu_count()} cores; medians of {options.rounds}")
    for figure in FIGURES:
        if options.only in f"{figure.title}, {figure.setup}":
            show(figure, options.rounds)


def show(figure: Figure, rounds: int) -> None:
    """Print one line of the table, measured on one freshly started server."""
    with running(figure.setup) as origin:
        spent(origin, "sync", runs=20, steps=1)
        value = statistics.median(figure.measure(origin) for _ in range(rounds))
    print(
        f"{figure.title:44}{figure.setup:20}{value:10,.1f} {figure.unit:10}{figure.verdict(value)}",
        flush=True,
    )


# ---- runs


def spent(origin: str, kind: str, *, runs: int, steps: int) -> float:
    """Seconds between the first run's start and the last one's end."""
    ids = Events(origin).send([{"name": f"bench/{kind}", "data": {"steps": steps}}] * runs)
    # The event that came last says when it is worth to look at all of them.
    ended = ended_runs(origin, ids[-1])
    for event_id in ids[:-1]:
        ended += ended_runs(origin, event_id)
    return max(moment(run["endedAt"]) for run in ended) - min(
        moment(run["queuedAt"]) for run in ended
    )


def speed(kind: str, *, runs: int = 1, steps: int = 1) -> Callable[[str], float]:
    """Steps, or runs, a second."""
    return lambda origin: runs * steps / spent(origin, kind, runs=runs, steps=steps)


def duration(kind: str, *, steps: int) -> Callable[[str], float]:
    return lambda origin: spent(origin, kind, runs=1, steps=steps)


# ---- events


def dispatch(percentile: int) -> Callable[[str], float]:
    """Milliseconds from the moment an event is sent to the first line of its function."""
    return lambda origin: statistics.quantiles(delays(origin), n=100)[percentile - 1]


def delays(origin: str) -> list[float]:
    """One event each 5 ms, whatever becomes of those before."""
    events, ids = Events(origin), []
    began = time.perf_counter()
    for number in range(RATE * SECONDS):
        time.sleep(max(0.0, began + number / RATE - time.perf_counter()))
        ids += events.send({"name": "bench/dispatch", "data": {"sent": time.time_ns()}})
    ended_runs(origin, ids[-1])
    return [ended_runs(origin, event_id)[0]["output"]["data"] / 1e6 for event_id in ids]


def ingestion(origin: str) -> float:
    """Events a second, sent by one client, each batch once the one before is stored."""
    events, batch = Events(origin), [{"name": "bench/nobody", "data": {"n": 1}}] * BATCH
    began = time.perf_counter()
    for _ in range(BATCHES):
        events.send(batch)
    return BATCH * BATCHES / (time.perf_counter() - began)


FIGURES = [
    *(
        Figure(
            f"1,000 steps in one run, {kind}, checkpoints", setup, speed(mode, steps=1000), *unit
        )
        for setup, target in ((IN_PROCESS, 6000), (OVER_HTTP, 1000))
        for kind in KINDS
        for mode, unit in ((f"{kind}-checkpoint", ("steps/s", target)),)
    ),
    *(
        Figure(f"1,000 steps in one run, {kind}", setup, speed(kind, steps=1000), "steps/s", target)
        for setup, target in ((IN_PROCESS, 700), (OVER_HTTP, None), (OFFICIAL, None))
        for kind in KINDS
    ),
    *(
        Figure(f"1,000 runs of one step, {kind}", setup, speed(kind, runs=1000), "runs/s", target)
        for setup, target in ((IN_PROCESS, 2000), (OVER_HTTP, 600), (OFFICIAL, None))
        for kind in KINDS
    ),
    *(
        Figure(
            f"{n:,} parallel steps in one run", setup, duration("parallel", steps=n), "s", t, True
        )
        for setup in (IN_PROCESS, OVER_HTTP)
        for n, t in ((200, 2), (1000, 15))
    ),
    *(
        Figure(f"dispatch at {RATE} events/s, p{p}", setup, dispatch(p), "ms", t, True)
        for setup in (IN_PROCESS, OVER_HTTP)
        for p, t in ((50, 2), (99, 20))
    ),
    Figure("Event API, batches of 100", IN_PROCESS, ingestion, "events/s", 5000),
]


if __name__ == "__main__":
    main()
