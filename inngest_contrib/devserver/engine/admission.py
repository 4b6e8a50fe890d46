"""
The gate between an event that matches a function and the run that it starts.

In this order: an event id that the function has seen, idempotency and rate limit start nothing;
a batch or a debounce holds the event back; a singleton skips it or makes room. The limits of the
calls of a run (concurrency, throttle, priority) are another gate, see lanes.py.
"""

from __future__ import annotations

from collections.abc import Iterator

from inngest_contrib.devserver.engine import (
    holdings,
    keys,
    meters,
    pauses,
    runs,
    singles,
    steps,
    text,
)
from inngest_contrib.devserver.engine.limits import DEDUPE_WINDOW
from inngest_contrib.devserver.engine.options import Options, Rate
from inngest_contrib.devserver.engine.state import Dedupe, Event, Function, Run
from inngest_contrib.devserver.engine.turn import Turn

_RATE_LIMITED = text.write(
    {"error": {"message": "invoked function is rate limited", "name": "Error"}}
)


def admit(
    turn: Turn,
    function: Function,
    event: Event,
    *,
    correlation: str | None = None,
    cron: str | None = None,
) -> Run | None:
    """Start a run of the function for the event, unless something stands against it, or later."""
    # Ids that the server made itself cannot come twice; a tick's id is no sender's.
    by_sender = event.external_id != event.id and cron is None
    if by_sender and _is_known(turn, function.id, event.external_id):
        return None
    run, used = _start(turn, function, event, correlation, cron)
    if by_sender and used:
        _remember(turn, function.id, event.external_id)
    return run


def _start(
    turn: Turn, function: Function, event: Event, correlation: str | None, cron: str | None
) -> tuple[Run | None, bool]:
    """The run, if there is one now; and whether the event has led, or will lead, to anything."""
    options = function.options
    if options is None:
        return runs.start(turn, function, [event], correlation=correlation, cron=cron), True
    if not _is_within_rates(turn, function, options, event):
        _refuse_invoker(turn, correlation)
        return None, False
    run = _start_within_rates(turn, function, options, event, correlation, cron)
    return run, run is not None or options.hold_back


def _start_within_rates(
    turn: Turn,
    function: Function,
    options: Options,
    event: Event,
    correlation: str | None,
    cron: str | None,
) -> Run | None:
    batching, debouncing = options.batching, options.debouncing
    if batching is not None and _may_batch(turn, batching.condition, event):
        return holdings.collect(turn, function, batching, event, correlation)
    if debouncing is not None:
        holdings.hold_off(turn, function, debouncing, event, correlation)
        return None
    return singles.start(turn, function, [event], correlation=correlation, cron=cron)


def _may_batch(turn: Turn, condition: str, event: Event) -> bool:
    return not condition or turn.expressions.matches(condition, event.value)


def _is_within_rates(turn: Turn, function: Function, options: Options, event: Event) -> bool:
    """Count the event against both limits, if neither stands against it."""
    counters = list(_counters(turn, function, options, event))
    if any(meters.opens_at(turn, *counter) > turn.now for counter in counters):
        return False
    for counter in counters:
        meters.take(turn, *counter)
    return True


def _counters(
    turn: Turn, function: Function, options: Options, event: Event
) -> Iterator[tuple[str, str, str, Rate]]:
    """The limits that apply to the event: of what kind, whose, for which bucket, how fast."""
    rates = {meters.IDEMPOTENCY: options.idempotency, meters.RATE_LIMIT: options.rate_limit}
    for kind, rate in rates.items():
        if rate is not None:
            nothing = (None, "", False)
            bucket = keys.find_if_given(turn, function, rate.key, event, unless=nothing)
            if bucket is not None:
                yield kind, function.id, bucket, rate


def _refuse_invoker(turn: Turn, correlation: str | None) -> None:
    waiting = None if correlation is None else turn.state.invokes.get(correlation)
    if waiting is not None:
        pauses.release(turn, waiting)
        steps.end(turn, waiting.run, waiting.step, _RATE_LIMITED, failed=True)


def first_seen(turn: Turn, function_id: str, event_id: str) -> bool:
    """Remember an event id for a day; False if it was known. Without a function: to the server."""
    if _is_known(turn, function_id, event_id):
        return False
    _remember(turn, function_id, event_id)
    return True


def _is_known(turn: Turn, function_id: str, event_id: str) -> bool:
    known = turn.state.dedupes.get((function_id, event_id))
    return known is not None and known.expires > turn.now


def _remember(turn: Turn, function_id: str, event_id: str) -> None:
    seen = Dedupe(function_id, event_id, turn.now + DEDUPE_WINDOW)
    turn.state.dedupes[function_id, event_id] = seen
    turn.timers.add(seen.expires, seen)
    turn.changes.keep(seen)


def forget(turn: Turn, seen: Dedupe) -> None:
    """The day is over."""
    del turn.state.dedupes[seen.function_id, seen.event_id]
    turn.changes.drop(seen)
