"""
The tables of the store, and how each record of the engine becomes a row.

Law: a change here is a new schema version and a migration in store.py. Tables are clustered by
the order in which rows arrive, so that writing appends; an index is added only for a question
that is asked on every page.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from inngest_contrib.devserver.engine.state import (
    App,
    Attempt,
    Cause,
    Dedupe,
    Event,
    Function,
    Job,
    Run,
    Step,
    Wait,
)

VERSION = 1
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


TABLES: dict[str, Table] = {
    App.TABLE: Table(
        _replace("apps", 10), _app, "DELETE FROM apps WHERE id = ?", lambda app: (app.id,)
    ),
    Function.TABLE: Table(_replace("functions", 8), _function),
    Event.TABLE: Table(_replace("events", 9), _event),
    Run.TABLE: Table(_replace("runs", 14), _run),
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
    Dedupe.TABLE: Table(
        _replace("dedupes", 3),
        lambda seen: (seen.function_id, seen.event_id, seen.expires),
        "DELETE FROM dedupes WHERE function_id = ? AND event_id = ?",
        lambda seen: (seen.function_id, seen.event_id),
    ),
}
