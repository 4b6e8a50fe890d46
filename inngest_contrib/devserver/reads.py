"""
What the store knows, as plain records for pages, APIs and tests. Nothing here changes anything.

Times are unix milliseconds, ids ULIDs, `*_json` raw JSON text. Lists are newest first unless
they say otherwise, and end where `limit` or the table does; pass the last id as `before` to go on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, frozen=True, kw_only=True)
class EventView:
    """An event as received. `id` is internal; `external_id` what functions see as `event.id`."""

    id: str
    external_id: str
    name: str
    ts: int
    received_at: int
    event_json: str
    """The whole event as functions see it: data, id, name, ts, user, v."""

    @property
    def internal(self) -> bool:
        """Whether the server made it."""
        return self.name.startswith("inngest/")

    @property
    def event(self) -> dict[str, Any]: ...


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
    def output(self) -> Any: ...


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

    def event(self, event_id: str) -> EventView | None: ...

    def events(
        self,
        *,
        name: str | None = None,
        include_internal: bool = True,
        since: int | None = None,
        until: int | None = None,
        before: str | None = None,
        limit: int = 20,
    ) -> list[EventView]: ...

    def run(self, run_id: str) -> RunView | None: ...

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
    ) -> list[RunView]: ...

    def runs_of_event(self, event_id: str) -> list[RunView]:
        """Oldest first."""
        ...

    def steps(self, run_id: str) -> list[StepView]:
        """In the order in which the server heard of them."""
        ...

    def attempts(self, run_id: str) -> list[AttemptView]:
        """Failed attempts, oldest first."""
        ...

    def actions(self, run_id: str) -> bytes | None:
        """The memos of a run in progress as a JSON object, for `use_api`; None once it ended."""
        ...

    def batch(self, run_id: str) -> bytes | None:
        """The events of a run in progress as a JSON array, for `use_api`; None once it ended."""
        ...

    def apps(self) -> list[AppView]: ...

    def functions(self, app_id: str | None = None) -> list[FunctionView]: ...
