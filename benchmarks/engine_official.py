"""The functions of the engine benchmark, on the official package."""

from __future__ import annotations

import inngest
import inngest.fast_api
from fastapi import FastAPI

client = inngest.Inngest(app_id="bench", is_production=False)


@client.create_function(fn_id="sync", trigger=inngest.TriggerEvent(event="bench/sync"))
def sync_steps(ctx: inngest.ContextSync) -> None:
    for n in range(int(str(ctx.event.data["steps"]))):
        ctx.step.run(f"step-{n}", produce)


@client.create_function(fn_id="async", trigger=inngest.TriggerEvent(event="bench/async"))
async def async_steps(ctx: inngest.Context) -> None:
    for n in range(int(str(ctx.event.data["steps"]))):
        await ctx.step.run(f"step-{n}", aproduce)


def produce() -> dict[str, object]:
    return {"n": 1, "ok": True}


async def aproduce() -> dict[str, object]:
    return {"n": 1, "ok": True}


asgi = FastAPI()
inngest.fast_api.serve(asgi, client, [sync_steps, async_steps])
