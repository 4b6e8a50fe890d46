"""What `ctx.logger` writes, and where."""

from __future__ import annotations

from typing import Any

from tests.parity.scenario import Expected, expect, scenario
from tests.parity.stage import Stage


@scenario()
def a_line_is_logged_once(at: Stage) -> Expected:
    @at.function()
    async def logging(ctx: Any) -> Any:
        async def work() -> None:
            ctx.logger.info("in %s", "a step")

        ctx.logger.info("at the top")
        await ctx.step.run("a", work)
        ctx.logger.warning("between")
        await ctx.step.run("b", work)
        ctx.logger.error("at the end")

    return expect(
        lines=[
            "info at the top",
            "info in a step",
            "warning between",
            "info in a step",
            "error at the end",
        ]
    )


@scenario()
def a_retry_logs_again(at: Stage) -> Expected:
    @at.function(retries=1)
    async def logging(ctx: Any) -> Any:
        ctx.logger.info("try %s", ctx.attempt)
        if ctx.attempt == 0:
            raise ValueError("not yet")

    def play(at: Stage) -> Any:
        lines = at.ended(at.send()).lines
        return {"lines": [one for one in lines if one.startswith("info")]}

    return expect(play, lines=["info try 0", "info try 1"])


@scenario()
def an_error_is_logged_unless_it_is_quiet(at: Stage) -> Expected:
    @at.function()
    async def loud(ctx: Any) -> Any:
        raise at.inngest.NonRetriableError("listen", quiet=ctx.event.data["quiet"])

    def play(at: Stage) -> Any:
        return {
            name: bool(at.ended(at.send(data={"quiet": quiet})).lines)
            for name, quiet in (("quiet", True), ("loud", False))
        }

    return expect(play, quiet=False, loud=True)
