"""Steps as the wire knows them: ops that go out, memos that come back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from ..errors import StepError
from ..wire.names import Opcode

_CANCELLED = "the invoked function was cancelled"


@dataclass(slots=True)
class Op:
    """
    One instruction to the server. step_id: the user's id; index: which repetition of it.

    shown: whether middleware has seen it. text: its JSON, once that is fixed.
    """

    id: str
    step_id: str
    index: int | None
    code: Opcode
    name: str
    opts: dict[str, Any] | None = None
    data: Any = None
    error: dict[str, Any] | None = None
    shown: bool = False
    text: str | None = None

    def plan(self) -> Op:
        """The op that asks for this step later."""
        return Op(self.id, self.step_id, self.index, Opcode.PLANNED, self.name, self.opts)

    def to_wire(self) -> dict[str, Any]:
        """The op as the server reads it."""
        doc: dict[str, Any] = {
            "displayName": self.step_id,
            "id": self.id,
            "name": self.name,
            "op": self.code.value,
            "opts": self.opts,
            "userland": {"id": self.step_id, "index": self.index},
        }
        if self.error is None:
            doc["data"] = self.data
        else:
            doc["error"] = self.error
        return doc


def memo_data(memo: Any, step_id: str) -> Any:
    """
    What the memo of a finished step holds.

    Raises StepError for the memo of a step that failed, and for the bare event
    that stands for an invoked function which was cancelled.
    """
    if not isinstance(memo, dict):
        return memo
    if memo.get("error") is not None:
        raise_step_error(memo["error"], step_id)
    if "data" in memo and "name" not in memo:
        return memo["data"]
    cancelled = {"message": _CANCELLED, "name": "InngestInvokeCancelledError"}
    raise_step_error(cancelled, step_id)


def memo_event(memo: Any, step_id: str) -> dict[str, Any] | None:
    """The event that a wait found, or None if it timed out."""
    if isinstance(memo, dict):
        if memo.get("error") is not None:
            raise_step_error(memo["error"], step_id)
        return memo
    return None


def raise_step_error(error: Any, step_id: str) -> NoReturn:
    """Raise the error of a memo, with the error it was raised from as its cause."""
    raised = step_error(error)
    raised.step_id = step_id
    raise raised from _cause(error)


def step_error(error: Any) -> StepError:
    """The error of a memo as users catch it."""
    if not isinstance(error, Mapping):
        return StepError(str(error), "Error", None)
    name, stack = error.get("name") or "Error", error.get("stack")
    text = stack if isinstance(stack, str) else None
    return StepError(str(error.get("message") or ""), str(name), text)


def _cause(error: Any) -> StepError | None:
    cause = error.get("cause") if isinstance(error, Mapping) else None
    return None if cause is None else step_error(cause)
