"""The functions of the scale benchmark. Only `quick` and one run of `queued` are ever called."""

from __future__ import annotations

import asyncio
import time

import inngest_core as inngest

client = inngest.Inngest(app_id="scale", is_production=False)


@client.create_function(fn_id="quick", trigger=inngest.TriggerEvent(event="scale/quick"))
async def quick(ctx: inngest.Context) -> float:
    """Say when it was called first."""
    return time.time()


@client.create_function(fn_id="finished", trigger=inngest.TriggerEvent(event="scale/finished"))
async def finished(ctx: inngest.Context) -> None:
    """Owns the runs that have ended."""


@client.create_function(fn_id="waiting", trigger=inngest.TriggerEvent(event="scale/waiting"))
async def waiting(ctx: inngest.Context) -> None:
    """Owns the runs that sleep, and those that wait for an event."""


@client.create_function(
    fn_id="queued",
    trigger=inngest.TriggerEvent(event="scale/queued"),
    concurrency=[inngest.Concurrency(limit=1)],
)
async def queued(ctx: inngest.Context) -> None:
    """Never end, so that all others stay behind the limit."""
    await asyncio.Event().wait()
