"""
What installed plugins cost: the first client of a process, and a call, with 20 beside none.

Every sample is a process of its own, with a directory of distributions on its path, as pip would
have left them there. Both kinds take turns; medians. `plain` has as many distributions that offer
nothing: what they cost, any twenty packages cost. The clock is that of the processor's work
for the process, which others on the machine disturb least.

    python -m benchmarks.discovery [--plugins 20] [--rounds 15]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

LIMIT_MS = 30
SCRIPT = """
import json, time
import inngest_core as i
from inngest_core import CommHandler, CommRequest, Inngest, TriggerEvent
started = time.process_time()
client = Inngest(app_id="shop", is_production=False)
first = time.process_time() - started
started = time.process_time()
Inngest(app_id="shop", is_production=False)
second = time.process_time() - started
create = client.create_function(fn_id="f", trigger=TriggerEvent(event="a/b"))
create(lambda ctx: None)
handler = CommHandler(client=client, framework="benchmark")
event = {"name": "a/b", "data": {}, "id": "1", "ts": 1}
ctx = {"run_id": "r", "attempt": 0, "fn_id": "f", "stack": {"stack": [], "current": 0},
       "disable_immediate_execution": False, "use_api": False}
body = json.dumps({"ctx": ctx, "event": event, "events": [event], "steps": {}}).encode()
request = CommRequest("POST", "http://shop/", {}, {"fnId": "shop-f", "stepId": "step"}, body)
assert handler.answer_sync(request).status == 200
started = time.process_time()
for _ in range(2000):
    handler.answer_sync(request)
call = (time.process_time() - started) / 2000
print(json.dumps([first * 1e3, second * 1e3, call * 1e6]))
"""
PLUGIN = '''"""A plugin as most are: it does nothing before it has options."""

from inngest_core import hookimpl


@hookimpl
def inngest_configure(config):
    config.options("plugin-{number}")


@hookimpl
def inngest_middleware(config):
    return [] if "on" not in config.options("plugin-{number}") else [object()]
'''


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--plugins", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=15)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        paths = {
            "none": install(Path(home, "none"), 0, offer=False),
            "plain": install(Path(home, "plain"), options.plugins, offer=False),
            "plugins": install(Path(home, "plugins"), options.plugins, offer=True),
        }
        samples = measured(paths, options.rounds)
    print(f"{'':10} {'first client ms':>16} {'next client ms':>15} {'call us':>9}")
    for kind, sample in samples.items():
        first, following, call = map(statistics.median, zip(*sample, strict=True))
        print(f"{kind:10} {first:16.1f} {following:15.1f} {call:9.1f}")
    added, ratio = compared(samples, 0)
    _, of_call = compared(samples, 2)
    print(f"first client: {added:.1f} ms added by {options.plugins} plugins, {ratio:.2f}x")
    print(f"call: {of_call:.2f}x")
    if added > LIMIT_MS:
        sys.exit(f"more than {LIMIT_MS} ms")


def compared(samples: dict[str, list[list[float]]], column: int) -> tuple[float, float]:
    """Medians of differences and of ratios, of samples taken one after another."""
    pairs = [
        (with_them[column], without[column])
        for with_them, without in zip(samples["plugins"], samples["none"], strict=True)
    ]
    added = statistics.median(with_them - without for with_them, without in pairs)
    return added, statistics.median(with_them / without for with_them, without in pairs)


def install(path: Path, count: int, *, offer: bool) -> Path:
    """Put distributions into a directory, each with a module that is a plugin if it is offered."""
    path.mkdir()
    for number in range(count):
        info = path / f"plugin_{number}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: plugin-{number}\nVersion: 1.0\n"
        )
        (path / f"plugin_{number}.py").write_text(PLUGIN.format(number=number))
        if offer:
            text = f"[inngest]\nplugin-{number} = plugin_{number}\n"
            (info / "entry_points.txt").write_text(text)
    return path


def measured(paths: dict[str, Path], rounds: int) -> dict[str, list[list[float]]]:
    """Samples of each kind, in turns; the first round only fills the bytecode caches."""
    samples: dict[str, list[list[float]]] = {kind: [] for kind in paths}
    for _ in range(rounds + 1):
        for kind, path in paths.items():
            samples[kind].append(sample(path))
    return {kind: taken[1:] for kind, taken in samples.items()}


def sample(path: Path) -> list[float]:
    """Milliseconds of the first and the second client, microseconds of a call."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("INNGEST_")}
    root = str(Path(__file__).resolve().parent.parent)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        check=True,
        env={**kept, "PYTHONPATH": os.pathsep.join([root, str(path)])},
        text=True,
    )
    found: list[float] = json.loads(done.stdout)
    return found


if __name__ == "__main__":
    main()
