"""The reads: what pages, APIs and tests are told about events, runs, steps, apps, functions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from inngest_contrib.devserver.engine.commands import Settings
from inngest_contrib.devserver.reads import Reads
from inngest_contrib.devserver.store import Store
from tests.contrib.devserver.engine.desk import Desk, function, hashed, op, plan, run_op


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    store = Store(str(tmp_path / "x.db"))
    desk = Desk(Settings(retry_interval=1000), store)
    desk.sync(function(retries=1), function("g", {"event": "g"}))
    yield desk
    store.close()


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
