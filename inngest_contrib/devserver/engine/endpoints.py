"""
Durable endpoints: runs that an app begins itself, while it answers a request of its own.

Such a run is led by the app until something must wait: then the server goes on with it, and makes
the same request once more. An app that falls silent loses its run to the server, too, though late.

Law: who leads is told by the discovery job. Its generation is 0 while the app does.
"""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from inngest_contrib.devserver.engine import (
    checkpoints,
    defers,
    invocations,
    outcomes,
    queue,
    runs,
    text,
)
from inngest_contrib.devserver.engine.body import HTTP_REQUEST
from inngest_contrib.devserver.engine.checkpoints import Refused, read_ops, read_report
from inngest_contrib.devserver.engine.commands import BeginRun, Begun, Invoked, Json, ReportRun
from inngest_contrib.devserver.engine.ids import stable_uuid
from inngest_contrib.devserver.engine.limits import MAX_RETRIES
from inngest_contrib.devserver.engine.registration import add_function, read_function
from inngest_contrib.devserver.engine.replies import Op, Ops, Reply
from inngest_contrib.devserver.engine.state import App, Cause, Event, Function, Job, Run, Status
from inngest_contrib.devserver.engine.turn import Turn
from inngest_core.wire.ids import is_ulid
from inngest_core.wire.names import DISCOVERY_STEP, Opcode

_ENDS = (Opcode.RUN_COMPLETE, Opcode.SYNC_RUN_COMPLETE)
_KEPT = (Opcode.STEP_RUN, Opcode.STEP, Opcode.STEP_FAILED)
_LED = (*_KEPT, *_ENDS, *defers.LAZY)
"""Ops behind which the app goes on by itself, or has ended."""


def begin(turn: Turn, command: BeginRun) -> Begun | None:
    """An app has begun a run. None: what it says of it cannot be read."""
    try:
        report = read_report(command.body)
        ops = read_ops(report)
        facts = _facts(report)
    except Refused:
        return None
    run = turn.state.runs.get(report["run_id"])
    if run is None:
        function, word = _function(turn, facts), report.get("idempotency") or ""
        known = invocations.find(turn, function.id, word) if word else None
        if known is not None and known.run_id is not None:
            # What this one has done so far is not kept: the output to wait for is the other's.
            return Begun(known.run_id, function.id, function.app_id, awaitable=True)
        run = _create(turn, function, report)
        if word:
            invocations.remember(turn, function.id, word, Invoked(run.event.id, run.id))
    _proceed(turn, run, ops)
    return Begun(run.id, run.function.id, run.function.app_id, bool(ops))


def proceed(turn: Turn, command: ReportRun) -> str | None:
    """An app tells how its run goes on. What cannot be used is the result, for the log."""
    try:
        report = read_report(command.body)
        ops = read_ops(report)
    except Refused as refused:
        return str(refused)
    run = turn.state.runs.get(report["run_id"])
    if run is None:
        return f"run {report['run_id']} is unknown, or has ended"
    return _proceed(turn, run, ops)


# --- reading --------------------------------------------------------------------------------


def _facts(report: Mapping[str, Json]) -> Mapping[str, Json]:
    """The request that a run began with. Raises Refused where it could not be made once more."""
    if not is_ulid(report["run_id"]):
        raise Refused(400, "run_id must be a ULID")
    event = report.get("event")
    data = event.get("data") if isinstance(event, dict) else None
    if not isinstance(event, dict) or not isinstance(data, dict):
        raise Refused(400, "event.data must be an object")
    texts = ("domain", "method", "path", "query_params", "body", "content_type")
    if not all(data.get(key) is None or isinstance(data[key], str) for key in texts):
        raise Refused(400, f"event.data: {', '.join(texts)} must be text")
    if not _is_request(data):
        raise Refused(400, "event.data must name an address, a method and a body in base64")
    numbers = (report.get("retries"), report.get("request_version"), event.get("ts"))
    if not all(number is None or type(number) is int for number in numbers):
        raise Refused(400, "retries, request_version and ts must be whole numbers")
    if not isinstance(report.get("idempotency"), str | None):
        raise Refused(400, "idempotency must be text")
    return data


def _is_request(data: Mapping[str, Json]) -> bool:
    try:
        b64decode(data.get("body") or "", validate=True)
        domain = urlsplit(data.get("domain") or "")
    except (binascii.Error, ValueError):
        return False
    method, path = data.get("method") or "", data.get("path") or "/"
    plain = method.isascii() and method.isalpha() and path.startswith("/")
    return plain and domain.scheme in ("http", "https") and bool(domain.netloc)


# --- creating -------------------------------------------------------------------------------


def _create(turn: Turn, function: Function, report: Mapping[str, Json]) -> Run:
    event = _event(turn, report["event"])
    version = report.get("request_version")
    run = Run(
        id=report["run_id"],
        function=function,
        events=[event],
        queued_at=turn.now,
        status=Status.RUNNING,
        started_at=turn.now,
        request_version=-1 if version is None else version,
        retries=min(max(report.get("retries") or 0, 0), MAX_RETRIES),
    )
    runs.adopt(turn, run)
    for record in (event, run, Cause(event.id, run.id)):
        turn.changes.keep(record)
    _watch(turn, run)
    return run


def _event(turn: Turn, given: Mapping[str, Json]) -> Event:
    event_id = turn.ids.ulid(turn.now)
    ts = given.get("ts") or turn.now
    return Event(event_id, event_id, HTTP_REQUEST, ts, turn.now, text.write(given["data"]))


def _function(turn: Turn, facts: Mapping[str, Json]) -> Function:
    """The function that an address is."""
    app, path = _app(turn, facts["domain"]), facts.get("path") or "/"
    url = f"{facts['domain'].rstrip('/')}{path}"
    word = re.sub(r"[^A-Za-z0-9]+", "-", path).strip("-") or "root"
    step = {"id": "step", "name": "step", "runtime": {"type": "http", "url": url}}
    config: Mapping[str, Json] = {
        "id": f"{app.name}-{word}",
        "name": path,
        "triggers": [],
        "steps": {"step": {**step, "retries": {"attempts": 0}}},
    }
    function = read_function(app, config)
    known = turn.state.functions.get(function.id)
    if known is None or known.config != function.config:
        add_function(turn, function)
        turn.changes.keep(turn.state.functions[function.id])
    return turn.state.functions[function.id]


def _app(turn: Turn, domain: str) -> App:
    name = text.clean(urlsplit(domain).netloc)
    app_id = stable_uuid("app", name)
    app = turn.state.apps.get(app_id)
    if app is None:
        app = App(app_id, name, text.clean(domain), method="api", synced_at=turn.now)
        turn.state.apps[app_id] = app
        turn.changes.keep(app)
    return app


# --- going on -------------------------------------------------------------------------------


def _watch(turn: Turn, run: Run) -> None:
    """Leave the run to the app, unless nothing is heard of it for as long as a call may take."""
    job = run.jobs.get(DISCOVERY_STEP)
    if job is not None:
        queue.drop(turn, job)
    queue.enqueue(turn, run, DISCOVERY_STEP, at=turn.now + turn.settings.call_timeout)
    run.jobs[DISCOVERY_STEP].generation = 0


def _leading(run: Run) -> Job | None:
    """The job that stands for the app's own request; None once the server leads."""
    job = run.jobs.get(DISCOVERY_STEP)
    return job if job is not None and job.generation == 0 and not job.calling else None


def _proceed(turn: Turn, run: Run, ops: Sequence[Op]) -> str | None:
    job = _leading(run)
    if job is None:
        return f"run {run.id} is not led by its app any more"
    job.started_at = run.started_at or turn.now
    if any(op.code not in _LED for op in ops):
        if job.timer is not None:
            job.timer.cancel()
        outcomes.settle(turn, job, Reply(Ops(list(ops))))
        return None
    try:
        _keep(turn, job, ops)
    except Refused as refused:
        runs.fail_with(turn, run, "InngestErrStateOverflowed", str(refused))
        return str(refused)
    if run.ended_at is None:
        _watch(turn, run)
    return None


def _keep(turn: Turn, job: Job, ops: Sequence[Op]) -> None:
    """Store what has ended; nothing is called for it."""
    defers.take(turn, job.run, ops)
    news = checkpoints.find_news(job.run, ops, _KEPT)
    checkpoints.check_sizes(job.run, news)
    for op in news:
        checkpoints.store(turn, job, op)
    end = next((op for op in ops if op.code in _ENDS), None)
    if end is not None:
        runs.complete(turn, job.run, end.data)
