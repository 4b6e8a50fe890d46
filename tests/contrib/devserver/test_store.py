"""The store: private, for one server at a time, all of a turn or nothing of it."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from inngest_contrib.devserver.lock import StoreInUse
from inngest_contrib.devserver.store import Statements, Store, StoreRefused
from inngest_contrib.devserver.tables import VERSION


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "inngest.db")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_the_file_is_for_its_owner_alone(path: str) -> None:
    Store(path).close()
    for name in os.listdir(Path(path).parent):
        mode = stat.S_IMODE(os.stat(Path(path).parent / name).st_mode)
        assert mode == 0o600, name


def test_a_second_server_is_refused_and_told_who_is_first(path: str) -> None:
    first = Store(path, owner="http://127.0.0.1:8288")
    with pytest.raises(StoreInUse, match=rf"process {os.getpid()}, http://127.0.0.1:8288"):
        Store(path)
    first.close()
    Store(path).close()


def test_a_file_that_is_no_database_is_refused(path: str) -> None:
    Path(path).write_bytes(b"not a database at all, " * 100)
    with pytest.raises(StoreRefused, match="Move the file away"):
        Store(path)
    with pytest.raises(StoreRefused):  # and the lock was given back
        Store(path)


def test_the_database_of_another_program_is_refused(path: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreRefused, match="another program"):
        Store(path)


def test_a_newer_database_is_refused(path: str) -> None:
    Store(path).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA user_version={VERSION + 1}")
    with pytest.raises(StoreRefused, match="upgrade inngest-core"):
        Store(path)


def test_a_path_that_cannot_be_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreRefused, match="cannot be opened"):
        Store(str(tmp_path))


def test_missing_directories_are_made(tmp_path: Path) -> None:
    Store(str(tmp_path / "a" / "b" / "inngest.db")).close()


def test_a_turn_is_stored_whole_or_not_at_all(path: str) -> None:
    store = Store(path)
    statements: Statements = [
        ("INSERT INTO causes VALUES (?, ?)", [("e", "r")]),
        ("INSERT INTO causes VALUES (?, ?)", [("e2", None)]),
    ]
    with pytest.raises(sqlite3.IntegrityError):
        store.commit(statements)
    assert store.reader.execute("SELECT * FROM causes").fetchall() == []
    store.commit(statements[:1])
    assert store.reader.execute("SELECT * FROM causes").fetchall() == [("e", "r")]
    store.close()


def test_the_log_is_written_back_by_itself(path: str) -> None:
    store = Store(path)
    big = b"x" * 100_000
    rows = [
        ("INSERT INTO attempts VALUES ('r', ?, 'j', 0, 's', 0, ?, NULL)", [(n, big)])
        for n in range(64)
    ]
    for row in rows:
        store.commit([row])
    assert store.wants_checkpoint()
    store.checkpoint()
    store.commit(rows[:0])
    assert os.path.getsize(path) > 6_000_000
    store.close()
