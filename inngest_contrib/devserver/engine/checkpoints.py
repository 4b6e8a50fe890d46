"""
Results that a function reports while it goes on.

Law: a report is taken whole or not at all. What is refused the app sends along with its reply, and
there the usual rules apply.

Only the call that the server waits for may report: one that a retry or a restart has replaced is
told that it is stale, and nothing it says is kept.
"""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Mapping, Sequence

from inngest_contrib.devserver.engine import defers, metadata, steps, text
from inngest_contrib.devserver.engine.commands import Checkpointed, Json, Report
from inngest_contrib.devserver.engine.demands import GaveUp, check_state, notice_step
from inngest_contrib.devserver.engine.limits import MAX_REPLY, MAX_STEP_OUTPUT
from inngest_contrib.devserver.engine.ops import trim_error
from inngest_contrib.devserver.engine.replies import Failure, Op, parse_op
from inngest_contrib.devserver.engine.state import Job, Run, Step
from inngest_contrib.devserver.engine.turn import Turn
from inngest_core.wire.ids import is_ulid
from inngest_core.wire.names import Opcode

_RESULTS = (Opcode.STEP_RUN, Opcode.STEP)
_ALLOWED = (*_RESULTS, Opcode.PLANNED, *defers.LAZY)
_ENDS = (Opcode.RUN_COMPLETE, Opcode.SYNC_RUN_COMPLETE, Opcode.STEP_FAILED)
_STALE = "stale dispatch: "
_BAD_ID = "invalid request body: ulid: run_id must be a ULID"
_NO_JOB = "queue item not found"


class Refused(Exception):
    """A report cannot be taken. run_id: where it is known which run it is about."""

    def __init__(self, status: int, message: str, run_id: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.run_id = run_id


def take(turn: Turn, command: Report) -> Checkpointed:
    """Store what a function reports."""
    try:
        report = read_report(command.body)
        _take(turn, report)
    except Refused as refused:
        return Checkpointed(refused.status, str(refused), refused.run_id)
    return Checkpointed()


# --- reading --------------------------------------------------------------------------------


def read_report(body: bytes) -> Mapping[str, Json]:
    """The object that a report is, with a run id that is text."""
    if len(body) > MAX_REPLY:
        raise Refused(413, f"the report has {len(body)} bytes; at most {MAX_REPLY} are taken")
    try:
        report = text.read(body)
    except ValueError as error:
        raise Refused(400, f"invalid request body: {error}") from error
    if not isinstance(report, dict):
        raise Refused(400, "invalid request body: it must be an object")
    run_id = report.get("run_id")
    if not isinstance(run_id, str):
        raise Refused(400, _BAD_ID)
    return report


def read_ops(report: Mapping[str, Json]) -> list[Op]:
    """What a report says of steps."""
    items = report.get("steps") or []
    if not isinstance(items, list):
        raise Refused(400, "invalid request body: steps must be an array")
    return [_read_op(index, item) for index, item in enumerate(items)]


def _read_op(index: int, item: Json) -> Op:
    op = parse_op(index, item)
    if isinstance(op, Failure):
        reason = op.kind.removeprefix("error reading generator opcode response: ")
        raise Refused(400, f"invalid request body: {reason}")
    return op


def _number(report: Mapping[str, Json], key: str) -> int:
    value = report.get(key) or 0
    if not isinstance(value, int):
        raise Refused(400, f"invalid request body: {key} must be a whole number")
    return value


def _job_id(report: Mapping[str, Json]) -> str:
    """The job that `qi_id` names; empty where it names none."""
    name = report.get("qi_id") or ""
    try:
        return b64decode(name, validate=True).partition(b"::")[0].decode()
    except (binascii.Error, TypeError, ValueError):
        return "?"


# --- checking -------------------------------------------------------------------------------


def _take(turn: Turn, report: Mapping[str, Json]) -> None:
    run_id: str = report["run_id"]
    run = turn.state.runs.get(run_id)
    # Looked at here alone: what is the id of a run needs no look at its letters.
    if run is None and not is_ulid(run_id):
        raise Refused(400, _BAD_ID)
    ops = read_ops(report)
    _check_kinds(run_id, ops)
    if run is None:
        raise Refused(400, "run not found in state store", run_id)
    job = _find_job(turn, run, report)
    news = find_news(run, ops)
    check_sizes(run, news)
    origin = job or Job(id="", run=run, step="", run_at=turn.now, started_at=turn.now)
    for op in news:
        store(turn, origin, op)
    metadata.take(turn, run, news)
    defers.take(turn, run, ops)
    if job is not None and job.attempt and _number(report, "generation_id"):
        # The next step has all its attempts again.
        job.attempt = 0
        turn.changes.keep(job)


def _check_kinds(run_id: str, ops: Sequence[Op]) -> None:
    for op in ops:
        if op.code in _ENDS:
            raise Refused(400, f"cannot checkpoint opcode: {op.code.value}", run_id)
        if op.code not in _ALLOWED:
            raise Refused(400, "cannot checkpoint async steps", run_id)


def _find_job(turn: Turn, run: Run, report: Mapping[str, Json]) -> Job | None:
    """The job whose call reports; None where the report does not say which."""
    job_id, generation = _job_id(report), _number(report, "generation_id")
    if not job_id:
        return None
    job = turn.state.jobs.get(job_id)
    if job is None or job.run is not run:
        if generation:
            raise Refused(409, _STALE + _NO_JOB, run.id)
        raise Refused(400, _NO_JOB, run.id)
    if generation and generation != job.generation:
        reason = f"dispatch generation {generation} does not match queue item generation"
        raise Refused(409, f"{_STALE}{reason} {job.generation}", run.id)
    return job


def find_news(run: Run, ops: Sequence[Op], kinds: tuple[Opcode, ...] = _RESULTS) -> list[Op]:
    """The results that are not known yet, each once."""
    found: dict[str, Op] = {}
    for op in ops:
        step = run.steps.get(op.id)
        if op.code in kinds and (step is None or not step.ended):
            found.setdefault(op.id, op)
    return list(found.values())


def check_sizes(run: Run, news: Sequence[Op]) -> None:
    """Raise Refused if these are more than the run may hold."""
    whole = 0
    for count, op in enumerate(news):
        if len(op.data) > MAX_STEP_OUTPUT:
            _refuse_size(run, op, "step output size is greater than the limit")
        whole += len(op.data)
        try:
            check_state(run, whole, ahead=count)
        except GaveUp as error:
            _refuse_size(run, op, error.message)


def _refuse_size(run: Run, op: Op, reason: str) -> None:
    raise Refused(413, f"step {op.id} output too large: {reason}", run.id)


# --- storing --------------------------------------------------------------------------------


def store(turn: Turn, job: Job, op: Op) -> Step:
    """Store a result, and ask for nothing: the function goes on by itself."""
    step = notice_step(turn, job, op)
    step.op = Opcode.STEP_RUN.value
    step.attempts = job.attempt + 1
    step.opts = text.write(op.opts) if op.opts else None
    began, ended = _moments(turn, job, op)
    step.started_at = step.queued_at = began
    failed = op.code is Opcode.STEP_FAILED
    steps.record(turn, job.run, step, memo_of(op), failed=failed)
    step.ended_at = ended
    job.run.pending.discard(step.id)
    return step


def memo_of(op: Op) -> bytes:
    """What later calls see of a result."""
    if op.code is Opcode.STEP_FAILED:
        return text.write({"error": trim_error(op.error)})
    return op.data if op.code is Opcode.STEP else b'{"data":%b}' % op.data


def _moments(turn: Turn, job: Job, op: Op) -> tuple[int, int]:
    """When a step began and ended: as the app says, as far as that can be."""
    began, took = op.timing.get("a"), op.timing.get("b")
    if not isinstance(began, int) or not isinstance(took, int):
        return turn.now, turn.now
    first = min(max(began // 1_000_000, job.started_at), turn.now)
    last = min(max((began + took) // 1_000_000, first), turn.now)
    return first, last
