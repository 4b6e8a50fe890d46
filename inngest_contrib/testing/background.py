"""
The one event loop on which all async functions under test run.

Not the loop of the test, which is busy with the test; and not one per client, since
each would keep a thread and three file descriptors for as long as the tests run.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_lock = threading.Lock()
_loops: dict[int, asyncio.AbstractEventLoop] = {}
"""By process: a thread does not survive a fork, so a child starts its own."""


def run(coroutine: Coroutine[Any, Any, T]) -> T:
    """
    Run a coroutine on the loop and wait for its result, with the caller's context variables.

    Raises RuntimeError on the loop itself, which would wait for ever.
    """
    loop = _loop()
    if _running() is loop:
        coroutine.close()
        raise RuntimeError(
            "a function under test triggers another one, on the loop that would have to run it; "
            "give the step that invokes it a stub, and test the other function by itself"
        )
    return asyncio.run_coroutine_threadsafe(coroutine, loop).result()


def _loop() -> asyncio.AbstractEventLoop:
    with _lock:
        loop = _loops.get(os.getpid())
        if loop is None:
            loop = _loops[os.getpid()] = asyncio.new_event_loop()
            threading.Thread(target=_serve, args=(loop,), name="inngest-tests", daemon=True).start()
        return loop


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    asyncio.set_event_loop(loop)
    while True:
        try:
            loop.run_forever()
        except (SystemExit, KeyboardInterrupt):
            # The task keeps it for whoever waits.
            continue


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
