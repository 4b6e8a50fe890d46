"""The reads: what pages, APIs and tests are told about events, runs, steps, apps, functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from inngest_contrib.devserver.engine.commands import Changes, Settings
from inngest_contrib.devserver.engine.ids import Ids
from inngest_contrib.devserver.engine.state import Event, Run, Status
from inngest_contrib.devserver.reads import Reads
from inngest_contrib.devserver.store import Store
from tests.contrib.devserver.engine.desk import START, Desk, function, hashed, op, plan, run_op


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
    assert len(read.events(names=["g"])) == 3
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


# ---- a long history


ENDED = 3_000
RARE = 30
"""The oldest runs have failed."""


@pytest.fixture(scope="module")
def history() -> Iterator[Reads]:
    """Thousands of runs of f, and before them some of g; a tenth of a second apart."""
    store = Store(None)
    desk = Desk(Settings(), store)
    desk.sync(function(), function("g"))
    ids, changes = Ids(b"history"), Changes()
    rare, common = desk.engine.state.slugs["app-g"], desk.engine.state.slugs["app-f"]
    event = Event("e", "e", "f", START, START, b"{}")
    for n in range(ENDED):
        at, old = START + n * 100, n < RARE
        status = Status.FAILED if old else Status.COMPLETED
        owner = rare if n < 2 * RARE else common
        changes.keep(Run(ids.ulid(at), owner, [event], at, status, at + 1, at + 2))
    store.commit(store.prepare(changes))
    yield Reads(store.reader, {})
    store.close()


def work(read: Reads, ask: Callable[[], object]) -> int:
    """How many instructions of its machine SQLite takes to answer; the same each time."""
    ask()
    taken: list[None] = []
    read._db.set_progress_handler(lambda: taken.append(None), 1)
    try:
        ask()
    finally:
        read._db.set_progress_handler(None, 1)
    return len(taken)


def owner(read: Reads, slug: str) -> str:
    (found,) = [one.id for one in read.functions() if one.slug == slug]
    return found


@pytest.mark.parametrize("ascending", [False, True])
@pytest.mark.parametrize("slug", [None, "app-f", "app-g"])
@pytest.mark.parametrize(
    "statuses", [(), ("FAILED",), ("COMPLETED",), ("FAILED", "COMPLETED"), ("CANCELLED",)]
)
def test_a_page_costs_the_same_however_many_runs_do_not_fit(
    history: Reads, statuses: tuple[str, ...], slug: str | None, ascending: bool
) -> None:
    owners = [owner(history, slug)] if slug else []
    pages = partial(
        history.runs, statuses=statuses, function_ids=owners, ascending=ascending, limit=5
    )
    # To look at each run takes three instructions a run, at the least.
    assert work(history, pages) < ENDED
    shown = pages()
    assert not shown or work(history, partial(pages, before=shown[-1].id)) < ENDED


@pytest.mark.parametrize("statuses", [(), ("FAILED",), ("COMPLETED", "FAILED")])
@pytest.mark.parametrize("slugs", [(), ("app-g",), ("app-f", "app-g")])
@pytest.mark.parametrize("ascending", [False, True])
def test_pages_that_are_put_together_miss_nothing_and_keep_the_order(
    history: Reads, statuses: tuple[str, ...], slugs: tuple[str, ...], ascending: bool
) -> None:
    owners = [owner(history, slug) for slug in slugs]
    fits = [
        run.id
        for run in history.runs(limit=ENDED, ascending=ascending)
        if (not statuses or run.status in statuses) and (not slugs or run.function_slug in slugs)
    ]
    read: list[str] = []
    while page := history.runs(
        statuses=statuses,
        function_ids=owners,
        ascending=ascending,
        before=read[-1] if read else None,
        limit=97,
    ):
        read += [run.id for run in page]
    assert read == fits
    assert history.count_runs(statuses=statuses, function_ids=owners) == len(fits)


def test_a_page_of_an_app_that_has_most_runs_is_read_from_its_end(history: Reads) -> None:
    (app,) = history.apps()
    page = partial(history.runs, app_ids=[app.id], limit=5)
    assert page() == history.runs(limit=5)
    assert work(history, page) < ENDED


def test_a_list_since_a_time_begins_there(history: Reads) -> None:
    since = START + (ENDED - 20) * 100
    recent = partial(history.runs, since=since, ascending=True, limit=5)
    assert [run.queued_at for run in recent()] == [since + n * 100 for n in range(5)]
    assert work(history, recent) < ENDED


def test_runs_sorted_by_their_queueing_are_not_sorted_anew(history: Reads) -> None:
    sorted_runs = partial(history.sorted_runs, limit=5)
    assert sorted_runs() == history.runs(limit=5)
    assert work(history, sorted_runs) < ENDED
    last = sorted_runs()[-1]
    after = history.sorted_runs(limit=5, after=(last.queued_at, last.id))
    assert after == history.runs(limit=5, before=last.id)


def test_counts_of_statuses_and_functions_are_read_from_an_index(history: Reads) -> None:
    asked: list[str] = []
    history._db.set_trace_callback(asked.append)
    f, (app,) = owner(history, "app-f"), history.apps()
    asked.clear()
    history.count_runs(statuses=["FAILED"])
    history.count_runs(function_ids=[f])
    history.count_runs(app_ids=[app.id])
    history.count_runs()
    history._db.set_trace_callback(None)
    for sql in asked:
        plan = [row[3] for row in history._db.execute(f"EXPLAIN QUERY PLAN {sql}")]
        assert "COVERING INDEX runs_by_" in plan[0], (sql, plan)
    assert len(asked) == 4
