"""
A worker of the connect benchmark, ours or the official one, on the same functions.

    python -m benchmarks.connect_worker ours|official <server> <concurrency>
"""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import Any


async def work(package: str, origin: str, concurrency: int) -> None:
    """Work until a signal comes; say when there is a connection."""
    inngest = importlib.import_module("inngest_core" if package == "ours" else "inngest")
    connect = importlib.import_module(f"{inngest.__name__}.connect")
    client = inngest.Inngest(
        app_id="bench", is_production=False, api_base_url=origin, event_api_base_url=origin
    )
    functions = [awaiting(inngest, client), blocking(inngest, client)]
    connection = connect.connect([(client, functions)], max_worker_concurrency=concurrency)
    ready = asyncio.create_task(connection.wait_for_state(connect.ConnectionState.ACTIVE))
    ready.add_done_callback(lambda _: print("ready", flush=True))
    await connection.start()


def awaiting(inngest: Any, client: Any) -> Any:
    @client.create_function(fn_id="async", trigger=inngest.TriggerEvent(event="bench/async"))
    async def function(ctx: Any) -> Any:
        return {"n": 1}

    return function


def blocking(inngest: Any, client: Any) -> Any:
    @client.create_function(fn_id="sync", trigger=inngest.TriggerEvent(event="bench/sync"))
    def function(ctx: Any) -> Any:
        return {"n": 1}

    return function


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], int(sys.argv[3])))
