"""
What stays in memory of 100,000 calls: ours beside the official package.

Each package answers the same calls in a fresh process, through its own handler, bytes in
to bytes out: with middleware, with typed outputs, with closures made anew at every call,
with steps that fail, with parallel groups. Counted is how much the resident memory of the
process has grown since the first 1,000 calls.

    python -m benchmarks.memory [--calls 100000] [--trace]

--trace shows, for ours, the lines whose allocations have stayed.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .memory_calls import CALLS, our_side

WARM_UP = 1_000
LIMIT_MB = 5.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=100_000)
    parser.add_argument("--trace", action="store_true")
    parser.add_argument("--side", choices=["ours", "official"])
    parser.add_argument("--kind", choices=["sync", "async"])
    options = parser.parse_args()
    if options.side:
        print(json.dumps(measured(options.side, options.kind, options.calls)))
    elif options.trace:
        trace(options.calls)
    else:
        compare(options.calls)


def compare(calls: int) -> None:
    """Measure each side in a process of its own; end with status 1 where ours has grown."""
    print(f"growth of resident memory from call {WARM_UP:,} to call {calls:,}, in MB\n")
    print(f"{'kind':>6} {'ours':>8} {'official':>10} {'at the end':>12} {'official':>10}")
    grown = False
    for kind in ("sync", "async"):
        ours, official = (apart(side, kind, calls) for side in ("ours", "official"))
        grown = grown or ours["growth"] >= LIMIT_MB
        print(
            f"{kind:>6} {ours['growth']:8.2f} {official['growth']:10.2f} "
            f"{ours['resident']:12.1f} {official['resident']:10.1f}",
            flush=True,
        )
    if grown:
        sys.exit(f"ours has grown by {LIMIT_MB} MB or more")


def apart(side: str, kind: str, calls: int) -> dict[str, float]:
    """The figures of one side, from a fresh process."""
    command = [sys.executable, "-m", __spec__.name, "--side", side, "--kind", kind]
    done = subprocess.run(
        [*command, "--calls", str(calls)], check=True, capture_output=True, text=True
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def measured(side: str, kind: str, calls: int) -> dict[str, float]:
    """What the memory of this process is at the end, and has grown by, in MB."""
    logging.disable(logging.CRITICAL)
    run = runner(side, kind)
    run(WARM_UP)
    before = resident()
    run(calls - WARM_UP)
    after = resident()
    return {"growth": (after - before) / 1e6, "resident": after / 1e6}


def runner(side: str, kind: str) -> Callable[[int], None]:
    """A function that answers as many calls as it is told."""
    if side == "ours":
        answer = our_side(kind)
    else:
        from .memory_official import official_side

        answer = official_side(kind)
    if kind == "sync":
        return lambda count: repeat(answer, count)
    loop = asyncio.new_event_loop()
    return lambda count: loop.run_until_complete(arepeat(answer, count))


def repeat(answer: Callable[[Any], int], count: int) -> None:
    for number in range(count):
        call = CALLS[number % len(CALLS)]
        status = answer(call)
        assert status == call.status, (call.function, status)


async def arepeat(answer: Callable[[Any], Any], count: int) -> None:
    for number in range(count):
        call = CALLS[number % len(CALLS)]
        status = await answer(call)
        assert status == call.status, (call.function, status)


def resident() -> int:
    """The resident memory of this process, in bytes; at its highest where no /proc tells."""
    gc.collect()
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def trace(calls: int) -> None:
    """Show where what has stayed was allocated."""
    logging.disable(logging.CRITICAL)
    for kind in ("sync", "async"):
        run = runner("ours", kind)
        run(WARM_UP)
        tracemalloc.start(5)
        gc.collect()
        before = tracemalloc.take_snapshot()
        run(calls)
        gc.collect()
        difference = tracemalloc.take_snapshot().compare_to(before, "lineno")
        tracemalloc.stop()
        print(f"{kind}: what {calls:,} calls have left behind")
        for line in difference[:12]:
            print(f"  {line}")


if __name__ == "__main__":
    main()
