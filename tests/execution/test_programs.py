"""
Any program of steps, in any order of completion, ends as if it had been run plainly.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inngest_core import NonRetriableError, ParallelMode, StepError
from tests.support import Counts, Run, endpoint, on_loop, shuffled

# A program is a step's id, a list of programs (one after the other), or a pair of
# a way to run in parallel and a list of programs. What a step does shows in its id:
# s returns, c fails and is caught, u fails and is not, z sleeps, w waits for an event,
# and r returns and is used again and again.
Program = Any
WAYS = ("gather", "parallel", "race", "tasks", *(["group"] if sys.version_info >= (3, 11) else []))
BOUNDED = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

leaves = st.sampled_from("sssssczwr")
failing = st.sampled_from("ssssczwu")


def programs(leaf: st.SearchStrategy[str], most_leaves: int = 9) -> st.SearchStrategy[Program]:
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.lists(inner, min_size=1, max_size=4),
            st.tuples(st.sampled_from(WAYS), st.lists(inner, min_size=1, max_size=4)),
        ),
        max_leaves=most_leaves,
    ).map(named)


def named(program: Program) -> Program:
    """The program with an id of its own for every step, but for those of kind r."""
    numbers = iter(range(1000))

    def name(part: Program) -> Program:
        if isinstance(part, str):
            return part if part == "r" else f"{part}{next(numbers)}"
        if isinstance(part, tuple):
            return (part[0], [name(one) for one in part[1]])
        return [name(one) for one in part]

    return name(program)


def apart(program: Program, branch: str = "") -> Program:
    """
    The program with the repeated id told apart between parallel branches.

    A blocking function counts repetitions in code order, which is not the order in which
    its branches found them.
    """
    if isinstance(program, str):
        return program + branch if program == "r" else program
    if isinstance(program, tuple):
        way, parts = program
        return (way, [apart(part, f"{branch}.{n}") for n, part in enumerate(parts)])
    return [apart(part, branch) for part in program]


class PlainSteps:
    """Steps that are simply executed."""

    def __init__(self) -> None:
        self.parallel_sync = lambda callables: tuple(one() for one in callables)

    async def run(self, step_id: str, execute: Callable[[], Any]) -> Any:
        return self.run_sync(step_id, execute)

    def run_sync(self, step_id: str, execute: Callable[[], Any]) -> Any:
        try:
            return execute()
        except NonRetriableError as error:
            raise StepError(error.message, error.name, None) from None

    async def sleep(self, step_id: str, duration: int) -> None:
        return None

    async def wait_for_event(self, step_id: str, **options: Any) -> None:
        return None


class Interpreter:
    """Runs a program; counts what its steps execute, and notes in which order they return."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.counts = Counts()
        self.order: list[str] = []

    def _execute(self, step_id: str) -> Callable[[], Any]:
        failure = NonRetriableError(step_id, quiet=True) if step_id[0] in "cu" else None
        return self.counts.doing(step_id, failure)

    # ---- awaiting

    async def handler(self, ctx: Any) -> Any:
        self.order = []
        return await self._run(ctx.step, self.program)

    async def _run(self, step: Any, part: Program) -> Any:
        if isinstance(part, str):
            try:
                return await self._step(step, part)
            finally:
                self.order.append(part)
        if isinstance(part, tuple):
            return await self._parallel(step, *part)
        return [await self._run(step, one) for one in part]

    async def _step(self, step: Any, step_id: str) -> Any:
        if step_id[0] == "z":
            return await step.sleep(step_id, 1000)
        if step_id[0] == "w":
            return await step.wait_for_event(step_id, event="e", timeout=1000)
        try:
            return await step.run(step_id, self._execute(step_id))
        except StepError as error:
            if step_id[0] == "u":
                raise
            return f"caught {error.message}"

    async def _parallel(self, step: Any, way: str, parts: list[Program]) -> Any:
        def branch(part: Program) -> Callable[[], Awaitable[Any]]:
            return lambda: self._run(step, part)

        branches = tuple(branch(part) for part in parts)
        return list(await _ASYNC_WAYS[way](branches))

    # ---- blocking

    def handler_sync(self, ctx: Any) -> Any:
        return self._run_sync(ctx, self.program)

    def _run_sync(self, ctx: Any, part: Program) -> Any:
        if isinstance(part, str):
            return self._step_sync(ctx, part)
        if not isinstance(part, tuple):
            return [self._run_sync(ctx, one) for one in part]
        mode = ParallelMode.RACE if part[0] == "race" else None
        branches = tuple(self._branch_sync(ctx, one) for one in part[1])
        return list(ctx.group.parallel(branches, parallel_mode=mode))

    def _branch_sync(self, ctx: Any, part: Program) -> Callable[[], Any]:
        return lambda: self._run_sync(ctx, part)

    def _step_sync(self, ctx: Any, step_id: str) -> Any:
        if step_id[0] == "z":
            return ctx.step.sleep(step_id, 1000)
        if step_id[0] == "w":
            return ctx.step.wait_for_event(step_id, event="e", timeout=1000)
        try:
            return ctx.step.run(step_id, self._execute(step_id))
        except StepError as error:
            if step_id[0] == "u":
                raise
            return f"caught {error.message}"


async def _gather(branches: tuple[Callable[[], Any], ...]) -> Any:
    return await asyncio.gather(*(one() for one in branches))


async def _parallel(branches: tuple[Callable[[], Any], ...]) -> Any:
    from inngest_core.groups import Group

    return await Group().parallel(branches)


async def _race(branches: tuple[Callable[[], Any], ...]) -> Any:
    from inngest_core.groups import Group

    return await Group().parallel(branches, parallel_mode=ParallelMode.RACE)


async def _tasks(branches: tuple[Callable[[], Any], ...]) -> Any:
    tasks = [asyncio.create_task(one()) for one in branches]
    return [await task for task in reversed(tasks)][::-1]


async def _group(branches: tuple[Callable[[], Any], ...]) -> Any:
    try:
        async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined,unused-ignore]
            tasks = [group.create_task(one()) for one in branches]
    except BaseException as error:
        # Error groups of 3.11 hold what a gather would raise.
        raise getattr(error, "exceptions", [error])[0] from None
    return [task.result() for task in tasks]


_ASYNC_WAYS = {
    "gather": _gather,
    "group": _group,
    "parallel": _parallel,
    "race": _race,
    "tasks": _tasks,
}


class _PlainContext:
    step = PlainSteps()


def plainly(program: Program) -> tuple[Any, Counts, bool]:
    """The result of a program that is simply executed, what was counted, and whether it failed."""
    interpreter = Interpreter(program)
    try:
        result = asyncio.run(interpreter.handler(_PlainContext()))
    except StepError:
        return None, interpreter.counts, True
    return result, interpreter.counts, False


def played_async(program: Program, seed: int, overlapping: bool) -> tuple[Run, Interpreter]:
    interpreter = Interpreter(program)
    with on_loop(endpoint(interpreter.handler)) as answer:
        run = Run(answer, pick=shuffled(seed), overlapping=overlapping)
        return run.play(), interpreter


def played_sync(program: Program, seed: int, overlapping: bool) -> tuple[Run, Interpreter]:
    interpreter = Interpreter(apart(program))
    door = endpoint(interpreter.handler_sync)
    run = Run(door.answer_sync, pick=shuffled(seed), overlapping=overlapping)
    return run.play(), interpreter


PLAYERS = pytest.mark.parametrize("played", [played_async, played_sync])
seeds = st.integers(0, 2**32)


@PLAYERS
@BOUNDED
@given(program=programs(leaves), seed=seeds, overlapping=st.booleans())
def test_a_program_ends_as_if_run_plainly_and_no_step_runs_twice(
    played: Any, program: Program, seed: int, overlapping: bool
) -> None:
    run, interpreter = played(program, seed, overlapping)
    result, counts, _ = plainly(interpreter.program)
    assert run.result == result
    assert interpreter.counts == counts


@PLAYERS
@BOUNDED
@given(program=programs(failing), seed=seeds, overlapping=st.booleans())
def test_a_program_that_fails_plainly_fails_with_the_error_of_one_of_its_steps(
    played: Any, program: Program, seed: int, overlapping: bool
) -> None:
    run, interpreter = played(program, seed, overlapping)
    result, counts, failed = plainly(interpreter.program)
    assert not interpreter.counts.doubled
    if failed:
        assert run.error is not None
        assert run.error["code"] == "non_retriable_error"
        assert run.error["message"].startswith("u")
    else:
        assert (run.result, interpreter.counts) == (result, counts)


wide = st.builds(
    lambda branches, way: named((way, branches)),
    st.lists(st.lists(st.just("s"), min_size=1, max_size=3), min_size=9, max_size=14),
    st.sampled_from(WAYS),
)


@settings(BOUNDED, max_examples=40)
@given(program=st.one_of(programs(st.sampled_from("scz"), 12), wide), seed=seeds)
def test_an_async_function_sees_its_steps_return_in_the_order_in_which_they_completed(
    program: Program, seed: int
) -> None:
    run, interpreter = played_async(program, seed, False)
    assert interpreter.order == run.completed
