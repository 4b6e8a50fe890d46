"""
What the engine remembers: records, each a row of the store, and the indexes over the live ones.

A run that has ended leaves the memory; the store keeps it. Texts of JSON are canonical bytes.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, ClassVar

from inngest_contrib.devserver.engine import text
from inngest_contrib.devserver.engine.commands import Json
from inngest_contrib.devserver.engine.control import Control
from inngest_contrib.devserver.engine.limits import DEFAULT_RETRIES
from inngest_contrib.devserver.engine.options import Options
from inngest_contrib.devserver.engine.timers import Timer
from inngest_core.wire.names import DISCOVERY_STEP

if TYPE_CHECKING:
    from inngest_contrib.devserver.engine.lanes import Line
    from inngest_contrib.devserver.engine.terms import Terms


class Status(str, Enum):
    """Of runs (all but WAITING) and steps."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    WAITING = "WAITING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


@dataclass(slots=True)
class App:
    """An app by its name, or, when it never answered, by its URL."""

    TABLE: ClassVar[str] = "apps"
    id: str
    name: str
    url: str
    sdk: str = ""
    framework: str = ""
    version: str = ""
    method: str = ""
    checksum: str = ""
    error: str = ""
    synced_at: int = 0

    @property
    def key(self) -> str:
        return self.id


@dataclass(slots=True, frozen=True)
class Trigger:
    """One way to start a function: an event (name or pattern) or a schedule."""

    event: str = ""
    expression: str | None = None
    cron: str = ""
    jitter: int = 0


@dataclass(slots=True, frozen=True)
class CancelOn:
    """An event that cancels a function's runs. `timeout`: ms from the start of the run."""

    event: str
    expression: str | None
    timeout: int


@dataclass(slots=True)
class Function:
    """A function as its app registered it last. Archived: that sync did not name it any more."""

    TABLE: ClassVar[str] = "functions"
    id: str
    slug: str
    name: str
    app_id: str
    app_name: str
    url: str
    config: bytes
    archived: bool = False
    retries: int = DEFAULT_RETRIES
    triggers: tuple[Trigger, ...] = ()
    cancels: tuple[CancelOn, ...] = ()
    start_timeout: int | None = None
    finish_timeout: int | None = None
    options: Options | None = None

    @property
    def key(self) -> str:
        return self.id

    @property
    def by_worker(self) -> bool:
        """Whether workers that are connected run it, and not an app at an address."""
        return self.url.startswith(("ws://", "wss://"))


@dataclass(slots=True)
class Event:
    """An event with its two ids: `id` is the server's, `external_id` what functions see."""

    TABLE: ClassVar[str] = "events"
    id: str
    external_id: str
    name: str
    ts: int
    received_at: int
    data: bytes
    user: bytes | None = None
    v: str | None = None
    meta: bytes | None = None
    _full: bytes | None = None
    _value: Mapping[str, Json] | None = None

    @property
    def key(self) -> str:
        return self.id

    @property
    def full(self) -> bytes:
        """The event as calls carry it: `user` is always present."""
        if self._full is None:
            self._full = self._write(self.user or b"{}")
        return self._full

    @property
    def bare(self) -> bytes:
        """The event as memos and finished events carry it: `user` only when it was given."""
        return self._write(self.user)

    @property
    def value(self) -> Mapping[str, Json]:
        """The event for expressions."""
        if self._value is None:
            value: Mapping[str, Json] = text.read(self.full)
            self._value = value
        return self._value

    def _write(self, user: bytes | None) -> bytes:
        return b"".join(
            [
                b'{"data":',
                self.data,
                b',"id":',
                text.write(self.external_id),
                b',"meta":' + self.meta if self.meta else b"",
                b',"name":',
                text.write(self.name),
                b',"ts":%d' % self.ts,
                b',"user":' + user if user is not None else b"",
                b',"v":' + text.write(self.v) if self.v is not None else b"",
                b"}",
            ]
        )


class Memos:
    """The results of a run's steps, ready to be joined into the next call."""

    __slots__ = ("_fragments", "_keys", "size")

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._fragments: list[bytes] = []
        self.size = 0

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, key: str, fragment: bytes) -> None:
        """Take in `"key":memo`, in its place among the sorted keys; what stood there goes."""
        index = bisect_left(self._keys, key)
        if index < len(self._keys) and self._keys[index] == key:
            self.size += len(fragment) - len(self._fragments[index])
            self._fragments[index] = fragment
            return
        self._keys.insert(index, key)
        self._fragments.insert(index, fragment)
        self.size += len(fragment) + 1

    def joined(self) -> bytes:
        """The members of the object `steps`."""
        return b",".join(self._fragments)


@dataclass(slots=True)
class Step:
    """A step that the server has heard of. `mode`: how its batch goes on, `wait` or `race`."""

    TABLE: ClassVar[str] = "steps"
    run_id: str
    id: str
    name: str
    op: str
    status: Status
    queued_at: int
    number: int
    """Its place in the order in which the server heard of the run's steps."""
    started_at: int | None = None
    ended_at: int | None = None
    attempts: int = 0
    mode: str = ""
    fragment: bytes | None = None
    """`"id":memo` once it has ended."""
    memo_at: int = 0
    """Where the memo starts in the fragment."""
    position: int | None = None
    """Its place in the stack."""
    opts: bytes | None = None
    details: bytes | None = None

    @property
    def key(self) -> str:
        return self.run_id + self.id

    @property
    def ended(self) -> bool:
        """Whether its memo is there."""
        return self.fragment is not None

    @property
    def memo(self) -> bytes | None:
        """What later calls see under its id."""
        return None if self.fragment is None else self.fragment[self.memo_at :]


@dataclass(slots=True)
class Job:
    """A call to be made: `step` is `step` (discover what comes next) or the hash of one step."""

    TABLE: ClassVar[str] = "jobs"
    id: str
    run: Run
    step: str
    run_at: int
    attempt: int = 0
    generation: int = 1
    calling: bool = False
    started_at: int = 0
    again: bool = False
    """A discovery was asked for while this one was on its way."""
    timer: Timer | None = None
    ticket: int = 0
    """By which it waits for its turn to be called; 0: it does not."""

    @property
    def key(self) -> str:
        return self.run.id + self.step

    @property
    def discovers(self) -> bool:
        """Whether it asks what comes next."""
        return self.step == DISCOVERY_STEP


class WaitKind(str, Enum):
    """What a step waits for."""

    SLEEP = "sleep"
    EVENT = "event"
    INVOKE = "invoke"
    FETCH = "fetch"
    SIGNAL = "signal"


@dataclass(slots=True)
class Wait:
    """A step that waits until `expires`, or until something happens before that."""

    TABLE: ClassVar[str] = "waits"
    run: Run
    step: Step
    kind: WaitKind
    expires: int
    event: str = ""
    expression: str | None = None
    timer: Timer | None = None

    @property
    def key(self) -> str:
        return self.run.id + self.step.id

    @property
    def correlation(self) -> str:
        """By which the end of an invoked run finds the step that invoked it."""
        return f"{self.run.id}.{self.step.id}"


@dataclass(slots=True, frozen=True)
class Fetching:
    """A request that is under way for a step, and the job that asked for it."""

    job: Job
    waiting: Wait
    attempt: int
    """Of the job when it asked; another request of it may have failed since."""
    started_at: int


@dataclass(slots=True)
class Attempt:
    """A failed attempt; without a step id the function itself failed."""

    TABLE: ClassVar[str] = "attempts"
    run_id: str
    step_id: str
    job_id: str
    attempt: int
    started_at: int
    ended_at: int
    error: bytes
    retry_at: int | None

    @property
    def key(self) -> str:
        return f"{self.run_id}{self.step_id}.{self.job_id}.{self.attempt}"


@dataclass(slots=True)
class Cause:
    """An event that started a run."""

    TABLE: ClassVar[str] = "causes"
    event_id: str
    run_id: str

    @property
    def key(self) -> str:
        return self.event_id + self.run_id


@dataclass(slots=True)
class Dedupe:
    """An event id that a function has seen; without a function: that the server has."""

    TABLE: ClassVar[str] = "dedupes"
    function_id: str
    event_id: str
    expires: int

    @property
    def key(self) -> str:
        return self.function_id + self.event_id


@dataclass(slots=True)
class Invocation:
    """A key of an invocation, and what it led to."""

    TABLE: ClassVar[str] = "invocations"
    function_id: str
    word: str
    event_id: str
    run_id: str | None
    expires: int

    @property
    def key(self) -> str:
        return f"{self.function_id}/{self.word}"


@dataclass(slots=True)
class Defer:
    """A function that a run wants started once it has ended, and the event by which it was."""

    TABLE: ClassVar[str] = "defers"
    run_id: str
    number: int
    id: str
    name: str
    slug: str
    input: bytes
    meta: bytes | None = None
    aborted: bool = False
    event_id: str | None = None

    @property
    def key(self) -> str:
        return self.run_id + self.id


@dataclass(slots=True, frozen=True, kw_only=True)
class Note:
    """Metadata of a run or, where `step_id` is not empty, of a step, as it was sent."""

    TABLE: ClassVar[str] = "notes"
    run_id: str
    id: str
    step_id: str
    scope: str
    kind: str
    op: str
    values: bytes
    noted_at: int

    @property
    def key(self) -> str:
        return self.run_id + self.id


@dataclass(slots=True, frozen=True, kw_only=True)
class Span:
    """Something that the app of a run has traced itself. Ids in hex, `attributes` JSON."""

    TABLE: ClassVar[str] = "spans"
    run_id: str
    id: str
    parent: str
    name: str
    kind: str
    began_at: int
    ended_at: int
    failed: bool
    service: str
    scope: str
    attributes: bytes

    @property
    def key(self) -> str:
        return self.run_id + self.id


@dataclass(slots=True)
class Run:
    """One execution of a function, with everything that a call about it is made of."""

    TABLE: ClassVar[str] = "runs"
    id: str
    function: Function
    events: list[Event]
    queued_at: int
    status: Status = Status.QUEUED
    started_at: int | None = None
    ended_at: int | None = None
    request_version: int = -1
    force_plan: bool = False
    output: bytes | None = None
    cron: str | None = None
    correlation: str | None = None
    """The invoking run and step."""
    original_run_id: str | None = None
    retries: int | None = None
    """Those that this run was begun with; None: those of its function."""
    idle: int = 0
    """Calls in a row that brought nothing new."""
    memos: Memos = field(default_factory=Memos)
    stack: list[bytes] = field(default_factory=list)
    steps: dict[str, Step] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    """Open steps of the batch that must end before the function is called again."""
    jobs: dict[str, Job] = field(default_factory=dict)
    waits: dict[str, Wait] = field(default_factory=dict)
    defers: dict[str, Defer] = field(default_factory=dict)
    deadlines: list[Timer] = field(default_factory=list)
    terms: Terms | None = None

    @property
    def key(self) -> str:
        return self.id

    @property
    def event(self) -> Event:
        """The first trigger event."""
        return self.events[0]

    @property
    def events_size(self) -> int:
        """Of all trigger events, in bytes."""
        return sum(len(event.full) for event in self.events)

    @property
    def max_attempts(self) -> int:
        """Attempts that each job gets."""
        return (self.function.retries if self.retries is None else self.retries) + 1


@dataclass(slots=True)
class Schedule:
    """The next tick of a cron trigger."""

    function: Function
    trigger: Trigger
    scheduled_at: int
    fire_at: int
    timer: Timer | None = None


@dataclass(slots=True, frozen=True)
class Deadline:
    """The time by which a run must have started, or finished."""

    run: Run
    kind: str


@dataclass(slots=True)
class State:
    """Everything live, by the ways it is looked up."""

    apps: dict[str, App] = field(default_factory=dict)
    functions: dict[str, Function] = field(default_factory=dict)
    slugs: dict[str, Function] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    ready: list[tuple[int, str, int, Job | Line]] = field(default_factory=list)
    """A heap: jobs and lines of jobs that may be tried, by their places."""
    control: Control = field(default_factory=Control)
    calling: set[str] = field(default_factory=set)
    """Ids of jobs whose calls are in progress, also of runs that ended meanwhile."""
    event_waits: dict[str, dict[str, Wait]] = field(default_factory=dict)
    invokes: dict[str, Wait] = field(default_factory=dict)
    fetches: dict[str, Fetching] = field(default_factory=dict)
    signals: dict[str, Wait] = field(default_factory=dict)
    """Who waits for which signal."""
    running: dict[str, dict[str, Run]] = field(default_factory=dict)
    """Live runs by function id."""
    dedupes: dict[tuple[str, str], Dedupe] = field(default_factory=dict)
    invocations: dict[tuple[str, str], Invocation] = field(default_factory=dict)
    schedules: dict[tuple[str, str], Schedule] = field(default_factory=dict)
