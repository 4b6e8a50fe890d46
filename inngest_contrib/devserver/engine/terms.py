"""
The terms of a run: which gates its calls must pass, how far forward it moves, whom it is alone of.

They follow from the function's options and the event that started the run. So they are not stored
but made again: at a restart, and when the function is registered with other options.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from inngest_contrib.devserver.engine import keys, lanes, workers
from inngest_contrib.devserver.engine.lanes import Gate, Lane, LaneGate, LaneKey, MeterGate
from inngest_contrib.devserver.engine.limits import HOUR, SECOND
from inngest_contrib.devserver.engine.options import Concurrency, Options
from inngest_contrib.devserver.engine.state import Event, Function, Job, Run, Status
from inngest_contrib.devserver.engine.turn import Turn
from inngest_contrib.devserver.engine.workers import WorkersGate

_MAX_SHIFT = 12 * HOUR
_NO_OPTIONS = Options()


@dataclass(slots=True)
class Terms:
    """What applies to one run."""

    calls: tuple[LaneGate, ...]
    """Passed by every call, left at its end."""
    runs: tuple[LaneGate, ...]
    """Passed by the first call, left at the end of the run."""
    throttle: MeterGate | None
    shift: int
    """By how many ms its calls come earlier in the queue."""
    single: tuple[str, str] | None
    workers: WorkersGate | None = None
    """Passed by every call, last of all; never left: the workers tell what is free."""
    begun: bool = False
    """Whether it has passed `runs`."""

    def gates_before(self, run: Run) -> tuple[Gate, ...]:
        """The gates that the next call of the run must pass."""
        calls = self.calls if self.workers is None else (*self.calls, self.workers)
        if self.begun:
            return calls
        throttle = () if self.throttle is None else (self.throttle,)
        return (*throttle, *self.runs, *calls)

    @property
    def members(self) -> Iterable[Lane | MeterGate]:
        """What must know that this run is there."""
        yield from (gate.lane for gate in (*self.runs, *self.calls))
        if self.throttle is not None:
            yield self.throttle


def agree(turn: Turn, run: Run) -> None:
    """Find the terms of a run that is new, or is taken up again."""
    options = run.function.options
    if options is None and not run.function.by_worker:
        return
    run.terms = _make(turn, run, options or _NO_OPTIONS)
    for member in run.terms.members:
        member.join()
    if run.terms.single is not None:
        turn.state.control.singles.setdefault(run.terms.single, {})[run.id] = run
    if run.status is not Status.QUEUED:
        _take_places(turn, run.terms)


def end(turn: Turn, run: Run) -> None:
    """The run has ended, or gets other terms: it is in nobody's way any more."""
    terms = run.terms
    if terms is None:
        return
    run.terms = None
    if terms.begun:
        for gate in terms.runs:
            gate.leave(turn)
    for member in terms.members:
        member.part(turn)
    if terms.single is not None:
        _forget_single(turn, terms.single, run)


def begin_call(turn: Turn, job: Job, terms: Terms) -> None:
    """A job has passed its gates: its call is made."""
    terms.begun = True
    if terms.calls:
        turn.state.control.inside[job.id] = terms.calls


def end_call(turn: Turn, job_id: str) -> None:
    """A call has ended, also one whose run ended before."""
    for gate in turn.state.control.inside.pop(job_id, ()):
        gate.leave(turn)


def hold(turn: Turn, run: Run, key: str) -> None:
    """Take the places of a call for what it has left under way; `end_call` gives them back."""
    inside = turn.state.control.inside
    if run.terms is None or not run.terms.calls or key in inside:
        return
    inside[key] = run.terms.calls
    for gate in run.terms.calls:
        gate.enter(turn)


def renew(turn: Turn, function: Function) -> None:
    """The function has other options now: they apply to the runs under way as well."""
    for run in turn.state.running.get(function.id, {}).values():
        end(turn, run)
        agree(turn, run)
        for job in run.jobs.values():
            _move(turn, job)


def _move(turn: Turn, job: Job) -> None:
    if job.ticket:
        lanes.line_up(turn, job)
    elif job.calling:
        end_call(turn, job.id)
        if job.run.terms is not None:
            begin_call(turn, job, job.run.terms)
        for gate in turn.state.control.inside.get(job.id, ()):
            gate.enter(turn)


def _take_places(turn: Turn, terms: Terms) -> None:
    """A run that has begun before holds its places, also where they are more than the limit."""
    for gate in terms.runs:
        gate.enter(turn)
    terms.begun = True


def _forget_single(turn: Turn, key: tuple[str, str], run: Run) -> None:
    singles = turn.state.control.singles
    singles[key].pop(run.id, None)
    if not singles[key]:
        del singles[key]


def find_single(turn: Turn, function: Function, event: Event) -> tuple[str, str] | None:
    """Among which runs the one of this event must be alone; None: it need not be."""
    options = function.options
    if options is None or options.single is None:
        return None
    bucket = keys.find_if_given(turn, function, options.single.key, event, unless=(None, False))
    return None if bucket is None else (function.id, bucket)


def _make(turn: Turn, run: Run, options: Options) -> Terms:
    return Terms(
        calls=_gates(turn, run, "calls", options.steps),
        runs=_gates(turn, run, "runs", options.runs),
        throttle=_throttle(turn, run, options),
        shift=_shift(turn, run, options),
        single=find_single(turn, run.function, run.event),
        workers=workers.gate_of(turn, run.function),
    )


def _gates(turn: Turn, run: Run, what: str, limits: Iterable[Concurrency]) -> tuple[LaneGate, ...]:
    tightest: dict[LaneKey, int] = {}
    for limit in limits:
        key = _lane_key(turn, run, what, limit)
        tightest[key] = min(limit.limit, tightest.get(key, limit.limit))
    lanes_of = turn.state.control.lanes
    return tuple(lanes_of.setdefault(key, Lane(key)).gate(tightest[key]) for key in tightest)


def _lane_key(turn: Turn, run: Run, what: str, limit: Concurrency) -> LaneKey:
    function = run.function
    # One account and one environment: limits of these scopes differ by their expressions only.
    owner = {"fn": function.id, "app": function.app_id}.get(limit.scope, "")
    return what, limit.scope, owner, limit.key, keys.find(turn, function, limit.key, run.event)


def _throttle(turn: Turn, run: Run, options: Options) -> MeterGate | None:
    rate = options.throttle
    if rate is None or run.status is not Status.QUEUED:
        return None
    key = (run.function.id, keys.find(turn, run.function, rate.key, run.event), rate)
    gate = turn.state.control.throttles.get(key)
    if gate is None:
        gate = turn.state.control.throttles[key] = MeterGate(key)
        gate.watch(turn)
    return gate


def _shift(turn: Turn, run: Run, options: Options) -> int:
    if not options.priority:
        return 0
    seconds = keys.find_number(turn, run.function, options.priority, run.event)
    return min(max(seconds * SECOND, -_MAX_SHIFT), _MAX_SHIFT)
