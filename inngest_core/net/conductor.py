"""
Runs one async function and moves its waiting steps along.

The function has a task of its own. Its steps wait on futures; the conductor
counts the turns of the loop in which nothing moves and asks the machine, through
the Call effect, what to do with those that wait. Only ``call_soon`` is used, so
it is the same on every loop.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any

from ..flow.effect import Call, Effect, Leave, Reached, Resume, Ruling, Stand, Standing, Verdict
from ..result import Err, Ok, Outcome, Paused
from .pulse import Pulse

CLEANUP_SECONDS = 5.0
"""How long a function that was left may take for its ``finally`` blocks."""

# A cancellation takes a turn or two to reach the tasks of each nested group.
_SPREAD_TURNS = 12

_NO_TASK = object()
"""Stands for the task of a function that has ended: no caller is in it."""

_log = logging.getLogger("inngest")


class Conductor:
    """Runs one async function and moves its waiting steps along."""

    __slots__ = (
        "_effect",
        "_inside",
        "_loop",
        "_outcome",
        "_perform_by_type",
        "_pulse",
        "_quiet",
        "_settle",
        "_stranded",
        "_task",
        "_turning",
        "_waiting",
    )

    def __init__(self, effect: Call, perform_by_type: dict[type, Callable[[Any], Any]]) -> None:
        self._effect = effect
        self._settle = effect.settle
        self._loop = asyncio.get_running_loop()
        self._perform_by_type: dict[type, Callable[[Any], Any]] = {
            **perform_by_type,
            Stand: self._stand,
            Leave: self._leave,
            Resume: self._resume,
        }
        self._quiet = 0
        self._turning = False
        self._stranded: asyncio.TimerHandle | None = None
        # Tasks that wait in a step, execute one, or are leaving it.
        self._inside: set[asyncio.Task[Any]] = set()
        # Those of them that wait, and where.
        self._waiting: dict[asyncio.Future[Any], Reached] = {}
        self._outcome: asyncio.Future[Outcome[Any]] = self._loop.create_future()
        self._pulse = Pulse(self._loop)
        self._task: asyncio.Task[None] = _started(self._loop, self._function())
        if self._task.done():
            self._ended(self._task)
        else:
            self._task.add_done_callback(self._ended)

    async def _function(self) -> None:
        # Known from inside: a task that is started eagerly runs this before it is returned.
        self._task = _current_task()
        self._effect.connect(self._perform, self._task)
        try:
            outcome: Outcome[Any] = Ok(await self._effect.handler(self._effect.context))
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            self._end(Err(error))
            if not isinstance(error, (Exception, SystemExit)):
                raise
        else:
            self._end(outcome)

    async def conduct(self) -> Outcome[Any]:
        """The function's outcome: its own, or Paused once its call is decided."""
        try:
            return await self._outcome
        finally:
            self._effect.blocked = self._pulse.stop()
            if self._stranded is not None:
                self._stranded.cancel()
            try:
                if self._inside or not self._task.done():
                    await self._clean_up()
            finally:
                self._forget()

    def _forget(self) -> None:
        """Let go of the function's task: it holds its frames, which hold their steps and us."""
        self._effect.connect(self._perform, _NO_TASK)
        del self._task

    # ---- effects of steps

    def _perform(self, effect: Effect) -> Any:
        result = self._perform_by_type[type(effect)](effect)
        return self._attend(result) if hasattr(type(result), "__await__") else result

    async def _attend(self, awaitable: Awaitable[Any]) -> Any:
        """Await the result of an effect; meanwhile the task counts as one inside a step."""
        task = _current_task()
        self._inside.add(task)
        try:
            return await awaitable
        finally:
            self._inside.discard(task)
            self._waiting.pop(task, None)
            del task
            # Others may be next: hooks have run, or the step is about to be withdrawn.
            if not self._loop.is_closed():
                self._moved()

    def _stand(self, effect: Stand) -> Awaitable[Standing]:
        if self._outcome.done():
            return _refuse()
        effect.step.waiter = future = self._loop.create_future()
        self._waiting[_current_task()] = effect.step
        self._moved()
        return future

    def _leave(self, effect: Leave) -> Awaitable[None]:
        self._obey(self._settle(self._quiet))
        if asyncio.current_task() is self._task:
            # It leaves by itself: a cancellation on top would break into its finally blocks.
            raise asyncio.CancelledError
        return _refuse() if self._outcome.done() else self._loop.create_future()

    def _resume(self, effect: Resume) -> None:
        self._moved()

    # ---- turns of the loop

    def _moved(self) -> None:
        """A step was found, released or given up: count quiet turns anew."""
        self._quiet = 0
        if self._stranded is not None:
            self._stranded.cancel()
            self._stranded = None
        if not self._turning and not self._outcome.done():
            self._turning = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        if self._outcome.done():
            # The function has ended by itself: what is still found does not count.
            return
        self._quiet += 1
        verdict = self._settle(self._quiet)
        if verdict.ruling is Ruling.TURN:
            self._loop.call_soon(self._turn)
            return
        self._turning = False
        self._obey(verdict)

    def _obey(self, verdict: Verdict) -> None:
        if verdict.ruling is Ruling.RELEASE:
            for step in verdict.released:
                _release(step, verdict.standing)
            self._moved()
        elif verdict.ruling is Ruling.REPLY:
            self._decided()
        elif verdict.seconds is not None:
            self._stranded = self._loop.call_later(verdict.seconds, self._strand)

    def _strand(self) -> None:
        self._stranded = None
        self._obey(self._settle(self._quiet, stranded=True, awaited=self._awaited()))

    def _awaited(self) -> Reached | None:
        """The waiting step without which a task that executes one will never go on."""
        executing = (task for task in self._inside if task not in self._waiting)
        found = (_awaited_by(task, self._waiting, set()) for task in executing)
        return next(filter(None, found), None)

    # ---- the end

    def _decided(self) -> None:
        if not self._outcome.done():
            # In this order, so that the function has left before the reply is made.
            if asyncio.current_task() is not self._task:
                self._task.cancel()
            self._outcome.set_result(Paused())

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            self._end(Err(asyncio.CancelledError("the function's task was cancelled")))

    def _end(self, outcome: Outcome[Any]) -> None:
        if self._outcome.done():
            return
        if self._inside and isinstance(outcome, Ok):
            _log.warning(
                "the function has returned, but %d of its tasks still wait in a step; "
                "they are cancelled. Await them before you return.",
                len(self._inside),
            )
        self._outcome.set_result(outcome)

    async def _clean_up(self) -> None:
        """
        Leave the function: give its tasks time for their ``finally`` blocks.

        Its own task is cancelled once: a second time would break into those blocks.
        """
        if self._outcome.cancelled():
            # Not decided: whoever asked for the reply has gone.
            self._task.cancel()
        try:
            await self._spread()
        finally:
            pending = {task for task in (self._task, *self._inside) if not task.done()}
            for task in self._inside:
                task.cancel()
        if pending:
            _, pending = await asyncio.wait(pending, timeout=CLEANUP_SECONDS)
        if pending:
            _log.warning(
                "%d tasks of a function are still running %g seconds after they were cancelled",
                len(pending),
                CLEANUP_SECONDS,
            )

    async def _spread(self) -> None:
        """Let a cancellation reach the tasks that the function awaits, group by group."""
        for _ in range(_SPREAD_TURNS):
            if not self._inside or self._task.done():
                return
            await asyncio.sleep(0)


def _started(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]
) -> asyncio.Task[None]:
    """
    A task that runs at once to its first wait, where Python has such tasks.

    A function that does not wait then costs no turn of the loop. Whoever gave the loop a
    factory of tasks is asked, as for any other.
    """
    if sys.version_info >= (3, 12) and loop.get_task_factory() is None:
        return asyncio.Task(coroutine, loop=loop, eager_start=True)
    return loop.create_task(coroutine)


def _awaited_by(
    future: asyncio.Future[Any],
    waiting: Mapping[asyncio.Future[Any], Reached],
    seen: set[asyncio.Future[Any]],
) -> Reached | None:
    """
    The waiting step on which all depends that *future* still awaits, None if there is none.

    What a task awaits is no secret, but has no public name: where another kind of
    task has no such attribute, nothing is found.
    """
    if future in waiting:
        return waiting[future]
    seen.add(future)
    awaited = [getattr(future, "_fut_waiter", None), *getattr(future, "_children", ())]
    open_ = [one for one in awaited if one is not None and not one.done() and one not in seen]
    found = [_awaited_by(one, waiting, seen) for one in open_]
    return found[0] if all(found) and found else None


async def _refuse() -> Any:
    """Leave a step that was called after the decision; a loop around it lets others run."""
    await asyncio.sleep(0)
    raise asyncio.CancelledError


def _current_task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None  # a coroutine that runs is in a task
    return task


def _release(step: Reached, standing: Standing) -> None:
    future = step.waiter
    if not future.done():
        future.set_result(standing)
