"""Functions of which one run at a time may be: the last gate before a run is created."""

from __future__ import annotations

from collections.abc import Sequence

from inngest_contrib.devserver.engine import runs, terms
from inngest_contrib.devserver.engine.commands import Warn
from inngest_contrib.devserver.engine.state import Event, Function, Run
from inngest_contrib.devserver.engine.turn import Turn


def start(
    turn: Turn,
    function: Function,
    events: Sequence[Event],
    *,
    correlation: str | None = None,
    cron: str | None = None,
) -> Run | None:
    """Start a run, alone if the function wants it so; None if another one is in its way."""
    key = terms.find_single(turn, function, events[0])
    others = {} if key is None else turn.state.control.singles.get(key, {})
    if others and not _give_way(turn, function, list(others.values())):
        _warn_invoker(turn, function, correlation)
        return None
    return runs.start(turn, function, events, correlation=correlation, cron=cron)


def _give_way(turn: Turn, function: Function, others: list[Run]) -> bool:
    if function.options is None or function.options.single is None:
        return True
    if not function.options.single.cancels:
        return False
    for run in others:
        runs.cancel(turn, run)
    return True


def _warn_invoker(turn: Turn, function: Function, correlation: str | None) -> None:
    if correlation is not None:
        turn.effects.append(
            Warn(
                f"run {correlation.partition('.')[0]} invoked {function.slug}, which is a "
                "singleton and has a run already: the invoke is skipped, and its step waits "
                "until its timeout, as on the real server"
            )
        )
