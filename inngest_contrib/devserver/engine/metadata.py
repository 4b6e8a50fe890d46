"""
Metadata: what apps note about a run or one of its steps, for people who look at it.

Notes are only ever added; what they amount to is found when they are read. Whatever is wrong with
one that rides along with a step is a warning: the run goes on.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from inngest_contrib.devserver.engine import text
from inngest_contrib.devserver.engine.commands import Json, NoteMetadata, NoteSpans, Warn
from inngest_contrib.devserver.engine.limits import MAX_METADATA
from inngest_contrib.devserver.engine.replies import Op
from inngest_contrib.devserver.engine.state import Note, Run
from inngest_contrib.devserver.engine.turn import Turn

USERLAND = "userland."
_KINDS = ("ai", "experiment", "sandbox", "score", "warnings")
_KNOWN = tuple(f"inngest.{kind}" for kind in _KINDS)
_OPS = ("set", "merge", "add", "delete")


@dataclass(slots=True, frozen=True)
class Update:
    """One note as it was sent, and found to be right."""

    kind: str
    op: str
    values: Mapping[str, Json]


class BadUpdate(ValueError):
    """Something that is no note; the text says why."""


def read_update(item: Json) -> Update:
    """The note that a JSON value describes."""
    if not isinstance(item, dict):
        raise BadUpdate("each must be an object with kind, op and values")
    kind, op, values = item.get("kind"), item.get("op") or "set", item.get("values")
    if not isinstance(kind, str) or not (kind.startswith(USERLAND) or kind in _KNOWN):
        raise BadUpdate(f"kind must begin with {USERLAND} or be one of {', '.join(_KNOWN)}")
    if op not in _OPS:
        raise BadUpdate(f"op must be one of {', '.join(_OPS)}")
    if not isinstance(values, dict):
        raise BadUpdate("values must be an object")
    if len(text.write(values)) > MAX_METADATA:
        raise BadUpdate(f"values may have {MAX_METADATA} bytes")
    return Update(kind, op, values)


def note(turn: Turn, command: NoteMetadata) -> None:
    """Keep what was sent about a run, which may have ended."""
    for item in command.updates:
        _keep(turn, command.run_id, command.step_id, command.scope, read_update(item))


def note_spans(turn: Turn, command: NoteSpans) -> None:
    """Keep what apps have traced."""
    for span in command.spans:
        turn.changes.keep(span)


def take(turn: Turn, run: Run, ops: Iterable[Op]) -> None:
    """Keep what rides along with ops."""
    for op in ops:
        if op.metadata is not None:
            _take_all(turn, run, op)


def _take_all(turn: Turn, run: Run, op: Op) -> None:
    items: Sequence[Json] = op.metadata if isinstance(op.metadata, list) else [op.metadata]
    for item in items:
        try:
            update = read_update(item)
        except BadUpdate as error:
            what = f'run {run.id} of {run.function.slug}: metadata of "{op.name or op.id}"'
            turn.effects.append(Warn(f"{what} was dropped: {error}"))
            continue
        scope = item.get("scope") or "step"
        _keep(turn, run.id, "" if scope == "run" else op.id, str(scope), update)


def _keep(turn: Turn, run_id: str, step_id: str, scope: str, update: Update) -> None:
    turn.changes.keep(
        Note(
            run_id=run_id,
            id=turn.ids.ulid(turn.now),
            step_id=step_id,
            scope=scope,
            kind=update.kind,
            op=update.op,
            values=text.write(update.values),
            noted_at=turn.now,
        )
    )
