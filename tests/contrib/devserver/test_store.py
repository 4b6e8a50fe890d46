"""The store: private, for one server at a time, all of a turn or nothing of it."""

from __future__ import annotations

import os
import sqlite3
import stat
import sys
from pathlib import Path

import pytest

from inngest_contrib.devserver.engine.commands import Settings
from inngest_contrib.devserver.lock import StoreInUse
from inngest_contrib.devserver.reads import Reads
from inngest_contrib.devserver.store import Statements, Store, StoreRefused
from inngest_contrib.devserver.tables import VERSION
from tests.contrib.devserver.engine.desk import Desk, function, hashed, op, plan, run_op


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
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE theirs (x)")
    with pytest.raises(StoreRefused, match="another program"):
        Store(path)


def test_a_newer_database_is_refused(path: str) -> None:
    Store(path).close()
    with sqlite3.connect(path) as db:
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


@pytest.fixture
def desk(path: str) -> Desk:
    desk = Desk(Settings(retry_interval=1000), Store(path))
    desk.sync(function(retries=1), function("g", {"event": "g"}))
    return desk


def reads(desk: Desk) -> Reads:
    assert desk.store is not None
    return Reads(desk.store.reader, desk.engine.state.runs)


def test_reads_show_runs_steps_and_attempts(desk: Desk) -> None:
    event_id = desk.send("f", {"n": 1}, id="mine")
    desk.answer(run_op("a", {"x": 1}))
    desk.reply(desk.take(), 500, {"name": "E", "message": "no"})
    desk.wait(1000)
    desk.answer(op("Sleep", "s", duration="5s"), *plan("p"))
    desk.answer(run_op("p"))
    read = reads(desk)
    (run,) = read.runs_of_event(event_id)
    assert (run.status, run.function_slug, run.event_name, run.output) == (
        "RUNNING",
        "app-f",
        "f",
        None,
    )
    assert [(s.name, s.op, s.status, s.attempts) for s in read.steps(run.id)] == [
        ("a", "StepRun", "COMPLETED", 1),
        ("s", "Sleep", "WAITING", 0),
        ("p", "StepRun", "COMPLETED", 1),
    ]
    (attempt,) = read.attempts(run.id)
    assert (attempt.attempt, attempt.step_id, attempt.retry_at) == (0, "", attempt.ended_at + 1000)
    desk.wait(5000)
    desk.reply(desk.take(), 200, {"ok": True})
    again = read.run(run.id)
    assert again is not None
    assert (again.status, again.output) == ("COMPLETED", {"ok": True})
    assert again.ended_at == desk.now


def test_reads_give_state_only_while_a_run_is_live(desk: Desk) -> None:
    desk.send("f", user={"id": 1})
    desk.answer(run_op("a"))
    read, run_id = reads(desk), desk.run.id
    assert read.actions(run_id) == b'{"%b":{"data":1}}' % hashed("a").encode()
    assert b'"user":{"id":1}' in (read.batch(run_id) or b"")
    desk.reply(desk.take(), 200)
    assert (read.actions(run_id), read.batch(run_id), read.actions("nope")) == (None, None, None)


def test_lists_filter_and_page(desk: Desk) -> None:
    for n in range(5):
        desk.now += 10
        desk.send("f" if n % 2 else "g")
    for call in list(desk.open)[:2]:
        desk.open.remove(call)
        desk.reply(call, 200)
    read = reads(desk)
    everything = read.runs(limit=10)
    assert [run.id for run in everything] == sorted((run.id for run in everything), reverse=True)
    assert [run.id for run in read.runs(limit=2, before=everything[1].id)] == [
        run.id for run in everything[2:4]
    ]
    assert len(read.runs(statuses=["COMPLETED"])) == 2
    assert len(read.runs(statuses=["COMPLETED", "RUNNING"], since=desk.now)) == 1
    assert {run.function_slug for run in read.runs(function_ids=[everything[0].function_id])} == {
        everything[0].function_slug
    }
    assert len(read.events(name="g")) == 3
    assert len(read.events(include_internal=False)) == 5
    with pytest.raises(ValueError, match="time_field"):
        read.runs(time_field="id; DROP TABLE runs")


def test_apps_and_functions(desk: Desk) -> None:
    read = reads(desk)
    (app,) = read.apps()
    assert (app.name, app.url) == ("app", "http://app/api/inngest")
    desk.sync(function("g"))
    assert [(f.slug, f.archived) for f in read.functions(app.id)] == [
        ("app-f", True),
        ("app-g", False),
    ]
    assert read.functions("nope") == []
