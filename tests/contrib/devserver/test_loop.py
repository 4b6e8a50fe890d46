"""The loop: answers after the commit, dispatches at once, stops in order."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from inngest_contrib.devserver.engine.commands import NewEvent, ReceiveEvents, SyncApp
from inngest_contrib.devserver.loop import Server, ServerConfig, ServerStopped
from inngest_core.wire.http import CommRequest, CommResponse
from tests.contrib.devserver.engine.desk import (
    HEADERS,
    URL,
    Equality,
    function,
    next_minute,
    op,
    run_op,
)

Answer = Callable[[dict[str, Any]], Awaitable[tuple[int, Any]]]


class App:
    """An app in this process: what it answers is a function of the call's body."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.calls: list[dict[str, Any]] = []

    async def answer(self, request: CommRequest) -> CommResponse:
        body = json.loads(request.body)
        self.calls.append(body)
        status, value = await self._answer(body)
        return CommResponse(status, dict(HEADERS), json.dumps(value).encode())


@asynccontextmanager
async def serving(app: App, **config: Any) -> AsyncIterator[Server]:
    server = new_server(**config)
    await server.start()
    server.attach(URL, app)
    await server.submit(SyncApp(name="app", url=URL, functions=[function()]))
    try:
        yield server
    finally:
        await server.stop()


def new_server(**config: Any) -> Server:
    return Server(ServerConfig(**config), expressions=Equality(), next_tick=next_minute)


async def send(server: Server, count: int = 1) -> list[str]:
    ids: list[str] = await server.submit(ReceiveEvents([NewEvent(name="f")] * count))
    return ids


async def all_ended(server: Server, count: int = 1) -> None:
    for _ in range(2000):
        runs = server.reads.runs(limit=100)
        if len(runs) >= count and all(run.ended_at for run in runs):
            return
        await asyncio.sleep(0.005)
    raise AssertionError(f"not ended: {server.reads.runs(limit=100)}")


async def return_at_once(body: dict[str, Any]) -> tuple[int, Any]:
    return 200, "done"


def steps_then_done(steps: int) -> Answer:
    async def answer(body: dict[str, Any]) -> tuple[int, Any]:
        done = len(body["steps"])
        return (206, [run_op(f"s{done}")]) if done < steps else (200, done)

    return answer


@pytest.mark.parametrize("durability", ["normal", "full"])
def test_runs_complete(tmp_path: Path, durability: str) -> None:
    async def scenario() -> None:
        app = App(steps_then_done(3))
        database = str(tmp_path / "x.db")
        async with serving(app, database=database, durability=durability) as server:
            await send(server, 10)
            await all_ended(server, 10)
            assert {run.output for run in server.reads.runs()} == {3}
        assert len(app.calls) == 40

    asyncio.run(scenario())


def test_an_answer_comes_after_the_commit(tmp_path: Path) -> None:
    async def scenario() -> None:
        database = str(tmp_path / "x.db")
        async with serving(App(return_at_once), database=database) as server:
            (event_id,) = await send(server)
            with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as other:
                found = other.execute("SELECT id FROM events WHERE id = ?", (event_id,)).fetchall()
            assert found == [(event_id,)]

    asyncio.run(scenario())


def test_a_step_is_dispatched_when_it_is_due() -> None:
    async def sleep_once(body: dict[str, Any]) -> tuple[int, Any]:
        return (200, None) if body["steps"] else (206, [op("Sleep", "s", duration="200ms")])

    async def scenario() -> None:
        async with serving(App(sleep_once)) as server:
            began = time.monotonic()
            await send(server)
            await all_ended(server)
            assert 0.2 <= time.monotonic() - began < 5.0

    asyncio.run(scenario())


def test_stopping_waits_for_calls_in_progress(tmp_path: Path) -> None:
    async def slowly(body: dict[str, Any]) -> tuple[int, Any]:
        await asyncio.sleep(0.2)
        return 200, "kept"

    async def scenario() -> None:
        database = str(tmp_path / "x.db")
        async with serving(App(slowly), database=database) as server:
            await send(server)
            await asyncio.sleep(0.05)
        with pytest.raises(ServerStopped):
            await send(server)
        with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as db:
            assert db.execute("SELECT status, output FROM runs").fetchall() == [
                ("COMPLETED", b'"kept"')
            ]

    asyncio.run(scenario())


def test_a_call_that_outlasts_the_grace_is_made_again_at_the_next_start(tmp_path: Path) -> None:
    async def hang(body: dict[str, Any]) -> tuple[int, Any]:
        await asyncio.sleep(60)
        return 200, None

    async def scenario() -> None:
        database = str(tmp_path / "x.db")
        server = new_server(database=database)
        await server.start()
        server.attach(URL, App(hang))
        await server.submit(SyncApp(name="app", url=URL, functions=[function()]))
        await send(server)
        await asyncio.sleep(0.05)
        await server.stop(grace=0.05)
        app = App(return_at_once)
        async with serving(app, database=database) as second:
            await all_ended(second)
        assert [call["ctx"]["attempt"] for call in app.calls] == [0]

    asyncio.run(scenario())


def test_a_store_that_fails_stops_the_server_and_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with serving(App(return_at_once), database=str(tmp_path / "x.db")) as server:

            def fail(statements: Any) -> None:
                raise sqlite3.OperationalError("database or disk is full")

            server._store.commit = fail  # type: ignore[method-assign]
            with pytest.raises(ServerStopped, match="disk is full"):
                await send(server)
            with pytest.raises(ServerStopped):
                await send(server)

    asyncio.run(scenario())


def test_an_app_that_raises_fails_its_run_only() -> None:
    async def explode(body: dict[str, Any]) -> tuple[int, Any]:
        raise RuntimeError("oh no")

    async def scenario() -> None:
        async with serving(App(explode)) as server:
            await send(server)
            await all_ended(server)
            (run,) = server.reads.runs()
            assert run.status == "FAILED"
            assert "oh no" in run.output["message"]

    asyncio.run(scenario())


def test_watchers_hear_of_every_commit_until_they_stop() -> None:
    async def scenario() -> None:
        async with serving(App(return_at_once)) as server:
            heard: list[str] = []
            stop = server.watch(lambda records: heard.extend(r.TABLE for r in records))
            await send(server)
            await all_ended(server)
            assert {"events", "runs", "jobs"} <= set(heard)
            stop()
            heard.clear()
            await send(server)
            assert heard == []

    asyncio.run(scenario())


def test_an_unknown_durability_is_refused() -> None:
    with pytest.raises(ValueError, match='"normal" or "full", not "maximal"'):
        new_server(durability="maximal")


def test_a_mistake_of_the_engine_is_the_callers_error_and_no_one_elses() -> None:
    async def scenario() -> None:
        async with serving(App(return_at_once)) as server:
            with pytest.raises(AttributeError):
                await server.submit(SyncApp(name="bad", url="http://x/", functions=[None]))  # type: ignore[list-item]  # on purpose
            await send(server)
            await all_ended(server)

    asyncio.run(scenario())


def test_a_watcher_that_raises_stops_nothing() -> None:
    async def scenario() -> None:
        async with serving(App(return_at_once)) as server:
            server.watch(lambda records: [][0])
            await send(server)
            await all_ended(server)

    asyncio.run(scenario())


def test_full_durability_reports_a_failing_store_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        database = str(tmp_path / "x.db")
        async with serving(App(return_at_once), database=database, durability="full") as server:

            def fail(statements: Any) -> None:
                raise sqlite3.OperationalError("disk I/O error")

            server._store.commit = fail  # type: ignore[method-assign]
            with pytest.raises(ServerStopped, match="disk I/O error"):
                await send(server)

    asyncio.run(scenario())


def test_a_long_log_is_written_back_while_the_server_works(tmp_path: Path) -> None:
    async def large(body: dict[str, Any]) -> tuple[int, Any]:
        return 200, "x" * 200_000

    async def scenario() -> None:
        database = str(tmp_path / "x.db")
        async with serving(App(large), database=database) as server:
            for _ in range(70):
                await send(server)
                await all_ended(server)
            assert Path(database).stat().st_size > 4_000_000

    asyncio.run(scenario())
