"""What starts when, and how many at once."""

from __future__ import annotations

import datetime
from typing import Any

from tests.parity.scenario import Expected, expect, scenario
from tests.parity.stage import Stage

MINUTE = datetime.timedelta(minutes=1)


@scenario()
def a_batch_of_events(at: Stage) -> Expected:
    @at.function(batch_events=at.inngest.Batch(max_size=3, timeout=MINUTE))
    async def batched(ctx: Any) -> Any:
        first = ctx.event.id == ctx.events[0].id
        return [first, sorted(one.data["n"] for one in ctx.events)]

    def play(at: Stage) -> Any:
        ids = [at.send(data={"n": n}) for n in range(3)]
        runs = {run["id"]: run for one in ids for run in at.server.ended_runs(one)}
        return {"outputs": [at.run(run).output for run in runs.values()]}

    return expect(play, outputs=[[True, [0, 1, 2]]])


@scenario()
def a_batch_by_key(at: Stage) -> Expected:
    @at.function(batch_events=at.inngest.Batch(max_size=2, timeout=MINUTE, key="event.data.k"))
    async def batched(ctx: Any) -> Any:
        return [one.data["k"] for one in ctx.events]

    def play(at: Stage) -> Any:
        ids = [at.send(data={"k": k}) for k in "abab"]
        runs = {run["id"]: run for one in ids for run in at.server.ended_runs(one)}
        return {"outputs": sorted(at.run(run).output for run in runs.values())}

    return expect(play, outputs=[["a", "a"], ["b", "b"]])


@scenario()
def a_debounced_function(at: Stage) -> Expected:
    @at.function(debounce=at.inngest.Debounce(period=1000))
    async def debounced(ctx: Any) -> Any:
        return ctx.event.data["n"]

    def play(at: Stage) -> Any:
        ids = [at.send(data={"n": n}) for n in range(3)]
        (last,) = at.server.ended_runs(ids[-1])
        others = [at.server.runs_of(one) for one in ids[:-1]]
        return {"output": at.run(last).output, "others": [len(one) for one in others]}

    return expect(play, output=2, others=[0, 0])


@scenario()
def a_function_of_one_at_a_time(at: Stage) -> Expected:
    @at.function(concurrency=[at.inngest.Concurrency(limit=1)])
    async def alone(ctx: Any) -> Any:
        async def work() -> int:
            with at.app.lock:
                at.memory["now"] = at.memory.get("now", 0) + 1
                at.memory["most"] = max(at.memory.get("most", 0), at.memory["now"])
            with at.app.lock:
                at.memory["now"] -= 1
            return 1

        return await ctx.step.run("work", work)

    def play(at: Stage) -> Any:
        outputs = [at.ended(one).output for one in [at.send() for _ in range(4)]]
        return {"outputs": outputs, "most": at.memory["most"]}

    return expect(play, outputs=[1, 1, 1, 1], most=1)


@scenario()
def a_rate_limited_function(at: Stage) -> Expected:
    @at.function(rate_limit=at.inngest.RateLimit(limit=1, period=MINUTE, key="event.data.k"))
    async def limited(ctx: Any) -> Any:
        return ctx.event.data["k"]

    def play(at: Stage) -> Any:
        first, again, other = (at.send(data={"k": k}) for k in "aab")
        outputs = [at.ended(one).output for one in (first, other)]
        return {"outputs": outputs, "again": at.server.runs_of(again)}

    return expect(play, outputs=["a", "b"], again=[])


@scenario()
def an_idempotent_function(at: Stage) -> Expected:
    @at.function(idempotency="event.data.k")
    async def once(ctx: Any) -> Any:
        return ctx.event.data["k"]

    def play(at: Stage) -> Any:
        first, again = (at.send(data={"k": "a"}) for _ in range(2))
        return {"output": at.ended(first).output, "again": at.server.runs_of(again)}

    return expect(play, output="a", again=[])


@scenario()
def a_throttled_function(at: Stage) -> Expected:
    @at.function(throttle=at.inngest.Throttle(limit=1, period=1000))
    async def throttled(ctx: Any) -> Any:
        return ctx.event.data["n"]

    def play(at: Stage) -> Any:
        ids = [at.send(data={"n": n}) for n in range(2)]
        return {"outputs": [at.ended(one).output for one in ids]}

    return expect(play, outputs=[0, 1])


@scenario()
def a_singleton_that_skips(at: Stage) -> Expected:
    @at.function(singleton=at.inngest.Singleton(mode="skip", key="event.data.k"))
    async def single(ctx: Any) -> Any:
        await ctx.step.wait_for_event("go on", event=at.event("go"), timeout=MINUTE)

    def play(at: Stage) -> Any:
        first = at.send(data={"k": 1})
        at.server.waiting(first, "WAIT_FOR_EVENT")
        again = at.send(data={"k": 1})
        at.send("go")
        return {"first": at.ended(first).status, "again": at.server.runs_of(again)}

    return expect(play, first="COMPLETED", again=[])


@scenario()
def a_singleton_that_cancels(at: Stage) -> Expected:
    @at.function(singleton=at.inngest.Singleton(mode="cancel"))
    async def single(ctx: Any) -> Any:
        if ctx.event.data["n"] == 0:
            await ctx.step.sleep("long", MINUTE)
        return ctx.event.data["n"]

    def play(at: Stage) -> Any:
        first = at.send(data={"n": 0})
        at.server.waiting(first, "SLEEP")
        second = at.ended(at.send(data={"n": 1}))
        (run,) = at.server.ended_runs(first)
        return {"first": run["status"], "second": second.output}

    return expect(play, first="CANCELLED", second=1)


@scenario()
def a_priority(at: Stage) -> Expected:
    @at.function(priority=at.inngest.Priority(run="event.data.p"))
    async def prior(ctx: Any) -> Any:
        return ctx.event.data["p"]

    def play(at: Stage) -> Any:
        return {"output": at.ended(at.send(data={"p": 10})).output}

    return expect(play, output=10)


@scenario()
def a_function_that_takes_too_long_to_finish(at: Stage) -> Expected:
    @at.function(timeouts=at.inngest.Timeouts(finish=1000))
    async def slow(ctx: Any) -> Any:
        await ctx.step.sleep("long", MINUTE)

    def play(at: Stage) -> Any:
        (run,) = at.server.ended_runs(at.send())
        return {"status": run["status"]}

    return expect(play, status="CANCELLED")
