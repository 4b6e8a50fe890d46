"""
Functions of every kind, told twice: blocking and awaiting. The end-to-end tests run both.

A function is triggered by the event `<app>/<its id>`; its id ends with its colour.
"""

from __future__ import annotations

import asyncio
import datetime
from collections import Counter
from typing import Any

import inngest_core as inngest

SECOND = datetime.timedelta(seconds=1)
MINUTE = datetime.timedelta(minutes=1)
SAME = "event.data.id == async.data.id"

tries: Counter[str] = Counter()
"""How often something was tried, by run and name: the memory of this process, not of a run."""
told: dict[str, Any] = {}
"""What failure handlers were told, by the run that failed."""


def flaky(key: str, failures: int) -> str:
    """Fail so many times, then succeed."""
    tries[key] += 1
    if tries[key] <= failures:
        raise ValueError(f"try {tries[key]} of {key.partition('/')[2]} failed")
    return f"try {tries[key]}"


def soon() -> datetime.datetime:
    return datetime.datetime.now(datetime.timezone.utc) + SECOND


def remember_failure(ctx: Any) -> None:
    told[ctx.event.data["run_id"]] = ctx.event.data["error"]["message"]


async def remember_failure_async(ctx: Any) -> None:
    remember_failure(ctx)


def of_client(app_id: str, server_url: str) -> inngest.Inngest:
    """Make the client of an app, with all the functions on it."""
    client = inngest.Inngest(
        app_id=app_id,
        is_production=False,
        api_base_url=server_url,
        event_api_base_url=server_url,
    )
    blocking(client)
    awaiting(client)
    return client


def on(client: inngest.Inngest, name: str) -> inngest.TriggerEvent:
    return inngest.TriggerEvent(event=f"{client.app_id}/{name}")


def blocking(client: inngest.Inngest) -> None:
    """Create the blocking functions."""
    app = client.app_id

    @client.create_function(fn_id="child-sync", trigger=on(client, "child-sync"))
    def child(ctx: inngest.ContextSync) -> Any:
        return {"child": ctx.event.data.get("n")}

    @client.create_function(fn_id="bad-child-sync", trigger=on(client, "bad-child-sync"))
    def bad_child(ctx: inngest.ContextSync) -> Any:
        raise inngest.NonRetriableError("the child broke")

    @client.create_function(fn_id="run-sync", trigger=on(client, "run-sync"))
    def run(ctx: inngest.ContextSync) -> Any:
        one = ctx.step.run("one", lambda: 1)
        return [one, ctx.step.run("two", lambda a, b: a + b, one, 2)]

    @client.create_function(fn_id="sleep-sync", trigger=on(client, "sleep-sync"))
    def sleep(ctx: inngest.ContextSync) -> Any:
        ctx.step.sleep("nap", SECOND)
        ctx.step.sleep_until("until", soon())
        return "rested"

    @client.create_function(fn_id="wait-sync", trigger=on(client, "wait-sync"))
    def wait(ctx: inngest.ContextSync) -> Any:
        found = ctx.step.wait_for_event("wait", event=f"{app}/answer", if_exp=SAME, timeout=MINUTE)
        return found and dict(found.data)

    @client.create_function(fn_id="timeout-sync", trigger=on(client, "timeout-sync"))
    def timeout(ctx: inngest.ContextSync) -> Any:
        return ctx.step.wait_for_event("wait", event=f"{app}/never", timeout=SECOND)

    @client.create_function(fn_id="invoke-sync", trigger=on(client, "invoke-sync"))
    def invoke(ctx: inngest.ContextSync) -> Any:
        one = ctx.step.invoke("one", function=child, data={"n": 1})
        return [
            one,
            ctx.step.invoke_by_id("two", app_id=app, function_id="child-sync", data={"n": 2}),
            ctx.step.invoke_by_id("three", function_id="child-async", data={"n": 3}),
        ]

    @client.create_function(fn_id="invoke-bad-sync", trigger=on(client, "invoke-bad-sync"))
    def invoke_bad(ctx: inngest.ContextSync) -> Any:
        try:
            return ctx.step.invoke("bad", function=bad_child)
        except inngest.StepError as error:
            return error.message

    @client.create_function(fn_id="send-sync", trigger=on(client, "send-sync"))
    def send(ctx: inngest.ContextSync) -> Any:
        event = inngest.Event(name=f"{app}/child-sync", data={"n": ctx.event.data["id"]})
        return ctx.step.send_event("send", [event, event])

    @client.create_function(fn_id="parallel-sync", trigger=on(client, "parallel-sync"))
    def parallel(ctx: inngest.ContextSync) -> Any:
        results = ctx.group.parallel(
            (
                lambda: ctx.step.run("a", lambda: 1),
                lambda: ctx.step.run("b", flaky, f"{ctx.run_id}/b", 1),
                lambda: ctx.step.invoke("c", function=child, data={"n": 3}),
            )
        )
        return [*results, ctx.step.run("d", lambda: 4)]

    @client.create_function(fn_id="retry-sync", trigger=on(client, "retry-sync"), retries=2)
    def retry(ctx: inngest.ContextSync) -> Any:
        done = ctx.step.run("flaky", flaky, f"{ctx.run_id}/step", 2)
        return [done, flaky(f"{ctx.run_id}/function", 2)]

    @client.create_function(fn_id="caught-sync", trigger=on(client, "caught-sync"), retries=1)
    def caught(ctx: inngest.ContextSync) -> Any:
        try:
            ctx.step.run("flaky", flaky, f"{ctx.run_id}/step", 9)
        except inngest.StepError as error:
            text = f"{error.name}: {error.message}"
            return ctx.step.run("rescue", lambda: text)

    @client.create_function(
        fn_id="exhausted-sync",
        trigger=on(client, "exhausted-sync"),
        retries=1,
        on_failure=remember_failure,
    )
    def exhausted(ctx: inngest.ContextSync) -> Any:
        return flaky(f"{ctx.run_id}/function", 9)

    @client.create_function(
        fn_id="fatal-sync", trigger=on(client, "fatal-sync"), on_failure=remember_failure
    )
    def fatal(ctx: inngest.ContextSync) -> Any:
        tries[f"{ctx.run_id}/function"] += 1
        raise inngest.NonRetriableError("no use")

    @client.create_function(fn_id="later-sync", trigger=on(client, "later-sync"))
    def later(ctx: inngest.ContextSync) -> Any:
        if ctx.attempt == 0:
            raise inngest.RetryAfterError("busy", SECOND)
        return ctx.attempt

    @client.create_function(
        fn_id="cancel-sync",
        trigger=on(client, "cancel-sync"),
        cancel=[inngest.Cancel(event=f"{app}/stop", if_exp=SAME)],
    )
    def cancel(ctx: inngest.ContextSync) -> Any:
        ctx.step.sleep("long", MINUTE)
        return "never"


def awaiting(client: inngest.Inngest) -> None:
    """Create the awaiting functions."""
    app = client.app_id

    @client.create_function(fn_id="child-async", trigger=on(client, "child-async"))
    async def child(ctx: inngest.Context) -> Any:
        return {"child": ctx.event.data.get("n")}

    @client.create_function(fn_id="bad-child-async", trigger=on(client, "bad-child-async"))
    async def bad_child(ctx: inngest.Context) -> Any:
        raise inngest.NonRetriableError("the child broke")

    @client.create_function(fn_id="run-async", trigger=on(client, "run-async"))
    async def run(ctx: inngest.Context) -> Any:
        async def add(a: int, b: int) -> int:
            await asyncio.sleep(0)
            return a + b

        one = await ctx.step.run("one", lambda: 1)
        return [one, await ctx.step.run("two", add, one, 2)]

    @client.create_function(fn_id="sleep-async", trigger=on(client, "sleep-async"))
    async def sleep(ctx: inngest.Context) -> Any:
        await ctx.step.sleep("nap", SECOND)
        await ctx.step.sleep_until("until", soon())
        return "rested"

    @client.create_function(fn_id="wait-async", trigger=on(client, "wait-async"))
    async def wait(ctx: inngest.Context) -> Any:
        found = await ctx.step.wait_for_event(
            "wait", event=f"{app}/answer", if_exp=SAME, timeout=MINUTE
        )
        return found and dict(found.data)

    @client.create_function(fn_id="timeout-async", trigger=on(client, "timeout-async"))
    async def timeout(ctx: inngest.Context) -> Any:
        return await ctx.step.wait_for_event("wait", event=f"{app}/never", timeout=SECOND)

    @client.create_function(fn_id="invoke-async", trigger=on(client, "invoke-async"))
    async def invoke(ctx: inngest.Context) -> Any:
        one = await ctx.step.invoke("one", function=child, data={"n": 1})
        return [
            one,
            await ctx.step.invoke_by_id(
                "two", app_id=app, function_id="child-async", data={"n": 2}
            ),
            await ctx.step.invoke_by_id("three", function_id="child-sync", data={"n": 3}),
        ]

    @client.create_function(fn_id="invoke-bad-async", trigger=on(client, "invoke-bad-async"))
    async def invoke_bad(ctx: inngest.Context) -> Any:
        try:
            return await ctx.step.invoke("bad", function=bad_child)
        except inngest.StepError as error:
            return error.message

    @client.create_function(fn_id="send-async", trigger=on(client, "send-async"))
    async def send(ctx: inngest.Context) -> Any:
        event = inngest.Event(name=f"{app}/child-async", data={"n": ctx.event.data["id"]})
        return await ctx.step.send_event("send", [event, event])

    @client.create_function(fn_id="parallel-async", trigger=on(client, "parallel-async"))
    async def parallel(ctx: inngest.Context) -> Any:
        results = await asyncio.gather(
            ctx.step.run("a", lambda: 1),
            ctx.step.run("b", flaky, f"{ctx.run_id}/b", 1),
            ctx.step.invoke("c", function=child, data={"n": 3}),
        )
        return [*results, await ctx.step.run("d", lambda: 4)]

    @client.create_function(fn_id="retry-async", trigger=on(client, "retry-async"), retries=2)
    async def retry(ctx: inngest.Context) -> Any:
        done = await ctx.step.run("flaky", flaky, f"{ctx.run_id}/step", 2)
        return [done, flaky(f"{ctx.run_id}/function", 2)]

    @client.create_function(fn_id="caught-async", trigger=on(client, "caught-async"), retries=1)
    async def caught(ctx: inngest.Context) -> Any:
        try:
            await ctx.step.run("flaky", flaky, f"{ctx.run_id}/step", 9)
        except inngest.StepError as error:
            text = f"{error.name}: {error.message}"
            return await ctx.step.run("rescue", lambda: text)

    @client.create_function(
        fn_id="exhausted-async",
        trigger=on(client, "exhausted-async"),
        retries=1,
        on_failure=remember_failure_async,
    )
    async def exhausted(ctx: inngest.Context) -> Any:
        return flaky(f"{ctx.run_id}/function", 9)

    @client.create_function(
        fn_id="fatal-async", trigger=on(client, "fatal-async"), on_failure=remember_failure_async
    )
    async def fatal(ctx: inngest.Context) -> Any:
        tries[f"{ctx.run_id}/function"] += 1
        raise inngest.NonRetriableError("no use")

    @client.create_function(fn_id="later-async", trigger=on(client, "later-async"))
    async def later(ctx: inngest.Context) -> Any:
        if ctx.attempt == 0:
            raise inngest.RetryAfterError("busy", SECOND)
        return ctx.attempt

    @client.create_function(
        fn_id="cancel-async",
        trigger=on(client, "cancel-async"),
        cancel=[inngest.Cancel(event=f"{app}/stop", if_exp=SAME)],
    )
    async def cancel(ctx: inngest.Context) -> Any:
        await ctx.step.sleep("long", MINUTE)
        return "never"
