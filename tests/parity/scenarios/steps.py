"""Steps, one after another."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Callable
from typing import Any

from tests.parity.scenario import Expected, expect, scenario
from tests.parity.stage import Run, Stage

SECOND = datetime.timedelta(seconds=1)


@scenario()
def without_steps(at: Stage) -> Expected:
    @at.function()
    async def plain(ctx: Any) -> Any:
        at.note(ctx, [ctx.attempt, ctx.event.name == at.event(), len(ctx.events)])
        return {"hello": ctx.event.data["name"]}

    def play(at: Stage) -> Run:
        return at.ended(at.send(data={"name": "Ada"}))

    return expect(
        play,
        status="COMPLETED",
        output={"hello": "Ada"},
        ops=[["200"]],
        log=[[0, True, 1]],
    )


@scenario()
def each_step_runs_once(at: Stage) -> Expected:
    @at.function()
    async def sequence(ctx: Any) -> Any:
        async def work(name: str) -> str:
            at.note(ctx, name)
            return name.upper()

        at.note(ctx, "call")
        found = [await ctx.step.run(name, work, name) for name in "abc"]
        at.note(ctx, "end")
        return found

    return expect(
        output=["A", "B", "C"],
        ops=[["StepRun a"], ["StepRun b"], ["StepRun c"], ["200"]],
        log=["call", "a", "call", "b", "call", "c", "call", "end"],
    )


@scenario()
def arguments_are_handed_on(at: Stage) -> Expected:
    @at.function()
    async def arguments(ctx: Any) -> Any:
        async def join(*parts: Any, **named: Any) -> Any:
            return [*parts, named]

        return [
            await ctx.step.run("none", join),
            await ctx.step.run("some", join, 1, "two", [3]),
            await ctx.step.run("partial", functools.partial(join, 1, b=2), "c"),
        ]

    return expect(output=[[{}], [1, "two", [3], {}], [1, "c", {"b": 2}]])


@scenario()
def a_repeated_id_is_another_step(at: Stage) -> Expected:
    @at.function()
    async def repeated(ctx: Any) -> Any:
        found = []
        for number in range(3):

            async def work(number: int = number) -> int:
                at.note(ctx, number)
                return number

            found.append(await ctx.step.run("same", work))
        return found

    return expect(
        output=[0, 1, 2],
        ops=[["StepRun same"], ["StepRun same"], ["StepRun same"], ["200"]],
        log=[0, 1, 2],
    )


@scenario()
def a_repeated_id_hashes_as_the_server_knows_it(at: Stage) -> Expected:
    @at.function()
    async def hashed(ctx: Any) -> Any:
        async def work() -> None:
            return None

        for _ in range(3):
            await ctx.step.run("same", work)

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        return {"ids": [reply[0]["id"] for reply in run.replies[:-1]]}

    return expect(
        play,
        ids=[
            "ff3390557335ba88d37755e41514beb03bc499ec",
            "c1023fa587daa4753ff5868c7e4bdbd03defda7d",
            "e48d666a39ba11b45ba1301e5228396678a2ad06",
        ],
    )


@scenario()
def sleeps(at: Stage) -> Expected:
    @at.function()
    async def asleep(ctx: Any) -> Any:
        began = datetime.datetime.now(datetime.timezone.utc)
        results = [
            await ctx.step.sleep("nap", SECOND),
            await ctx.step.sleep("in ms", 1000),
            await ctx.step.sleep_until("until", began + SECOND),
        ]
        at.note(ctx, "awake")
        return results

    return expect(
        output=[None, None, None],
        ops=[["Sleep nap"], ["Sleep in ms"], ["Sleep until"], ["200"]],
        log=["awake"],
    )


@scenario()
def a_sleep_that_is_over_ends_at_once(at: Stage) -> Expected:
    @at.function()
    async def past(ctx: Any) -> Any:
        long_ago = datetime.datetime(2020, 1, 1, tzinfo=datetime.timezone.utc)
        await ctx.step.sleep_until("past", long_ago)
        return "awake"

    return expect(output="awake", ops=[["Sleep past"], ["200"]])


@scenario()
def a_callable_from_a_step_is_found_by_its_context(at: Stage) -> Expected:
    experimental = at.kit.experimental
    step: Callable[[str], Callable[[Any], Any]] = experimental.step

    @step("decorated")
    async def decorated(a: int, *, b: int) -> int:
        return a + b

    @at.function()
    async def with_decorator(ctx: Any) -> Any:
        same = experimental.get_step_context() is ctx.step
        return [same, await decorated(1, b=2)]

    return expect(output=[True, 3], ops=[["StepRun decorated"], ["200"]])


@scenario()
def code_that_decides_by_memos(at: Stage) -> Expected:
    @at.function()
    async def branching(ctx: Any) -> Any:
        async def choose() -> str:
            return str(ctx.event.data["way"])

        async def left() -> str:
            return "went left"

        async def right() -> str:
            return "went right"

        if await ctx.step.run("choose", choose) == "left":
            return await ctx.step.run("left", left)
        return await ctx.step.run("right", right)

    def play(at: Stage) -> Run:
        return at.ended(at.send(data={"way": "right"}))

    return expect(
        play,
        output="went right",
        ops=[["StepRun choose"], ["StepRun right"], ["200"]],
    )


@scenario("async")
def a_plain_callable_in_an_async_step(at: Stage) -> Expected:
    @at.function()
    async def mixed(ctx: Any) -> Any:
        return await ctx.step.run("plain", lambda: 1)

    return expect(status="COMPLETED", output=1)


@scenario("async")
def a_callable_that_returns_an_awaitable(at: Stage) -> Expected:
    @at.function()
    async def mixed(ctx: Any) -> Any:
        async def work(a: int) -> int:
            return a + 1

        return await ctx.step.run("lambda", lambda: work(1))

    return expect(status="COMPLETED", output=2)


@scenario("sync")
def an_async_callable_in_a_blocking_step(at: Stage) -> Expected:
    async_work = at.memory.setdefault("work", _coroutine_function())

    @at.function(retries=0)
    async def mixed(ctx: Any) -> Any:
        return await ctx.step.run("mixed", async_work)

    return expect(
        status="FAILED",
        output={
            "code": "output_unserializable",
            "message": '"mixed" returned unserializable data',
            "name": "OutputUnserializableError",
        },
    )


def _coroutine_function() -> Any:
    import types

    @types.coroutine
    def work() -> Any:
        yield

    return work
