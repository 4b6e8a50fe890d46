"""
What every store has in common: the marker that stands in a memo, and the JSON behind it.

The marker's keys and the strategies are those of the official package, so that runs begun
with it go on with ours, and the other way round.
"""

from __future__ import annotations

import json
import secrets
import string
from typing import Any, Protocol, TypeAlias

from inngest_core import InngestError, StepMemos
from inngest_core.plugin.types import Memo

MARKER = "__REMOTE_STATE__"
STRATEGY = "__STRATEGY__"

Marker: TypeAlias = dict[str, object]

_LETTERS = string.ascii_letters + string.digits
_KEY_LENGTH = 32

# Everything as ASCII: half of a surrogate pair, which UTF-8 cannot hold, survives.
_dump = json.JSONEncoder(separators=(",", ":"), allow_nan=False).encode


class RemoteStateError(InngestError):
    """A value that is kept elsewhere could not be fetched, or not be put there."""


class NotJSON(Exception):
    """A value that JSON cannot carry."""


class StateDriver(Protocol):
    """Keeps the outputs of steps. It is asked from several threads at once."""

    def load_steps(self, steps: StepMemos) -> None:
        """
        Put the values in the place of this driver's markers.

        Raises if one is not to be had; markers of other strategies stay as they are.
        """

    def save_step(self, run_id: str, value: object) -> dict[str, object]:
        """Keep a value; the marker by which ``load_steps`` will know it."""


def make_marker(strategy: str, **fields: str) -> Marker:
    """The marker of a value; fields: what its driver needs to find it."""
    return {MARKER: True, STRATEGY: strategy, **fields}


def strategy_of(data: object) -> str | None:
    """The strategy that a marker names; None for what is no marker."""
    if isinstance(data, dict) and MARKER in data and STRATEGY in data:
        return str(data[STRATEGY])
    return None


def marked(steps: StepMemos, strategy: str) -> list[Memo]:
    """The memos that hold a marker of *strategy*."""
    return [memo for memo in steps.values() if strategy_of(memo.data) == strategy]


def field(memo: Memo, name: str) -> str:
    """A field of a memo's marker; RemoteStateError if it is no text."""
    value = memo.data.get(name)
    if not isinstance(value, str):
        raise lost(memo, f'its marker should have "{name}" as text, but has {type(value).__name__}')
    return value


def lost(memo: Memo, reason: str) -> RemoteStateError:
    """The error for a memo whose value is not to be had."""
    return RemoteStateError(f"step {memo.hashed_id}, {strategy_of(memo.data)}: {reason}")


def new_key() -> str:
    """A name that nobody can guess, as the official drivers make them."""
    return "".join(secrets.choice(_LETTERS) for _ in range(_KEY_LENGTH))


def encode(value: object) -> bytes:
    """The JSON of a value; NotJSON if it has none."""
    try:
        return _dump(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise NotJSON(str(error)) from error


def decode(memo: Memo, body: bytes) -> Any:
    """The value of a memo; RemoteStateError if what was kept is no JSON."""
    try:
        return json.loads(body)
    except ValueError as error:
        raise lost(memo, f"what is kept there is damaged: {error}") from error
