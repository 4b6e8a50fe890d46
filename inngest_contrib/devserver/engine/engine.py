"""
The engine: commands in; changes, effects and a result out. The rules stand in the modules beside.

    commands  what is said to the engine and by it      intake      events: cancel, wake, start
    state     what it remembers                         admission   the gate before a run
    turn      one moment of work                        runs        start and end of a run
    queue     jobs, from the wish to the call           steps       first heard of, ended once
    tracing   the trace of a run                        timers      what is due
    body      the call                                  pauses      sleep, wait, invoke
    replies   what a reply says                         ops         what its ops lead to
    outcomes  the retry rule                            schedules   cron
    demands   what all ops have in common               gateway     requests for functions
    signals   who waits for which                       defers      what begins when a run ends
    reruns    runs that repeat others                   invocations their keys
    options   what functions ask of flow control        terms       what applies to one run
    lanes     who waits for which limit                 meters      how often
    holdings  batches and debounces                     singles     one run at a time
    keys      under which limit an event is             control     what all these remember
    workers   connected, and their places
    checkpoints  results reported by functions that go on
    endpoints    runs that their apps lead

Where the real Dev Server has what its own documentation calls a bug, or lets a run hang for ever,
this engine does the sane thing (docs/embedded-server lists these):

- A trigger expression that fails at run time counts as false; the event is not redelivered.
- A sleep or wait whose options cannot be read, a wait without an event, and an invoke without a
  payload fail the run at once with the reason, instead of 21 calls and a run that hangs.
- A step whose result is known, reported again, or a DiscoveryRequest with a used id, leads to
  another call instead of a run that hangs; after 100 calls in a row that bring nothing new the
  run fails and says so.
- Several results in one reply lead to one further call, not to one for each.
- A function is never asked twice at once what comes next; branches of a race that end together
  are answered together. (So the step after a race cannot be run twice.)
- An app is known by its name, not by its URL: syncing it again from another port replaces it,
  and runs under way go on at the new address.
- `finished` is called exactly once per invoke, also when the invoked run was itself started by an
  internal event, which emits none.
- Sleeps, waits, jobs and the keys of invocations survive a restart; a request of a function that it
  cuts off is made again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from inngest_contrib.devserver.engine import (
    admission,
    checkpoints,
    endpoints,
    gateway,
    holdings,
    intake,
    invocations,
    lanes,
    metadata,
    meters,
    outcomes,
    pauses,
    queue,
    registration,
    reruns,
    runs,
    schedules,
    signals,
    workers,
)
from inngest_contrib.devserver.engine.commands import (
    BeginRun,
    CallFailed,
    CallPostponed,
    CancelRun,
    Changes,
    Command,
    Expressions,
    Fetched,
    FetchFailed,
    InvokeFunction,
    NextTick,
    NoteAppError,
    NoteMetadata,
    NoteSpans,
    NoteWorkers,
    Outcome,
    ReceiveEvents,
    Replied,
    Report,
    ReportRun,
    Rerun,
    SendSignal,
    Settings,
    SyncApp,
    Tick,
)
from inngest_contrib.devserver.engine.control import Holding, Meter
from inngest_contrib.devserver.engine.ids import Ids
from inngest_contrib.devserver.engine.lanes import MeterGate
from inngest_contrib.devserver.engine.restore import Saved, restore
from inngest_contrib.devserver.engine.state import (
    Deadline,
    Dedupe,
    Invocation,
    Job,
    Schedule,
    State,
    Wait,
)
from inngest_contrib.devserver.engine.timers import Timers
from inngest_contrib.devserver.engine.triggers import TriggerIndex
from inngest_contrib.devserver.engine.turn import Turn


class Engine:
    """Decides. One turn at a time: `begin`, any number of `apply`, `finish`."""

    def __init__(
        self,
        *,
        expressions: Expressions,
        next_tick: NextTick,
        seed: bytes,
        settings: Settings | None = None,
    ) -> None:
        self.state = State()
        self._timers = Timers()
        self._ids = Ids(seed)
        self._settings = settings or Settings()
        self._expressions = expressions
        self._next_tick = next_tick
        self._index = TriggerIndex()

    def restore(self, saved: Saved, now: int) -> Changes:
        """
        Take up what a store has kept, before the first turn. Jobs in progress are due again.

        The changes are to be stored before anything else.
        """
        turn = self.begin(now)
        restore(turn, saved)
        self.reindex()
        return turn.changes

    def next_due(self) -> int | None:
        """When the next `Tick` is wanted, in unix ms; None: not before something else happens."""
        return self._timers.next_due()

    def begin(self, now: int) -> Turn:
        """Open a turn at a moment."""
        return Turn(
            state=self.state,
            timers=self._timers,
            ids=self._ids,
            settings=self._settings,
            expressions=self._expressions,
            next_tick=self._next_tick,
            now=now,
        )

    def apply(self, turn: Turn, command: Command) -> Any:
        """Apply a command within a turn; return its result."""
        result = self._decide(turn, command)
        self._drain(turn)
        return result

    def finish(self, turn: Turn) -> None:
        """Close a turn: calls that there is room for become effects."""
        queue.dispatch(turn)

    def once(self, command: Command, now: int) -> Outcome:
        """A turn of one command, and everything due by then."""
        turn = self.begin(now)
        self.apply(turn, Tick())
        result = self.apply(turn, command)
        self.finish(turn)
        return Outcome(turn.changes, turn.effects, result)

    def _decide(self, turn: Turn, command: Command) -> Any:
        if isinstance(command, Replied):
            return outcomes.take_reply(turn, command)
        if isinstance(command, Tick):
            return self._tick(turn)
        if isinstance(command, Report):
            return checkpoints.take(turn, command)
        if isinstance(command, ReceiveEvents):
            return intake.receive(turn, self._index, command)
        if isinstance(command, CallFailed):
            return outcomes.take_failure(turn, command)
        if isinstance(command, InvokeFunction):
            return intake.invoke(turn, command)
        if isinstance(command, CancelRun):
            return runs.cancel_by_command(turn, command)
        decide = _DECIDE.get(type(command))
        return self._register(turn, command) if decide is None else decide(turn, command)

    def _register(self, turn: Turn, command: Any) -> Any:
        if isinstance(command, NoteAppError):
            return registration.note_error(turn, command)
        result: object
        if isinstance(command, SyncApp):
            result = registration.sync(turn, command)
        else:
            result = registration.remove(turn, command)
        self.reindex()
        return result

    def reindex(self) -> None:
        """Take up the functions as they are now."""
        self._index = TriggerIndex(self.state.functions.values())

    def _tick(self, turn: Turn) -> None:
        for thing in self._timers.pop_due(turn.now):
            if isinstance(thing, Job):
                lanes.line_up(turn, thing)
            elif isinstance(thing, Wait):
                pauses.expire(turn, thing)
            elif isinstance(thing, Schedule):
                schedules.fire(turn, thing)
            elif isinstance(thing, Deadline):
                runs.check_deadline(turn, thing)
            elif isinstance(thing, Dedupe):
                admission.forget(turn, thing)
            elif isinstance(thing, Invocation):
                invocations.forget(turn, thing)
            elif isinstance(thing, MeterGate):
                thing.due(turn)
            elif isinstance(thing, Meter):
                meters.due(turn, thing)
            elif isinstance(thing, Holding):
                holdings.let_go(turn, thing)

    def _drain(self, turn: Turn) -> None:
        """Let what arose inside have its effects, until nothing arises any more."""
        while turn.events or turn.starts:
            if turn.events:
                intake.take(turn, self._index, turn.events.popleft())
                continue
            start = turn.starts.popleft()
            turn.changes.keep(start.event)
            admission.admit(
                turn,
                start.function,
                start.event,
                correlation=start.correlation,
                cron=start.cron,
            )


_DECIDE: dict[type[object], Callable[[Turn, Any], Any]] = {
    BeginRun: endpoints.begin,
    ReportRun: endpoints.proceed,
    Fetched: gateway.take,
    FetchFailed: gateway.take,
    CallPostponed: outcomes.take_postponement,
    NoteWorkers: workers.note,
    SendSignal: signals.send,
    NoteMetadata: metadata.note,
    NoteSpans: metadata.note_spans,
    Rerun: reruns.rerun,
}
"""Who decides about which command, where nothing but the turn is needed."""
