"""Middleware of the client and of functions, and what it may change."""

from __future__ import annotations

from typing import Any

from tests.parity.scenario import Expected, expect, scenario
from tests.parity.stage import Run, Stage

EMPTY = "<class 'inngest_core.types.EmptySentinel'>"


@scenario()
def hooks_of_a_plain_call(at: Stage) -> Expected:
    @at.function()
    async def plain(ctx: Any) -> Any:
        return 1

    return expect(
        hooks=[
            "first transform_input 0",
            "second transform_input 0",
            "first before_execution",
            "second before_execution",
            "second after_execution",
            "first after_execution",
            "second transform_output None 1 True",
            "first transform_output None 1 True",
            "first before_response",
            "second before_response",
        ]
    )


@scenario()
def hooks_of_a_step(at: Stage) -> Expected:
    @at.function()
    async def step(ctx: Any) -> Any:
        async def work() -> int:
            at.note(ctx, "work")
            return 1

        await ctx.step.run("work", work)

    return expect(
        hooks=[
            "first transform_input 0",
            "second transform_input 0",
            "first before_execution",
            "second before_execution",
            "second after_execution",
            "first after_execution",
            "second transform_output ('work', 'StepRun') 1 True",
            "first transform_output ('work', 'StepRun') 1 True",
            "first before_response",
            "second before_response",
            "first transform_input 1",
            "second transform_input 1",
            "first before_execution",
            "second before_execution",
            "second after_execution",
            "first after_execution",
            "second transform_output None None True",
            "first transform_output None None True",
            "first before_response",
            "second before_response",
        ]
    )


@scenario()
def hooks_of_a_pause(at: Stage) -> Expected:
    @at.function()
    async def pausing(ctx: Any) -> Any:
        await ctx.step.sleep("nap", 1000)

    def play(at: Stage) -> Any:
        hooks = at.ended(at.send()).hooks
        first = hooks[: hooks.index("first transform_input 1")]
        return {
            "order": [" ".join(one.split()[:2]) for one in first],
            "of a pause": [one.replace(EMPTY, "empty") for one in first if "Sleep" in one],
        }

    return expect(
        play,
        **{
            "order": [
                "first transform_input",
                "second transform_input",
                "first before_execution",
                "second before_execution",
                "second after_execution",
                "first after_execution",
                "second transform_output",
                "first transform_output",
                "first before_response",
                "second before_response",
            ],
            "of a pause": [
                "second transform_output ('nap', 'Sleep') empty False",
                "first transform_output ('nap', 'Sleep') empty False",
            ],
        },
    )


@scenario()
def hooks_of_an_error(at: Stage) -> Expected:
    @at.function(retries=0)
    async def broken(ctx: Any) -> Any:
        raise ValueError("no")

    return expect(
        hooks=[
            "first transform_input 0",
            "second transform_input 0",
            "first before_execution",
            "second before_execution",
            "second after_execution",
            "first after_execution",
            "second transform_output None ValueError False",
            "first transform_output None ValueError False",
            "first before_response",
            "second before_response",
        ]
    )


@scenario()
def hooks_of_a_step_that_sends(at: Stage) -> Expected:
    @at.function()
    async def sending(ctx: Any) -> Any:
        events = [at.inngest.Event(name=at.event("none")) for _ in range(2)]
        return len(await ctx.step.send_event("send", events))

    def play(at: Stage) -> Any:
        hooks = at.ended(at.send()).hooks
        first = hooks[: hooks.index("first transform_input 1")]
        return {"hooks": [one for one in first if "send_events" in one or "execution" in one]}

    return expect(
        play,
        hooks=[
            "first before_execution",
            "second before_execution",
            "first before_send_events 2",
            "second before_send_events 2",
            "second after_send_events 2",
            "first after_send_events 2",
            "second after_execution",
            "first after_execution",
        ],
    )


@scenario()
def logs_are_written_once(at: Stage) -> Expected:
    """before_execution runs when the last memo is consumed; until then loggers are quiet."""

    @at.function()
    async def logging(ctx: Any) -> Any:
        async def work() -> None:
            return None

        at.note(ctx, list(at.app.hooks[ctx.run_id]).count("first before_execution"))
        await ctx.step.run("a", work)
        at.note(ctx, list(at.app.hooks[ctx.run_id]).count("first before_execution"))
        await ctx.step.run("b", work)
        at.note(ctx, list(at.app.hooks[ctx.run_id]).count("first before_execution"))

    return expect(log=[1, 1, 2, 2, 2, 3])


@scenario()
def a_class_for_one_function(at: Stage) -> Expected:
    base: Any = at.inngest.Middleware

    class Mine(base):  # type: ignore[misc]  # either package's
        async def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            at.note(ctx, [function.local_id, self.client is at.client, self.raw_request is None])

        async def transform_output(self, result: Any) -> None:
            if result.has_output():
                result.output = {"was": result.output}

    @at.function(middleware=[Mine])
    async def mine(ctx: Any) -> Any:
        async def work() -> int:
            return 1

        return await ctx.step.run("work", work)

    name = at.id()
    return expect(
        output={"was": {"was": 1}},
        log=[[name, True, False], [name, True, False]],
    )


@scenario()
def a_factory(at: Stage) -> Expected:
    base: Any = at.inngest.Middleware

    class Numbered(base):  # type: ignore[misc]  # either package's
        def __init__(self, client: Any, raw_request: object, number: int) -> None:
            super().__init__(client, raw_request)
            self.number = number

        async def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            at.note(ctx, self.number)

    @at.function(
        middleware=[
            lambda client, raw_request: Numbered(client, raw_request, 1),
            lambda client, raw_request: Numbered(client, raw_request, 2),
        ]
    )
    async def mine(ctx: Any) -> Any:
        return "done"

    return expect(output="done", log=[1, 2])


@scenario()
def an_event_is_changed_on_its_way_in(at: Stage) -> Expected:
    base: Any = at.inngest.Middleware

    class Changing(base):  # type: ignore[misc]  # either package's
        async def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            ctx.event.data = {**ctx.event.data, "added": 1}
            for one in ctx.events:
                one.data = {**one.data, "added": 2}

    @at.function(middleware=[Changing])
    async def changed(ctx: Any) -> Any:
        return [ctx.event.data, [one.data for one in ctx.events]]

    def play(at: Stage) -> Run:
        return at.ended(at.send(data={"n": 1}))

    return expect(play, output=[{"n": 1, "added": 1}, [{"n": 1, "added": 2}]])


@scenario()
def memos_are_changed_on_their_way_in(at: Stage) -> Expected:
    base: Any = at.inngest.Middleware

    class Changing(base):  # type: ignore[misc]  # either package's
        async def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            at.note(ctx, steps.size)
            for memo in steps.values():
                if isinstance(memo.data, int):
                    memo.data += 100

    @at.function(middleware=[Changing])
    async def changed(ctx: Any) -> Any:
        async def one() -> int:
            return 1

        return [await ctx.step.run("a", one), await ctx.step.run("b", one)]

    return expect(output=[101, 101], log=[0, 1, 2])


@scenario()
def an_error_is_replaced_on_its_way_out(at: Stage) -> Expected:
    base: Any = at.inngest.Middleware

    class Replacing(base):  # type: ignore[misc]  # either package's
        async def transform_output(self, result: Any) -> None:
            if result.error is not None:
                result.error = at.inngest.NonRetriableError(f"replaced: {result.error}")

    @at.function(middleware=[Replacing])
    async def broken(ctx: Any) -> Any:
        raise ValueError("no")

    return expect(
        status="FAILED",
        output={
            "code": "non_retriable_error",
            "message": "replaced: no",
            "name": "NonRetriableError",
        },
        ops=[["500"]],
    )


@scenario()
def the_order_of_client_and_function_middleware(at: Stage) -> Expected:
    base: Any = at.inngest.Middleware

    class Mine(base):  # type: ignore[misc]  # either package's
        async def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            self.run_id = ctx.run_id
            at.app.hooks[self.run_id].append("mine transform_input")

        async def transform_output(self, result: Any) -> None:
            at.app.hooks[self.run_id].append("mine transform_output")

    @at.function(middleware=[Mine])
    async def plain(ctx: Any) -> Any:
        return 1

    def play(at: Stage) -> Any:
        hooks = at.ended(at.send()).hooks
        return {"hooks": [" ".join(one.split()[:2]) for one in hooks if "transform" in one]}

    return expect(
        play,
        hooks=[
            "first transform_input",
            "second transform_input",
            "mine transform_input",
            "mine transform_output",
            "second transform_output",
            "first transform_output",
        ],
    )


@scenario("async")
def blocking_middleware_in_an_async_function(at: Stage) -> Expected:
    base: Any = at.inngest.MiddlewareSync

    class Mine(base):  # type: ignore[misc]  # either package's
        def transform_output(self, result: Any) -> None:
            result.output = [result.output]

    @at.function(middleware=[Mine])
    async def plain(ctx: Any) -> Any:
        return 1

    return expect(output=[1])


@scenario()
def the_options_of_an_invoke_are_seen_and_changed(at: Stage) -> Expected:
    base: Any = at.inngest.Middleware

    class Changing(base):  # type: ignore[misc]  # either package's
        async def transform_output(self, result: Any) -> None:
            step = result.step
            if step is None or step.opts is None:
                return
            at.app.logs[at.name].append([step.id, sorted(step.opts), result.has_output()])
            step.opts["payload"]["data"]["n"] = 2

    @at.function("child")
    async def child(ctx: Any) -> Any:
        return ctx.event.data["n"]

    @at.function(middleware=[Changing])
    async def parent(ctx: Any) -> Any:
        return await ctx.step.invoke("child", function=child, data={"n": 1})

    return expect(output=2)


@scenario()
def remote_state(at: Stage) -> Expected:
    remote = at.kit.module("experimental.remote_state_middleware")
    driver = remote.InMemoryDriver()

    @at.function(middleware=[remote.RemoteStateMiddleware.factory(driver)])
    async def remembered(ctx: Any) -> Any:
        async def work() -> Any:
            return {"big": "x" * 10}

        async def length(value: Any) -> int:
            return len(value["big"])

        value = await ctx.step.run("work", work)
        return [value, await ctx.step.run("length", length, value)]

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        stored = run.replies[0][0]["data"]
        return {
            "output": run.output,
            "stored": [stored["__REMOTE_STATE__"], stored["__STRATEGY__"]],
        }

    return expect(play, output=[{"big": "x" * 10}, 10], stored=[True, "inngest/memory"])


@scenario()
def the_request_of_a_framework(at: Stage) -> Expected:
    base: Any = at.inngest.Middleware

    class Mine(base):  # type: ignore[misc]  # either package's
        async def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            request = self.raw_request
            at.note(ctx, [request.method, request.headers["content-type"]])

    @at.function(middleware=[Mine])
    async def plain(ctx: Any) -> Any:
        return 1

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        return {"output": run.output, "log": run.log}

    return expect(play, output=1, log=[["POST", "application/json"]])


@scenario()
def middleware_that_fails_at_first(at: Stage) -> Expected:
    base: Any = at.inngest.Middleware

    class Failing(base):  # type: ignore[misc]  # either package's
        async def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            at.note(ctx, ctx.attempt)
            if ctx.attempt == 0:
                raise ValueError("not ready")

    @at.function(middleware=[Failing])
    async def unlucky(ctx: Any) -> Any:
        return "done"

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        told = "not ready" in run.replies[0]["message"]
        return {"output": run.output, "ops": run.ops, "log": run.log, "told": told}

    return expect(play, output="done", ops=[["500"], ["200"]], log=[0, 1], told=True)


@scenario()
def middleware_that_fails_at_last(at: Stage) -> Expected:
    base: Any = at.inngest.Middleware

    class Failing(base):  # type: ignore[misc]  # either package's
        async def before_response(self) -> None:
            at.memory["tries"] = at.memory.get("tries", 0) + 1
            if at.memory["tries"] == 1:
                raise ValueError("not ready")

    @at.function(middleware=[Failing])
    async def unlucky(ctx: Any) -> Any:
        return "done"

    return expect(status="COMPLETED", output="done", ops=[["500"], ["200"]])


@scenario()
def a_send_inside_a_function_has_middleware_of_its_own(at: Stage) -> Expected:
    @at.function()
    async def sending(ctx: Any) -> Any:
        before = len(at.app.hooks[None])
        await at.client.send(at.inngest.Event(name=at.event("none")))
        return [one.split()[1] for one in at.app.hooks[None][before:]]

    return expect(
        output=[
            "before_send_events",
            "before_send_events",
            "after_send_events",
            "after_send_events",
        ]
    )


@scenario()
def middleware_that_wraps_whatever_comes(at: Stage) -> Expected:
    """It asks for no has_output, as careless middleware does."""
    base: Any = at.inngest.Middleware

    class Wrapping(base):  # type: ignore[misc]  # either package's
        async def transform_output(self, result: Any) -> None:
            if result.error is None:
                result.output = {"wrapped": 1}

    @at.function(middleware=[Wrapping])
    async def wrapped(ctx: Any) -> Any:
        async def work() -> int:
            return 1

        await ctx.step.sleep("nap", 1000)
        await ctx.step.wait_for_event("wait", event=at.event("none"), timeout=1000)
        return await ctx.step.run("work", work)

    return expect(
        output={"wrapped": 1},
        ops=[["Sleep nap"], ["WaitForEvent wait"], ["StepRun work"], ["200"]],
    )
