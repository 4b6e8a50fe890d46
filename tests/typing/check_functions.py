"""What the type checker makes of functions and steps; mypy reads this file, nothing runs it."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from typing_extensions import assert_type

import inngest_core as inngest
from inngest_core import realtime
from inngest_core.ai import BaseAdapter, anthropic, deepseek, gemini, grok, openai

if TYPE_CHECKING:
    client = inngest.Inngest(app_id="shop")
    TRIGGER = inngest.TriggerEvent(event="a/b")

    @client.create_function(fn_id="sync", trigger=TRIGGER)
    def sync_function(ctx: inngest.ContextSync) -> int:
        return 1

    @client.create_function(fn_id="async", trigger=[TRIGGER, inngest.TriggerCron(cron="* * * * *")])
    async def async_function(ctx: inngest.Context) -> str:
        return "1"

    assert_type(sync_function, inngest.Function[int])
    assert_type(async_function, inngest.Function[str])

    adapter: BaseAdapter = openai.Adapter(auth_key="k", model="m")
    adapters: list[BaseAdapter] = [
        provider(auth_key="k", model="m", base_url=None, headers={"a": "b"})
        for provider in (anthropic.Adapter, deepseek.Adapter, gemini.Adapter, grok.Adapter)
    ]
    openai.Adapter(model="m")  # type: ignore[call-arg]

    def two(a: int, b: str) -> float:
        return a + len(b)

    async def atwo(a: int, b: str) -> float:
        return a + len(b)

    async def nothing() -> None: ...

    async def in_async(ctx: inngest.Context) -> None:
        assert_type(ctx.event, inngest.Event)
        assert_type(ctx.events, list[inngest.Event])
        assert_type(ctx.attempt, int)
        assert_type(ctx.run_id, str)
        assert_type(await ctx.step.run("a", atwo, 1, "b"), float)
        assert_type(await ctx.step.run("a", two, 1, "b"), float)
        assert_type(await ctx.step.run("a", nothing), None)
        assert_type(await ctx.step.run("a", lambda: 1), int)
        assert_type(await ctx.step.invoke("i", function=sync_function), int)
        assert_type(await ctx.step.invoke("i", function=async_function, data={"a": 1}), str)
        assert_type(await ctx.step.invoke_by_id("i", function_id="f"), object)
        assert_type(await ctx.step.sleep("s", "1h"), None)
        assert_type(await ctx.step.sleep("s", datetime.timedelta(hours=1)), None)
        assert_type(
            await ctx.step.wait_for_event("w", event="x", timeout=1000), inngest.Event | None
        )
        assert_type(await ctx.step.send_event("e", inngest.Event(name="x")), list[str])
        await ctx.step.invoke("i", function=two)  # type: ignore[arg-type]
        assert_type(
            await ctx.step.wait_for_signal("w", signal="x", timeout="1h", on_conflict="replace"),
            inngest.Signal | None,
        )
        deferred = await ctx.step.defer("d", function=sync_function, data={"n": 1})
        assert_type(deferred.abort(), None)
        assert_type(await ctx.step.send_signal("s", "x", {"n": 1}), str | None)
        assert_type(await ctx.step.fetch("f", "https://x", body={"n": 1}), inngest.FetchResponse)
        assert_type(
            await ctx.step.ai.infer("ai", adapter=adapter, body={"messages": []}),
            dict[str, object],
        )
        assert_type(await ctx.step.ai.wrap("ai", atwo, 1, "b"), float)
        assert_type(await ctx.step.ai.wrap("ai", two, 1, "b"), float)
        await ctx.step.wait_for_signal("w", signal="x", timeout=1, on_conflict="x")  # type: ignore[arg-type]
        await ctx.step.ai.infer("ai", adapter=client, body={})  # type: ignore[arg-type]

    def in_sync(ctx: inngest.ContextSync) -> None:
        assert_type(ctx.step.run("a", two, 1, "b"), float)
        assert_type(ctx.step.run("a", lambda: [1]), list[int])
        assert_type(ctx.step.invoke("i", function=async_function), str)
        assert_type(ctx.step.sleep_until("s", datetime.datetime.now()), None)
        assert_type(ctx.step.wait_for_event("w", event="x", timeout="1h"), inngest.Event | None)
        assert_type(ctx.step.send_event("e", [inngest.Event(name="x")]), list[str])
        assert_type(ctx.step.wait_for_signal("w", signal="x", timeout="1h"), inngest.Signal | None)
        ctx.step.defer("d", function_id="f", app_id="a").abort()
        ctx.step.defer("d", function="f")  # type: ignore[arg-type]
        assert_type(ctx.step.send_signal("s", "x"), str | None)
        assert_type(ctx.step.fetch("f", "https://x").status, int)
        assert_type(ctx.step.ai.infer("ai", adapter=adapter, body={}), dict[str, object])
        assert_type(ctx.step.ai.wrap("ai", two, 1, "b"), float)
        ctx.step.ai.wrap("ai", two, "1", "b")  # type: ignore[arg-type]
        ctx.step.run("a", two, "1", "b")  # type: ignore[arg-type]
        ctx.step.sleep("s", 1.5)  # type: ignore[arg-type]

    async def sending() -> None:
        assert_type(await client.send(inngest.Event(name="a", data={"n": [1, None]})), list[str])
        assert_type(client.send_sync([inngest.Event(name="a")]), list[str])
        await client.send("a")  # type: ignore[arg-type]

    async def publishing(ctx: inngest.Context) -> None:
        await realtime.publish(client, "channel", "topic", {"n": 1})
        realtime.publish_sync(client, "channel", "topic", {"n": 1})
        token = await realtime.get_subscription_token(client, "channel", ["topic"])
        assert_type(token, Mapping[str, object])
        assert_type(
            await ctx.step.run("p", realtime.publish, client, "channel", "topic", {"n": 1}), None
        )

    @inngest.step("decorated")
    def decorated(a: int, *, b: str = "") -> float:
        return a

    @inngest.step("decorated async")
    async def adecorated(a: int) -> float:
        return a

    async def calling() -> None:
        assert_type(decorated(1, b="x"), float)
        assert_type(await adecorated(1), float)
        decorated("1")  # type: ignore[arg-type]

    # A handler may forget its annotations, and configuration may not be wrong.
    client.create_function(fn_id="x", trigger="a/b")  # type: ignore[arg-type]
    client.create_function(fn_id="x")  # type: ignore[call-arg]
    inngest.Concurrency(limit=1, scope="world")  # type: ignore[arg-type]
    inngest.Throttle(limit=1, period=datetime.timedelta(minutes=1))
    inngest.Throttle(limit=1, period="1m", burst=None)

    class Watching(inngest.Middleware):
        async def before_execution(self) -> None:
            assert_type(self.client, inngest.Inngest)

        async def transform_output(self, result: inngest.TransformOutputResult) -> None:
            assert_type(result.step, inngest.TransformOutputStepInfo | None)

    class Plugin:
        @inngest.hookimpl
        def inngest_configure(self, config: Any) -> None: ...

        @inngest.hookimpl(trylast=True)
        def inngest_middleware(self, config: Any) -> list[type[Watching]]:
            return [Watching]

    assert_type(Plugin().inngest_middleware(None), list[type[Watching]])
    inngest.Inngest(app_id="a", middleware=[Watching], plugins=[Plugin()], request_timeout="1m")
