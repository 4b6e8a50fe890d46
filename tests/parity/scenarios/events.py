"""Functions that start, await and send events, and functions that call functions."""

from __future__ import annotations

import datetime
from typing import Any

from tests.parity.scenario import Expected, expect, scenario
from tests.parity.stage import Run, Stage

MINUTE = datetime.timedelta(minutes=1)
SECOND = datetime.timedelta(seconds=1)


@scenario()
def what_a_function_is_told_of_its_event(at: Stage) -> Expected:
    @at.function()
    async def told(ctx: Any) -> Any:
        event = ctx.event
        return [event.name, event.id == ctx.events[0].id, event.ts, dict(event.data)]

    def play(at: Stage) -> Run:
        return at.ended(at.send(data={"a": [1, None, {"b": "ü"}]}, ts=1700000000123))

    return expect(play, output=[at.event(), True, 1700000000123, {"a": [1, None, {"b": "ü"}]}])


@scenario()
def what_a_context_holds(at: Stage) -> Expected:
    @at.function()
    async def told(ctx: Any) -> Any:
        kinds = (ctx.run_id, ctx.request_id, ctx.job_id, ctx.attempt)
        return [type(one).__name__ for one in kinds]

    return expect(output=["str", "str", "str", "int"])


@scenario()
def a_wait_ends_with_the_event_that_matches(at: Stage) -> Expected:
    @at.function()
    async def waiting(ctx: Any) -> Any:
        found = await ctx.step.wait_for_event(
            "wait",
            event=at.event("answer"),
            if_exp="event.data.id == async.data.id",
            timeout=MINUTE,
        )
        return [type(found).__name__, found.name, dict(found.data), found.ts > 0]

    def play(at: Stage) -> Run:
        event_id = at.send(data={"id": 7})
        at.server.waiting(event_id, "WAIT_FOR_EVENT")
        at.send("answer", {"id": 8})
        at.send("answer", {"id": 7, "by": "Ada"})
        return at.ended(event_id)

    return expect(
        play,
        output=["Event", at.event("answer"), {"id": 7, "by": "Ada"}, True],
        ops=[["WaitForEvent wait"], ["200"]],
    )


@scenario()
def a_wait_that_nobody_answers(at: Stage) -> Expected:
    @at.function()
    async def waiting(ctx: Any) -> Any:
        return await ctx.step.wait_for_event("wait", event=at.event("no"), timeout=SECOND)

    return expect(status="COMPLETED", output=None, ops=[["WaitForEvent wait"], ["200"]])


@scenario()
def a_function_is_invoked_by_object(at: Stage) -> Expected:
    @at.function("child")
    async def child(ctx: Any) -> Any:
        return {"got": ctx.event.data, "named": ctx.event.name}

    @at.function()
    async def parent(ctx: Any) -> Any:
        return [
            await ctx.step.invoke("with data", function=child, data={"n": 1}),
            await ctx.step.invoke("without", function=child),
        ]

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        first, second = run.output
        return {
            "named": [first["named"], second["named"]],
            "n": first["got"]["n"],
            "keys": [sorted(first["got"]), sorted(second["got"])],
            "ops": run.ops,
        }

    return expect(
        play,
        named=["inngest/function.invoked", "inngest/function.invoked"],
        n=1,
        keys=[["_inngest", "n"], ["_inngest"]],
        ops=[["InvokeFunction with data"], ["InvokeFunction without"], ["200"]],
    )


@scenario()
def a_function_is_invoked_by_id(at: Stage) -> Expected:
    @at.function("child")
    async def child(ctx: Any) -> Any:
        return ctx.event.data["n"]

    @at.function()
    async def parent(ctx: Any) -> Any:
        name = at.id("child")
        return [
            await ctx.step.invoke_by_id("here", function_id=name, data={"n": 1}),
            await ctx.step.invoke_by_id(
                "by app", app_id=at.app.id, function_id=name, data={"n": 2}
            ),
        ]

    return expect(output=[1, 2])


@scenario()
def an_invoked_function_fails(at: Stage) -> Expected:
    @at.function("child", retries=0)
    async def child(ctx: Any) -> Any:
        raise KeyError("missing")

    @at.function()
    async def parent(ctx: Any) -> Any:
        try:
            return await ctx.step.invoke("child", function=child)
        except at.inngest.StepError as error:
            return [error.name, error.message, (error.stack or "").splitlines()[:1]]

    return expect(
        status="COMPLETED",
        output=["KeyError", "'missing'", ["Traceback (most recent call last):"]],
    )


@scenario()
def an_invoked_function_fails_and_nobody_catches_it(at: Stage) -> Expected:
    @at.function("child", retries=0)
    async def child(ctx: Any) -> Any:
        raise KeyError("missing")

    @at.function()
    async def parent(ctx: Any) -> Any:
        return await ctx.step.invoke("child", function=child)

    return expect(
        status="FAILED",
        output={"code": "step_errored", "message": "'missing'", "name": "KeyError"},
        ops=[["InvokeFunction child"], ["500"]],
    )


@scenario()
def an_invoked_function_takes_too_long(at: Stage) -> Expected:
    @at.function("child")
    async def child(ctx: Any) -> Any:
        await ctx.step.sleep("long", MINUTE)

    @at.function()
    async def parent(ctx: Any) -> Any:
        try:
            return await ctx.step.invoke("child", function=child, timeout=SECOND)
        except at.inngest.StepError as error:
            return [error.name, error.message, error.stack]

    return expect(
        status="COMPLETED",
        output=[
            "InngestInvokeTimeoutError",
            "Timed out waiting for invoked function to complete",
            None,
        ],
    )


@scenario()
def a_function_that_is_not_there_is_invoked(at: Stage) -> Expected:
    @at.function(retries=0)
    async def parent(ctx: Any) -> Any:
        try:
            return await ctx.step.invoke_by_id("child", app_id="nobody", function_id="nothing")
        except at.inngest.StepError as error:
            return [error.name, error.message]

    return expect(
        status="COMPLETED",
        output=["Error", "could not find function with ID: nobody-nothing"],
    )


@scenario()
def a_step_sends_events(at: Stage) -> Expected:
    @at.function("other")
    async def other(ctx: Any) -> Any:
        return ctx.event.data["n"]

    @at.function()
    async def sending(ctx: Any) -> Any:
        event = at.inngest.Event
        one = await ctx.step.send_event("one", event(name=at.event("other"), data={"n": 1}))
        two = await ctx.step.send_event(
            "two", [event(name=at.event("other"), data={"n": n}) for n in (2, 3)]
        )
        return [*one, *two]

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        outputs = [at.ended(event_id).output for event_id in run.output]
        return {"outputs": outputs, "ops": run.ops}

    return expect(
        play,
        outputs=[1, 2, 3],
        ops=[["StepRun one"], ["StepRun two"], ["200"]],
    )


@scenario()
def a_client_sends_events(at: Stage) -> Expected:
    event = at.inngest.Event

    @at.function("other")
    async def other(ctx: Any) -> Any:
        return [ctx.event.id, ctx.event.ts, ctx.event.data]

    @at.function()
    async def sending(ctx: Any) -> Any:
        return await at.client.send(
            [
                event(
                    name=at.event("other"), id=f"{ctx.run_id}-1", data={"n": 1}, ts=1700000000000
                ),
                event(name=at.event("other")),
            ]
        )

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        # An event with an id of its own has another one for the server.
        ended = [at.server.ended_runs(event_id)[0] for event_id in run.output]
        first, second = (at.run(one).output for one in ended)
        return {
            "ids": len(set(run.output)),
            "first": first[1:],
            "second": [second[1] > 1700000000000, second[2]],
        }

    return expect(play, ids=2, first=[1700000000000, {"n": 1}], second=[True, {}])


@scenario()
def an_event_is_sent_twice_with_one_id(at: Stage) -> Expected:
    @at.function("other")
    async def other(ctx: Any) -> Any:
        return "ran"

    @at.function()
    async def sending(ctx: Any) -> Any:
        event = at.inngest.Event(name=at.event("other"), id=f"once-{ctx.run_id}")
        return [(await at.client.send(event))[0] for _ in range(2)]

    def play(at: Stage) -> Any:
        run = at.ended(at.send())
        runs = {one["id"] for event_id in run.output for one in at.server.runs_of(event_id)}
        return {"runs": len(runs)}

    return expect(play, runs=1)


@scenario()
def a_function_has_more_than_one_trigger(at: Stage) -> Expected:
    trigger = at.inngest.TriggerEvent

    @at.function(
        trigger=[
            trigger(event=at.event("first")),
            trigger(event=at.event("second"), expression="event.data.n > 1"),
        ]
    )
    async def triggered(ctx: Any) -> Any:
        return ctx.event.name

    def play(at: Stage) -> Any:
        ids = [at.send("first"), at.send("second", {"n": 2})]
        unfit = at.send("second", {"n": 1})
        outputs = [at.ended(one).output for one in ids]
        return {"outputs": outputs, "unfit": at.server.runs_of(unfit)}

    return expect(play, outputs=[at.event("first"), at.event("second")], unfit=[])


@scenario()
def a_run_is_cancelled_by_an_event(at: Stage) -> Expected:
    @at.function(
        cancel=[at.inngest.Cancel(event=at.event("stop"), if_exp="event.data.id == async.data.id")]
    )
    async def cancelled(ctx: Any) -> Any:
        await ctx.step.sleep("long", MINUTE)
        return "never"

    def play(at: Stage) -> Any:
        event_id = at.send(data={"id": 1})
        at.server.waiting(event_id, "SLEEP")
        at.send("stop", {"id": 2})
        at.send("stop", {"id": 1})
        (run,) = at.server.ended_runs(event_id)
        return {"status": run["status"]}

    return expect(play, status="CANCELLED")
