"""
A server in memory: plays one run of a function against its endpoint, call by call.

It keeps the rules that a real server keeps: a lone step is followed by a discovery,
a batch by targeted calls and then one discovery (wait) or one after every branch
(race). What it may do in any order, it does in the order that the test picks.
"""

from __future__ import annotations

import asyncio
import collections
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from inngest_core import CommHandler, CommRequest, CommResponse, Inngest, TriggerEvent
from inngest_core.wire.ids import hash_step

Answer = Callable[[CommRequest], CommResponse]
Pick = Callable[[Sequence["Job"]], int]

EVENT: dict[str, Any] = {"data": {"n": 1}, "id": "e1", "name": "test/event", "ts": 1}
ANY = TriggerEvent(event="test/event")
RUN_ID = "01M81CV4SR9WGEDKMNJWE4XNQ5"
TIMED_OUT: None = None
_PAUSES = {"AIGateway", "Gateway", "InvokeFunction", "Sleep", "WaitForEvent", "WaitForSignal"}


def new_client(**options: Any) -> Inngest:
    """A client in dev mode that loads no plugins."""
    return Inngest(**{"app_id": "app", "is_production": False, **options})


def endpoint(
    handler: Callable[[Any], Any], *, client: Inngest | None = None, **options: Any
) -> CommHandler:
    """Where the server finds *handler*, a function of a client of its own unless one is given."""
    client = client or new_client()
    client.create_function(**{"fn_id": "fn", "trigger": ANY, **options})(handler)
    return CommHandler(client=client, framework="test")


@contextmanager
def on_loop(
    handler: CommHandler, new_loop: Callable[[], Any] = asyncio.new_event_loop
) -> Iterator[Answer]:
    """The way to answer requests from a running loop; no task may be left behind."""
    loop = new_loop()

    async def answer(request: CommRequest) -> CommResponse:
        response = await handler.answer(request)
        for _ in range(12):
            # Whoever awaited a cancelled task hears of it a turn or two later.
            await asyncio.sleep(0)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"left behind: {left}"
        return response

    try:
        yield lambda request: loop.run_until_complete(answer(request))
    finally:
        loop.close()


def post(
    steps: Mapping[str, Any] | None = None,
    *,
    stack: Sequence[str] | None = None,
    target: str | None = None,
    plan_only: bool = False,
    attempt: int = 0,
    max_attempts: int = 5,
    fn_id: str = "app-fn",
    defers: Mapping[str, Any] | None = None,
) -> CommRequest:
    """A call. All by raw id; the stack is in the order of steps unless given."""
    memos = dict(steps or {})
    return _post(
        fn_id,
        {hash_step(raw): memo for raw, memo in memos.items()},
        [hash_step(raw) for raw in (memos if stack is None else stack)],
        "step" if target is None else hash_step(target),
        plan_only,
        attempt,
        max_attempts,
        {hash_step(raw): known for raw, known in (defers or {}).items()},
    )


def _post(
    fn_id: str,
    memos: Mapping[str, Any],
    stack: list[str],
    step_id: str,
    plan_only: bool,
    attempt: int,
    max_attempts: int,
    defers: Mapping[str, Any],
) -> CommRequest:
    ctx = {
        "attempt": attempt,
        "disable_immediate_execution": plan_only,
        "fn_id": "3fb99263-83df-5fa5-b9bd-c1b658ecc15b",
        "max_attempts": max_attempts,
        "run_id": RUN_ID,
        "stack": {"current": len(stack), "stack": stack},
    }
    body = {
        "ctx": ctx,
        "defers": dict(defers),
        "event": EVENT,
        "events": [EVENT],
        "steps": memos,
        "version": 2,
    }
    return CommRequest(
        method="POST",
        url=f"http://app.example/api/inngest?fnId={fn_id}&stepId={step_id}",
        headers={"content-type": "application/json"},
        query={"fnId": fn_id, "stepId": step_id},
        body=json.dumps(body).encode(),
    )


def ops(response: CommResponse) -> list[tuple[str, str]]:
    """What a reply asks for: name and step id of each op."""
    assert response.status == 206, response.body
    return [(op["op"], op["displayName"]) for op in json.loads(response.body)]


def data(value: Any) -> dict[str, Any]:
    """The memo of a step that returned *value*."""
    return {"data": value}


def giving(value: Any) -> Callable[[], Any]:
    """A callable that returns *value*."""
    return lambda: value


class Counts(collections.Counter[str]):
    """How often each step's callable was executed."""

    def doing(self, name: str, result: Any = None) -> Callable[[], Any]:
        """A callable that is counted, and returns *result* or raises it."""

        def execute() -> Any:
            self[name] += 1
            if isinstance(result, BaseException):
                raise result
            return name if result is None else result

        return execute

    @property
    def doubled(self) -> dict[str, int]:
        return {name: count for name, count in self.items() if count > 1}


@dataclass
class Job:
    """Something the server may do next: call the function, or let a pause end."""

    kind: str
    target: str | None = None
    name: str = ""
    attempt: int = 0
    op: dict[str, Any] = field(default_factory=dict)
    seen: tuple[dict[str, Any], list[str]] | None = None


@dataclass
class Call:
    """One call and its reply. target: the user's step id, None for a discovery."""

    target: str | None
    status: int
    ops: list[tuple[str, str]]


def first(jobs: Sequence[Job]) -> int:
    """First come, first served."""
    return 0


def last(jobs: Sequence[Job]) -> int:
    """The newest job first."""
    return len(jobs) - 1


def shuffled(seed: int) -> Pick:
    """In an order that only *seed* knows."""
    chance = random.Random(seed)
    return lambda jobs: chance.randrange(len(jobs))


@dataclass
class Run:
    """
    One run, played to its end by ``play``.

    table: by step id, the memo that what the server does ends with. overlapping: targeted
    calls begin when they are planned, so that none sees what the others have brought.
    """

    answer: Answer
    fn_id: str = "app-fn"
    pick: Pick = first
    table: Mapping[str, Any] = field(default_factory=dict)
    overlapping: bool = False
    max_attempts: int = 5
    most_calls: int = 400
    calls: list[Call] = field(default_factory=list)
    memos: dict[str, Any] = field(default_factory=dict)
    stack: list[str] = field(default_factory=list)
    defers: dict[str, Any] = field(default_factory=dict)
    output: Any = None
    error: dict[str, Any] | None = None
    ended: bool = False

    def __post_init__(self) -> None:
        self._jobs = [Job("discovery")]
        self._pending: set[str] = set()
        self._known: set[str] = set()
        self._names: dict[str, str] = {}
        self._racing: set[str] = set()
        self._deferred: dict[str, dict[str, Any]] = {}

    def play(self) -> Run:
        while not self.ended:
            assert self._jobs, f"the run hangs after {self.calls}"
            assert len(self.calls) < self.most_calls, "the run does not end"
            self._do(self._jobs.pop(self.pick(self._jobs)))
        return self

    @property
    def result(self) -> Any:
        """What the function returned; its failure is a failure of the test."""
        assert self.error is None, self.error
        return self.output

    @property
    def trace(self) -> list[str]:
        """The calls in short: the targeted step's id, or ``?`` for a discovery."""
        return [call.target or "?" for call in self.calls]

    @property
    def completed(self) -> list[str]:
        """The ids of the steps that ended, in that order."""
        return [self._names[hashed] for hashed in self.stack]

    @property
    def started(self) -> list[tuple[str, Any]]:
        """What starts now that the run has ended: the function and input of each deferral."""
        abortable = [hashed for hashed, known in self.defers.items() if known["abortable"]]
        deferred = [self._deferred[hashed]["opts"] for hashed in abortable]
        return [(opts["fn_slug"], opts["input"]) for opts in deferred]

    def _do(self, job: Job) -> None:
        if job.kind == "pause":
            self._end_step(job.op["id"], self.table.get(job.op["displayName"], TIMED_OUT))
        else:
            self._call(job)

    def _call(self, job: Job) -> None:
        memos, stack = job.seen or (self.memos, self.stack)
        request = _post(
            self.fn_id,
            memos,
            stack,
            job.target or "step",
            job.target is not None,
            job.attempt,
            self.max_attempts,
            self.defers,
        )
        response = self.answer(request)
        body = json.loads(response.body)
        found = ops(response) if response.status == 206 else []
        self.calls.append(Call(job.name or None, response.status, found))
        if response.status == 206:
            self._obey(job, body)
        elif response.status == 200:
            self.output, self.ended = body, True
        elif not self._again(job, response):
            self.error, self.ended = body, True

    def _again(self, job: Job, response: CommResponse) -> bool:
        no_retry = response.headers["x-inngest-no-retry"] == "true"
        if no_retry or job.attempt + 1 >= self.max_attempts:
            return False
        job.attempt += 1
        self._jobs.append(job)
        return True

    def _obey(self, job: Job, found: list[dict[str, Any]]) -> None:
        batch = [op for op in found if not self._defer(op)]
        if not batch and not self.ended:
            self._jobs.append(Job("discovery"))
        if len(batch) > 1:
            assert not any(op["op"] == "StepRun" for op in batch), "doubles the next discovery"
            self._pending |= {op["id"] for op in batch if not _races(op)}
            self._pending -= self.memos.keys()
        for op in batch:
            if _races(op):
                self._racing.add(op["id"])
            self._take(job, op)

    def _defer(self, op: dict[str, Any]) -> bool:
        """Whether *op* only says what happens at the end."""
        if op["op"] == "DeferAdd":
            assert op["id"] not in self.defers, f"{op['displayName']} was deferred again"
            self._deferred[op["id"]] = op
            self.defers[op["id"]] = {"abortable": True}
        elif op["op"] == "DeferAbort":
            target = op["opts"]["target_hashed_id"]
            assert self.defers[target]["abortable"], f"{op['displayName']} was aborted again"
            self.defers[target] = {"abortable": False}
        elif op["op"] == "RunComplete":
            self.output, self.ended = op["data"], True
        else:
            return False
        return True

    def _take(self, job: Job, op: dict[str, Any]) -> None:
        kind, hashed = op["op"], op["id"]
        self._names[hashed] = op["displayName"]
        assert hashed not in self.memos, f"{op['displayName']} was reported again: the run hangs"
        if kind == "StepRun":
            self._end_step(hashed, {"data": op["data"]})
        elif kind == "StepFailed" or (kind == "StepError" and self._exhausted(job)):
            self._end_step(hashed, {"error": op["error"]})
        elif kind == "StepError":
            job.attempt += 1
            self._jobs.append(job)
        elif hashed not in self._known:
            self._known.add(hashed)
            kind = "pause" if kind in _PAUSES else "targeted"
            seen = (dict(self.memos), list(self.stack)) if self.overlapping else None
            self._jobs.append(Job(kind, hashed, op["displayName"], op=op, seen=seen))

    def _exhausted(self, job: Job) -> bool:
        return job.attempt + 1 >= self.max_attempts

    def _end_step(self, hashed: str, memo: Any) -> None:
        self.memos[hashed] = memo
        self.stack.append(hashed)
        self._pending.discard(hashed)
        if not self._pending or hashed in self._racing:
            self._jobs.append(Job("discovery"))


def _races(op: Mapping[str, Any]) -> bool:
    return (op["opts"] or {}).get("parallelMode") == "race"
