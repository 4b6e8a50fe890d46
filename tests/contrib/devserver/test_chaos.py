"""
A server that is killed again and again loses nothing that it has acknowledged.

`make chaos` kills 200; the suite kills a few. CHAOS_KILLS says how many, CHAOS_SEED when.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.contrib.devserver import victim

KILLS = int(os.environ.get("CHAOS_KILLS", "3"))
SEED = int(os.environ.get("CHAOS_SEED", "0"))
LIVES = 5
"""How often one database is killed before it may finish."""
STEPS = 12
PATIENCE = 60.0

Step = tuple[str, str]


@dataclass
class Story:
    """What all the lives of one database have told."""

    acknowledged: set[str] = field(default_factory=set)
    again: list[Step] = field(default_factory=list)
    """Steps that ran although their results had been stored before that life began."""

    def live(self, database: Path, *, killed_after: float | None) -> None:
        """Run a server on *database*, kill it in the middle, or let it finish."""
        known = stored_results(database)
        for line in run_victim(database, killed_after):
            match line.split():
                case ["sent", event_id] if len(event_id) == 26:
                    self.acknowledged.add(event_id)
                case ["ran", run_id, step] if len(run_id) == 26 and (run_id, step) in known:
                    self.again.append((run_id, step))


def lots() -> Iterator[list[float]]:
    """When the lives of each database end, in seconds from the moment it has started."""
    chance = random.Random(SEED)
    left = KILLS
    while left > 0:
        yield [chance.uniform(0.01, 0.8) for _ in range(min(LIVES, left))]
        left -= LIVES


@pytest.mark.slow
@pytest.mark.parametrize("ends", list(lots()))
def test_nothing_acknowledged_is_lost_when_the_process_is_killed(
    tmp_path: Path, ends: list[float]
) -> None:
    database, story = tmp_path / "x.db", Story()
    for end in ends:
        story.live(database, killed_after=end)
    story.live(database, killed_after=None)

    with opened(database) as db:
        runs = db.execute("SELECT function_id, event_ids, status FROM runs").fetchall()
        held = db.execute("SELECT count(*) FROM holdings UNION SELECT count(*) FROM held")
        assert held.fetchall() == [(0,)]
    assert Counter(status for *_, status in runs) == {"COMPLETED": len(runs)}
    started: dict[str, list[str]] = {}
    for function_id, event_ids, _ in runs:
        started.setdefault(function_id, []).extend(event_ids.split(","))
    assert len(started) == len(victim.FUNCTIONS)
    for events in started.values():
        assert story.acknowledged <= set(events)
        assert len(events) == len(set(events)), "an event started a function twice"
    assert story.again == [], "steps whose results were stored were run again"


@contextlib.contextmanager
def opened(database: Path) -> Iterator[sqlite3.Connection]:
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as db:
        yield db


def stored_results(database: Path) -> set[Step]:
    if not database.exists():
        return set()
    with opened(database) as db:
        return set(db.execute("SELECT run_id, name FROM steps WHERE memo IS NOT NULL"))


def run_victim(database: Path, killed_after: float | None) -> list[str]:
    """What a server has said until it was killed, or had finished."""
    command = [sys.executable, "-m", "tests.contrib.devserver.victim", str(database), str(STEPS)]
    command += [] if killed_after else ["finish"]
    root = Path(__file__).parents[3]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=root)
    timer = threading.Timer(killed_after or PATIENCE, process.send_signal, [signal.SIGKILL])
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "started\n"
        timer.start()
        output, _ = process.communicate(timeout=2 * PATIENCE)
    finally:
        timer.cancel()
        process.kill()
    assert killed_after or process.returncode == 0, "it did not come to an end"
    return output.splitlines()
