"""
What asyncio and anyio offer works over steps as it does over any other awaitable.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from inngest_core import Context, StepError
from tests.support import Counts, data, giving, ops, post, shuffled

from .doors import NEW_LOOPS, Door

of_3_11 = pytest.mark.skipif(sys.version_info < (3, 11), reason="of Python 3.11")
# Even on a busy machine a step has begun by then.
SOON = 0.15
FAILED = {"error": {"message": "m", "name": "E"}}


class Refused(Exception):
    """What a step raises here."""


@pytest.fixture(params=list(NEW_LOOPS))
def door(request: pytest.FixtureRequest) -> Door:
    return Door(NEW_LOOPS[request.param])


def described(results: Any) -> list[Any]:
    return [f"{one.name}: {one.message}" if isinstance(one, StepError) else one for one in results]


async def slow() -> str:
    await asyncio.sleep(2 * SOON)
    return "slow"


async def endless() -> None:
    await asyncio.Event().wait()


# ---- gather


@pytest.mark.parametrize("seed", range(3))
def test_gather_may_return_what_steps_raised(door: Door, seed: int) -> None:
    counts = Counts()

    async def handler(ctx: Context) -> Any:
        found = await asyncio.gather(
            ctx.step.run("a", counts.doing("a", Refused("no"))),
            ctx.step.run("b", counts.doing("b")),
            ctx.step.run("c", counts.doing("c", Refused("never"))),
            return_exceptions=True,
        )
        return [*described(found), await ctx.step.run("d", counts.doing("d"))]

    run = door.play(handler, max_attempts=2, pick=shuffled(seed), overlapping=True)
    assert run.result == ["Refused: no", "b", "Refused: never", "d"]
    assert counts == {"a": 2, "b": 1, "c": 2, "d": 1}


def test_gather_that_raises_lets_the_others_go_on(door: Door) -> None:
    counts = Counts()

    async def handler(ctx: Context) -> Any:
        others = [ctx.step.run(name, counts.doing(name)) for name in "bc"]
        try:
            return await asyncio.gather(ctx.step.run("a", counts.doing("a", Refused())), *others)
        except StepError as error:
            return [error.name, await ctx.step.run("d", counts.doing("d"))]

    for seed in range(4):
        counts.clear()
        run = door.play(handler, max_attempts=1, pick=shuffled(seed))
        assert run.result == ["Refused", "d"]
        assert not counts.doubled


def test_gather_over_tasks_that_use_no_step(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(
            asyncio.sleep(0.005, "own"), ctx.step.run("a", giving("A")), asyncio.to_thread(str, 1)
        )

    assert door.play(handler).result == ["own", "A", "1"]


# ---- groups


@of_3_11
def test_a_task_group_of_which_a_step_fails_cancels_the_rest_and_the_function_goes_on(
    door: Door,
) -> None:
    counts = Counts()

    async def handler(ctx: Context) -> Any:
        async def chain() -> None:
            await ctx.step.run("b", counts.doing("b"))
            await ctx.step.run("b2", counts.doing("b2"))

        try:
            async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined,unused-ignore]
                group.create_task(ctx.step.run("a", counts.doing("a", Refused())))
                group.create_task(chain())
        except BaseException as error:
            if not hasattr(error, "exceptions"):
                raise
            names = [one.name for one in error.exceptions]
            return [*names, await ctx.step.run("c", counts.doing("c"))]

    for seed in range(4):
        counts.clear()
        run = door.play(handler, max_attempts=1, pick=shuffled(seed))
        assert run.result == ["Refused", "c"]
        assert not counts.doubled


@of_3_11
def test_five_task_groups_in_each_other_are_planned_in_one_reply(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        found: list[str] = []

        async def deep(level: int, name: str) -> None:
            if level == 0:
                found.append(await ctx.step.run(name, giving(name)))
                return
            async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined,unused-ignore]
                group.create_task(deep(level - 1, name + "l"))
                group.create_task(deep(level - 1, name + "r"))

        await asyncio.gather(deep(5, "x"), ctx.step.run("shallow", giving(1)))
        return sorted(found)

    assert len(ops(door.ask(handler))) == 33
    assert len(door.play(handler).result) == 32


def test_five_groups_of_anyio_in_each_other_are_planned_in_one_reply(door: Door) -> None:
    anyio = pytest.importorskip("anyio")

    async def handler(ctx: Context) -> Any:
        found: list[str] = []

        async def deep(level: int, name: str) -> None:
            if level == 0:
                found.append(await ctx.step.run(name, giving(name)))
                return
            async with anyio.create_task_group() as group:
                group.start_soon(deep, level - 1, name + "l")
                group.start_soon(deep, level - 1, name + "r")

        await deep(5, "x")
        return sorted(found)

    assert len(ops(door.ask(handler))) == 32
    assert len(door.play(handler).result) == 32


def test_a_scope_of_anyio_that_moves_on_gives_up_its_step(door: Door) -> None:
    anyio = pytest.importorskip("anyio")

    async def handler(ctx: Context) -> Any:
        with anyio.move_on_after(SOON) as scope:
            await ctx.step.run("endless", endless)
        return [scope.cancel_called, await ctx.step.run("instead", giving("I"))]

    run = door.play(handler)
    assert (run.result, run.completed) == ([True, "I"], ["instead"])


# ---- wait


def test_wait_until_the_first_exception(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        tasks = {name: asyncio.create_task(ctx.step.run(name, giving(name))) for name in "abc"}
        done, pending = await asyncio.wait(tasks.values(), return_when=asyncio.FIRST_EXCEPTION)
        ended = sorted(name for name, task in tasks.items() if task in done)
        [task.cancel() for task in pending]
        return [ended, await ctx.step.run("after", giving("x"))]

    memos = {"a": data("A"), "b": FAILED, "c": data("C"), "after": data("x")}
    with door.answering(handler) as answer:
        for stack, ended in (("ab", b'["a","b"]'), ("ba", b'["b"]'), ("cab", b'["a","b","c"]')):
            names = [*stack, *sorted(set("abc") - set(stack)), "after"]
            assert answer(post(memos, stack=names)).body == b"[" + ended + b',"x"]'


def test_wait_until_all_have_ended(door: Door) -> None:
    counts = Counts()

    async def handler(ctx: Context) -> Any:
        tasks = [asyncio.create_task(ctx.step.run(n, counts.doing(n))) for n in "abc"]
        done, pending = await asyncio.wait(tasks)
        return [len(done), len(pending), [task.result() for task in tasks]]

    assert door.play(handler, pick=shuffled(3)).result == [3, 0, ["a", "b", "c"]]
    assert not counts.doubled


def test_wait_that_times_out_leaves_its_tasks_where_they_are(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        task = asyncio.create_task(ctx.step.run("slow", slow))
        done, _ = await asyncio.wait([task], timeout=SOON)
        return [len(done), await task]

    run = door.play(handler)
    assert run.result[1] == "slow"
    assert run.completed == ["slow"]


# ---- timeouts


def within_wait_for(seconds: float, awaitable: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.wait_for(awaitable, seconds)


async def within_timeout(seconds: float, awaitable: Coroutine[Any, Any, Any]) -> Any:
    try:
        async with asyncio.timeout(seconds):  # type: ignore[attr-defined,unused-ignore]
            return await awaitable
    finally:
        awaitable.close()


TIMEOUTS: list[Any] = [within_wait_for, pytest.param(within_timeout, marks=of_3_11)]
either_timeout = pytest.mark.parametrize("within", TIMEOUTS)


@either_timeout
def test_a_timeout_before_the_step_runs_it_not_at_all(
    door: Door, within: Callable[..., Any]
) -> None:
    counts = Counts()

    async def handler(ctx: Context) -> Any:
        try:
            await within(0, ctx.step.run("a", counts.doing("a")))
        except asyncio.TimeoutError:
            return await ctx.step.run("instead", counts.doing("instead"))

    run = door.play(handler)
    assert (run.result, run.completed) == ("instead", ["instead"])
    assert counts == {"instead": 1}


@either_timeout
def test_a_timeout_during_the_step_gives_it_up(door: Door, within: Callable[..., Any]) -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await endless()
        finally:
            ended.append("work")

    async def handler(ctx: Context) -> Any:
        try:
            await within(SOON, ctx.step.run("endless", work))
        except asyncio.TimeoutError:
            return await ctx.step.run("instead", giving("I"))

    assert ops(door.ask(handler)) == [("StepRun", "instead")]
    assert ended == ["work"]
    assert door.play(handler).completed == ["instead"]


@either_timeout
def test_a_timeout_that_would_come_after_the_step_never_comes(
    door: Door, within: Callable[..., Any]
) -> None:
    async def handler(ctx: Context) -> Any:
        try:
            first = await within(60, ctx.step.run("slow", slow))
            both = await within(60, gathered(ctx, "ab"))
        except asyncio.TimeoutError:
            return "timeout"
        return [first, *both]

    assert door.play(handler).result == ["slow", "a", "b"]


async def gathered(ctx: Context, names: str) -> Any:
    return await asyncio.gather(*(ctx.step.run(name, giving(name)) for name in names))


@either_timeout
def test_a_timeout_that_comes_while_the_call_is_left_changes_nothing(
    door: Door, within: Callable[..., Any]
) -> None:
    async def handler(ctx: Context) -> Any:
        async def lingering() -> Any:
            try:
                return await ctx.step.run("a", giving("A"))
            finally:
                await asyncio.sleep(2 * SOON)

        with contextlib.suppress(asyncio.TimeoutError):
            return await within(SOON, lingering())
        return await ctx.step.run("instead", giving("I"))

    assert ops(door.ask(handler)) == [("StepRun", "a")]


@either_timeout
def test_a_timeout_around_steps_that_sleep_is_of_one_call_only(
    door: Door, within: Callable[..., Any]
) -> None:
    async def handler(ctx: Context) -> Any:
        await within(5, ctx.step.sleep("a year", "52w"))
        return "awake"

    run = door.play(handler)
    assert (run.result, run.completed) == ("awake", ["a year"])


def test_a_shielded_step_goes_on_where_the_timeout_around_it_has_come(door: Door) -> None:
    counts = Counts()

    async def work() -> str:
        counts["slow"] += 1
        return await slow()

    async def handler(ctx: Context) -> Any:
        task = asyncio.ensure_future(ctx.step.run("slow", work))
        try:
            return [await asyncio.wait_for(asyncio.shield(task), SOON)]
        except asyncio.TimeoutError:
            return [await ctx.step.run("instead", counts.doing("instead")), await task]

    run = door.play(handler)
    assert run.result in (["slow"], ["instead", "slow"])
    assert run.completed[0] == "slow"
    assert counts["slow"] == 1


# ---- one after another as they come


def test_as_completed_hands_out_failures_in_their_place(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        found: list[Any] = []
        for one in asyncio.as_completed([ctx.step.run(name, giving(name)) for name in "abc"]):
            try:
                found.append(await one)
            except StepError as error:
                found.append(error.message)
        return found

    memos = {"a": data("A"), "b": FAILED, "c": data("C")}
    with door.answering(handler) as answer:
        assert answer(post(memos, stack=["c", "b", "a"])).body == b'["C","m","A"]'
        assert answer(post(memos, stack=["b", "a", "c"])).body == b'["m","A","C"]'


def test_as_completed_that_times_out_lets_the_step_that_runs_end_first(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        try:
            for one in asyncio.as_completed([ctx.step.run("slow", slow)], timeout=SOON):
                return await one
        except asyncio.TimeoutError:
            return await ctx.step.run("instead", giving("I"))

    assert ops(door.ask(handler)) == [("StepRun", "slow")]
