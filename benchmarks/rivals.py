"""
The embedded server beside DBOS on SQLite and the Restate server, on the same loads in one run.

Each stores every step before the next begins. It needs an environment of its own:

    python -m venv rivals
    rivals/bin/pip install '.[dev,fastapi,speed]' dbos restate-sdk hypercorn
    npm install @restatedev/restate-server
    rivals/bin/python -m benchmarks.rivals --restate node_modules/.bin/restate-server

A rival that is not installed is left out by name. DBOS needs SQLite 3.42: where that of Python is
older, add pysqlite3-binary.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.engine import spent
from benchmarks.engine_server import (
    IN_PROCESS,
    OVER_HTTP,
    ROOT,
    START_SECONDS,
    free_port,
    get,
    post,
    process,
    running,
)

STEPS, RUNS = 1000, 1000
_AT_ONCE = 100
Measured = dict[str, float]
"""Seconds for STEPS steps in one run, and for RUNS runs of one step."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--restate", help="the program restate-server")
    options = parser.parse_args()
    print(f"load at the start: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for name, measure in rivals(options.restate).items():
        rounds = [measure() for _ in range(options.rounds)]
        steps = STEPS / statistics.median(one["steps"] for one in rounds)
        runs = RUNS / statistics.median(one["runs"] for one in rounds)
        print(f"{name:32}{steps:10,.0f} steps/s{runs:10,.0f} runs/s", flush=True)


def rivals(restate: str | None) -> dict[str, Callable[[], Measured]]:
    """Who is there to be measured."""
    found: dict[str, Callable[[], Measured]] = {
        "inngest-core, in process": lambda: ours(IN_PROCESS),
        "inngest-core, HTTP": lambda: ours(OVER_HTTP),
    }
    if importlib.util.find_spec("dbos"):
        found["DBOS, SQLite, in process"] = dbos
    else:
        print("DBOS is left out: pip install dbos")
    if restate and importlib.util.find_spec("restate"):
        found["Restate, HTTP/2"] = lambda: of_restate(restate)
    else:
        print("Restate is left out: pip install restate-sdk hypercorn, and name --restate")
    return found


def ours(setup: str) -> Measured:
    with running(setup) as origin:
        spent(origin, "sync-checkpoint", runs=1, steps=20)
        return {
            "steps": spent(origin, "async-checkpoint", runs=1, steps=STEPS),
            "runs": spent(origin, "async", runs=RUNS, steps=1),
        }


def dbos() -> Measured:
    command = [sys.executable, "-m", "benchmarks.rivals_dbos", str(STEPS), str(RUNS)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=True)
    found: Measured = json.loads(done.stdout.splitlines()[-1])
    return found


# ---- Restate


def of_restate(program: str) -> Measured:
    with restate_server(program) as (ingress, admin), restate_app() as app:
        post(f"{admin}/deployments", {"uri": app})
        call = f"{ingress}/Bench/steps"
        post(call, 20)
        return {"steps": timed(call, runs=1, steps=STEPS), "runs": timed(call, runs=RUNS, steps=1)}


def timed(call: str, *, runs: int, steps: int) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        list(pool.map(lambda _: post(call, steps), range(runs)))
    return time.perf_counter() - began


@contextlib.contextmanager
def restate_server(program: str) -> Iterator[tuple[str, str]]:
    """A server with a folder of its own; where runs are begun, and where apps are registered."""
    ports = [free_port() for _ in range(3)]
    places = dict(zip(("INGRESS__", "ADMIN__", ""), ports, strict=True))
    env = {f"RESTATE_{part}BIND_ADDRESS": f"127.0.0.1:{port}" for part, port in places.items()}
    with tempfile.TemporaryDirectory() as folder:
        command = [program, "--base-dir", folder, "--node-name", "bench"]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        child = subprocess.Popen(command, env={**os.environ, **env}, **quiet)  # type: ignore[call-overload]
        try:
            until_answered(f"http://127.0.0.1:{ports[1]}/health")
            until_answered(f"http://127.0.0.1:{ports[0]}/restate/health")
            yield f"http://127.0.0.1:{ports[0]}", f"http://127.0.0.1:{ports[1]}"
        finally:
            child.terminate()
            child.wait()


@contextlib.contextmanager
def restate_app() -> Iterator[str]:
    port = free_port()
    command = ["-m", "hypercorn", "benchmarks.rivals_restate:app", "--bind", f"127.0.0.1:{port}"]
    with process([*command, "--log-level", "error"], f"http://127.0.0.1:{port}"):
        until_answered(f"http://127.0.0.1:{port}/health")
        yield f"http://127.0.0.1:{port}"


def until_answered(url: str) -> None:
    """Return once somebody answers there, whatever it is."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            get(url)
            return
        except (urllib.error.HTTPError, json.JSONDecodeError):
            return
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
    raise TimeoutError(f"{url} did not answer within {START_SECONDS} s")


if __name__ == "__main__":
    main()
