"""
What ended long ago is deleted, piece by piece, while the server runs.

Law: a piece is one transaction of a few milliseconds, between two turns of the loop. Nothing goes
that a run refers to which has not ended, or that idempotency still needs; what event dedupe, rate
limits and throttles count stands in tables of its own, which nothing here touches.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from typing import Any

from inngest_core.wire.ids import ENTROPY_BYTES, ulid

_PIECE_SECONDS = 0.005
_LOOK = 200
"""Records looked at in one go."""
_ROWS = 20
"""Records deleted in one go: each may have some megabytes."""
_PAGES = 64
"""Pages of the file given back in one go."""
_SHORTEST, _LONGEST = 1.0, 600.0


def sweep_interval(retain: int) -> float:
    """Seconds between two sweeps, for what is kept so many milliseconds."""
    return min(max(retain / 10_000, _SHORTEST), _LONGEST)


class Sweep:
    """One pass over everything that ended before an instant, in unix ms."""

    def __init__(self, db: sqlite3.Connection, before: int) -> None:
        self._db = db
        self._before = before
        # Ids begin with a time, and nothing ends before it was there.
        self._bound = ulid(max(before, 0), bytes(ENTROPY_BYTES))
        self._acts = self._go()
        self.runs = 0
        self.events = 0

    def step(self) -> bool:
        """Do one piece, all of it or nothing. False once nothing is left."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            more = self._work_for_a_while()
            self._db.execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise
        return more

    def _work_for_a_while(self) -> bool:
        until = time.monotonic() + _PIECE_SECONDS
        while time.monotonic() < until:
            if not next(self._acts, False):
                return False
        return True

    def _go(self) -> Iterator[bool]:
        yield from self._delete_runs()
        yield from self._delete_events()
        yield from self._give_back()

    def _delete_runs(self) -> Iterator[bool]:
        # What they lead to from now on is younger than what is deleted here.
        named = {run for (run,) in self._db.execute("SELECT run_id FROM invocations")}
        for run_id, ended_at, event_ids in self._each(_RUNS):
            yield True
            if ended_at is not None and ended_at < self._before and run_id not in named:
                yield from self._delete_run(run_id, event_ids.split(","))

    def _delete_run(self, run_id: str, event_ids: list[str]) -> Iterator[bool]:
        for sql in _PARTS:
            while self._db.execute(sql, (run_id, run_id, _ROWS)).rowcount == _ROWS:
                yield True
        # The run itself goes last: a sweep that is cut off finds it again.
        self._db.executemany(_CAUSE, [(event_id, run_id) for event_id in event_ids])
        self._db.execute("DELETE FROM runs WHERE id = ?", (run_id,))
        self.runs += 1
        yield True

    def _delete_events(self) -> Iterator[bool]:
        kept = {event for (event,) in self._db.execute(_KEPT_EVENTS)}
        for event_id, received_at in self._each(_EVENTS):
            yield True
            if received_at < self._before and event_id not in kept:
                self.events += self._db.execute(_EVENT, (event_id, event_id)).rowcount

    def _each(self, sql: str) -> Iterator[tuple[Any, ...]]:
        """Rows in the order of their ids. No cursor stays open: others write in between."""
        last = ""
        while page := self._db.execute(sql, (last, self._bound, _LOOK)).fetchall():
            yield from page
            last = page[-1][0]

    def _give_back(self) -> Iterator[bool]:
        """Make the file smaller, where it was made so that it can be."""
        if self._ask("auto_vacuum") != INCREMENTAL:
            return
        free = self._ask("freelist_count")
        while free:
            # It works page by page, as far as its rows are fetched.
            self._db.execute(f"PRAGMA incremental_vacuum({_PAGES})").fetchall()
            before, free = free, self._ask("freelist_count")
            if free >= before:
                return
            yield True

    def _ask(self, pragma: str) -> int:
        return int(self._db.execute(f"PRAGMA {pragma}").fetchone()[0])


INCREMENTAL = 2
"""What `PRAGMA auto_vacuum` answers for a file that can give space back."""

_RUNS = "SELECT id, ended_at, event_ids FROM runs WHERE id > ? AND id < ? ORDER BY id LIMIT ?"
_EVENTS = "SELECT id, received_at FROM events WHERE id > ? AND id < ? ORDER BY id LIMIT ?"
_KEPT_EVENTS = "SELECT event_id FROM invocations UNION SELECT event_id FROM held"
_CAUSE = "DELETE FROM causes WHERE event_id = ? AND run_id = ?"
_EVENT = "DELETE FROM events WHERE id = ? AND NOT EXISTS (SELECT 1 FROM causes WHERE event_id = ?)"
_KEYS = {
    "steps": "number",
    "attempts": "ended_at, job_id, attempt, step_id",
    "notes": "id",
    "spans": "id",
    "defers": "number",
}
"""What belongs to a run, and by what one record is told from the others of the run."""
_PARTS = tuple(
    f"DELETE FROM {table} WHERE run_id = ? AND ({key}) IN "
    f"(SELECT {key} FROM {table} WHERE run_id = ? LIMIT ?)"
    for table, key in _KEYS.items()
)
