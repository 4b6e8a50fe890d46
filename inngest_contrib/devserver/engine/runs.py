"""The life of a run: how it starts, how it ends, and what the end lets everyone else know."""

from __future__ import annotations

from collections.abc import Sequence

from inngest_contrib.devserver.engine import defers, pauses, queue, terms, text
from inngest_contrib.devserver.engine.commands import Cancelled, CancelRun, DropCall, Json
from inngest_contrib.devserver.engine.state import Cause, Deadline, Event, Function, Run, Status
from inngest_contrib.devserver.engine.turn import Turn

FINISHED = "inngest/function.finished"
FAILED = "inngest/function.failed"
CANCELLED = "inngest/function.cancelled"
INVOKED = "inngest/function.invoked"
_SILENT_AFTER = (FINISHED, FAILED)


def start(
    turn: Turn,
    function: Function,
    events: Sequence[Event],
    *,
    correlation: str | None = None,
    cron: str | None = None,
) -> Run:
    """Start a run. An event from the future lets it wait until then."""
    run = create(turn, function, events, correlation=correlation, cron=cron)
    queue.discover(turn, run, at=max(turn.now, run.event.ts) if cron is None else turn.now)
    return run


def create(
    turn: Turn,
    function: Function,
    events: Sequence[Event],
    *,
    correlation: str | None = None,
    cron: str | None = None,
    original_run_id: str | None = None,
) -> Run:
    """Create a run, and nothing that would call it."""
    run = Run(
        id=turn.ids.ulid(turn.now),
        function=function,
        events=list(events),
        queued_at=turn.now,
        correlation=correlation,
        cron=cron,
        original_run_id=original_run_id,
    )
    adopt(turn, run)
    turn.changes.keep(run)
    for event in events:
        turn.changes.keep(Cause(event.id, run.id))
    return run


def adopt(turn: Turn, run: Run) -> None:
    """Make a run live: new, or taken up again after a restart."""
    turn.state.runs[run.id] = run
    turn.state.running.setdefault(run.function.id, {})[run.id] = run
    terms.agree(turn, run)
    if run.status is Status.QUEUED and run.function.start_timeout is not None:
        due = run.queued_at + run.function.start_timeout
        run.deadlines.append(turn.timers.add(due, Deadline(run, "start")))
    queue.watch_finish(turn, run)


def complete(turn: Turn, run: Run, output: bytes) -> None:
    """The function returned."""
    run.output = output
    _end(turn, run, Status.COMPLETED, b'{"data":%b}' % output)


def fail(turn: Turn, run: Run, body: Json, error: Json) -> None:
    """
    The function failed for good.

    `body` is the error as the app sent it, `error` the object that events and invokers see.
    """
    run.output = text.write(body)
    written = text.write(error)
    _end(turn, run, Status.FAILED, b'{"error":%b}' % written, error=written)


def fail_with(turn: Turn, run: Run, name: str, message: str) -> None:
    """The server itself gives the run up."""
    error = {"error": f"{name}: {message}", "message": message, "name": name}
    fail(turn, run, error, error)


def cancel(turn: Turn, run: Run) -> None:
    """End a run now. Calls in progress run on; nobody waits for their replies."""
    _end(turn, run, Status.CANCELLED, None)


def cancel_by_command(turn: Turn, command: CancelRun) -> Cancelled:
    """Cancel a run by its id."""
    run = turn.state.runs.get(command.run_id)
    if run is None:
        return Cancelled.ALREADY_ENDED
    cancel(turn, run)
    return Cancelled.DONE


def check_deadline(turn: Turn, deadline: Deadline) -> None:
    """A run that has not started, or not finished, by its time is cancelled."""
    if deadline.kind == "finish" or deadline.run.status is Status.QUEUED:
        cancel(turn, deadline.run)


def _end(
    turn: Turn, run: Run, status: Status, memo: bytes | None, *, error: bytes | None = None
) -> None:
    run.status = status
    run.ended_at = turn.now
    _let_go(turn, run)
    turn.changes.keep(run)
    finished = _finished_event(turn, run, error)
    if run.event.name not in _SILENT_AFTER:
        _announce(turn, run, finished)
    defers.fire(turn, run)
    for invoker in _invokers(run):
        # The invoker of a cancelled run gets the event itself, as on the real server.
        pauses.answer(
            turn,
            invoker,
            finished.full if memo is None else memo,
            run_id=run.id,
            failed=status is not Status.COMPLETED,
        )


def _invokers(run: Run) -> list[str]:
    """The runs and steps that wait for this run: of a batch, everyone whose event is in it."""
    if run.correlation is None:
        return []
    if len(run.events) == 1:
        return [run.correlation]
    invoked = [event.value["data"]["_inngest"] for event in run.events if event.name == INVOKED]
    return [origin["correlation_id"] for origin in invoked if "correlation_id" in origin]


def _let_go(turn: Turn, run: Run) -> None:
    turn.state.runs.pop(run.id, None)
    turn.state.running[run.function.id].pop(run.id, None)
    terms.end(turn, run)
    for deadline in run.deadlines:
        deadline.cancel()
    for job in list(run.jobs.values()):
        if job.calling and job.id in turn.state.calling:
            turn.effects.append(DropCall(job.id))
        queue.drop(turn, job)
    for waiting in list(run.waits.values()):
        pauses.release(turn, waiting)
    for step in run.steps.values():
        if not step.ended:
            step.status = Status.CANCELLED
            step.ended_at = turn.now
            turn.changes.keep(step)


def _announce(turn: Turn, run: Run, finished: Event) -> None:
    turn.events.append(finished)
    name = {Status.FAILED: FAILED, Status.CANCELLED: CANCELLED}.get(run.status)
    if name is not None:
        turn.events.append(_internal_event(turn, name, finished.data, external_id=run.id))


def _finished_event(turn: Turn, run: Run, error: bytes | None) -> Event:
    parts = [b'"_inngest":{"status":"%b"}' % run.status.capitalize().encode()]
    if run.correlation is not None:
        parts.append(b'"correlation_id":%b' % text.write(run.correlation))
    if error is not None:
        parts.append(b'"error":%b' % error)
    parts.append(b'"event":%b' % run.event.full)
    parts.append(b'"events":[%b]' % b",".join([event.bare for event in run.events]))
    parts.append(b'"function_id":%b' % text.write(run.function.slug))
    if run.output is not None and run.status is not Status.CANCELLED:
        parts.append(b'"result":%b' % run.output)
    parts.append(b'"run_id":"%b"' % run.id.encode())
    return _internal_event(turn, FINISHED, b"{%b}" % b",".join(parts))


def _internal_event(turn: Turn, name: str, data: bytes, *, external_id: str = "") -> Event:
    event_id = turn.ids.ulid(turn.now)
    return Event(event_id, external_id or event_id, name, turn.now, turn.now, data)
