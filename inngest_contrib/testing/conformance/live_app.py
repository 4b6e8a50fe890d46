"""
What runs inside a server under test: a client from the environment, and functions to call.

The app of the server serves ``live_client()`` with its adapter. pytest is not needed there.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path
from typing import Any

from inngest_core import (
    CommHandler,
    CommRequest,
    Context,
    ContextSync,
    Event,
    Inngest,
    TriggerEvent,
)

from .exchange import APP_ID, KEY, call, signed

PATIENCE = 30.0
WARMING = "INNGEST_CONFORMANCE_WARM"
"""The variable that has ``live_client`` use everything that a fork must not inherit."""


def live_client() -> Inngest:
    """Make a client with the kit's live functions, as the environment says where its server is."""
    client = Inngest(app_id=APP_ID)
    for fn_id, handler in _HANDLERS.items():
        trigger = TriggerEvent(event=f"live/{fn_id}")
        client.create_function(fn_id=fn_id, retries=2, trigger=trigger)(handler)
    if os.environ.get(WARMING):
        _warm(client)
    return client


def _warm(client: Inngest) -> None:
    """Open connections, start the background loop and a thread of the pool."""
    client.send_sync(Event(name="live/warm"))
    handler = CommHandler(client=client, framework="warm")
    handler.answer_sync(_request(client, "whereabouts"))
    asyncio.run(handler.answer(_request(client, "echo")))


def _request(client: Inngest, function: str) -> CommRequest:
    asked = signed(call(function), client.signing_key or KEY)
    query = {"fnId": f"{APP_ID}-{function}", "stepId": "step"}
    return CommRequest("POST", "http://warm.invalid/", asked.headers, query, asked.body)


_MADE_IN = os.getpid()


def count(ctx: ContextSync) -> Any:
    """Blocking: steps one after another and side by side, a send, and a retry."""
    n = int(ctx.event.data["n"])  # type: ignore[arg-type]  # a number, as the kit sends it
    first = ctx.step.run("first", lambda: n + 1)
    pair = ctx.group.parallel(
        (
            lambda: ctx.step.run("left", lambda: first * 2),
            lambda: ctx.step.run("right", lambda: first * 3),
        )
    )
    ctx.step.send_event("tell", Event(name="live/told"))
    return {"total": sum(pair), "attempt": ctx.step.run("flaky", _flaky, ctx.attempt)}


async def acount(ctx: Context) -> Any:
    """The same, async."""
    n = int(ctx.event.data["n"])  # type: ignore[arg-type]  # a number, as the kit sends it
    first = await ctx.step.run("first", lambda: n + 1)
    pair = await asyncio.gather(
        ctx.step.run("left", lambda: first * 2), ctx.step.run("right", lambda: first * 3)
    )
    await ctx.step.send_event("tell", Event(name="live/told"))
    return {"total": sum(pair), "attempt": await ctx.step.run("flaky", _flaky, ctx.attempt)}


def _flaky(attempt: int) -> int:
    if attempt == 0:
        raise ValueError("not yet")
    return attempt


def gate(ctx: ContextSync) -> str:
    """Blocking: return once the file that the event names is there."""
    path = _begun(ctx)
    deadline = time.monotonic() + PATIENCE
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    return "open"


async def agate(ctx: Context) -> str:
    """The same, async."""
    path = _begun(ctx)
    deadline = time.monotonic() + PATIENCE
    while not path.exists() and time.monotonic() < deadline:
        await asyncio.sleep(0.01)
    return "open"


def _begun(ctx: Context | ContextSync) -> Path:
    """Tell that the function has begun, by a file beside the one that it waits for."""
    path = Path(str(ctx.event.data["file"]))
    Path(f"{path}.begun").touch()
    return path


async def whereabouts(ctx: Context) -> Any:
    """Async: in which process and with which threads this runs, and where the app was made."""
    await ctx.step.send_event("tell", Event(name="live/told"))
    threads = [thread.name for thread in threading.enumerate()]
    return {"made_in": _MADE_IN, "pid": os.getpid(), "threads": threads}


def echo(ctx: ContextSync) -> Any:
    """Blocking: the event's data."""
    return ctx.event.data["n"]


_HANDLERS: dict[str, Any] = {
    "count": count,
    "acount": acount,
    "gate": gate,
    "agate": agate,
    "whereabouts": whereabouts,
    "echo": echo,
}
