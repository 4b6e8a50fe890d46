"""What is raised, where it is caught, and what is told of it."""

from __future__ import annotations

import datetime
from typing import Any

from tests.parity.scenario import Expected, expect, scenario
from tests.parity.stage import Run, Stage


class Refused(Exception):
    """An error of a user's own."""


@scenario()
def a_function_is_retried(at: Stage) -> Expected:
    @at.function(retries=2)
    async def flaky(ctx: Any) -> Any:
        at.note(ctx, ctx.attempt)
        if ctx.attempt < 2:
            raise Refused("not yet")
        return ctx.attempt

    return expect(status="COMPLETED", output=2, ops=[["500"], ["500"], ["200"]], log=[0, 1, 2])


@scenario()
def a_function_fails_for_good(at: Stage) -> Expected:
    @at.function(retries=1)
    async def broken(ctx: Any) -> Any:
        raise Refused("never")

    return expect(
        status="FAILED",
        output={"code": "unknown", "message": "never", "name": "Refused"},
        ops=[["500"], ["500"]],
    )


@scenario()
def the_stack_of_an_error_is_the_users(at: Stage) -> Expected:
    @at.function(retries=0)
    async def broken(ctx: Any) -> Any:
        raise Refused("never")

    def play(at: Stage) -> Any:
        stack = at.ended(at.send()).stack or ""
        return {
            "opens": stack.splitlines()[0],
            "closes": stack.splitlines()[-1].rpartition(".")[2],
            "shows the user's": "scenarios/errors.py" in stack,
            "shows ours": "inngest_core/" in stack or "_internal" in stack,
        }

    return expect(
        play,
        **{
            "opens": "Traceback (most recent call last):",
            "closes": "Refused: never",
            "shows the user's": True,
            "shows ours": False,
        },
    )


@scenario()
def an_explicit_cause_is_told(at: Stage) -> Expected:
    @at.function(retries=0)
    async def caused(ctx: Any) -> Any:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise Refused("outer") from error

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        (reply,) = run.replies
        cause = reply.get("cause") or {}
        return {"message": reply["message"], "cause": [cause.get("name"), cause.get("message")]}

    return expect(play, message="outer", cause=["KeyError", "'inner'"])


@scenario()
def an_implicit_cause_is_not(at: Stage) -> Expected:
    @at.function(retries=0)
    async def caused(ctx: Any) -> Any:
        try:
            raise KeyError("inner")
        except KeyError:
            raise Refused("outer")  # noqa: B904  # that is the point

    def play(at: Stage) -> Any:
        (reply,) = at.ended(at.send()).replies
        return {"keys": sorted(reply)}

    return expect(play, keys=["code", "message", "name", "stack"])


@scenario()
def the_cause_of_a_step_error(at: Stage) -> Expected:
    @at.function(retries=0)
    async def caused(ctx: Any) -> Any:
        async def work() -> None:
            try:
                raise KeyError("inner")
            except KeyError as error:
                raise Refused("outer") from error

        try:
            await ctx.step.run("work", work)
        except at.inngest.StepError as error:
            cause = error.__cause__
            return [error.name, error.message, type(cause).__name__, str(cause)]

    return expect(output=["Refused", "outer", "StepError", "'inner'"])


@scenario()
def a_non_retriable_error_ends_the_run(at: Stage) -> Expected:
    @at.function()
    async def fatal(ctx: Any) -> Any:
        raise at.inngest.NonRetriableError("no use")

    return expect(
        status="FAILED",
        output={"code": "non_retriable_error", "message": "no use", "name": "NonRetriableError"},
        ops=[["500"]],
    )


@scenario()
def a_non_retriable_error_in_a_step(at: Stage) -> Expected:
    @at.function()
    async def fatal(ctx: Any) -> Any:
        async def work() -> None:
            at.note(ctx, "tried")
            raise at.inngest.NonRetriableError("no use")

        await ctx.step.run("work", work)

    return expect(
        status="FAILED",
        output={"code": "non_retriable_error", "message": "no use", "name": "NonRetriableError"},
        ops=[["StepFailed work"], ["500"]],
        log=["tried"],
    )


@scenario()
def a_subclass_of_non_retriable_error(at: Stage) -> Expected:
    base: Any = at.inngest.NonRetriableError

    class Final(base):  # type: ignore[misc]  # either package's
        pass

    @at.function()
    async def fatal(ctx: Any) -> Any:
        raise Final("over")

    return expect(
        status="FAILED",
        output={"code": "non_retriable_error", "message": "over", "name": "Final"},
        ops=[["500"]],
    )


@scenario()
def a_step_is_retried(at: Stage) -> Expected:
    @at.function(retries=2)
    async def flaky(ctx: Any) -> Any:
        async def work() -> int:
            at.note(ctx, f"try {ctx.attempt}")
            if ctx.attempt < 2:
                raise Refused("not yet")
            return int(ctx.attempt)

        return [await ctx.step.run("work", work), ctx.attempt]

    return expect(
        output=[2, 0],
        ops=[["StepError work"], ["StepError work"], ["StepRun work"], ["200"]],
        log=["try 0", "try 1", "try 2"],
        attempts=[0, 1, 2, 0],
    )


@scenario()
def a_failed_step_is_caught(at: Stage) -> Expected:
    @at.function(retries=1)
    async def caught(ctx: Any) -> Any:
        async def work() -> None:
            raise Refused("bad")

        async def rescue() -> str:
            return "rescued"

        try:
            await ctx.step.run("work", work)
        except at.inngest.StepError as error:
            at.note(ctx, [error.name, error.message, (error.stack or "").splitlines()[0]])
            return await ctx.step.run("rescue", rescue)

    told = ["Refused", "bad", "Traceback (most recent call last):"]
    return expect(
        status="COMPLETED",
        output="rescued",
        ops=[["StepError work"], ["StepFailed work"], ["StepRun rescue"], ["200"]],
        log=[told, told],
    )


@scenario()
def a_failed_step_that_nobody_catches(at: Stage) -> Expected:
    @at.function(retries=1)
    async def uncaught(ctx: Any) -> Any:
        async def work() -> None:
            raise Refused("bad")

        at.note(ctx, "call")
        await ctx.step.run("work", work)

    return expect(
        status="FAILED",
        output={"code": "step_errored", "message": "bad", "name": "Refused"},
        ops=[["StepError work"], ["StepFailed work"], ["500"]],
        log=["call", "call", "call"],
    )


@scenario()
def a_step_error_is_replaced(at: Stage) -> Expected:
    @at.function(retries=0)
    async def replaced(ctx: Any) -> Any:
        async def work() -> None:
            raise Refused("bad")

        try:
            await ctx.step.run("work", work)
        except at.inngest.StepError as error:
            raise LookupError("something else") from error

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        output = {key: run.output[key] for key in ("code", "message", "name")}
        return {
            "status": run.status,
            "output": output,
            "cause": run.output.get("cause", {}).get("message"),
        }

    return expect(
        play,
        status="FAILED",
        output={"code": "unknown", "message": "something else", "name": "LookupError"},
        cause="bad",
    )


@scenario()
def a_function_asks_to_be_called_later(at: Stage) -> Expected:
    @at.function()
    async def later(ctx: Any) -> Any:
        if ctx.attempt == 0:
            raise at.inngest.RetryAfterError("busy", 1000)
        return ctx.attempt

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        first = run.headers[0]
        return {
            "output": run.output,
            "reply": {key: run.replies[0][key] for key in ("code", "message", "name")},
            "no retry": first.get("x-inngest-no-retry"),
            "says when": "retry-after" in first,
        }

    return expect(
        play,
        **{
            "output": 1,
            "reply": {
                "code": "retry_after_error",
                "message": "busy",
                "name": "RetryAfterError",
            },
            "no retry": "false",
            "says when": True,
        },
    )


@scenario()
def a_step_asks_to_be_called_later(at: Stage) -> Expected:
    @at.function()
    async def later(ctx: Any) -> Any:
        async def work() -> int:
            if ctx.attempt == 0:
                soon = datetime.datetime.now() + datetime.timedelta(seconds=1)
                raise at.inngest.RetryAfterError("busy", soon)
            return int(ctx.attempt)

        return await ctx.step.run("work", work)

    return expect(output=1, ops=[["StepError work"], ["StepRun work"], ["200"]])


@scenario()
def what_headers_say_of_errors(at: Stage) -> Expected:
    @at.function("fatal")
    async def fatal(ctx: Any) -> Any:
        raise at.inngest.NonRetriableError("no use")

    @at.function("plain", retries=0)
    async def plain(ctx: Any) -> Any:
        raise Refused("no")

    def play(at: Stage) -> Any:
        found = {}
        for which in ("fatal", "plain"):
            (headers,) = at.ended(at.send(which)).headers
            found[which] = headers.get("x-inngest-no-retry")
        return found

    return expect(play, fatal="true", plain="false")


@scenario()
def a_nested_step_is_refused(at: Stage) -> Expected:
    @at.function()
    async def nested(ctx: Any) -> Any:
        async def inner() -> str:
            at.note(ctx, "inner")
            return "inner"

        async def outer() -> Any:
            at.note(ctx, "outer")
            try:
                return await ctx.step.run("inner", inner)
            except Exception:
                at.note(ctx, "seen")
                raise

        return await ctx.step.run("outer", outer)

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        output = {key: run.output[key] for key in ("code", "message", "name")}
        return {"status": run.status, "output": output, "log": run.log}

    return expect(
        play,
        status="FAILED",
        output={
            "code": "step_nested",
            "message": "Nested steps are not supported.",
            "name": "NestedStepError",
        },
        log=["outer"],
    )


@scenario()
def a_result_that_is_not_json(at: Stage) -> Expected:
    @at.function()
    async def unserializable(ctx: Any) -> Any:
        async def work() -> Any:
            return object()

        return await ctx.step.run("work", work)

    return expect(
        status="FAILED",
        output={
            "code": "output_unserializable",
            "message": '"work" returned unserializable data',
            "name": "OutputUnserializableError",
        },
        ops=[["500"]],
    )


@scenario()
def an_output_that_is_not_json(at: Stage) -> Expected:
    @at.function()
    async def unserializable(ctx: Any) -> Any:
        return object()

    return expect(
        status="FAILED",
        output={
            "code": "output_unserializable",
            "message": "returned unserializable data",
            "name": "OutputUnserializableError",
        },
        ops=[["500"]],
    )


@scenario()
def a_failure_handler_is_told(at: Stage) -> Expected:
    async def on_failure(ctx: Any) -> None:
        data = ctx.event.data
        at.note(
            data["run_id"],
            {
                "event": ctx.event.name,
                "keys": sorted(data),
                "error": sorted(data["error"]),
                "message": data["error"]["message"],
                "name": data["error"]["name"],
                "of": data["function_id"] == f"{at.app.id}-{at.id()}",
                "was": data["event"]["data"],
            },
        )

    @at.function(retries=0, on_failure=on_failure)
    async def failing(ctx: Any) -> Any:
        raise Refused("broken")

    def play(at: Stage) -> Any:
        (run,) = at.server.ended_runs(at.send(data={"n": 1}))
        return {"log": at.eventually(lambda: at.app.logs[run["id"]])}

    return expect(
        play,
        log=[
            {
                "event": "inngest/function.failed",
                "keys": ["_inngest", "error", "event", "events", "function_id", "result", "run_id"],
                "error": ["error", "message", "name", "stack"],
                "message": "broken",
                "name": "Refused",
                "of": True,
                "was": {"n": 1},
            }
        ],
    )


@scenario()
def a_failure_handler_has_steps(at: Stage) -> Expected:
    async def on_failure(ctx: Any) -> Any:
        async def tell() -> str:
            at.note(ctx.event.data["run_id"], "told")
            return "told"

        return await ctx.step.run("tell", tell)

    @at.function(retries=0, on_failure=on_failure)
    async def failing(ctx: Any) -> Any:
        raise Refused("broken")

    def play(at: Stage) -> Any:
        (run,) = at.server.ended_runs(at.send())
        return {"log": at.eventually(lambda: at.app.logs[run["id"]])}

    return expect(play, log=["told"])


@scenario()
def clean_up_runs_where_it_stands(at: Stage) -> Expected:
    @at.function()
    async def cleaning(ctx: Any) -> Any:
        async def work() -> int:
            return 1

        try:
            return await ctx.step.run("work", work)
        except Exception:
            at.note(ctx, "except")
            raise
        finally:
            at.note(ctx, "finally")

    def play(at: Stage) -> Run:
        return at.ended(at.send())

    return expect(play, output=1, log=["finally", "finally"])


@scenario()
def a_quiet_error(at: Stage) -> Expected:
    @at.function(retries=0)
    async def quiet(ctx: Any) -> Any:
        raise at.inngest.NonRetriableError("hush", quiet=True)

    return expect(
        status="FAILED",
        output={"code": "non_retriable_error", "message": "hush", "name": "NonRetriableError"},
    )


@scenario()
def an_error_without_a_message(at: Stage) -> Expected:
    @at.function(retries=0)
    async def silent(ctx: Any) -> Any:
        raise ValueError

    return expect(status="FAILED", output={"code": "unknown", "message": "", "name": "ValueError"})


@scenario()
def a_non_retriable_error_without_a_message(at: Stage) -> Expected:
    @at.function(retries=0)
    async def silent(ctx: Any) -> Any:
        raise at.inngest.NonRetriableError

    return expect(
        status="FAILED",
        output={"code": "non_retriable_error", "message": "", "name": "NonRetriableError"},
    )
