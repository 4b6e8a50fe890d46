"""
What an import costs: ours beside the official package, interleaved, medians.

    python -m benchmarks.imports [--rounds 15]
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time

BARE = ("import inngest_core", "import inngest")
TOUCHED = (
    "import inngest_core as i; i.Inngest, i.Event, i.TriggerEvent",
    "import inngest as i; i.Inngest, i.Event, i.TriggerEvent",
)
NOTHING = "pass"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    print(f"{'':10} {'ours ms':>9} {'official ms':>12} {'ratio':>7}   (less the bare interpreter)")
    for title, pair in (("import", BARE), ("touched", TOUCHED)):
        ours, official = medians(pair, rounds)
        print(f"{title:10} {ours:9.1f} {official:12.1f} {ours / official:7.2f}")


def medians(pair: tuple[str, str], rounds: int) -> tuple[float, float]:
    """Median milliseconds of both statements, without the start of the interpreter."""
    samples: dict[str, list[float]] = {code: [] for code in (NOTHING, *pair)}
    for _ in range(rounds + 1):
        for code, sample in samples.items():
            sample.append(timed(code))
    # The first round filled the bytecode caches.
    bare, ours, official = (statistics.median(sample[1:]) for sample in samples.values())
    return ours - bare, official - bare


def timed(code: str) -> float:
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - started) * 1000


if __name__ == "__main__":
    main()
