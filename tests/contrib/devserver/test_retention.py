"""What ended long ago goes, and nothing that anything else needs."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from inngest_contrib.devserver.engine.commands import CancelRun, InvokeFunction, Rerun
from inngest_contrib.devserver.loop import Server, ServerConfig
from inngest_contrib.devserver.metrics import Metrics
from inngest_contrib.devserver.retention import sweep_interval
from inngest_contrib.devserver.store import Store
from inngest_core.wire.ids import ulid
from tests.contrib.devserver import old_databases
from tests.contrib.devserver.engine.desk import Equality, next_minute, op
from tests.contrib.devserver.test_loop import (
    App,
    all_ended,
    return_at_once,
    send,
    serving,
    steps_then_done,
)

OLD, CUTOFF, YOUNG = 1_000_000, 2_000_000, 3_000_000
PARTS = ("steps", "attempts", "notes", "spans", "defers")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(str(tmp_path / "x.db"))
    yield store
    store.close()


def new_id(ms: int, name: str) -> str:
    return ulid(ms, name.encode().ljust(10, b"\0"))


def add_event(store: Store, name: str, ms: int = OLD, size: int = 10) -> str:
    event_id = new_id(ms, name)
    row = (event_id, event_id, "f", ms, ms, b"1" * size, None, None, None)
    store.commit([("INSERT INTO events VALUES (?,?,?,?,?,?,?,?,?)", [row])])
    return event_id


def add_run(
    store: Store, event_ids: list[str], *, began: int = OLD, ended: int | None = OLD, parts: int = 1
) -> str:
    """Store a run with so many steps, attempts, notes and deferred functions."""
    run_id = new_id(
        began, "run" + str(store.reader.execute("SELECT count(*) FROM runs").fetchone())
    )
    ids = ",".join(event_ids)
    status = "RUNNING" if ended is None else "COMPLETED"
    run = (run_id, "F", ids, "f", status, began, began, ended, 2, 0, None, None, None, b"1", None)
    steps = [(run_id, n, str(n), "s", "StepRun", "COMPLETED", 1, 1, 1, 1, "") for n in range(parts)]
    store.commit(
        [
            (f"INSERT INTO runs VALUES ({','.join('?' * 15)})", [run]),
            ("INSERT INTO causes VALUES (?, ?)", [(one, run_id) for one in event_ids]),
            (f"INSERT INTO steps VALUES ({','.join('?' * 11)},0,NULL,NULL,'1')", steps),
            (
                "INSERT INTO attempts VALUES (?,?,'j',0,'s',1,'{}',NULL)",
                [(run_id, n) for n in range(parts)],
            ),
            (
                "INSERT INTO notes VALUES (?,?,'','run','k','merge','{}',1)",
                [(run_id, str(n)) for n in range(parts)],
            ),
            (
                "INSERT INTO spans VALUES (?,?,'','s','INTERNAL',1,1,0,'','','{}')",
                [(run_id, str(n)) for n in range(parts)],
            ),
            (
                "INSERT INTO defers VALUES (?,?,'d','n','s','{}',NULL,0,NULL)",
                [(run_id, n) for n in range(parts)],
            ),
        ]
    )
    return run_id


def sweep(store: Store, before: int = CUTOFF) -> int:
    """Sweep to the end; in how many pieces."""
    one, pieces = store.sweep(before), 1
    while one.step():
        pieces += 1
    return pieces


def ids(store: Store, table: str) -> set[str]:
    return {one for (one,) in store.reader.execute(f"SELECT id FROM {table}")}


def count(store: Store, table: str) -> int:
    return int(store.reader.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


def test_an_old_run_goes_with_all_that_is_its_own(store: Store) -> None:
    add_run(store, [add_event(store, "a"), add_event(store, "b")], parts=45)
    sweep(store)
    assert {
        table: count(store, table) for table in ("runs", "events", "causes", *PARTS)
    } == dict.fromkeys(("runs", "events", "causes", *PARTS), 0)


def test_what_is_young_or_has_not_ended_stays_whole(store: Store) -> None:
    events = [add_event(store, name) for name in "abc"]
    runs = {
        add_run(store, events[:1], ended=None, parts=3),
        add_run(store, events[1:2], ended=YOUNG, parts=3),
        add_run(store, events[2:], began=YOUNG, ended=YOUNG, parts=3),
    }
    sweep(store)
    assert ids(store, "runs") == runs
    assert ids(store, "events") == {*events}
    assert {count(store, part) for part in PARTS} == {9}


def test_an_event_stays_as_long_as_one_of_its_runs(store: Store) -> None:
    event = add_event(store, "a")
    add_run(store, [event])
    other = add_run(store, [event], ended=None)
    sweep(store)
    assert (ids(store, "runs"), ids(store, "events")) == ({other}, {event})


def test_an_event_that_started_nothing_goes(store: Store) -> None:
    add_event(store, "a")
    young = add_event(store, "b", YOUNG)
    sweep(store)
    assert ids(store, "events") == {young}


def test_an_event_that_is_held_back_stays(store: Store) -> None:
    held = add_event(store, "a")
    store.commit([("INSERT INTO held VALUES ('H', 0, ?, NULL)", [(held,)])])
    sweep(store)
    assert ids(store, "events") == {held}


def test_what_a_key_of_an_invocation_led_to_stays(store: Store) -> None:
    event = add_event(store, "a")
    run = add_run(store, [event])
    store.commit([("INSERT INTO invocations VALUES ('F','w',?,?,1)", [(event, run)])])
    sweep(store)
    assert (ids(store, "runs"), ids(store, "events")) == ({run}, {event})


def test_what_is_counted_and_remembered_stays(store: Store) -> None:
    store.commit([("INSERT INTO dedupes VALUES ('F', 'e', 1)", [()])])
    store.commit([("INSERT INTO meters VALUES ('F', 'rate', 'b', 1)", [()])])
    sweep(store)
    assert (count(store, "dedupes"), count(store, "meters")) == (1, 1)


def test_many_of_all_kinds_are_looked_through(store: Store) -> None:
    for n in range(250):
        add_run(store, [add_event(store, f"e{n}", OLD + n)], began=OLD + n)
    live = add_run(store, [add_event(store, "live")], ended=None)
    sweep(store)
    assert ids(store, "runs") == {live}
    assert count(store, "events") == 1


def test_it_is_done_in_pieces_between_which_others_write(store: Store) -> None:
    for n in range(30):
        add_run(store, [add_event(store, f"e{n}", OLD + n)], began=OLD + n, parts=200)
    one = store.sweep(CUTOFF)
    assert one.step()
    young = add_event(store, "young", YOUNG)
    while one.step():
        assert not store._db.in_transaction
    assert (count(store, "runs"), ids(store, "events")) == (0, {young})


def test_the_file_gives_its_space_back(store: Store) -> None:
    for n in range(40):
        add_event(store, f"e{n}", OLD + n, size=100_000)
    store.checkpoint()
    before = size_of(store)
    sweep(store)
    store.checkpoint()
    assert before > 4_000_000
    assert size_of(store) < 400_000


def size_of(store: Store) -> int:
    (_, _, path) = store.reader.execute("PRAGMA database_list").fetchone()
    return os.path.getsize(path)


def test_a_file_of_an_old_version_is_swept_too(tmp_path: Path) -> None:
    path = str(tmp_path / "old.db")
    old_databases.make_database(path, 1)
    store = Store(path)
    add_run(store, [add_event(store, "a")])
    sweep(store)
    assert ids(store, "runs") == {"01R"}
    store.close()


@pytest.mark.parametrize(("retain", "seconds"), [(1, 1.0), (60_000, 6.0), (604_800_000, 600.0)])
def test_short_times_are_looked_at_more_often(retain: int, seconds: float) -> None:
    assert sweep_interval(retain) == seconds


@pytest.mark.parametrize("retain", [0, -1])
def test_no_time_at_all_is_refused(retain: int) -> None:
    with pytest.raises(ValueError, match="retain"):
        Server(ServerConfig(retain=retain), expressions=Equality(), next_tick=next_minute)


@pytest.mark.parametrize("config", [{}, {"durability": "normal"}, {"durability": "full"}])
def test_a_server_forgets_while_it_works(tmp_path: Path, config: dict[str, Any]) -> None:
    if config:
        config = {**config, "database": str(tmp_path / "x.db")}

    async def scenario() -> None:
        async with serving(App(steps_then_done(2)), retain=1, **config) as server:
            await send(server, 5)
            for _ in range(2000):
                if not server.reads.runs() and not server.reads.events():
                    break
                await asyncio.sleep(0.005)
            assert server.reads.runs() == []
            assert len(await send(server, 5)) == 5

    asyncio.run(scenario())


def test_what_sleeps_is_there_after_a_restart(tmp_path: Path) -> None:
    async def sleep(body: dict[str, Any]) -> tuple[int, Any]:
        return 206, [op("Sleep", "s", duration="1h")]

    async def scenario() -> None:
        config: dict[str, Any] = {"database": str(tmp_path / "x.db"), "retain": 1}
        async with serving(App(sleep), **config) as server:
            await send(server)
            while not any(run.waits for run in server.reads.live()):
                await asyncio.sleep(0.005)
            await server._sweep(server._store.sweep(2**47))
        async with serving(App(sleep), **config) as server:
            (run,) = server.reads.live()
            assert await server.submit(CancelRun(run.id)) == "done"

    asyncio.run(scenario())


def test_a_key_leads_to_its_run_although_that_is_old(tmp_path: Path) -> None:
    async def scenario() -> None:
        config: dict[str, Any] = {"database": str(tmp_path / "x.db"), "retain": 1}
        async with serving(App(return_at_once), **config) as server:
            first = await server.submit(InvokeFunction(slug="app-f", data={}, key="once"))
            await all_ended(server)
            await server._sweep(server._store.sweep(2**47))
            again = await server.submit(InvokeFunction(slug="app-f", data={}, key="once"))
            assert (again.known, again.run_id) == (True, first.run_id)
            assert server.reads.run(first.run_id) is not None

    asyncio.run(scenario())


def test_a_run_that_is_repeated_while_it_is_deleted_brings_its_events_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        database = str(tmp_path / "x.db")
        async with serving(App(return_at_once), database=database) as server:
            metrics = Metrics(server)
            await send(server)
            await all_ended(server)
            (run,) = server.reads.runs()
            events = server.reads.records(run.event_ids)
            await server._sweep(server._store.sweep(2**47))
            assert server.reads.events() == []
            wish = Rerun(original_run_id=run.id, function_id=run.function_id, events=events)
            await server.submit(wish)
            assert server.reads.event(events[0].id) is not None
            assert 'received_total{origin="app"} 1\n' in metrics.write("1")

    asyncio.run(scenario())


def test_without_it_everything_is_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        database = str(tmp_path / "x.db")
        async with serving(App(return_at_once), database=database) as server:
            await send(server)
            await all_ended(server)
            assert server._retaining is None
        with contextlib.closing(sqlite3.connect(database)) as db:
            assert db.execute("SELECT count(*) FROM runs").fetchone() == (1,)

    asyncio.run(scenario())
