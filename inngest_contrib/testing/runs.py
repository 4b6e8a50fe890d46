"""
One run of a function, from its first call to its end, as a server conducts it.

It keeps a server's rules: a step that is planned gets a call of its own; when all
of a group have ended the function is asked again, in race mode after each of them;
what fails is called again until its attempts are used up. Nothing is waited for.
"""

from __future__ import annotations

import collections
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from inngest_core import CommRequest, CommResponse, Opcode
from inngest_core.wire.names import Header

MOST_STEPS = 1000
"""A server ends a run that has more."""
MOST_CALLS = 10_000

DISCOVERY = "step"
URL = "http://testing.invalid/api/inngest"

Op = Mapping[str, Any]
Answer = Callable[[CommRequest], CommResponse]
Settle = Callable[[Op], "Memo | None"]


class EndlessRunError(Exception):
    """A run went on for so long that it would never end."""


@dataclass(frozen=True, slots=True)
class Memo:
    """How a step has ended, as the wire carries it."""

    value: Any


@dataclass(slots=True)
class _Job:
    """A call that is due: of one planned step, or to find out what comes next."""

    target: str = DISCOVERY
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run has ended. document: what the function returned, or the error that it reported."""

    document: Any
    failed: bool


@dataclass
class Run:
    """
    One run, conducted by ``conduct``.

    answer: calls the function. settle: the memo of an op at once, or None to let its
    step execute in a call; it raises for what it cannot settle. fn_id: as served.
    raw: what middleware sees as the framework's request.
    """

    answer: Answer
    settle: Settle
    fn_id: str
    events: list[dict[str, Any]]
    max_attempts: int
    run_id: str
    raw: object = None
    _memos: dict[str, Any] = field(default_factory=dict)
    _stack: list[str] = field(default_factory=list)
    _jobs: collections.deque[_Job] = field(default_factory=collections.deque)
    _defers: dict[str, Any] = field(default_factory=dict)
    _planned: set[str] = field(default_factory=set)
    _racing: set[str] = field(default_factory=set)
    _awaited: set[str] = field(default_factory=set)
    _last: str = ""

    def conduct(self) -> Ended:
        """Call the function until it ends. Raises EndlessRunError."""
        self._jobs.append(_Job())
        for _ in range(MOST_CALLS):
            if not self._jobs:
                raise self._endless("waits for a step that is not going to end")
            job = self._jobs.popleft()
            ended = self._follow(job, self.answer(self._request(job)))
            if ended is not None:
                return ended
        raise self._endless(f"has not ended after {MOST_CALLS:,} calls")

    def _endless(self, why: str) -> EndlessRunError:
        return EndlessRunError(
            f'{self.fn_id} {why}; its last step was "{self._last}". Does a loop in it ever end?'
        )

    def _request(self, job: _Job) -> CommRequest:
        ctx = {
            "attempt": job.attempt,
            # Every step is planned before it executes: something else may take its place.
            "disable_immediate_execution": True,
            "fn_id": self.fn_id,
            "max_attempts": self.max_attempts,
            "run_id": self.run_id,
            "stack": {"current": len(self._stack), "stack": self._stack},
            "use_api": False,
        }
        doc = {
            "ctx": ctx,
            "defers": self._defers,
            "event": self.events[0],
            "events": self.events,
            "steps": self._memos,
        }
        body = json.dumps(doc).encode()
        query = {"fnId": self.fn_id, "stepId": job.target}
        return CommRequest("POST", URL, {}, query, body, self.raw)

    def _follow(self, job: _Job, response: CommResponse) -> Ended | None:
        """Do what a reply asks for; the end of the run if that is what it is."""
        doc = json.loads(response.body)
        if response.status == 200:
            return Ended(doc, failed=False)
        if response.status == 206:
            return self._obey(job, [op for op in doc if not self._defer(op)])
        if response.headers.get(Header.NO_RETRY) == "true" or not self._again(job):
            return Ended(doc, failed=True)
        return None

    def _defer(self, op: Op) -> bool:
        """Note what an op defers or takes back; False if it does neither."""
        if op["op"] == Opcode.DEFER_ADD:
            self._defers[op["id"]] = {"abortable": True}
        elif op["op"] == Opcode.DEFER_ABORT:
            self._defers[op["opts"]["target_hashed_id"]] = {"abortable": False}
        else:
            return False
        return True

    def _again(self, job: _Job) -> bool:
        """Call again after a failure; False if no attempt is left."""
        if job.attempt + 1 >= self.max_attempts:
            return False
        job.attempt += 1
        self._jobs.append(job)
        return True

    def _obey(self, job: _Job, ops: list[Op]) -> Ended | None:
        if not ops:
            # Asked for nothing, a server asks again.
            self._jobs.append(_Job())
        if len(ops) > 1:
            self._awaited |= {op["id"] for op in ops if not _races(op)} - self._memos.keys()
        self._racing |= {op["id"] for op in ops if _races(op)}
        for op in ops:
            if op["op"] == Opcode.RUN_COMPLETE:
                return Ended(op["data"], failed=False)
            self._take(job, op)
        return None

    def _take(self, job: _Job, op: Op) -> None:
        step, kind = op["id"], op["op"]
        self._last = op["displayName"]
        if kind == Opcode.STEP_RUN:
            self._end(step, {"data": op["data"]})
        elif kind == Opcode.STEP_FAILED or (kind == Opcode.STEP_ERROR and not self._again(job)):
            self._end(step, {"error": op["error"]})
        elif kind != Opcode.STEP_ERROR and step not in self._planned:
            self._planned.add(step)
            self._begin(op)

    def _begin(self, op: Op) -> None:
        memo = self.settle(op)
        if memo is None:
            self._jobs.append(_Job(op["id"]))
        else:
            self._end(op["id"], memo.value)

    def _end(self, step: str, memo: Any) -> None:
        self._memos[step] = memo
        self._stack.append(step)
        if len(self._stack) > MOST_STEPS:
            raise self._endless(f"has more than {MOST_STEPS:,} steps, which no server allows")
        self._awaited.discard(step)
        if not self._awaited or step in self._racing:
            self._jobs.append(_Job())


def _races(op: Op) -> bool:
    return (op.get("opts") or {}).get("parallelMode") == "race"
