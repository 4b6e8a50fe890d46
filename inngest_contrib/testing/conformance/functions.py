"""The functions that the kit has served: blocking and async ones that return, step, send, fail."""

from __future__ import annotations

from typing import Any

from inngest_core import (
    Context,
    ContextSync,
    Event,
    Function,
    Inngest,
    NonRetriableError,
    TriggerEvent,
)

PLAIN = '{"n":1,"é":"ü"}'.encode()
"""What ``plain`` and ``aplain`` answer to the usual call."""


def functions(client: Inngest) -> list[Function[Any]]:
    """Create the kit's functions on a client. The name of an async one begins with an a."""
    handlers = {
        "plain": plain,
        "step": step,
        "send": send,
        "fail": fail,
        "never": never,
        "odd": odd,
        "aplain": aplain,
        "astep": astep,
        "asend": asend,
        "afail": afail,
    }
    return [create(client, fn_id, handler) for fn_id, handler in handlers.items()]


def create(client: Inngest, fn_id: str, handler: Any, **options: Any) -> Function[Any]:
    """Create a function that the event ``a/b`` triggers."""
    made = client.create_function(fn_id=fn_id, trigger=TriggerEvent(event="a/b"), **options)
    function: Function[Any] = made(handler)
    return function


def plain(ctx: ContextSync) -> Any:
    return {"n": ctx.event.data["n"], "é": "ü"}


def step(ctx: ContextSync) -> Any:
    return ctx.step.run("a", lambda: 1)


def send(ctx: ContextSync) -> Any:
    return ctx.step.send_event("s", Event(name="c/d"))


def fail(ctx: ContextSync) -> Any:
    raise ValueError("bad value")


def never(ctx: ContextSync) -> Any:
    raise NonRetriableError("never")


def odd(ctx: ContextSync) -> Any:
    return object()


async def aplain(ctx: Context) -> Any:
    return {"n": ctx.event.data["n"], "é": "ü"}


async def astep(ctx: Context) -> Any:
    return await ctx.step.run("a", lambda: 1)


async def asend(ctx: Context) -> Any:
    return await ctx.step.send_event("s", Event(name="c/d"))


async def afail(ctx: Context) -> Any:
    raise ValueError("bad value")
