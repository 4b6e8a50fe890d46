"""
What the store knows, as plain records for pages, APIs and tests. Nothing here changes anything.

Times are unix milliseconds, ids ULIDs, `*_json` raw JSON text. Lists are newest first unless
they say otherwise, and end where `limit` or the table does; pass the last id as `before` to go on.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from inngest_contrib.devserver.engine.state import Event, Run

_TIME_FIELDS = ("queued_at", "started_at", "ended_at")


@dataclass(slots=True, frozen=True, kw_only=True)
class EventView:
    """An event as received. `id` is internal; `external_id` what functions see as `event.id`."""

    id: str
    external_id: str
    name: str
    ts: int
    received_at: int
    event_json: str
    """The whole event: data, id, name, ts; meta, user and v where they were given."""

    @property
    def internal(self) -> bool:
        """Whether the server made it."""
        return self.name.startswith("inngest/")

    @property
    def event(self) -> dict[str, Any]:
        """The event, parsed."""
        value: dict[str, Any] = json.loads(self.event_json)
        return value


@dataclass(slots=True, frozen=True, kw_only=True)
class RunView:
    """A run. Status: QUEUED, RUNNING, COMPLETED, FAILED, CANCELLED."""

    id: str
    function_id: str
    """The UUID."""
    function_slug: str
    """`app-fn`."""
    app_name: str
    function_name: str
    status: str
    queued_at: int
    started_at: int | None
    ended_at: int | None
    event_ids: tuple[str, ...]
    """Internal ids of the trigger events."""
    event_name: str
    cron: str | None
    """The schedule that started it."""
    output_json: str | None
    """Result of a completed run, error body of a failed one, as the app sent it."""
    batch: bool
    original_run_id: str | None
    """Of a rerun."""

    @property
    def output(self) -> Any:
        """The output, parsed; None where there is none."""
        return None if self.output_json is None else json.loads(self.output_json)


@dataclass(slots=True, frozen=True, kw_only=True)
class StepView:
    """A step. Status: QUEUED, RUNNING, WAITING (pauses), COMPLETED, FAILED, CANCELLED."""

    run_id: str
    id: str
    """The hash."""
    name: str
    op: str
    """Wire name: StepRun, Sleep, WaitForEvent, WaitForSignal, InvokeFunction, ..."""
    status: str
    queued_at: int
    started_at: int | None
    ended_at: int | None
    attempts: int
    memo_json: str | None
    """As later calls see it: `{"data":...}`, `{"error":...}`, an event, or null."""
    opts_json: str | None
    """The op's `opts`."""
    details_json: str | None
    """What the server added: {"until": ms}, {"event_id", "timed_out"}, {"run_id"}, ..."""


@dataclass(slots=True, frozen=True, kw_only=True)
class AttemptView:
    """A failed attempt; `step_id` is empty where the function itself failed."""

    run_id: str
    step_id: str
    attempt: int
    started_at: int
    ended_at: int
    error_json: str
    retry_at: int | None


@dataclass(slots=True, frozen=True, kw_only=True)
class AppView:
    """An app. `error` is not empty when its last sync failed."""

    id: str
    name: str
    url: str
    sdk: str
    framework: str
    version: str
    method: str
    checksum: str
    error: str
    synced_at: int


@dataclass(slots=True, frozen=True, kw_only=True)
class FunctionView:
    """A function. Archived: its app's last sync did not name it."""

    id: str
    slug: str
    name: str
    app_id: str
    app_name: str
    url: str
    config_json: str
    """As registered."""
    archived: bool


class Reads:
    """Questions to the store. Every answer is committed state."""

    def __init__(self, db: sqlite3.Connection, live: Mapping[str, Run]) -> None:
        self._db = db
        self._live = live

    def event(self, event_id: str) -> EventView | None:
        """One event by its internal id."""
        rows = self._ask(f"{_EVENTS} WHERE id = ?", event_id)
        return _event(rows[0]) if rows else None

    def events(
        self,
        *,
        name: str | None = None,
        include_internal: bool = True,
        since: int | None = None,
        until: int | None = None,
        before: str | None = None,
        limit: int = 20,
    ) -> list[EventView]:
        """Events, newest first. `since` and `until` bound the time of receipt."""
        where = _Where()
        where.add("id < ?", before)
        where.add("name = ?", name)
        where.add("received_at >= ?", since)
        where.add("received_at < ?", until)
        if not include_internal:
            where.text.append("name NOT LIKE 'inngest/%'")
        sql = f"{_EVENTS}{where} ORDER BY id DESC LIMIT ?"
        return [_event(row) for row in self._ask(sql, *where.values, limit)]

    def run(self, run_id: str) -> RunView | None:
        """One run."""
        rows = self._ask(f"{_RUNS} WHERE r.id = ?", run_id)
        return _run(rows[0]) if rows else None

    def runs(
        self,
        *,
        statuses: Sequence[str] = (),
        function_ids: Sequence[str] = (),
        app_ids: Sequence[str] = (),
        since: int | None = None,
        until: int | None = None,
        time_field: str = "queued_at",
        before: str | None = None,
        ascending: bool = False,
        limit: int = 20,
    ) -> list[RunView]:
        """Runs in the order of their ids. `since` and `until` bound the `time_field`."""
        if time_field not in _TIME_FIELDS:
            raise ValueError(f"time_field must be one of {_TIME_FIELDS}, not {time_field!r}")
        where = _Where()
        where.add("r.id > ?" if ascending else "r.id < ?", before)
        where.add_any("r.status", statuses)
        where.add_any("r.function_id", function_ids)
        where.add_any("f.app_id", app_ids)
        where.add(f"r.{time_field} >= ?", since)
        where.add(f"r.{time_field} < ?", until)
        order = "ASC" if ascending else "DESC"
        sql = f"{_RUNS}{where} ORDER BY r.id {order} LIMIT ?"
        return [_run(row) for row in self._ask(sql, *where.values, limit)]

    def runs_of_event(self, event_id: str) -> list[RunView]:
        """Oldest first."""
        chosen = "SELECT run_id FROM causes WHERE event_id = ?"
        rows = self._ask(f"{_RUNS} WHERE r.id IN ({chosen}) ORDER BY r.id", event_id)
        return [_run(row) for row in rows]

    def steps(self, run_id: str) -> list[StepView]:
        """In the order in which the server heard of them."""
        rows = self._ask(f"{_STEPS} WHERE run_id = ? ORDER BY number", run_id)
        return [_step(row) for row in rows]

    def attempts(self, run_id: str) -> list[AttemptView]:
        """Failed attempts, oldest first."""
        rows = self._ask(f"{_ATTEMPTS} WHERE run_id = ? ORDER BY ended_at, attempt", run_id)
        return [_attempt(row) for row in rows]

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
        return [_app(row) for row in rows]

    def functions(self, app_id: str | None = None) -> list[FunctionView]:
        """Functions by slug, of all apps or one; archived ones too."""
        where = _Where()
        where.add("app_id = ?", app_id)
        rows = self._ask(f"{_FUNCTIONS}{where} ORDER BY slug", *where.values)
        return [_function(row) for row in rows]

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


_EVENTS = "SELECT id, external_id, name, ts, received_at, data, user, v, meta FROM events"
_RUNS = (
    "SELECT r.id, r.function_id, f.slug, f.app_name, f.name, r.status, r.queued_at, r.started_at,"
    " r.ended_at, r.event_ids, r.event_name, r.cron, r.output, r.original_run_id"
    " FROM runs r JOIN functions f ON f.id = r.function_id"
)
_STEPS = (
    "SELECT run_id, id, name, op, status, queued_at, started_at, ended_at, attempts, memo, opts,"
    " details FROM steps"
)
_ATTEMPTS = "SELECT run_id, step_id, attempt, started_at, ended_at, error, retry_at FROM attempts"
_FUNCTIONS = "SELECT id, slug, name, app_id, app_name, url, config, archived FROM functions"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _event(row: tuple[Any, ...]) -> EventView:
    event = Event(*row)
    return EventView(
        id=event.id,
        external_id=event.external_id,
        name=event.name,
        ts=event.ts,
        received_at=event.received_at,
        event_json=event.bare.decode(),
    )


def _run(row: tuple[Any, ...]) -> RunView:
    run_id, function_id, slug, app, name, status, queued, started, ended, *rest = row
    event_ids, event_name, cron, output, original = rest
    ids = tuple(event_ids.split(","))
    return RunView(
        id=run_id,
        function_id=function_id,
        function_slug=slug,
        app_name=app,
        function_name=name,
        status=status,
        queued_at=queued,
        started_at=started,
        ended_at=ended,
        event_ids=ids,
        event_name=event_name,
        cron=cron,
        output_json=_text(output),
        batch=len(ids) > 1,
        original_run_id=original,
    )


def _step(row: tuple[Any, ...]) -> StepView:
    run_id, step_id, name, op, status, queued, started, ended, attempts, *texts = row
    memo, opts, details = map(_text, texts)
    return StepView(
        run_id=run_id,
        id=step_id,
        name=name,
        op=op,
        status=status,
        queued_at=queued,
        started_at=started,
        ended_at=ended,
        attempts=attempts,
        memo_json=memo,
        opts_json=opts,
        details_json=details,
    )


def _attempt(row: tuple[Any, ...]) -> AttemptView:
    run_id, step_id, attempt, started, ended, error, retry_at = row
    return AttemptView(
        run_id=run_id,
        step_id=step_id,
        attempt=attempt,
        started_at=started,
        ended_at=ended,
        error_json=error.decode(),
        retry_at=retry_at,
    )


def _app(row: tuple[Any, ...]) -> AppView:
    app_id, name, url, sdk, framework, version, method, checksum, error, synced_at = row
    return AppView(
        id=app_id,
        name=name,
        url=url,
        sdk=sdk,
        framework=framework,
        version=version,
        method=method,
        checksum=checksum,
        error=error,
        synced_at=synced_at,
    )


def _function(row: tuple[Any, ...]) -> FunctionView:
    function_id, slug, name, app_id, app_name, url, config, archived = row
    return FunctionView(
        id=function_id,
        slug=slug,
        name=name,
        app_id=app_id,
        app_name=app_name,
        url=url,
        config_json=config.decode(),
        archived=bool(archived),
    )
