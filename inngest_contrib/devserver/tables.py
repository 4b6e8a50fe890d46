"""
The tables of the store, and how each record of the engine becomes a row.

Law: a change here is a new schema version, and a step in MIGRATIONS that leads to it. Tables are
clustered by the order in which rows arrive, so that writing appends; an index is added only for a
question that is asked on every page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inngest_contrib.devserver.engine.control import Held, Holding, Meter
from inngest_contrib.devserver.engine.state import (
    App,
    Attempt,
    Cause,
    Dedupe,
    Defer,
    Event,
    Function,
    Invocation,
    Job,
    Note,
    Run,
    Span,
    Step,
    Wait,
)

APPLICATION_ID = 0x496E6E67  # "Inng", so that a foreign file is recognised

SCHEMA = """
CREATE TABLE apps (
  id TEXT PRIMARY KEY, name TEXT NOT NULL, url TEXT NOT NULL, sdk TEXT NOT NULL,
  framework TEXT NOT NULL, version TEXT NOT NULL, method TEXT NOT NULL, checksum TEXT NOT NULL,
  error TEXT NOT NULL, synced_at INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE functions (
  id TEXT PRIMARY KEY, slug TEXT NOT NULL, name TEXT NOT NULL, app_id TEXT NOT NULL,
  app_name TEXT NOT NULL, url TEXT NOT NULL, config BLOB NOT NULL, archived INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE events (
  id TEXT PRIMARY KEY, external_id TEXT NOT NULL, name TEXT NOT NULL, ts INTEGER NOT NULL,
  received_at INTEGER NOT NULL, data BLOB NOT NULL, user BLOB, v TEXT, meta BLOB
) WITHOUT ROWID;
CREATE TABLE runs (
  id TEXT PRIMARY KEY, function_id TEXT NOT NULL, event_ids TEXT NOT NULL,
  event_name TEXT NOT NULL, status TEXT NOT NULL, queued_at INTEGER NOT NULL,
  started_at INTEGER, ended_at INTEGER, request_version INTEGER NOT NULL,
  force_plan INTEGER NOT NULL, cron TEXT, correlation TEXT, original_run_id TEXT, output BLOB
) WITHOUT ROWID;
CREATE TABLE causes (
  event_id TEXT NOT NULL, run_id TEXT NOT NULL, PRIMARY KEY (event_id, run_id)
) WITHOUT ROWID;
CREATE TABLE steps (
  run_id TEXT NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
  op TEXT NOT NULL, status TEXT NOT NULL, queued_at INTEGER NOT NULL, started_at INTEGER,
  ended_at INTEGER, attempts INTEGER NOT NULL, mode TEXT NOT NULL, position INTEGER,
  opts BLOB, details BLOB, memo BLOB, PRIMARY KEY (run_id, number)
) WITHOUT ROWID;
CREATE TABLE attempts (
  run_id TEXT NOT NULL, ended_at INTEGER NOT NULL, job_id TEXT NOT NULL, attempt INTEGER NOT NULL,
  step_id TEXT NOT NULL, started_at INTEGER NOT NULL, error BLOB NOT NULL, retry_at INTEGER,
  PRIMARY KEY (run_id, ended_at, job_id, attempt, step_id)
) WITHOUT ROWID;
CREATE TABLE jobs (
  run_id TEXT NOT NULL, step TEXT NOT NULL, id TEXT NOT NULL, attempt INTEGER NOT NULL,
  generation INTEGER NOT NULL, run_at INTEGER NOT NULL, PRIMARY KEY (run_id, step)
) WITHOUT ROWID;
CREATE TABLE waits (
  run_id TEXT NOT NULL, step_id TEXT NOT NULL, kind TEXT NOT NULL, expires INTEGER NOT NULL,
  event TEXT NOT NULL, expression TEXT, PRIMARY KEY (run_id, step_id)
) WITHOUT ROWID;
CREATE TABLE dedupes (
  function_id TEXT NOT NULL, event_id TEXT NOT NULL, expires INTEGER NOT NULL,
  PRIMARY KEY (function_id, event_id)
) WITHOUT ROWID;
"""

MIGRATIONS = {
    # Flow control: what is counted, and what is held back.
    2: """
CREATE TABLE meters (
  function_id TEXT NOT NULL, kind TEXT NOT NULL, bucket TEXT NOT NULL, even_at INTEGER NOT NULL,
  PRIMARY KEY (function_id, kind, bucket)
) WITHOUT ROWID;
CREATE TABLE holdings (
  id TEXT PRIMARY KEY, function_id TEXT NOT NULL, bucket TEXT NOT NULL,
  began_at INTEGER NOT NULL, due INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE held (
  holding_id TEXT NOT NULL, number INTEGER NOT NULL, event_id TEXT NOT NULL, correlation TEXT,
  PRIMARY KEY (holding_id, number)
) WITHOUT ROWID;
""",
    # Deferred functions, and the idempotency keys of invocations.
    3: """
CREATE TABLE defers (
  run_id TEXT NOT NULL, number INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL,
  slug TEXT NOT NULL, input BLOB NOT NULL, meta BLOB, aborted INTEGER NOT NULL, event_id TEXT,
  PRIMARY KEY (run_id, number)
) WITHOUT ROWID;
CREATE TABLE invocations (
  function_id TEXT NOT NULL, word TEXT NOT NULL, event_id TEXT NOT NULL, run_id TEXT,
  expires INTEGER NOT NULL, PRIMARY KEY (function_id, word)
) WITHOUT ROWID;
""",
    # Metadata and scores.
    4: """
CREATE TABLE notes (
  run_id TEXT NOT NULL, id TEXT NOT NULL, step_id TEXT NOT NULL, scope TEXT NOT NULL,
  kind TEXT NOT NULL, op TEXT NOT NULL, "values" BLOB NOT NULL, noted_at INTEGER NOT NULL,
  PRIMARY KEY (run_id, id)
) WITHOUT ROWID;
""",
    # Lists of runs by status and by function. The ids stand behind these columns, in order.
    5: """
CREATE INDEX runs_by_status ON runs (status);
CREATE INDEX runs_by_function ON runs (function_id, status);
""",
    # Retries of a single run, keys to know again after a restart, what apps trace themselves.
    6: """
ALTER TABLE runs ADD COLUMN retries INTEGER;
CREATE TABLE secrets (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE spans (
  run_id TEXT NOT NULL, id TEXT NOT NULL, parent TEXT NOT NULL, name TEXT NOT NULL,
  kind TEXT NOT NULL, began_at INTEGER NOT NULL, ended_at INTEGER NOT NULL,
  failed INTEGER NOT NULL, service TEXT NOT NULL, scope TEXT NOT NULL, attributes BLOB NOT NULL,
  PRIMARY KEY (run_id, id)
) WITHOUT ROWID;
""",
}
"""What leads from the version before to each version."""
VERSION = max(MIGRATIONS)


@dataclass(slots=True, frozen=True)
class Table:
    """How records of one kind are written and deleted."""

    put: str
    row: Callable[[Any], tuple[Any, ...]]
    delete: str = ""
    key: Callable[[Any], tuple[Any, ...]] = lambda record: ()


def _replace(name: str, columns: int) -> str:
    return f"INSERT OR REPLACE INTO {name} VALUES ({','.join('?' * columns)})"


def _app(app: App) -> tuple[Any, ...]:
    return (
        app.id,
        app.name,
        app.url,
        app.sdk,
        app.framework,
        app.version,
        app.method,
        app.checksum,
        app.error,
        app.synced_at,
    )


def _function(function: Function) -> tuple[Any, ...]:
    return (
        function.id,
        function.slug,
        function.name,
        function.app_id,
        function.app_name,
        function.url,
        function.config,
        function.archived,
    )


def _event(event: Event) -> tuple[Any, ...]:
    return (
        event.id,
        event.external_id,
        event.name,
        event.ts,
        event.received_at,
        event.data,
        event.user,
        event.v,
        event.meta,
    )


def _run(run: Run) -> tuple[Any, ...]:
    events = run.events
    return (
        run.id,
        run.function.id,
        events[0].id if len(events) == 1 else ",".join([event.id for event in events]),
        events[0].name,
        run.status.value,
        run.queued_at,
        run.started_at,
        run.ended_at,
        run.request_version,
        run.force_plan,
        run.cron,
        run.correlation,
        run.original_run_id,
        run.output,
        run.retries,
    )


def _step(step: Step) -> tuple[Any, ...]:
    return (
        step.run_id,
        step.number,
        step.id,
        step.name,
        step.op,
        step.status.value,
        step.queued_at,
        step.started_at,
        step.ended_at,
        step.attempts,
        step.mode,
        step.position,
        step.opts,
        step.details,
        step.memo,
    )


def _attempt(attempt: Attempt) -> tuple[Any, ...]:
    return (
        attempt.run_id,
        attempt.ended_at,
        attempt.job_id,
        attempt.attempt,
        attempt.step_id,
        attempt.started_at,
        attempt.error,
        attempt.retry_at,
    )


def _job(job: Job) -> tuple[Any, ...]:
    return (job.run.id, job.step, job.id, job.attempt, job.generation, job.run_at)


def _wait(wait: Wait) -> tuple[Any, ...]:
    kind = wait.kind.value
    return (wait.run.id, wait.step.id, kind, wait.expires, wait.event, wait.expression)


def _meter(meter: Meter) -> tuple[Any, ...]:
    return (meter.function_id, meter.kind, meter.bucket, meter.even_at)


def _holding(holding: Holding) -> tuple[Any, ...]:
    key = (holding.id, holding.function.id, holding.bucket)
    return (*key, holding.began_at, holding.due)


def _held(held: Held) -> tuple[Any, ...]:
    return (held.holding_id, held.number, held.event.id, held.correlation)


def _defer(defer: Defer) -> tuple[Any, ...]:
    return (
        defer.run_id,
        defer.number,
        defer.id,
        defer.name,
        defer.slug,
        defer.input,
        defer.meta,
        defer.aborted,
        defer.event_id,
    )


def _note(note: Note) -> tuple[Any, ...]:
    about = (note.run_id, note.id, note.step_id, note.scope)
    return (*about, note.kind, note.op, note.values, note.noted_at)


def _span(span: Span) -> tuple[Any, ...]:
    about = (span.run_id, span.id, span.parent, span.name, span.kind)
    times = (span.began_at, span.ended_at, span.failed)
    return (*about, *times, span.service, span.scope, span.attributes)


TABLES: dict[str, Table] = {
    App.TABLE: Table(
        _replace("apps", 10), _app, "DELETE FROM apps WHERE id = ?", lambda app: (app.id,)
    ),
    Function.TABLE: Table(_replace("functions", 8), _function),
    Event.TABLE: Table(_replace("events", 9), _event),
    Run.TABLE: Table(_replace("runs", 15), _run),
    Cause.TABLE: Table(_replace("causes", 2), lambda cause: (cause.event_id, cause.run_id)),
    Step.TABLE: Table(_replace("steps", 15), _step),
    Attempt.TABLE: Table(_replace("attempts", 8), _attempt),
    Job.TABLE: Table(
        _replace("jobs", 6),
        _job,
        "DELETE FROM jobs WHERE run_id = ? AND step = ?",
        lambda job: (job.run.id, job.step),
    ),
    Wait.TABLE: Table(
        _replace("waits", 6),
        _wait,
        "DELETE FROM waits WHERE run_id = ? AND step_id = ?",
        lambda wait: (wait.run.id, wait.step.id),
    ),
    Invocation.TABLE: Table(
        _replace("invocations", 5),
        lambda one: (one.function_id, one.word, one.event_id, one.run_id, one.expires),
        "DELETE FROM invocations WHERE function_id = ? AND word = ?",
        lambda one: (one.function_id, one.word),
    ),
    Defer.TABLE: Table(_replace("defers", 9), _defer),
    Note.TABLE: Table(_replace("notes", 8), _note),
    Span.TABLE: Table(_replace("spans", 11), _span),
    Dedupe.TABLE: Table(
        _replace("dedupes", 3),
        lambda seen: (seen.function_id, seen.event_id, seen.expires),
        "DELETE FROM dedupes WHERE function_id = ? AND event_id = ?",
        lambda seen: (seen.function_id, seen.event_id),
    ),
    Meter.TABLE: Table(
        _replace("meters", 4),
        _meter,
        "DELETE FROM meters WHERE function_id = ? AND kind = ? AND bucket = ?",
        lambda meter: (meter.function_id, meter.kind, meter.bucket),
    ),
    Holding.TABLE: Table(
        _replace("holdings", 5),
        _holding,
        "DELETE FROM holdings WHERE id = ?",
        lambda holding: (holding.id,),
    ),
    Held.TABLE: Table(
        _replace("held", 4),
        _held,
        "DELETE FROM held WHERE holding_id = ? AND number = ?",
        lambda held: (held.holding_id, held.number),
    ),
}
