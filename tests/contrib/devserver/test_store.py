"""The store: private, for one server at a time, all of a turn or nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import sqlite3
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from inngest_contrib.devserver.lock import StoreInUse
from inngest_contrib.devserver.loop import Server, ServerConfig
from inngest_contrib.devserver.retention import INCREMENTAL
from inngest_contrib.devserver.store import Statements, Store, StoreRefused
from inngest_contrib.devserver.tables import VERSION
from tests.contrib.devserver import old_databases
from tests.contrib.devserver.engine.desk import Equality, next_minute


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
    with pytest.raises(StoreRefused, match=names(path, "Move the file away")):
        Store(path)
    with pytest.raises(StoreRefused):  # and the lock was given back
        Store(path)


def names(path: str, remedy: str) -> str:
    """What a message must hold: which file it is, then what to do."""
    return f"(?s){re.escape(path)}.*{remedy}"


def test_a_database_with_damage_inside_is_refused(path: str) -> None:
    fill(path, 500)
    size = os.path.getsize(path)
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))
    assert_refused_at_start(path)


def test_a_database_that_was_cut_off_is_refused(path: str) -> None:
    fill(path, 500)
    os.truncate(path, 5000)
    assert_refused_at_start(path)
    assert_refused_at_start(path)  # and the lock was given back


def assert_refused_at_start(path: str) -> None:
    with pytest.raises(StoreRefused, match=names(path, "Move the file away")):
        asyncio.run(new_server(path).start())


def new_server(path: str) -> Server:
    return Server(ServerConfig(database=path), expressions=Equality(), next_tick=next_minute)


def test_the_database_of_another_program_is_refused(path: str) -> None:
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreRefused, match=names(path, "another program.*--db")):
        Store(path)


def test_a_newer_database_is_refused(path: str) -> None:
    Store(path).close()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute(f"PRAGMA user_version={VERSION + 1}")
    with pytest.raises(StoreRefused, match=names(path, "upgrade inngest-core")):
        Store(path)


def test_every_older_version_has_a_database_to_be_tried_with() -> None:
    assert {*range(1, VERSION)} <= {*old_databases.VERSIONS}


@pytest.mark.parametrize("version", old_databases.VERSIONS)
def test_an_older_database_is_led_to_this_version(path: str, version: int) -> None:
    old_databases.make_database(path, version)
    Store(path).close()
    Store(f"{path}-new").close()
    assert layout(path) == layout(f"{path}-new")


def layout(path: str) -> tuple[Any, ...]:
    """The tables of a file, and its version."""
    with contextlib.closing(sqlite3.connect(path)) as db:
        tables = db.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        return tables, db.execute("PRAGMA user_version").fetchone()


@pytest.mark.parametrize("version", old_databases.VERSIONS)
def test_nothing_of_an_older_database_is_lost(path: str, version: int) -> None:
    old_databases.make_database(path, version)
    store = Store(path)
    saved = store.load()
    store.close()
    steps = [(step.name, step.memo) for step in saved.steps]
    assert [app.name for app in saved.apps] == ["shop"]
    assert [(run.id, run.event_ids) for run in saved.runs] == [("01R", ["01E"])]
    assert steps == [("one", b'{"data":1}'), ("nap", None)]
    assert [one.step_id for one in saved.waits] == ["bb"]
    assert [one.event_id for one in saved.dedupes] == ["order-1"]
    assert len(saved.meters) == len(saved.held) == (version >= 2)
    assert len(saved.defers) == len(saved.invocations) == (version >= 3)


@pytest.mark.parametrize("version", old_databases.VERSIONS)
def test_a_run_of_an_older_database_goes_on(path: str, version: int) -> None:
    old_databases.make_database(path, version)

    async def scenario() -> list[str]:
        server = new_server(path)
        await server.start()
        found = [job.kind for job in server.reads.jobs("01R")]
        await server.stop()
        return found

    assert asyncio.run(scenario()) == ["sleep"]


def test_a_migration_that_fails_leaves_the_file_as_it_was(path: str) -> None:
    old_databases.make_database(path, 1)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("CREATE TABLE held (theirs)")
    with pytest.raises(StoreRefused, match=names(path, "Move the file away")):
        Store(path)
    with contextlib.closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (1,)
        assert not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'meters'").fetchall()


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


def fill(path: str, events: int) -> None:
    """Make a database with so many events of 1000 bytes, and nothing left in its log."""
    store = Store(path)
    rows = [(f"{n:026}", "e", "f", 1, 1, b"x" * 1000, None, None, None) for n in range(events)]
    if rows:
        store.commit([("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?)", rows)])
    store.checkpoint()
    store.close()


def test_a_new_file_can_give_space_back(path: str) -> None:
    fill(path, 0)
    assert auto_vacuum(path) == INCREMENTAL


def test_an_old_file_is_rewritten_where_that_is_asked_for(path: str) -> None:
    old_databases.make_database(path, 1)
    fill(path, 2000)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("DELETE FROM events WHERE id <> '01E'")
    size = os.path.getsize(path)
    assert auto_vacuum(path) == 0
    store = Store(path, vacuum=True)
    assert len(store.load().runs) == 1
    store.close()
    assert auto_vacuum(path) == INCREMENTAL
    assert os.path.getsize(path) < size / 10


def auto_vacuum(path: str) -> int:
    with contextlib.closing(sqlite3.connect(path)) as db:
        (value,) = db.execute("PRAGMA auto_vacuum").fetchone()
        return int(value)
