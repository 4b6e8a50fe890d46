"""
What the store knows, as plain records for pages, APIs and tests. Nothing here changes anything.

Times are unix milliseconds, ids ULIDs, `*_json` raw JSON text. Lists are newest first unless
they say otherwise, and end where `limit` or the table does; pass the last id as `before` to go on.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from inngest_contrib.devserver.engine.ids import first_ulid
from inngest_contrib.devserver.engine.state import Event, Run, Status, WaitKind
from inngest_contrib.devserver.notes import NoteView
from inngest_contrib.devserver.views import (
    ATTEMPTS,
    EVENTS,
    FUNCTIONS,
    NOTES,
    RUNS,
    SPANS,
    STEPS,
    AppView,
    AttemptView,
    DeferView,
    EventView,
    FunctionView,
    JobView,
    RunView,
    SpanView,
    StepView,
    app_view,
    attempt_view,
    event_view,
    function_view,
    note_view,
    run_view,
    span_view,
    step_view,
)
from inngest_core.wire.names import DEFERRED

_TIME_FIELDS = ("queued_at", "started_at", "ended_at")
_READ_FROM_ROWS = ("since", "until", "deferred")
"""Conditions that no index answers."""
_MAX_BRANCHES = 40
"""SQLite takes up to 500."""


class Reads:
    """Questions to the store. Every answer is committed state."""

    def __init__(self, db: sqlite3.Connection, live: Mapping[str, Run]) -> None:
        self._db = db
        self._live = live

    def event(self, event_id: str) -> EventView | None:
        """One event by its internal id."""
        rows = self._ask(f"{EVENTS} WHERE id = ?", event_id)
        return event_view(rows[0]) if rows else None

    def records(self, event_ids: Sequence[str]) -> list[Event]:
        """Events as the engine holds them, for a run that repeats another."""
        found = (self._ask(f"{EVENTS} WHERE id = ?", one) for one in event_ids)
        return [Event(*row) for rows in found for row in rows]

    def events(
        self,
        *,
        names: Sequence[str] = (),
        include_internal: bool = True,
        since: int | None = None,
        until: int | None = None,
        before: str | None = None,
        limit: int = 20,
    ) -> list[EventView]:
        """Events, newest first. `since` and `until` bound the time of receipt."""
        where = _of_events(names, include_internal, since, until)
        where.add("id < ?", before)
        sql = f"{EVENTS}{where} ORDER BY id DESC LIMIT ?"
        return [event_view(row) for row in self._ask(sql, *where.values, limit)]

    def count_events(
        self,
        *,
        names: Sequence[str] = (),
        include_internal: bool = True,
        since: int | None = None,
        until: int | None = None,
    ) -> int:
        """How many events there are of that kind; this looks at each of them."""
        where = _of_events(names, include_internal, since, until)
        return int(self._ask(f"SELECT count(*) FROM events{where}", *where.values)[0][0])

    def run(self, run_id: str) -> RunView | None:
        """One run."""
        rows = self._ask(f"{RUNS} WHERE r.id = ?", run_id)
        return run_view(rows[0]) if rows else None

    def runs(
        self,
        *,
        statuses: Sequence[str] = (),
        function_ids: Sequence[str] = (),
        app_ids: Sequence[str] = (),
        since: int | None = None,
        until: int | None = None,
        time_field: str = "queued_at",
        deferred: bool | None = None,
        before: str | None = None,
        ascending: bool = False,
        limit: int = 20,
    ) -> list[RunView]:
        """Runs in the order of their ids. `since` and `until` bound the `time_field`."""
        branches = _branches(
            statuses=statuses,
            function_ids=function_ids,
            app_ids=app_ids,
            since=since,
            until=until,
            time_field=time_field,
            deferred=deferred,
        )
        for where in branches:
            where.add("r.id > ?" if ascending else "r.id < ?", before)
        order = f"ORDER BY r.id {'ASC' if ascending else 'DESC'} LIMIT ?"
        each = [f"SELECT * FROM (SELECT r.id FROM runs r{where} {order})" for where in branches]
        values = [value for where in branches for value in (*where.values, limit)]
        sql = f"{RUNS} WHERE r.id IN ({' UNION ALL '.join(each)}) {order}"
        return [run_view(row) for row in self._ask(sql, *values, limit)]

    def sorted_runs(
        self,
        *,
        field: str = "queued_at",
        ascending: bool = False,
        after: tuple[int, str] | None = None,
        limit: int = 20,
        **chosen: Any,
    ) -> list[RunView]:
        """Runs in the order of a time; `after` is that time and the id of the last one seen.

        `chosen` is what `count_runs` takes. Ids are in the order of queueing; for another time
        this looks at every run.
        """
        if field not in _TIME_FIELDS:
            raise ValueError(f"field must be one of {_TIME_FIELDS}, not {field!r}")
        if field == "queued_at":
            before = None if after is None else after[1]
            return self.runs(**chosen, before=before, ascending=ascending, limit=limit)
        where, moment = _of_runs(**chosen), f"coalesce(r.{field}, 0)"
        if after is not None:
            where.text.append(f"({moment}, r.id) {'>' if ascending else '<'} (?, ?)")
            where.values.extend(after)
        way = "ASC" if ascending else "DESC"
        order = f"ORDER BY {moment} {way}, r.id {way} LIMIT ?"
        # Ids are sorted first: whole rows are only made of those that are shown.
        sql = f"{RUNS} WHERE r.id IN (SELECT r.id FROM runs r{where} {order}) {order}"
        return [run_view(row) for row in self._ask(sql, *where.values, limit, limit)]

    def count_runs(self, **chosen: Any) -> int:
        """How many runs there are: of statuses, function_ids, app_ids, since, until, deferred."""
        where = _of_runs(**chosen, counted=True)
        return int(self._ask(f"SELECT count(*) FROM runs r{where}", *where.values)[0][0])

    def runs_of_event(self, event_id: str) -> list[RunView]:
        """Oldest first."""
        chosen = "SELECT run_id FROM causes WHERE event_id = ?"
        rows = self._ask(f"{RUNS} WHERE r.id IN ({chosen}) ORDER BY r.id", event_id)
        return [run_view(row) for row in rows]

    def steps(self, run_id: str) -> list[StepView]:
        """In the order in which the server heard of them."""
        rows = self._ask(f"{STEPS} WHERE run_id = ? ORDER BY number", run_id)
        return [step_view(row) for row in rows]

    def attempts(self, run_id: str) -> list[AttemptView]:
        """Failed attempts, oldest first."""
        rows = self._ask(f"{ATTEMPTS} WHERE run_id = ? ORDER BY ended_at, attempt", run_id)
        return [attempt_view(row) for row in rows]

    def notes(self, run_id: str) -> list[NoteView]:
        """The metadata of a run and its steps as it was sent, oldest first."""
        return [
            note_view(row) for row in self._ask(f"{NOTES} WHERE run_id = ? ORDER BY id", run_id)
        ]

    def notes_size(self, run_id: str) -> int:
        """How many bytes of metadata a run has."""
        (row,) = self._ask('SELECT sum(length("values")) FROM notes WHERE run_id = ?', run_id)
        return row[0] or 0

    def spans(self, run_id: str) -> list[SpanView]:
        """What the app of a run has traced itself, oldest first."""
        sql = f"{SPANS} WHERE run_id = ? ORDER BY began_at, id"
        return [span_view(row) for row in self._ask(sql, run_id)]

    def count_spans(self, run_id: str) -> int:
        """How many spans there are of a run."""
        return int(self._ask("SELECT count(*) FROM spans WHERE run_id = ?", run_id)[0][0])

    def expiry(self, run_id: str, step_id: str) -> int | None:
        """When a step that waits gives up; None if it does not wait."""
        run = self._live.get(run_id)
        waiting = None if run is None else run.waits.get(step_id)
        return None if waiting is None else waiting.expires

    def live(self) -> Iterable[Run]:
        """The runs that have not ended, as the engine holds them."""
        return self._live.values()

    def size(self) -> int:
        """The bytes of the database."""
        pages, bytes_each = self._ask("PRAGMA page_count"), self._ask("PRAGMA page_size")
        return int(pages[0][0]) * int(bytes_each[0][0])

    def jobs(self, run_id: str) -> list[JobView]:
        """What a run has before it, soonest first; nothing once it has ended."""
        run = self._live.get(run_id)
        if run is None:
            return []
        kind = "start" if run.started_at is None else "edge"
        found = [JobView(job.id, job.run_at, kind, job.attempt) for job in run.jobs.values()]
        for one in run.waits.values():
            paused = "sleep" if one.kind is WaitKind.SLEEP else "pause"
            found.append(JobView(one.correlation, one.expires, paused, 0))
        return sorted(found, key=lambda job: job.at)

    def defers(self, run_id: str) -> list[DeferView]:
        """What a run wants started once it has ended, in its order."""
        sql = (
            "SELECT id, name, slug, aborted, event_id FROM defers WHERE run_id = ? ORDER BY number"
        )
        return [DeferView(i, n, s, bool(a), e) for i, n, s, a, e in self._ask(sql, run_id)]

    def actions(self, run_id: str) -> bytes | None:
        """The memos of a run in progress as a JSON object, for `use_api`; None once it ended."""
        run = self._live.get(run_id)
        return None if run is None else b"{%b}" % run.memos.joined()

    def batch(self, run_id: str) -> bytes | None:
        """The events of a run in progress as a JSON array, for `use_api`; None once it ended."""
        run = self._live.get(run_id)
        return None if run is None else b"[%b]" % b",".join([event.bare for event in run.events])

    def apps(self) -> list[AppView]:
        """All apps by name; those that were never reached have none."""
        rows = self._ask("SELECT * FROM apps ORDER BY name, url")
        return [app_view(row) for row in rows]

    def functions(self, app_id: str | None = None) -> list[FunctionView]:
        """Functions by slug, of all apps or one; archived ones too."""
        where = _Where()
        where.add("app_id = ?", app_id)
        rows = self._ask(f"{FUNCTIONS}{where} ORDER BY slug", *where.values)
        return [function_view(row) for row in rows]

    def _ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()


class _Where:
    """Conditions, as far as there are values for them."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.values: list[Any] = []

    def add(self, condition: str, value: Any) -> None:
        if value is not None:
            self.text.append(condition)
            self.values.append(value)

    def add_any(self, column: str, values: Sequence[Any]) -> None:
        if values:
            self.text.append(f"{column} IN ({','.join('?' * len(values))})")
            self.values.extend(values)

    def __str__(self) -> str:
        return f" WHERE {' AND '.join(self.text)}" if self.text else ""


def _of_events(
    names: Sequence[str], include_internal: bool, since: int | None, until: int | None
) -> _Where:
    where = _Where()
    where.add_any("name", names)
    where.add("received_at >= ?", since)
    where.add("received_at < ?", until)
    if not include_internal:
        where.text.append("name NOT LIKE 'inngest/%'")
    return where


def _of_runs(
    *,
    statuses: Sequence[str] = (),
    function_ids: Sequence[str] = (),
    app_ids: Sequence[str] = (),
    since: int | None = None,
    until: int | None = None,
    time_field: str = "queued_at",
    deferred: bool | None = None,
    counted: bool = False,
) -> _Where:
    if time_field not in _TIME_FIELDS:
        raise ValueError(f"time_field must be one of {_TIME_FIELDS}, not {time_field!r}")
    where = _Where()
    # To look a row up by an index costs ten times as much as to pass it by, so that one is only
    # of use where nothing else is read of the row. A plus keeps SQLite from using it.
    plus = "" if counted and since is until is deferred is None else "+"
    where.add_any(f"{plus}r.status", statuses)
    where.add_any(f"{plus}r.function_id", function_ids)
    if app_ids:
        marks = ",".join("?" * len(app_ids))
        ids = f"SELECT id FROM functions WHERE app_id IN ({marks})"
        where.text.append(f"{plus}r.function_id IN ({ids})")
        where.values.extend(app_ids)
    if time_field == "queued_at":
        # An id is as old as its run, or younger where the clock was set back; never older.
        where.add("r.id >= ?", None if since is None else first_ulid(since))
    where.add(f"r.{time_field} >= ?", since)
    where.add(f"r.{time_field} < ?", until)
    if deferred is not None:
        where.add("r.event_name = ?" if deferred else "r.event_name <> ?", DEFERRED)
    return where


def _branches(
    *, statuses: Sequence[str], function_ids: Sequence[str], **others: Any
) -> list[_Where]:
    """
    The conditions for a list in the order of ids, as branches that are read one by one.

    An index holds the ids of one status, and of one function and status, in order. So each of
    these is a branch, and no more rows are read than are shown.
    """
    states = statuses or ([status.value for status in Status] if function_ids else ())
    pairs = list(product(function_ids or (None,), states))
    more = others["app_ids"] or any(others[name] is not None for name in _READ_FROM_ROWS)
    if more or not 0 < len(pairs) <= _MAX_BRANCHES:
        return [_of_runs(statuses=statuses, function_ids=function_ids, **others)]
    return [_branch(function_id, status) for function_id, status in pairs]


def _branch(function_id: str | None, status: str) -> _Where:
    where = _Where()
    where.add("r.function_id = ?", function_id)
    where.add("r.status = ?", status)
    return where
