"""Steps beside one another."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.parity.scenario import Expected, expect, scenario
from tests.parity.stage import Run, Stage


@scenario()
def a_group_of_four_and_one_after_it(at: Stage) -> Expected:
    @at.function("child")
    async def child(ctx: Any) -> Any:
        return ctx.event.data["n"]

    @at.function()
    async def grouped(ctx: Any) -> Any:
        async def work(name: str) -> str:
            at.note(ctx, name)
            return name

        found = await ctx.group.parallel(
            (
                lambda: ctx.step.run("a", work, "a"),
                lambda: ctx.step.run("b", work, "b"),
                lambda: ctx.step.run("c", work, "c"),
                lambda: ctx.step.invoke("child", function=child, data={"n": 1}),
            )
        )
        return [type(found).__name__, *found, await ctx.step.run("d", work, "d")]

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        return {
            "output": run.output,
            "first": run.ops[0],
            "calls": run.calls,
            "log": [sorted(run.log[:3]), run.log[3:]],
        }

    return expect(
        play,
        output=["tuple", "a", "b", "c", 1, "d"],
        first=["StepPlanned a", "StepPlanned b", "StepPlanned c", "InvokeFunction child"],
        calls=6,
        log=[["a", "b", "c"], ["d"]],
    )


@scenario()
def a_group_of_chains(at: Stage) -> Expected:
    @at.function()
    async def chains(ctx: Any) -> Any:
        async def work(name: str) -> str:
            at.note(ctx, name)
            return name

        async def chain(name: str) -> list[str]:
            first = await ctx.step.run(f"{name}1", work, f"{name}1")
            return [first, await ctx.step.run(f"{name}2", work, f"{name}2")]

        return await ctx.group.parallel((lambda: chain("a"), lambda: chain("b")))

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        return {"output": run.output, "calls": run.calls, "log": sorted(run.log)}

    return expect(
        play,
        output=[["a1", "a2"], ["b1", "b2"]],
        calls=7,
        log=["a1", "a2", "b1", "b2"],
    )


@scenario()
def a_race_of_chains(at: Stage) -> Expected:
    @at.function()
    async def race(ctx: Any) -> Any:
        async def work(name: str) -> str:
            at.note(ctx, name)
            return name

        async def chain(name: str) -> list[str]:
            first = await ctx.step.run(f"{name}1", work, f"{name}1")
            return [first, await ctx.step.run(f"{name}2", work, f"{name}2")]

        return await ctx.group.parallel(
            (lambda: chain("a"), lambda: chain("b")),
            parallel_mode=at.inngest.ParallelMode.RACE,
        )

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        return {
            "output": run.output,
            # Nine, unless steps of both chains end at the same time.
            "calls": 7 <= run.calls <= 9,
            "log": sorted(run.log),
            "mode": run.replies[0][0]["opts"]["parallelMode"],
        }

    return expect(
        play,
        output=[["a1", "a2"], ["b1", "b2"]],
        calls=True,
        log=["a1", "a2", "b1", "b2"],
        mode="race",
    )


@scenario()
def one_of_a_group_fails_and_is_retried(at: Stage) -> Expected:
    @at.function(retries=1)
    async def group(ctx: Any) -> Any:
        async def work(name: str) -> str:
            at.note(ctx, name)
            return name

        async def flaky() -> str:
            at.note(ctx, f"flaky {ctx.attempt}")
            if ctx.attempt == 0:
                raise ValueError("not yet")
            return "at last"

        return await ctx.group.parallel(
            (lambda: ctx.step.run("a", work, "a"), lambda: ctx.step.run("b", flaky))
        )

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        return {"output": run.output, "calls": run.calls, "log": sorted(run.log)}

    return expect(play, output=["a", "at last"], calls=5, log=["a", "flaky 0", "flaky 1"])


@scenario()
def one_of_a_group_fails_for_good(at: Stage) -> Expected:
    @at.function(retries=0)
    async def group(ctx: Any) -> Any:
        async def work() -> str:
            return "fine"

        async def broken() -> str:
            raise ValueError("broken")

        async def fallback(reason: str) -> str:
            return f"instead: {reason}"

        try:
            return await ctx.group.parallel(
                (lambda: ctx.step.run("a", work), lambda: ctx.step.run("b", broken))
            )
        except at.inngest.StepError as error:
            return await ctx.step.run("fallback", fallback, error.message)

    return expect(status="COMPLETED", output="instead: broken")


@scenario()
def a_group_of_sleeps_and_waits(at: Stage) -> Expected:
    @at.function()
    async def pauses(ctx: Any) -> Any:
        return await ctx.group.parallel(
            (
                lambda: ctx.step.sleep("nap", 1000),
                lambda: ctx.step.wait_for_event("wait", event=at.event("no"), timeout=1000),
            )
        )

    return expect(
        output=[None, None],
        ops=[["Sleep nap", "WaitForEvent wait"], ["200"]],
    )


@scenario()
def an_empty_group(at: Stage) -> Expected:
    @at.function()
    async def empty(ctx: Any) -> Any:
        return await ctx.group.parallel(())

    return expect(status="COMPLETED", output=[], ops=[["200"]])


@scenario()
def a_group_of_one(at: Stage) -> Expected:
    @at.function()
    async def single(ctx: Any) -> Any:
        async def work() -> int:
            return 1

        return await ctx.group.parallel((lambda: ctx.step.run("a", work),))

    def play(at: Stage) -> Run:
        return at.ended(at.send())

    return expect(play, output=[1], ops=[["StepRun a"], ["200"]])


@scenario("async")
def plain_gather(at: Stage) -> Expected:
    @at.function()
    async def gathered(ctx: Any) -> Any:
        async def work(name: str) -> str:
            at.note(ctx, name)
            return name

        return await asyncio.gather(
            ctx.step.run("a", work, "a"), ctx.step.run("b", work, "b"), ctx.step.run("c", work, "c")
        )

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        return {"output": run.output, "log": sorted(run.log), "first": run.ops[0]}

    return expect(
        play,
        output=["a", "b", "c"],
        log=["a", "b", "c"],
        first=["StepPlanned a", "StepPlanned b", "StepPlanned c"],
    )


@scenario()
def a_memo_that_nobody_asks_for(at: Stage) -> Expected:
    """The order of steps changes between two calls, as after a deployment."""

    @at.function()
    async def reordered(ctx: Any) -> Any:
        async def work(name: str) -> str:
            at.note(ctx, name)
            return name

        at.memory.setdefault("calls", []).append(1)
        order = "ab" if len(at.memory["calls"]) == 1 else "ba"
        return [await ctx.step.run(name, work, name) for name in order]

    return expect(
        status="COMPLETED",
        output=["b", "a"],
        ops=[["StepRun a"], ["StepRun b"], ["200"]],
        log=["a", "b"],
    )
