"""
Django signals of what Inngest does in this process.

They are sent robustly: a receiver that fails is logged, and disturbs nobody. Receivers of
async functions and sends may be async; blocking ones run in the thread of the request.

| Signal | Sender | Arguments |
|---|---|---|
| ``events_sent`` | the client's class | client, events, ids |
| ``function_started`` | the function | ctx |
| ``function_finished`` | the function | ctx, output |
| ``function_failed`` | the function | ctx, error |
| ``step_finished`` | the function | ctx, step, outcome (Ok or Err) |
"""

from __future__ import annotations

import asyncio
from typing import Any

from django.dispatch import Signal

events_sent = Signal()
"""Events were accepted by the server: of the project's client, or of a step."""

function_started = Signal()
"""A run begins: its first call, without any memo. Comes again where that call is repeated."""

function_finished = Signal()
"""A function, or its failure handler, has returned."""

function_failed = Signal()
"""An attempt of a function has failed, or ended with a step that failed for good."""

step_finished = Signal()
"""A step was executed, and has a result or an error."""


_aside: set[asyncio.Task[Any]] = set()


def tell(signal: Signal, sender: object, **arguments: Any) -> None:
    """Send a signal from a thread."""
    if not signal.receivers:
        return
    loop = _running_loop()
    if loop is None:
        signal.send_robust(sender, **arguments)
        return
    # Whoever makes a blocking call on a loop does not wait for receivers either.
    task = loop.create_task(signal.asend_robust(sender, **arguments))
    _aside.add(task)
    task.add_done_callback(_aside.discard)


async def atell(signal: Signal, sender: object, **arguments: Any) -> None:
    """Send a signal from a loop."""
    if signal.receivers:
        await signal.asend_robust(sender, **arguments)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
