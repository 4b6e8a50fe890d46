"""Where a step stands, and what the driver of a function is told to do about it."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, Final

from ..wire.names import Opcode
from .op import Op


class Missing(enum.Enum):
    """The type of MISSING, which no memo can be."""

    MISSING = enum.auto()


MISSING: Final = Missing.MISSING


class Standing(enum.Enum):
    """What a step that was reached may do."""

    MEMO = enum.auto()
    RUN = enum.auto()
    WAIT = enum.auto()


class Ruling(enum.Enum):
    """What the driver of an async function does next."""

    TURN = enum.auto()
    REST = enum.auto()
    RELEASE = enum.auto()
    REPLY = enum.auto()


@dataclass(slots=True, eq=False)
class Reached:
    """
    One step at the place where the function reached it.

    own: it stands in the handler's own task. memo: its result, or MISSING if it
    is new. input: edited arguments, for a rerun. body: the flow's, executes it.
    waiter: the driver's, to wake whoever waits here.
    """

    id: str
    step_id: str
    index: int | None
    code: Opcode
    name: str
    opts: dict[str, Any] | None
    race: bool
    own: bool
    memo: Any = MISSING
    input: list[Any] | None = None
    body: Any = None
    waiter: Any = None

    def op(self, code: Opcode | None = None) -> Op:
        """The op of this step, with another code if one is given."""
        opts = {**(self.opts or {}), "parallelMode": "race"} if self.race else self.opts
        return Op(self.id, self.step_id, self.index, code or self.code, self.name, opts)

    def plan(self) -> Op:
        """The op that asks for this step later."""
        return self.op(Opcode.PLANNED if self.code is Opcode.STEP_RUN else self.code)


@dataclass(slots=True, frozen=True)
class Verdict:
    """A ruling; which steps are released and how; or after how many seconds to ask again."""

    ruling: Ruling
    released: tuple[Reached, ...] = ()
    standing: Standing = Standing.MEMO
    seconds: float | None = None
