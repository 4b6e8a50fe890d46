"""The background loop is one, can be closed, and leaves nobody waiting."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from inngest_core.net.background import BackgroundLoop


def test_the_background_loop_is_one_and_can_be_closed_and_used_again() -> None:
    async def running() -> int:
        return id(asyncio.get_running_loop())

    background = BackgroundLoop()
    assert background.run(running()) == background.run(running())
    background.close()
    assert isinstance(background.run(running()), int)
    background.close()


def test_whoever_waits_for_a_background_loop_that_is_closed_is_told() -> None:
    background = BackgroundLoop()
    begun = threading.Event()

    async def waiting() -> None:
        begun.set()
        await asyncio.sleep(60)

    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(background.run, waiting())
        assert begun.wait(5)
        background.close()
        with pytest.raises(concurrent.futures.CancelledError):
            asking.result(5)


def test_a_blocking_call_on_the_background_loop_itself_is_refused() -> None:
    background = BackgroundLoop()

    async def inner() -> None: ...

    async def outer() -> None:
        background.run(inner())

    with pytest.raises(RuntimeError, match=r"await CommHandler\.answer"):
        background.run(outer())
    background.close()


@pytest.mark.parametrize("end", [SystemExit, KeyboardInterrupt])
def test_a_task_that_would_end_the_process_does_not_end_the_loop(end: type[BaseException]) -> None:
    background = BackgroundLoop()
    begun, may_go_on = threading.Event(), threading.Event()

    async def exiting() -> None:
        raise end(3)

    async def waiting() -> int:
        begun.set()
        while not may_go_on.is_set():
            await asyncio.sleep(0.01)
        return 1

    with ThreadPoolExecutor(1) as threads:
        asking = threads.submit(background.run, waiting())
        assert begun.wait(5)
        with pytest.raises(end):
            background.run(exiting())
        may_go_on.set()
        assert asking.result(5) == 1
    background.close()
