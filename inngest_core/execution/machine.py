"""
What becomes of each step that a function reaches.

Rule 1: every decision about a step is taken in this file.
Rule 2: this file performs nothing. No I/O, no clock, no thread, no hook.

A *linear* machine serves a blocking function: memos return in code order and a
new step is decided on the spot, or at the end of its group. A concurrent one
serves an async function: its steps wait, memos are released in the order in
which the steps completed, and new steps are decided once the function's tasks
have settled.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..errors import FunctionError, NestedStepError, StepUnexpectedError
from ..wire.call import CallRequest
from ..wire.ids import hash_step
from ..wire.names import Opcode
from .op import Op
from .standing import MISSING, Reached, Ruling, Standing, Verdict

# Turns of the loop without a step found or released, before something happens.
RELEASE_TURNS = 4
ALONE_TURNS = 4
# 2d + 1 turns see through d nested groups: this is enough for five.
SETTLE_TURNS = 12
STRANDED_SECONDS = 10.0
"""How long a targeted call waits for its step while other branches stand still."""

_SINGLE_RELEASES = 8
_LAST = 1 << 62


_TURN = Verdict(Ruling.TURN)
_REST = Verdict(Ruling.REST)
_REPLY = Verdict(Ruling.REPLY)
_STRANDED = Verdict(Ruling.REST, seconds=STRANDED_SECONDS)
_WATCH = Verdict(Ruling.REST, seconds=STRANDED_SECONDS)


class Machine:
    """
    The steps of one call. ops and failure hold what was decided, once ``decided``.

    Until then ops holds what goes along with any reply.
    """

    __slots__ = (
        "_alone",
        "_batch",
        "_call",
        "_cursor",
        "_depth",
        "_executing",
        "_found",
        "_input",
        "_leaving",
        "_linear",
        "_memos",
        "_mingled",
        "_open",
        "_order",
        "_parked",
        "_positions",
        "_raced",
        "_racers",
        "_recalled",
        "_released",
        "_seen",
        "_stack",
        "_target",
        "_withdrew",
        "decided",
        "failure",
        "ops",
        "resting",
    )

    def __init__(self, call: CallRequest, *, linear: bool) -> None:
        self._call = call
        self._linear = linear
        self._memos = call.steps
        # The memos that the fast path may take; none while a step is executing, while a
        # branch is being left and after the decision, so that no second check is needed.
        self._open: dict[str, Any] = call.steps
        self._recalled = 0
        """How many memos the fast path has served; those of other steps are taken out."""
        self._seen: dict[str, int] = {}
        self._stack = call.stack
        self._cursor = 0
        self._positions: dict[str, int] | None = None
        self._parked: list[tuple[int, int, Reached]] = []
        self._found: dict[str, Reached] = {}
        self._executing: Reached | None = None
        self._input = _take_input(call)
        # A targeted step that has its memo was answered before: only discover.
        self._target = None if call.target in call.steps else call.target
        self._alone = True
        self._depth = 0
        self._leaving = False
        # Where a race is on, the server asks again after each of its branches: a step that
        # is found beside it may be running in another call, even if it is the only one.
        self._mingled = False
        self._raced = False
        self._racers = 0
        self._order = 0
        self._released = 0
        self._batch = 1
        self._withdrew = False
        self.decided = False
        self.ops: list[Op] = []
        self.failure: FunctionError | None = None
        self.resting = False
        """Set while hooks run in the middle of the function: meanwhile no step goes on."""

    # ---- the fast path: one hash and one dict lookup a memo

    def recall(self, step_id: str) -> Any:
        """
        Take the memo of the next use of *step_id*, in code order; MISSING if it must be reached.

        The last memo of a call is always MISSING here: hooks run when it is taken.
        """
        memos = self._open
        if len(memos) - self._recalled < 2:
            return MISSING
        if step_id in self._seen:
            return self._recall_repeat(step_id)
        # Left where it is: to free ten thousand of them one by one, in the order of the
        # code and not of the memory, would take longer than all the rest.
        memo = memos.get(hash_step(step_id), MISSING)
        if memo is not MISSING:
            self._recalled += 1
            self._seen[step_id] = 1
        return memo

    def _recall_repeat(self, step_id: str) -> Any:
        raw, count = self._repeat(step_id, self._seen[step_id])
        memo = self._open.get(hash_step(raw), MISSING)
        if memo is not MISSING:
            self._recalled += 1
            self._count(step_id, count, raw)
        return memo

    def recall_next(self, step_id: str) -> Any:
        """Like recall, but only if the step is next in the stack and nothing is parked."""
        memos, cursor = self._open, self._cursor
        if len(memos) - self._recalled < 2 or self._parked:
            return MISSING
        raw, count = step_id, self._seen.get(step_id)
        if count is not None:
            raw, count = self._repeat(step_id, count)
        hashed = hash_step(raw)
        if cursor >= len(self._stack) or self._stack[cursor] != hashed:
            return MISSING
        memo = memos.get(hashed, MISSING)
        if memo is not MISSING:
            self._recalled += 1
            self._cursor = cursor + 1
            if count is None:
                self._seen[step_id] = 1
            else:
                self._count(step_id, count, raw)
        return memo

    # ---- where a step stands

    def reach(
        self,
        step_id: str,
        code: Opcode,
        *,
        name: str,
        opts: dict[str, Any] | None,
        race: bool,
        own: bool,
    ) -> Reached:
        """Record that the function reached a step; ``stand`` tells what it may do."""
        hashed, index = self._identify(step_id)
        self._alone = self._alone and own
        return Reached(hashed, step_id, index, code, name, opts, race, own)

    def stand(self, step: Reached) -> Standing:
        """What *step* may do at once. One that waits is released by ``settle``, or never."""
        if self.decided or self._leaving:
            return Standing.WAIT
        if step.id in self._memos:
            return self._stand_on_memo(step)
        if self._linear and self._executing is not None:
            # Called in a thread of the user's: its turn comes in a later call.
            return Standing.WAIT
        if step.id == self._target:
            step.input = self._input
            if not self.resting:
                return Standing.RUN
        self._found[step.id] = step
        self._mingled = self._mingled or self._racers > 0 or (self._raced and not step.own)
        return self._stand_new(step) if self._linear else Standing.WAIT

    def _stand_new(self, step: Reached) -> Standing:
        if not self._depth:
            self._mingled = False
            standing = self._decide()
            if standing is Standing.RUN:
                self.begin(step)
            return standing
        self._leave_branch()
        return Standing.WAIT

    def _stand_on_memo(self, step: Reached) -> Standing:
        if self._linear or (step.own and not self._parked and self._is_next(step.id)):
            step.memo = self._memos.pop(step.id)
            return Standing.MEMO
        self._park(step)
        return Standing.WAIT

    def nested(self) -> None:
        """A step was used inside a step: the run fails, whatever its retries."""
        self.fail(NestedStepError())

    def withdraw(self, step: Reached) -> None:
        """Whoever waited at *step*, or executed it, was cancelled by the user."""
        if self._found.pop(step.id, None) is not None and step.race:
            self._mingled = True
        if self._executing is step:
            self._executing = None
            self._open = self._memos
        self._withdrew = True
        # A parked one is skipped when its turn comes: its waiter is gone.
        step.waiter = None

    # ---- executing

    def begin(self, step: Reached) -> None:
        """*step* is about to execute, in the place where it stands."""
        self._found.pop(step.id, None)
        self._executing = step
        self._open = {}

    def finish(self, op: Op) -> None:
        """The executing step has ended with *op*, which decides the call."""
        if not self.decided:
            self._close([op])

    def go_on(self, step: Reached, memo: Any) -> None:
        """The executing step has ended; the function continues behind it in this call."""
        step.memo = memo
        self._executing = None
        self._open = self._memos

    def postpone(self, step: Reached) -> None:
        """*step* is for another call, although it might execute in this one."""
        self._found.pop(step.id, None)
        self._close([step.plan()])

    def fail(self, error: FunctionError) -> None:
        """The call is decided by an error of ours."""
        if not self.decided:
            self.failure = error
            self._close([])

    # ---- groups of blocking functions

    @contextmanager
    def gathering(self, *, race: bool) -> Iterator[None]:
        """Steps found in here are decided together, by ``gathered``. race: the group is one."""
        self._raced = self._raced or race
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    @property
    def leaving(self) -> bool:
        """
        Whether a branch of a group is being left, because it stands at a new step.

        Until it has ended, no further step in it is found, and what it raises is ignored.
        """
        return self._leaving

    def _leave_branch(self) -> None:
        self._leaving = True
        self._open = {}

    def end_branch(self) -> bool:
        """A branch of the innermost group has ended; whether it was left."""
        left, self._leaving = self._leaving, False
        if left and not self.decided:
            self._open = self._memos
        return left

    def gathered(self) -> Reached | None:
        """Decide what the outermost group found; the one to execute now, if any."""
        if self.decided:
            return None
        if self._depth:
            self._leave_branch()
            return None
        self._mingled = self._raced
        step = next(iter(self._found.values()))
        return step if self._decide() is Standing.RUN else None

    # ---- async functions

    def settle(
        self, turns: int, *, stranded: bool = False, awaited: Reached | None = None
    ) -> Verdict:
        """
        What happens after *turns* turns of the loop in which nothing moved.

        stranded: nothing has moved for STRANDED_SECONDS. awaited: the waiting step
        for which the executing one waits.
        """
        if self.decided:
            return _REPLY
        if self.resting:
            return _REST
        if self._executing is not None:
            return self._while_executing(self._executing, awaited)
        if self._target in self._found:
            return self._run(self._found[self._target])
        if self._parked:
            return self._release() if turns >= RELEASE_TURNS else _TURN
        if not self._found:
            return _REST
        if turns < (ALONE_TURNS if self._only_own() else SETTLE_TURNS):
            return _TURN
        if self._target is not None and not self._alone and not stranded:
            return _STRANDED
        step = next(iter(self._found.values()))
        return self._run(step) if self._decide() is Standing.RUN else _REPLY

    def _while_executing(self, step: Reached, awaited: Reached | None) -> Verdict:
        if awaited is None:
            return _WATCH if self._found or self._parked else _REST
        # Neither would ever go on: one step executes at a time.
        self.fail(
            NestedStepError(
                f'step "{step.step_id}" waits for a task that stands at step "{awaited.step_id}", '
                "which cannot go on before it has ended. Await that task outside of the step, and "
                "hand over its result"
            )
        )
        return _REPLY

    def _run(self, step: Reached) -> Verdict:
        self.begin(step)
        return Verdict(Ruling.RELEASE, (step,), Standing.RUN)

    def _only_own(self) -> bool:
        return len(self._found) == 1 and next(iter(self._found.values())).own

    def _park(self, step: Reached) -> None:
        if self._positions is None:
            self._positions = {hashed: n for n, hashed in enumerate(self._stack)}
        position = self._positions.get(step.id, _LAST)
        if step.race:
            self._raced = True
            self._racers += 1
            self._mingled = self._mingled or bool(self._found)
        self._order += 1
        heapq.heappush(self._parked, (position, self._order, step))

    def _release(self) -> Verdict:
        """Release the parked steps that completed first: one, or in a long row a batch."""
        batch: list[Reached] = []
        if self._released >= _SINGLE_RELEASES:
            self._batch *= 2
        while self._parked and len(batch) < self._batch:
            position, _, step = heapq.heappop(self._parked)
            self._racers -= step.race
            if step.waiter is not None:
                step.memo = self._memos.pop(step.id)
                batch.append(step)
            if step.race or not self._continues(position):
                break
        self._released += len(batch)
        if not self._parked:
            # Those that come next are another row: its first ones are seen singly again.
            self._released, self._batch = 0, 1
        return Verdict(Ruling.RELEASE, tuple(batch)) if batch else _TURN

    def _continues(self, position: int) -> bool:
        """
        Whether the next parked step may be released together with the one at *position*.

        Not where a memo in between has not been asked for: the one that is released
        may lead to it. The last of all is alone: hooks run before it returns.
        """
        if not self._parked or self._parked[0][2].race or self.unasked < 2:
            return False
        between = self._stack[position + 1 : self._parked[0][0]]
        return not any(hashed in self._memos for hashed in between)

    # ---- decisions

    def _decide(self) -> Standing:
        """Execute the one step found, or plan all of them."""
        found = list(self._found.values())
        if self._target is not None:
            self.fail(_unexpected(found[0]))
            return Standing.WAIT
        first = found[0]
        local = first.code is Opcode.STEP_RUN
        planning = first.race or self._mingled or self._call.plan_only
        if len(found) == 1 and local and not planning:
            return Standing.RUN
        self._close([step.plan() for step in found])
        return Standing.WAIT

    def _close(self, ops: list[Op]) -> None:
        self.ops += ops
        self.decided = True
        self._executing = None
        self._open = {}

    def end(self) -> None:
        """The function has ended by itself. A targeted step that it never reached is an error."""
        if self._target is not None:
            found = next(iter(self._found.values()), None)
            self.fail(_unexpected(found))

    @property
    def unasked(self) -> int:
        """How many memos the function has not taken yet."""
        return len(self._memos) - self._recalled

    @property
    def never_asked(self) -> int:
        """How many memos the code does not know, after its end; 0 where it gave up some steps."""
        gave_up = self._withdrew or self._parked or self._found
        return 0 if gave_up else self.unasked

    # ---- deferrals, which ride along in front of whatever goes out

    def deferral(self, step_id: str) -> Op:
        """The op of the next deferral of this id."""
        hashed, index = self._identify(step_id)
        return Op(hashed, step_id, index, Opcode.DEFER_ADD, step_id)

    def knows_deferral(self, hashed: str) -> bool:
        """Whether the server was told of a deferral, which it must not be again."""
        return hashed in self._call.defers

    def take_along(self, op: Op) -> None:
        """Let *op* go out with the next reply."""
        self.ops.append(op)

    def abort(self, hashed: str, step_id: str) -> None:
        """Take a deferral back, whether the server knows of it or not."""
        if self.decided or self._leaving:
            return
        known = self._call.defers.get(hashed)
        if known is None:
            self.ops = [op for op in self.ops if op.id != hashed]
        elif isinstance(known, dict) and known.get("abortable"):
            opts = {"target_hashed_id": hashed}
            op = Op(hash_step(f"abort {hashed}"), step_id, None, Opcode.DEFER_ABORT, step_id, opts)
            if op not in self.ops:
                self.ops.append(op)

    # ---- ids and the stack

    def _identify(self, step_id: str) -> tuple[str, int | None]:
        """The hash of the next use of *step_id*, and which repetition of it that is."""
        count = self._seen.get(step_id)
        raw, index = (step_id, None) if count is None else self._repeat(step_id, count)
        self._count(step_id, count, raw)
        return hash_step(raw), index

    def _repeat(self, step_id: str, count: int) -> tuple[str, int]:
        """The raw id and index of a repeated id, past those that the user wrote out."""
        while (raw := f"{step_id}:{count}") in self._seen:
            count += 1
        return raw, count

    def _count(self, step_id: str, count: int | None, raw: str) -> None:
        if count is None:
            self._seen[step_id] = 1
        else:
            self._seen[step_id] = count + 1
            self._seen.setdefault(raw, 1)

    def _is_next(self, hashed: str) -> bool:
        """Whether *hashed* is the first entry of the stack whose memo is still here."""
        stack, cursor = self._stack, self._cursor
        while cursor < len(stack) and stack[cursor] not in self._memos:
            cursor += 1
        self._cursor = cursor
        return cursor < len(stack) and stack[cursor] == hashed


def _take_input(call: CallRequest) -> list[Any] | None:
    """The edited arguments of a rerun from the targeted step, which look like a memo."""
    if call.target is None:
        return None
    memo = call.steps.get(call.target)
    if isinstance(memo, dict) and memo.keys() == {"input"}:
        edited: list[Any] = call.steps.pop(call.target)["input"]
        return edited
    return None


def _unexpected(found: Reached | None) -> StepUnexpectedError:
    if found is None:
        return StepUnexpectedError("the function ended without reaching the targeted step")
    return StepUnexpectedError(f'found step "{found.step_id}" when targeting a different step')
