"""Functions run in memory, with the steps that need a server stubbed."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from .differences import expected_of
from .kits import KITS, Kit

MINUTE = datetime.timedelta(minutes=1)


def trigger(
    kit: Kit, handler: Any, *, stubs: Any = None, events: Any = None, **options: Any
) -> Any:
    """Create a function on a mocked client and run it."""
    mocked, inngest = kit.module("experimental.mocked"), kit.inngest
    client = mocked.Inngest(app_id="shop")
    create = client.create_function(fn_id="fn", trigger=inngest.TriggerEvent(event="a"), **options)
    events = events or inngest.Event(name="a", data={"n": 1})
    result = mocked.trigger(create(handler), events, client, step_stubs=stubs)
    error = result.error and [type(result.error).__name__, str(result.error)]
    return {"status": result.status.value, "output": result.output, "error": error}


def a_plain_function(kit: Kit) -> Any:
    def handler(ctx: Any) -> Any:
        return [ctx.event.data, ctx.attempt, len(ctx.events)]

    return trigger(kit, handler)


def an_awaiting_function(kit: Kit) -> Any:
    async def handler(ctx: Any) -> Any:
        async def work(a: int) -> int:
            return a + 1

        await ctx.step.sleep("nap", MINUTE)
        return await ctx.step.run("work", work, 1)

    return trigger(kit, handler)


def steps_that_pass(kit: Kit) -> Any:
    def handler(ctx: Any) -> Any:
        ctx.step.sleep("nap", MINUTE)
        ctx.step.sleep_until("until", datetime.datetime.now() + MINUTE)
        ids = ctx.step.send_event("send", kit.inngest.Event(name="b"))
        return [ids, ctx.step.run("work", lambda a: a + 1, 1)]

    return trigger(kit, handler)


def stubs(kit: Kit) -> Any:
    def handler(ctx: Any) -> Any:
        found = ctx.step.wait_for_event("wait", event="b", timeout=MINUTE)
        return [
            found.data,
            ctx.step.invoke_by_id("invoke", function_id="other"),
            ctx.step.run("work", lambda: "not this"),
        ]

    found = kit.inngest.Event(name="b", data={"x": 1})
    return trigger(kit, handler, stubs={"wait": found, "invoke": 5, "work": "stubbed"})


def a_wait_that_times_out(kit: Kit) -> Any:
    def handler(ctx: Any) -> Any:
        return ctx.step.wait_for_event("wait", event="b", timeout=MINUTE)

    return trigger(kit, handler, stubs={"wait": kit.module("experimental.mocked").Timeout})


def a_failing_function(kit: Kit) -> Any:
    def handler(ctx: Any) -> Any:
        raise ValueError("no")

    return trigger(kit, handler, retries=0)


def a_function_that_is_retried(kit: Kit) -> Any:
    def handler(ctx: Any) -> Any:
        if ctx.attempt < 2:
            raise ValueError("not yet")
        return ctx.attempt

    return trigger(kit, handler)


def a_failing_step(kit: Kit) -> Any:
    def fail() -> None:
        raise ValueError("no")

    def handler(ctx: Any) -> Any:
        try:
            ctx.step.run("work", fail)
        except kit.inngest.StepError as error:
            return error.message

    return trigger(kit, handler, retries=1)


def a_group(kit: Kit) -> Any:
    def handler(ctx: Any) -> Any:
        return ctx.group.parallel(
            (lambda: ctx.step.run("a", lambda: 1), lambda: ctx.step.run("b", lambda: 2))
        )

    return {key: trigger(kit, handler)[key] for key in ("status", "error")}


def several_events(kit: Kit) -> Any:
    def handler(ctx: Any) -> Any:
        return [one.data for one in ctx.events]

    events = [kit.inngest.Event(name="a", data={"n": n}) for n in range(2)]
    return trigger(kit, handler, events=events)


def a_step_without_a_stub(kit: Kit) -> Any:
    def handler(ctx: Any) -> Any:
        return ctx.step.invoke_by_id("invoke", function_id="other")

    try:
        return trigger(kit, handler, retries=0)
    except Exception as error:
        return {"raised": type(error).__name__}


def done(output: Any) -> dict[str, Any]:
    return {"status": "Completed", "output": output, "error": None}


CLAIMS: dict[Callable[[Kit], Any], dict[str, Any]] = {
    a_plain_function: done([{"n": 1}, 0, 1]),
    an_awaiting_function: done(2),
    steps_that_pass: done([["0" * 26], 2]),
    stubs: done([{"x": 1}, 5, "stubbed"]),
    a_wait_that_times_out: done(None),
    a_failing_function: {"status": "Failed", "output": None, "error": ["ValueError", "no"]},
    a_function_that_is_retried: done(2),
    a_failing_step: done("no"),
    a_group: {"status": "Completed", "error": None},
    several_events: done([{"n": 0}, {"n": 1}]),
    a_step_without_a_stub: {"raised": "UnstubbedStepError"},
}


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
def test_a_function_runs_in_memory(kit: Kit, claim: Callable[[Kit], Any]) -> None:
    wanted = expected_of(kit, f"mocked: {claim.__name__}", CLAIMS[claim])
    assert claim(kit) == wanted
