"""
Keeps what the engine changed: SQLite, one writer, one transaction per turn of the loop.

Law: a turn's changes are stored together or not at all, and nothing outside happens before.
WAL with `synchronous` NORMAL loses no commit when the process is killed; FULL loses none when the
power goes. Checkpoints run on a connection of their own, never inside a commit.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from inngest_contrib.devserver.engine.commands import Changes
from inngest_contrib.devserver.engine.control import Meter
from inngest_contrib.devserver.engine.restore import (
    Saved,
    SavedFunction,
    SavedHeld,
    SavedHolding,
    SavedJob,
    SavedRun,
    SavedWait,
)
from inngest_contrib.devserver.engine.state import (
    App,
    Dedupe,
    Defer,
    Event,
    Invocation,
    Status,
    Step,
    WaitKind,
)
from inngest_contrib.devserver.engine.text import write_key
from inngest_contrib.devserver.lock import FileLock
from inngest_contrib.devserver.retention import INCREMENTAL, Sweep
from inngest_contrib.devserver.tables import APPLICATION_ID, MIGRATIONS, SCHEMA, TABLES, VERSION

Statements = Sequence[tuple[str, Sequence[Sequence[Any]]]]

_CHECKPOINT_BYTES = 4 * 1024 * 1024
_LOOK_EVERY = 64
_SECRET_BYTES = 32


class StoreRefused(Exception):
    """The database cannot be used; the message says why and what to do."""


class Store:
    """
    An open database. `path` None: in memory, gone at the end.

    vacuum: rewrite the file first, without its gaps and so that it gives space back later.
    """

    def __init__(
        self, path: str | None, *, full: bool = False, owner: str = "", vacuum: bool = False
    ) -> None:
        self._path = path
        if path is not None:
            _make_private(path)
        self._lock = None if path is None else FileLock(f"{path}-lock", owner)
        try:
            self._db = _open(path, full=full)
            if vacuum and path is not None:
                _vacuum(self._db, path)
            self.reader = self._db if path is None else _connect(path)
            self._checkpointer = None if path is None else _connect(path)
        except BaseException:
            self._unlock()
            raise
        self._commits = 0

    def prepare(self, changes: Changes) -> Statements:
        """Read the changed records now: the next turn will change them again."""
        rows: dict[str, list[tuple[Any, ...]]] = {}
        for (table, _), record in changes.put.items():
            rows.setdefault(table, []).append(TABLES[table].row(record))
        puts = [(TABLES[table].put, rows[table]) for table in rows]
        gone: dict[str, list[tuple[Any, ...]]] = {}
        for (table, _), record in changes.gone.items():
            gone.setdefault(table, []).append(TABLES[table].key(record))
        return puts + [(TABLES[table].delete, gone[table]) for table in gone]

    def commit(self, statements: Statements) -> None:
        """Store a turn's changes, all or none."""
        execute = self._db.execute
        execute("BEGIN IMMEDIATE")
        try:
            for sql, rows in statements:
                if len(rows) == 1:
                    execute(sql, rows[0])
                else:
                    self._db.executemany(sql, rows)
            execute("COMMIT")
        except BaseException:
            self._db.rollback()
            raise
        self._commits += 1

    def wants_checkpoint(self) -> bool:
        """Whether the log has grown so far that it should be written back; cheap to ask."""
        if self._path is None or self._commits % _LOOK_EVERY:
            return False
        try:
            return os.stat(f"{self._path}-wal").st_size > _CHECKPOINT_BYTES
        except FileNotFoundError:
            return False

    def checkpoint(self) -> None:
        """Write the log back into the file. Safe to call from another thread, one at a time."""
        if self._checkpointer is not None:
            self._checkpointer.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()

    def secret(self, name: str) -> bytes:
        """A random key, the same one as long as there is this database."""
        insert = "INSERT OR IGNORE INTO secrets VALUES (?, ?)"
        self._db.execute(insert, (name, os.urandom(_SECRET_BYTES)))
        (row,) = self._rows("SELECT value FROM secrets WHERE name = ?", (name,))
        value: bytes = row[0]
        return value

    def sweep(self, before: int) -> Sweep:
        """What deletes all that ended before an instant, in unix ms."""
        return Sweep(self._db, before)

    def close(self) -> None:
        """Give the file back."""
        try:
            if self._checkpointer is not None:
                self._checkpointer.close()
                self.reader.close()
            self._db.close()
        finally:
            self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()

    # --- what a restart needs ---------------------------------------------------------------

    def load(self) -> Saved:
        """Everything that is not over. Raises StoreRefused if the file is damaged."""
        try:
            return self._load()
        except sqlite3.DatabaseError as error:
            raise _unreadable(self._path, error) from error

    def _load(self) -> Saved:
        # Every live run has a job or a wait: the engine sees to that.
        live = "(SELECT run_id FROM jobs UNION SELECT run_id FROM waits)"
        runs = [_saved_run(row) for row in self._rows(f"{_RUNS} WHERE id IN {live}")]
        steps = self._rows(f"{_STEPS} WHERE run_id IN {live} ORDER BY run_id, number")
        held = [SavedHeld(*row) for row in self._rows("SELECT * FROM held ORDER BY number")]
        wanted = {event_id for run in runs for event_id in run.event_ids}
        wanted |= {one.event_id for one in held}
        return Saved(
            apps=[App(*row) for row in self._rows("SELECT * FROM apps")],
            functions=[_saved_function(row) for row in self._rows(_FUNCTIONS)],
            events=self._events(wanted),
            runs=runs,
            steps=[_saved_step(row) for row in steps],
            jobs=[
                SavedJob(*row) for row in self._rows("SELECT * FROM jobs ORDER BY run_at, run_id")
            ],
            waits=[_saved_wait(row) for row in self._rows("SELECT * FROM waits")],
            invocations=[Invocation(*row) for row in self._rows("SELECT * FROM invocations")],
            defers=[
                _saved_defer(row)
                for row in self._rows(f"{_DEFERS} WHERE run_id IN {live} ORDER BY run_id, number")
            ],
            dedupes=[Dedupe(*row) for row in self._rows("SELECT * FROM dedupes")],
            meters=[Meter(*row) for row in self._rows("SELECT * FROM meters")],
            holdings=[SavedHolding(*row) for row in self._rows("SELECT * FROM holdings")],
            held=held,
        )

    def _rows(self, sql: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()

    def _events(self, wanted: Iterable[str]) -> list[Event]:
        found = (self._rows("SELECT * FROM events WHERE id = ?", (one,)) for one in wanted)
        return [Event(*row) for rows in found for row in rows]


_FUNCTIONS = "SELECT app_id, app_name, url, config, archived FROM functions ORDER BY slug"
_RUNS = (
    "SELECT id, function_id, event_ids, status, queued_at, started_at, request_version, "
    "force_plan, cron, correlation, original_run_id, retries FROM runs"
)
_STEPS = (
    "SELECT run_id, id, name, op, status, queued_at, number, started_at, ended_at, attempts, "
    "mode, position, opts, details, memo FROM steps"
)


_DEFERS = "SELECT run_id, number, id, name, slug, input, meta, aborted, event_id FROM defers"


def _saved_run(row: tuple[Any, ...]) -> SavedRun:
    run_id, function_id, event_ids, status, queued, started, version, plan, *rest = row
    ids = event_ids.split(",")
    state = Status(status)
    return SavedRun(run_id, function_id, ids, state, queued, started, version, bool(plan), *rest)


def _saved_function(row: tuple[Any, ...]) -> SavedFunction:
    app_id, app_name, url, config, archived = row
    return SavedFunction(app_id, app_name, url, config, bool(archived))


def _saved_step(row: tuple[Any, ...]) -> Step:
    run_id, step_id, name, op, status, queued, number, started, ended, attempts, *rest = row
    mode, position, opts, details, memo = rest
    step = Step(run_id, step_id, name, op, Status(status), queued, number)
    step.started_at, step.ended_at, step.attempts = started, ended, attempts
    step.mode, step.position, step.opts, step.details = mode, position, opts, details
    if memo is not None:
        key = write_key(step.id)
        step.fragment = key + memo
        step.memo_at = len(key)
    return step


def _saved_defer(row: tuple[Any, ...]) -> Defer:
    defer = Defer(*row)
    defer.aborted = bool(defer.aborted)
    return defer


def _saved_wait(row: tuple[Any, ...]) -> SavedWait:
    run_id, step_id, kind, expires, event, expression = row
    return SavedWait(run_id, step_id, WaitKind(kind), expires, event, expression)


# --- opening ----------------------------------------------------------------------------------


def _connect(path: str) -> sqlite3.Connection:
    # Transactions are begun and ended by hand; threads take turns, see loop.py.
    return sqlite3.connect(
        path, isolation_level=None, check_same_thread=False, cached_statements=256
    )


def _open(path: str | None, *, full: bool) -> sqlite3.Connection:
    if path is None:
        db = _connect(":memory:")
        _create(db)
        return db
    db = _connect(path)
    try:
        # For new files only, and before anything else is written to them.
        db.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
        db.execute("PRAGMA journal_mode=WAL")
        db.execute(f"PRAGMA synchronous={'FULL' if full else 'NORMAL'}")
        db.execute("PRAGMA wal_autocheckpoint=0")
        db.execute("PRAGMA cache_size=-32000")
        _check(db, path)
    except sqlite3.DatabaseError as error:
        db.close()
        raise _unreadable(path, error) from error
    except StoreRefused:
        db.close()
        raise
    return db


def _unreadable(path: str | None, error: sqlite3.DatabaseError) -> StoreRefused:
    if "locked" in str(error):
        return StoreRefused(
            f"{path} is being used by another program ({error}): end that program, or choose "
            "another file with --db."
        )
    return StoreRefused(
        f"{path} cannot be read as a database of this server: {error}. Move the file away to "
        "start with an empty one, or choose another with --db."
    )


def _vacuum(db: sqlite3.Connection, path: str) -> None:
    try:
        db.execute(f"PRAGMA auto_vacuum={INCREMENTAL}")
        db.execute("VACUUM")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlite3.DatabaseError as error:
        db.close()
        raise StoreRefused(
            f"{path} cannot be rewritten without gaps: {error}. It needs about its own size of "
            "free disk space; make room, or start without --vacuum."
        ) from error


def _make_private(path: str) -> None:
    """Create the file so that only its owner can read it: it holds everyone's event data."""
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        os.chmod(path, 0o600)
    except OSError as error:
        raise StoreRefused(f"the database {path} cannot be opened: {error}") from error


def _check(db: sqlite3.Connection, path: str) -> None:
    (application,) = db.execute("PRAGMA application_id").fetchone()
    (version,) = db.execute("PRAGMA user_version").fetchone()
    (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if not tables:
        _create(db)
    elif application != APPLICATION_ID:
        raise StoreRefused(
            f"{path} is a database of another program; choose another file with --db."
        )
    elif version > VERSION:
        raise StoreRefused(
            f"{path} was written by a newer version of this server (schema {version}, this one "
            f"knows up to {VERSION}): upgrade inngest-core, or choose another file with --db."
        )
    else:
        _migrate(db, version)


def _create(db: sqlite3.Connection) -> None:
    steps = "".join(MIGRATIONS.values())
    db.executescript(
        f"BEGIN;{SCHEMA}{steps}PRAGMA application_id={APPLICATION_ID};"
        f"PRAGMA user_version={VERSION};COMMIT;"
    )


def _migrate(db: sqlite3.Connection, version: int) -> None:
    """Lead an older database to this version, step by step, each of them whole."""
    for step in sorted(MIGRATIONS):
        if step > version:
            db.executescript(f"BEGIN;{MIGRATIONS[step]}PRAGMA user_version={step};COMMIT;")
