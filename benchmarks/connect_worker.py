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
    functions = [
        client.create_function(fn_id=kind, trigger=inngest.TriggerEvent(event=f"bench/{kind}"))(
            code
        )
        for kind, code in (("async", awaiting), ("sync", blocking))
    ]
    connection = connect.connect([(client, functions)], max_worker_concurrency=concurrency)
    ready = asyncio.create_task(connection.wait_for_state(connect.ConnectionState.ACTIVE))
    ready.add_done_callback(lambda _: print("ready", flush=True))
    await connection.start()


async def awaiting(ctx: Any) -> Any:
    return {"n": 1}


def blocking(ctx: Any) -> Any:
    return {"n": 1}


if __name__ == "__main__":
    asyncio.run(work(sys.argv[1], sys.argv[2], int(sys.argv[3])))
