"""
Rows of the store as plain records, and the statements that fetch those rows.

Times are unix milliseconds, ids ULIDs, `*_json` raw JSON text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from inngest_contrib.devserver.engine.state import Event
from inngest_contrib.devserver.notes import NoteView

EVENTS = "SELECT id, external_id, name, ts, received_at, data, user, v, meta FROM events"
RUNS = (
    "SELECT r.id, r.function_id, f.slug, f.app_name, f.name, r.status, r.queued_at, r.started_at,"
    " r.ended_at, r.event_ids, r.event_name, r.cron, r.output, r.original_run_id,"
    " r.retries"
    " FROM runs r JOIN functions f ON f.id = r.function_id"
)
STEPS = (
    "SELECT run_id, id, name, op, status, queued_at, started_at, ended_at, attempts, memo, opts,"
    " details, position FROM steps"
)
ATTEMPTS = "SELECT run_id, step_id, attempt, started_at, ended_at, error, retry_at FROM attempts"
SPANS = (
    "SELECT id, parent, name, kind, began_at, ended_at, failed, service, scope, attributes "
    "FROM spans"
)
NOTES = 'SELECT step_id, scope, kind, op, "values", noted_at FROM notes'
FUNCTIONS = "SELECT id, slug, name, app_id, app_name, url, config, archived FROM functions"


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
    retries: int | None
    """Those that this run was begun with; None: those of its function."""

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
    position: int | None = None
    """Its place among those that have ended, in that order."""


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


@dataclass(slots=True, frozen=True)
class JobView:
    """Something that a run in progress has before it. Kind: start, edge, sleep, pause."""

    id: str
    at: int
    kind: str
    attempt: int


@dataclass(slots=True, frozen=True)
class DeferView:
    """A function that a run wants started once it has ended."""

    id: str
    """The hash."""
    name: str
    slug: str
    aborted: bool
    event_id: str | None
    """Of the event that has started it."""

    @property
    def status(self) -> str:
        """SCHEDULED, ABORTED, or STARTED."""
        if self.aborted:
            return "ABORTED"
        return "SCHEDULED" if self.event_id is None else "STARTED"


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def event_view(row: tuple[Any, ...]) -> EventView:
    event = Event(*row)
    return EventView(
        id=event.id,
        external_id=event.external_id,
        name=event.name,
        ts=event.ts,
        received_at=event.received_at,
        event_json=event.bare.decode(),
    )


@dataclass(slots=True, frozen=True, kw_only=True)
class SpanView:
    """Something that an app has traced itself. Ids in hex, as OpenTelemetry has them."""

    id: str
    parent: str
    name: str
    kind: str
    began_at: int
    ended_at: int
    failed: bool
    service: str
    scope: str
    attributes: Mapping[str, Any]


def run_view(row: tuple[Any, ...]) -> RunView:
    run_id, function_id, slug, app, name, status, queued, started, ended, *rest = row
    event_ids, event_name, cron, output, original, retries = rest
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
        retries=retries,
    )


def step_view(row: tuple[Any, ...]) -> StepView:
    run_id, step_id, name, op, status, queued, started, ended, attempts, *texts, position = row
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
        position=position,
    )


def attempt_view(row: tuple[Any, ...]) -> AttemptView:
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


def note_view(row: tuple[Any, ...]) -> NoteView:
    step_id, scope, kind, op, values, noted_at = row
    return NoteView(
        step_id=step_id,
        scope=scope,
        kind=kind,
        op=op,
        values=json.loads(values),
        noted_at=noted_at,
    )


def span_view(row: tuple[Any, ...]) -> SpanView:
    span_id, parent, name, kind, began, ended, failed, service, scope, attributes = row
    return SpanView(
        id=span_id,
        parent=parent,
        name=name,
        kind=kind,
        began_at=began,
        ended_at=ended,
        failed=bool(failed),
        service=service,
        scope=scope,
        attributes=json.loads(attributes),
    )


def app_view(row: tuple[Any, ...]) -> AppView:
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


def function_view(row: tuple[Any, ...]) -> FunctionView:
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
