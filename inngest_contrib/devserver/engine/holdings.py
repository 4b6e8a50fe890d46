"""
Events held back for a run to come: a batch that fills, or a burst of which the last one counts.

What is held back is stored, and its time goes on while the server is down.
"""

from __future__ import annotations

from inngest_contrib.devserver.engine import keys, singles
from inngest_contrib.devserver.engine.commands import Warn
from inngest_contrib.devserver.engine.control import Held, Holding
from inngest_contrib.devserver.engine.limits import MAX_BATCH
from inngest_contrib.devserver.engine.options import Batching, Debouncing
from inngest_contrib.devserver.engine.state import Event, Function, Run
from inngest_contrib.devserver.engine.turn import Turn


def collect(
    turn: Turn, function: Function, batching: Batching, event: Event, correlation: str | None
) -> Run | None:
    """Put an event into the batch of its key. The one that fills it starts the run."""
    bucket = keys.find(turn, function, batching.key, event)
    holding = turn.state.control.holdings.get((function.id, bucket))
    if holding is None:
        holding = _open(turn, function, bucket, due=turn.now + batching.timeout)
    _keep(turn, holding, Held(holding.id, len(holding.held), event, correlation))
    holding.size += len(event.data)
    if len(holding.held) < batching.size and holding.size < MAX_BATCH:
        return None
    return let_go(turn, holding)


def hold_off(
    turn: Turn, function: Function, debouncing: Debouncing, event: Event, correlation: str | None
) -> None:
    """Let an event wait for a later one that takes its place. One that is older is dropped."""
    bucket = keys.find(turn, function, debouncing.key, event)
    holding = _find_replaceable(turn, function, bucket)
    if holding is None:
        length = min(debouncing.period, debouncing.timeout or debouncing.period)
        holding = _open(turn, function, bucket, due=turn.now + length)
    elif event.ts < holding.held[0].event.ts:
        _warn_invoker(turn, function, correlation)
        return
    else:
        _warn_invoker(turn, function, holding.held[0].correlation)
        _put_off(turn, holding, debouncing)
    _keep(turn, holding, Held(holding.id, 0, event, correlation))


def _find_replaceable(turn: Turn, function: Function, bucket: str) -> Holding | None:
    holding = turn.state.control.holdings.get((function.id, bucket))
    if holding is not None and len(holding.held) > 1:
        # The function batched before: nothing of that may be lost.
        let_go(turn, holding)
        return None
    return holding


def let_go(turn: Turn, holding: Holding) -> Run | None:
    """The batch is full, or the time is over: the run starts, unless a singleton is in its way."""
    del turn.state.control.holdings[holding.function.id, holding.bucket]
    if holding.timer is not None:
        holding.timer.cancel()
    turn.changes.drop(holding)
    for held in holding.held:
        turn.changes.drop(held)
    invokers = [held.correlation for held in holding.held if held.correlation is not None]
    return singles.start(
        turn,
        holding.function,
        [held.event for held in holding.held],
        correlation=invokers[0] if invokers else None,
    )


def register(turn: Turn, holding: Holding) -> None:
    """Put a holding where its time and further events find it."""
    turn.state.control.holdings[holding.function.id, holding.bucket] = holding
    holding.timer = turn.timers.add(holding.due, holding)


def _open(turn: Turn, function: Function, bucket: str, *, due: int) -> Holding:
    holding = Holding(turn.ids.ulid(turn.now), function, bucket, began_at=turn.now, due=due)
    register(turn, holding)
    turn.changes.keep(holding)
    return holding


def _put_off(turn: Turn, holding: Holding, debouncing: Debouncing) -> None:
    due = turn.now + debouncing.period
    if debouncing.timeout is not None:
        due = min(due, holding.began_at + debouncing.timeout)
    if holding.timer is not None:
        holding.timer.cancel()
    holding.due = due
    holding.timer = turn.timers.add(due, holding)
    turn.changes.keep(holding)


def _keep(turn: Turn, holding: Holding, held: Held) -> None:
    holding.held[held.number :] = [held]
    turn.changes.keep(held)


def _warn_invoker(turn: Turn, function: Function, correlation: str | None) -> None:
    if correlation is not None:
        turn.effects.append(
            Warn(
                f"run {correlation.partition('.')[0]} invoked {function.slug}, which is debounced, "
                "and a later event took the place of this one: the step waits until its timeout, "
                "as on the real server"
            )
        )
