"""
Deferred functions: what a run wants started once it has ended, however it ends.

Each becomes an event of its own. What cannot be taken is dropped with a warning; the run goes on.
"""

from __future__ import annotations

from collections.abc import Iterable

from inngest_contrib.devserver.engine import text
from inngest_contrib.devserver.engine.commands import Json, Warn
from inngest_contrib.devserver.engine.limits import (
    MAX_DEFER_INPUT,
    MAX_DEFER_META,
    MAX_DEFERS,
)
from inngest_contrib.devserver.engine.replies import Op
from inngest_contrib.devserver.engine.state import Defer, Event, Run
from inngest_contrib.devserver.engine.turn import Turn
from inngest_core.wire.names import Opcode

SCHEDULE = "inngest/deferred.schedule"
LAZY = (Opcode.DEFER_ADD, Opcode.DEFER_ABORT)
"""Ops that ride along with any others and end nothing."""


def take(turn: Turn, run: Run, ops: Iterable[Op]) -> bool:
    """Note what is deferred, and what no longer. False: that told nothing new."""
    note = {Opcode.DEFER_ADD: _add, Opcode.DEFER_ABORT: _abort}
    news = [note[op.code](turn, run, op) for op in ops if op.code in note]
    return any(news)


def _add(turn: Turn, run: Run, op: Op) -> bool:
    if op.id in run.defers:
        return False
    slug, given, meta = op.opts.get("fn_slug"), op.opts.get("input"), op.opts.get("meta")
    given_text, meta_text = text.write({} if given is None else given), text.write(meta)
    problem = _find_problem(run, slug, given, meta) or _find_excess(given_text, meta_text)
    if problem:
        what = f'run {run.id} of {run.function.slug}: the deferred function "{op.name or op.id}"'
        turn.effects.append(Warn(f"{what} was dropped: {problem}"))
        return False
    defer = Defer(
        run_id=run.id,
        number=len(run.defers),
        id=op.id,
        name=op.name,
        slug=str(slug),
        input=given_text,
        meta=None if meta is None else meta_text,
    )
    run.defers[op.id] = defer
    turn.changes.keep(defer)
    return True


def _find_problem(run: Run, slug: Json, given: Json, meta: Json) -> str:
    if len(run.defers) >= MAX_DEFERS:
        return f"a run may defer {MAX_DEFERS} functions"
    if not isinstance(slug, str) or not slug:
        return "opts.fn_slug must name the function"
    if not isinstance(given, dict | None):
        return "opts.input must be an object"
    if not isinstance(meta, dict | None):
        return "opts.meta must be an object"
    return ""


def _find_excess(given: bytes, meta: bytes) -> str:
    if len(given) > MAX_DEFER_INPUT:
        return f"its input has {len(given)} bytes, and {MAX_DEFER_INPUT} are allowed"
    if len(meta) > MAX_DEFER_META:
        return f"its meta has {len(meta)} bytes, and {MAX_DEFER_META} are allowed"
    return ""


def _abort(turn: Turn, run: Run, op: Op) -> bool:
    defer = run.defers.get(str(op.opts.get("target_hashed_id")))
    if defer is None or defer.aborted:
        return False
    defer.aborted = True
    turn.changes.keep(defer)
    return True


def fire(turn: Turn, run: Run) -> None:
    """The run has ended: let what it deferred begin."""
    for defer in run.defers.values():
        if defer.aborted:
            continue
        function = turn.state.slugs.get(defer.slug)
        if function is None or function.archived:
            who = f"run {run.id} of {run.function.slug}"
            turn.effects.append(Warn(f"{who} deferred {defer.slug}, which no app has registered"))
        event = _schedule_event(turn, run, defer)
        defer.event_id = event.id
        turn.changes.keep(defer)
        turn.events.append(event)


def _schedule_event(turn: Turn, run: Run, defer: Defer) -> Event:
    origin = {
        "fn_slug": defer.slug,
        "parent_app_id": run.function.app_id,
        "parent_fn_id": run.function.id,
        "parent_fn_slug": run.function.slug,
        "parent_run_id": run.id,
    }
    event_id = turn.ids.ulid(turn.now)
    return Event(
        id=event_id,
        external_id=event_id,
        name=SCHEDULE,
        ts=turn.now,
        received_at=turn.now,
        data=text.write({**text.read(defer.input), "_inngest": origin}),
        meta=defer.meta,
    )
