"""The functions of the engine benchmark, on ours."""

from __future__ import annotations

import asyncio
import time

from fastapi import FastAPI

import inngest_contrib.fastapi
import inngest_core as inngest

client = inngest.Inngest(app_id="bench", is_production=False)


@client.create_function(fn_id="sync", trigger=inngest.TriggerEvent(event="bench/sync"))
def sync_steps(ctx: inngest.ContextSync) -> None:
    for n in range(int(str(ctx.event.data["steps"]))):
        ctx.step.run(f"step-{n}", produce)


@client.create_function(fn_id="async", trigger=inngest.TriggerEvent(event="bench/async"))
async def async_steps(ctx: inngest.Context) -> None:
    for n in range(int(str(ctx.event.data["steps"]))):
        await ctx.step.run(f"step-{n}", aproduce)


@client.create_function(
    fn_id="sync-checkpoint",
    trigger=inngest.TriggerEvent(event="bench/sync-checkpoint"),
    checkpoint=True,
)
def sync_checkpoint(ctx: inngest.ContextSync) -> None:
    for n in range(int(str(ctx.event.data["steps"]))):
        ctx.step.run(f"step-{n}", produce)


@client.create_function(
    fn_id="async-checkpoint",
    trigger=inngest.TriggerEvent(event="bench/async-checkpoint"),
    checkpoint=True,
)
async def async_checkpoint(ctx: inngest.Context) -> None:
    for n in range(int(str(ctx.event.data["steps"]))):
        await ctx.step.run(f"step-{n}", aproduce)


@client.create_function(fn_id="parallel", trigger=inngest.TriggerEvent(event="bench/parallel"))
async def parallel_steps(ctx: inngest.Context) -> None:
    count = int(str(ctx.event.data["steps"]))
    await asyncio.gather(*(ctx.step.run(f"step-{n}", aproduce) for n in range(count)))


@client.create_function(fn_id="dispatch", trigger=inngest.TriggerEvent(event="bench/dispatch"))
async def dispatched(ctx: inngest.Context) -> int:
    return time.time_ns() - int(str(ctx.event.data["sent"]))


def produce() -> dict[str, object]:
    return {"n": 1, "ok": True}


async def aproduce() -> dict[str, object]:
    return {"n": 1, "ok": True}


asgi = FastAPI()
inngest_contrib.fastapi.serve(asgi, client)
