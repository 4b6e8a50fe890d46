"""What the notes about a run amount to: each kind once for the run and once for each step."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True, frozen=True, kw_only=True)
class NoteView:
    """One note. `step_id` is empty where it is about the run itself."""

    step_id: str
    scope: str
    kind: str
    op: str
    values: dict[str, Any]
    noted_at: int


def fold(notes: Iterable[NoteView]) -> dict[str, list[NoteView]]:
    """Join the notes, oldest first, by the step that they are about."""
    found: dict[tuple[str, str, str], NoteView] = {}
    for note in notes:
        key = note.step_id, note.kind, note.scope
        before = found.get(key)
        found[key] = note if before is None and note.op != "delete" else _join(before, note)
    joined: dict[str, list[NoteView]] = {}
    for note in found.values():
        if note.values:
            joined.setdefault(note.step_id, []).append(note)
    return joined


def _join(before: NoteView | None, note: NoteView) -> NoteView:
    known = {} if before is None else before.values
    return NoteView(
        step_id=note.step_id,
        scope=note.scope,
        kind=note.kind,
        op=note.op,
        values=_JOIN[note.op](known, note.values),
        noted_at=note.noted_at,
    )


def _add(known: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    return {**known, **{key: _sum(known.get(key), value) for key, value in values.items()}}


def _sum(known: Any, value: Any) -> Any:
    both = (known, value)
    numbers = all(isinstance(one, (int, float)) and not isinstance(one, bool) for one in both)
    return known + value if numbers else value


_JOIN: dict[str, Callable[[dict[str, Any], dict[str, Any]], dict[str, Any]]] = {
    "set": lambda known, values: values,
    "merge": lambda known, values: {**known, **values},
    "add": _add,
    "delete": lambda known, values: {k: v for k, v in known.items() if k not in values},
}
