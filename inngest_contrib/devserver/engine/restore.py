"""Taking up again what was stored: live runs with their steps, jobs and waits; apps; schedules."""

from __future__ import annotations

from dataclasses import dataclass, field

from inngest_contrib.devserver.engine import (
    gateway,
    holdings,
    invocations,
    meters,
    pauses,
    queue,
    reruns,
    runs,
    text,
)
from inngest_contrib.devserver.engine.control import Held, Holding, Meter
from inngest_contrib.devserver.engine.registration import add_function, read_function
from inngest_contrib.devserver.engine.state import (
    App,
    Dedupe,
    Defer,
    Event,
    Invocation,
    Job,
    Run,
    Status,
    Step,
    Wait,
    WaitKind,
)
from inngest_contrib.devserver.engine.turn import Turn


@dataclass(slots=True, frozen=True)
class SavedFunction:
    """A function as stored; everything else about it is in its config."""

    app_id: str
    app_name: str
    url: str
    config: bytes
    archived: bool


@dataclass(slots=True, frozen=True)
class SavedRun:
    """A run that has not ended, by the ids of what belongs to it."""

    id: str
    function_id: str
    event_ids: list[str]
    status: Status
    queued_at: int
    started_at: int | None
    request_version: int
    force_plan: bool
    cron: str | None
    correlation: str | None
    original_run_id: str | None
    retries: int | None


@dataclass(slots=True, frozen=True)
class SavedJob:
    """A job that has not been answered."""

    run_id: str
    step: str
    id: str
    attempt: int
    generation: int
    run_at: int


@dataclass(slots=True, frozen=True)
class SavedWait:
    """A step that waits."""

    run_id: str
    step_id: str
    kind: WaitKind
    expires: int
    event: str
    expression: str | None


@dataclass(slots=True, frozen=True)
class SavedHolding:
    """Events that are held back for a run to come."""

    id: str
    function_id: str
    bucket: str
    began_at: int
    due: int


@dataclass(slots=True, frozen=True)
class SavedHeld:
    """One of them."""

    holding_id: str
    number: int
    event_id: str
    correlation: str | None


@dataclass(slots=True)
class Saved:
    """Everything that a store hands back."""

    apps: list[App] = field(default_factory=list)
    functions: list[SavedFunction] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    runs: list[SavedRun] = field(default_factory=list)
    steps: list[Step] = field(default_factory=list)
    """Of live runs, by number."""
    jobs: list[SavedJob] = field(default_factory=list)
    """By the time they are due."""
    waits: list[SavedWait] = field(default_factory=list)
    invocations: list[Invocation] = field(default_factory=list)
    defers: list[Defer] = field(default_factory=list)
    """Of live runs, by number."""
    dedupes: list[Dedupe] = field(default_factory=list)
    meters: list[Meter] = field(default_factory=list)
    holdings: list[SavedHolding] = field(default_factory=list)
    held: list[SavedHeld] = field(default_factory=list)
    """By number."""


def restore(turn: Turn, saved: Saved) -> None:
    """Fill an empty state."""
    turn.state.apps.update((app.id, app) for app in saved.apps)
    for function in saved.functions:
        _restore_function(turn, function)
    # Before the runs: throttles look at their meters when the first run joins them.
    for meter in saved.meters:
        _restore_meter(turn, meter)
    events = {event.id: event for event in saved.events}
    _restore_holdings(turn, saved, events)
    for run in saved.runs:
        runs.adopt(turn, _restore_run(turn, run, events))
    _restore_steps(turn, saved.steps)
    for record in saved.invocations:
        invocations.register(turn, record)
    for defer in saved.defers:
        turn.state.runs[defer.run_id].defers[defer.id] = defer
    for job in saved.jobs:
        _restore_job(turn, job)
    for waiting in saved.waits:
        _restore_wait(turn, waiting)
    for seen in saved.dedupes:
        turn.state.dedupes[seen.function_id, seen.event_id] = seen
        turn.timers.add(seen.expires, seen)


def _restore_function(turn: Turn, saved: SavedFunction) -> None:
    app = App(saved.app_id, saved.app_name, saved.url)
    function = read_function(app, text.read(saved.config))
    function.url = saved.url
    function.archived = saved.archived
    add_function(turn, function)


def _restore_meter(turn: Turn, meter: Meter) -> None:
    turn.state.control.meters[meter.function_id, meter.kind, meter.bucket] = meter
    meters.watch(turn, meter)


def _restore_holdings(turn: Turn, saved: Saved, events: dict[str, Event]) -> None:
    found = {one.id: _holding(turn, one) for one in saved.holdings}
    for one in saved.held:
        holding = found[one.holding_id]
        held = Held(holding.id, one.number, events[one.event_id], one.correlation)
        holding.held.append(held)
        holding.size += len(held.event.data)
    for holding in found.values():
        holdings.register(turn, holding)


def _holding(turn: Turn, saved: SavedHolding) -> Holding:
    function = turn.state.functions[saved.function_id]
    return Holding(saved.id, function, saved.bucket, saved.began_at, saved.due)


def _restore_run(turn: Turn, saved: SavedRun, events: dict[str, Event]) -> Run:
    return Run(
        id=saved.id,
        function=turn.state.functions[saved.function_id],
        events=[events[event_id] for event_id in saved.event_ids],
        queued_at=saved.queued_at,
        status=saved.status,
        started_at=saved.started_at,
        request_version=saved.request_version,
        force_plan=saved.force_plan,
        cron=saved.cron,
        correlation=saved.correlation,
        original_run_id=saved.original_run_id,
        retries=saved.retries,
    )


def _restore_steps(turn: Turn, saved: list[Step]) -> None:
    for step in saved:
        run = turn.state.runs[step.run_id]
        run.steps[step.id] = step
        if not step.ended:
            reruns.restore_input(run, step)
        if not step.ended and step.mode == "wait":
            run.pending.add(step.id)
    ended = [step for step in saved if step.position is not None]
    for step in sorted(ended, key=lambda step: step.position or 0):
        run = turn.state.runs[step.run_id]
        run.memos.add(step.id, step.fragment or b"")
        run.stack.append(text.write_key(step.id)[:-1])


def _restore_job(turn: Turn, saved: SavedJob) -> None:
    run = turn.state.runs[saved.run_id]
    job = Job(saved.id, run, saved.step, saved.run_at, saved.attempt, saved.generation)
    if job.run_at <= turn.now:
        # It may have been called: whoever still works at that call must not report any more.
        job.generation += 1
        turn.changes.keep(job)
    run.jobs[job.step] = job
    queue.arm(turn, job)


def _restore_wait(turn: Turn, saved: SavedWait) -> None:
    run = turn.state.runs[saved.run_id]
    step = run.steps[saved.step_id]
    if saved.kind is WaitKind.FETCH:
        gateway.reissue(turn, run, step, saved.event)
        return
    pauses.register(turn, Wait(run, step, saved.kind, saved.expires, saved.event, saved.expression))
