"""Ways in which programs are written."""

from __future__ import annotations

import functools
from typing import Any

from tests.parity.scenario import Expected, expect, scenario
from tests.parity.stage import Stage


def passing(handler: Any) -> Any:
    """Decorate as many do."""

    @functools.wraps(handler)
    async def passed(*args: Any, **kwargs: Any) -> Any:
        return await handler(*args, **kwargs)

    return passed


@scenario()
def a_decorated_handler(at: Stage) -> Expected:
    @at.function()
    @passing
    async def decorated(ctx: Any) -> Any:
        return "passed"

    return expect(status="COMPLETED", output="passed")


@scenario()
def a_method_as_handler_and_as_callable(at: Stage) -> Expected:
    class Service:
        def __init__(self, greeting: str) -> None:
            self.greeting = greeting

        async def handle(self, ctx: Any) -> Any:
            return await ctx.step.run("greet", self.greet, "Ada")

        async def greet(self, name: str) -> str:
            return f"{self.greeting} {name}"

    at.function()(Service("hello").handle)
    return expect(status="COMPLETED", output="hello Ada")


@scenario()
def options_that_are_empty(at: Stage) -> Expected:
    @at.function(cancel=[], concurrency=[], middleware=[])
    async def empty(ctx: Any) -> Any:
        return "fine"

    return expect(status="COMPLETED", output="fine")


@scenario()
def ids_of_every_kind(at: Stage) -> Expected:
    @at.function()
    async def named(ctx: Any) -> Any:
        async def work() -> int:
            return 1

        names = ["", " ", "ü/é", "a" * 200, "a", "a"]
        return [await ctx.step.run(name, work) for name in names]

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        ids = [reply[0]["id"] for reply in run.replies[:-1]]
        return {"output": run.output, "ids": len(set(ids)), "first": ids[0][:8]}

    return expect(play, output=[1] * 6, ids=6, first="da39a3ee")


@scenario()
def an_id_that_looks_like_a_repeated_one(at: Stage) -> Expected:
    @at.function()
    async def named(ctx: Any) -> Any:
        async def work(name: str) -> str:
            return name

        return [await ctx.step.run(name, work, name) for name in ("a:1", "a", "a")]

    return expect(status="COMPLETED")


@scenario()
def a_sleep_of_half_a_second(at: Stage) -> Expected:
    @at.function()
    async def nap(ctx: Any) -> Any:
        await ctx.step.sleep("nap", 500)
        return "awake"

    return expect(status="COMPLETED", output="awake", ops=[["Sleep nap"], ["200"]])


@scenario()
def a_sleep_of_nothing(at: Stage) -> Expected:
    @at.function()
    async def nap(ctx: Any) -> Any:
        await ctx.step.sleep("nap", 0)
        return "awake"

    return expect(status="COMPLETED", output="awake", ops=[["Sleep nap"], ["200"]])


@scenario()
def a_step_error_of_the_users_own(at: Stage) -> Expected:
    @at.function()
    async def raising(ctx: Any) -> Any:
        raise at.inngest.StepError("a message", "AName", None)

    return expect(
        status="FAILED",
        output={"code": "step_errored", "message": "a message", "name": "AName"},
        ops=[["500"]],
    )


@scenario()
def a_step_error_that_is_raised_again(at: Stage) -> Expected:
    @at.function(retries=0)
    async def raising(ctx: Any) -> Any:
        async def work() -> None:
            raise KeyError("k")

        try:
            await ctx.step.run("work", work)
        except at.inngest.StepError:
            at.note(ctx, "seen")
            raise

    return expect(
        status="FAILED",
        output={"code": "step_errored", "message": "'k'", "name": "KeyError"},
        log=["seen"],
    )


@scenario()
def steps_in_helpers_and_loops(at: Stage) -> Expected:
    async def each(step: Any, names: list[str]) -> list[str]:
        async def upper(name: str) -> str:
            return name.upper()

        return [await step.run(f"upper {name}", upper, name) for name in names]

    @at.function()
    async def helped(ctx: Any) -> Any:
        return await each(ctx.step, ["a", "b"])

    return expect(output=["A", "B"], ops=[["StepRun upper a"], ["StepRun upper b"], ["200"]])


@scenario()
def a_group_of_other_things(at: Stage) -> Expected:
    @at.function()
    async def mixed(ctx: Any) -> Any:
        async def plain() -> str:
            return "no step"

        async def work() -> str:
            return "a step"

        return await ctx.group.parallel((plain, lambda: ctx.step.run("a", work)))

    return expect(status="COMPLETED", output=["no step", "a step"])


@scenario()
def a_group_within_a_group(at: Stage) -> Expected:
    @at.function()
    async def nested(ctx: Any) -> Any:
        async def work(name: str) -> str:
            at.note(ctx, name)
            return name

        async def inner() -> Any:
            return await ctx.group.parallel(
                (lambda: ctx.step.run("a", work, "a"), lambda: ctx.step.run("b", work, "b"))
            )

        found = await ctx.group.parallel((inner, lambda: ctx.step.run("c", work, "c")))
        return [list(found[0]), found[1]]

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        return {"output": run.output, "log": sorted(run.log)}

    return expect(play, output=[["a", "b"], "c"], log=["a", "b", "c"])


@scenario()
def a_function_calls_itself(at: Stage) -> Expected:
    @at.function()
    async def counting(ctx: Any) -> Any:
        n = ctx.event.data["n"]
        if n == 0:
            return []
        rest = await ctx.step.invoke_by_id("next", function_id=at.id(), data={"n": n - 1})
        return [n, *rest]

    def play(at: Stage) -> Any:
        return {"output": at.ended(at.send(data={"n": 3})).output}

    return expect(play, output=[3, 2, 1])
