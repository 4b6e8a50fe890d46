"""
The words spoken with the engine: commands go in; changes, effects and a result come out.

A command states what happened or what is wanted. Changes are the records to store, in one
transaction per turn of the loop. Effects are what the outside must do after that commit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

Json = Any


class Expressions(Protocol):
    """Judges CEL expressions. The engine is given one and knows no CEL library."""

    def problem(self, text: str) -> str | None:
        """Say why `text` does not compile; None when it does."""
        ...

    def matches(
        self, text: str, event: Mapping[str, Json], incoming: Mapping[str, Json] | None = None
    ) -> bool:
        """Judge `text` with `event` and `async` (incoming). A run-time error counts as False."""
        ...

    def evaluate(
        self, text: str, event: Mapping[str, Json], incoming: Mapping[str, Json] | None = None
    ) -> Json:
        """The value of `text`; numbers of an event are floats. ValueError if it has none."""
        ...


class NextTick(Protocol):
    """Answers when a cron schedule fires next, strictly after an instant in unix ms."""

    def __call__(self, cron: str, after: int, /) -> int: ...


@dataclass(slots=True, frozen=True, kw_only=True)
class Settings:
    """What a server is started with, as far as the engine cares. Durations in milliseconds."""

    retry_interval: int | None = None
    """A fixed delay between attempts instead of the backoff table."""
    max_calls: int = 100
    """Calls to apps in progress at once; further jobs wait their turn."""
    call_timeout: int = 2 * 60 * 60 * 1000


# --- commands -------------------------------------------------------------------------------


@dataclass(slots=True, frozen=True, kw_only=True)
class NewEvent:
    """An event that passed validation (PROTOCOL of the event API), not yet given an identity."""

    name: str
    data: Mapping[str, Json] = field(default_factory=dict)
    id: str = ""
    """The sender's id: the key for deduplication. Empty: none."""
    ts: int = 0
    """Unix ms; 0 means now; the future means a delayed start."""
    v: str | None = None
    user: Mapping[str, Json] | None = None
    meta: Mapping[str, Json] | None = None
    internal_id: str = ""
    """A ULID made from the sender's idempotency seed. Empty: the engine makes one."""


@dataclass(slots=True, frozen=True)
class ReceiveEvents:
    """Events were sent. Result: `list[str]`, their internal ids in order."""

    events: Sequence[NewEvent]


@dataclass(slots=True, frozen=True, kw_only=True)
class SyncApp:
    """
    An app registered itself. Result: `Synced`.

    `functions` are the function objects of the registration payload, already validated and as
    they came. Functions of the app that are missing here stop being triggered; their runs go on.
    """

    name: str
    url: str
    functions: Sequence[Mapping[str, Json]]
    sdk: str = ""
    framework: str = ""
    version: str = ""
    method: str = "ping"
    checksum: str = ""
    """Of the payload; empty: made from the other fields. Equal to the last: not modified."""


@dataclass(slots=True, frozen=True)
class NoteAppError:
    """An app could not be reached or its registration was refused. Result: None. Empty: cured."""

    url: str
    error: str


@dataclass(slots=True, frozen=True)
class RemoveApp:
    """Forget the app at a URL. Result: `bool`, False when there is none."""

    url: str


@dataclass(slots=True, frozen=True, kw_only=True)
class InvokeFunction:
    """Run one function now, by its full id (`app-fn`). Result: `Invoked`."""

    slug: str
    data: Mapping[str, Json] = field(default_factory=dict)
    user: Mapping[str, Json] | None = None
    key: str = ""
    """The same key leads to the same run for a day. Empty: none."""


@dataclass(slots=True, frozen=True)
class SendSignal:
    """Wake the step that waits for a signal. Result: the id of its run; None if none waits."""

    signal: str
    data: Json = None


@dataclass(slots=True, frozen=True)
class NoteMetadata:
    """
    Something was noted about a run, or a step of it. Result: None.

    `updates` are objects of kind, op and values, already found to be right.
    """

    run_id: str
    updates: Sequence[Json]
    step_id: str = ""
    scope: str = "run"


@dataclass(slots=True, frozen=True)
class NoteSpans:
    """Apps have traced something. Result: None. `spans` are records of runs that are known."""

    spans: Sequence[Any]


@dataclass(slots=True, frozen=True, kw_only=True)
class KeptStep:
    """A step of a run that is repeated, as it was. Times in ms, the rest JSON text."""

    id: str
    name: str
    op: str
    queued_at: int
    started_at: int | None = None
    ended_at: int | None = None
    attempts: int = 0
    failed: bool = False
    memo: bytes = b"null"
    opts: bytes | None = None
    details: bytes | None = None


@dataclass(slots=True, frozen=True, kw_only=True)
class Rerun:
    """
    Repeat a run. Result: the id of the new one; None if its function is no longer registered.

    With a `step` it begins there: `kept` are those that had ended before, in that order, and
    `input` (a JSON array) the arguments to run it with, where they are to be others.
    """

    original_run_id: str
    function_id: str
    events: Sequence[Any]
    """Records of the engine, as stored."""
    cron: str | None = None
    step: KeptStep | None = None
    kept: Sequence[KeptStep] = ()
    input: bytes | None = None
    retries: int | None = None
    """Those of the original, where they are its own."""


@dataclass(slots=True, frozen=True)
class CancelRun:
    """Cancel a run. Result: `Cancelled`."""

    run_id: str


@dataclass(slots=True, frozen=True)
class Replied:
    """An app answered a call. Header names are lower case, the body is not compressed."""

    job_id: str
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True, frozen=True)
class CallFailed:
    """A call brought no answer; `error` says why, such as `Unable to reach SDK URL`."""

    job_id: str
    error: str


@dataclass(slots=True, frozen=True)
class CallPostponed:
    """No worker had a place for a call. It waits for one, as the same attempt; `error` says why."""

    job_id: str
    error: str


@dataclass(slots=True, frozen=True, kw_only=True)
class NoteWorkers:
    """Workers of an app came or went, or have a place more or less. Result: None."""

    app: str
    """Its name."""
    connected: int
    room: int | None
    """How many calls they can take now; None: any number."""


@dataclass(slots=True, frozen=True)
class Report:
    """A function reports results while it goes on. Result: `Checkpointed`."""

    body: bytes


@dataclass(slots=True, frozen=True)
class BeginRun:
    """An app has begun a run while it answers a request. Result: `Begun`; None: unreadable."""

    body: bytes


@dataclass(slots=True, frozen=True)
class ReportRun:
    """An app tells how such a run goes on. Result: None, or why nothing became of it."""

    body: bytes


@dataclass(slots=True, frozen=True)
class Fetched:
    """A request of a function was answered, with whatever status. The body is not compressed."""

    fetch_id: str
    url: str
    """The last one, where redirects led elsewhere."""
    status: int
    headers: Sequence[tuple[str, str]]
    body: bytes


@dataclass(slots=True, frozen=True)
class FetchFailed:
    """A request of a function brought no answer. `final`: it is no use to try again."""

    fetch_id: str
    error: str
    final: bool = False


@dataclass(slots=True, frozen=True)
class Tick:
    """Time has passed: everything due by now is done. Send one when `Engine.next_due()` is."""


Command = (
    ReceiveEvents
    | SyncApp
    | NoteAppError
    | RemoveApp
    | InvokeFunction
    | CancelRun
    | SendSignal
    | Rerun
    | Replied
    | CallFailed
    | CallPostponed
    | NoteWorkers
    | Report
    | NoteMetadata
    | NoteSpans
    | BeginRun
    | ReportRun
    | Fetched
    | FetchFailed
    | Tick
)


# --- results --------------------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class Synced:
    """What a registration led to."""

    app_id: str
    sync_id: str
    modified: bool


@dataclass(slots=True, frozen=True)
class Invoked:
    """
    The event that `InvokeFunction` made.

    `run_id` is None when the function is unknown, or when its flow control holds the event back
    or lets it start nothing.
    """

    event_id: str
    run_id: str | None
    known: bool = False
    """The key was used before; this is what it led to then."""


@dataclass(slots=True, frozen=True)
class Checkpointed:
    """What became of a report: an HTTP status, and unless it is 200, why."""

    status: int = 200
    error: str = ""
    run_id: str | None = None
    """The run, where it is known which one the report is about."""


@dataclass(slots=True, frozen=True)
class Begun:
    """A run that its app leads. `awaitable`: there is something to come back for."""

    run_id: str
    function_id: str
    app_id: str
    awaitable: bool


class Cancelled(str, Enum):
    """What became of a wish to cancel."""

    DONE = "done"
    ALREADY_CANCELLED = "already_cancelled"
    ALREADY_ENDED = "already_ended"
    """Also the answer for a run that the engine does not hold: ask the store whether it exists."""


# --- effects --------------------------------------------------------------------------------


@dataclass(slots=True, frozen=True)
class Target:
    """The function that a worker is asked to run: workers know it by more than its URL."""

    app_id: str
    app: str
    function_id: str
    slug: str


@dataclass(slots=True, frozen=True)
class Call:
    """
    POST `body` to an app, then tell the engine with `Replied` or `CallFailed`.

    With a `target` it goes to a worker that is connected; `CallPostponed` if none has a place.
    """

    job_id: str
    run_id: str
    url: str
    """Complete, with `fnId` and `stepId`."""
    headers: Mapping[str, str]
    """Lower-case names; all but the signature, which whoever holds the key adds."""
    body: bytes
    timeout: int
    """Milliseconds until the call counts as failed."""
    method: str = "POST"
    target: Target | None = None


@dataclass(slots=True, frozen=True)
class Fetch:
    """Make a request for a function, then tell the engine with `Fetched` or `FetchFailed`."""

    fetch_id: str
    method: str
    url: str = field(repr=False)
    """May hold a secret, as may headers and body."""
    headers: Mapping[str, str] = field(repr=False)
    body: bytes | None = field(repr=False)
    timeout: int
    """Milliseconds until the request counts as failed."""


@dataclass(slots=True, frozen=True)
class DropCall:
    """Nobody waits for this call any more. It may run on; its reply will be ignored."""

    job_id: str


@dataclass(slots=True, frozen=True)
class Warn:
    """Tell whoever runs the server; nothing else depends on it."""

    message: str


Effect = Call | Fetch | DropCall | Warn


# --- changes --------------------------------------------------------------------------------


@dataclass(slots=True)
class Changes:
    """
    The records that a turn touched, each once: the last word on a record wins.

    Records are the engine's own (see `state`); whoever stores them reads their values before the
    next command is applied.
    """

    put: dict[tuple[str, str], Any] = field(default_factory=dict)
    gone: dict[tuple[str, str], Any] = field(default_factory=dict)

    def keep(self, record: Any) -> None:
        """Store this record as it is at the end of the turn."""
        key = (record.TABLE, record.key)
        self.put[key] = record
        if self.gone:
            self.gone.pop(key, None)

    def drop(self, record: Any) -> None:
        """Delete this record."""
        key = (record.TABLE, record.key)
        self.put.pop(key, None)
        self.gone[key] = record

    def __bool__(self) -> bool:
        return bool(self.put or self.gone)


@dataclass(slots=True, frozen=True)
class Outcome:
    """What one command led to."""

    changes: Changes
    effects: list[Effect]
    result: Any = None
