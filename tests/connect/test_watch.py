"""A state that others wait for."""

from __future__ import annotations

import asyncio
import threading

import pytest

from inngest_core import InngestError
from inngest_core.connect.states import ConnectionState as State
from inngest_core.connect.watch import Watch
from tests.connect.working import on_a_loop


@on_a_loop
async def test_the_state_that_is_there_is_not_waited_for() -> None:
    await Watch(State.ACTIVE).wait_for(State.ACTIVE)


@on_a_loop
async def test_a_state_that_was_only_passed_is_told() -> None:
    watch = Watch(State.ACTIVE)
    waiting = asyncio.create_task(watch.wait_for(State.RECONNECTING))
    await asyncio.sleep(0)

    def pass_by() -> None:
        for state in (State.RECONNECTING, State.CONNECTING, State.ACTIVE):
            watch.become(state)

    thread = threading.Thread(target=pass_by)
    thread.start()
    thread.join()
    await waiting
    assert watch.state is State.ACTIVE


@on_a_loop
async def test_who_waits_for_what_will_never_be_is_told_so() -> None:
    watch = Watch(State.CONNECTING)
    waiting = asyncio.create_task(watch.wait_for(State.ACTIVE))
    await asyncio.sleep(0)
    watch.become(State.CLOSED)
    with pytest.raises(InngestError, match="closed before it was ACTIVE"):
        await waiting
    with pytest.raises(InngestError, match="closed before it was ACTIVE"):
        await watch.wait_for(State.ACTIVE)


def test_closing_becomes_nothing_but_closed_and_closed_nothing() -> None:
    watch = Watch(State.ACTIVE)
    seen = []
    for state in (State.CLOSING, State.ACTIVE, State.CLOSED, State.CLOSING):
        watch.become(state)
        seen.append(watch.state)
    assert seen == [State.CLOSING, State.CLOSING, State.CLOSED, State.CLOSED]


@on_a_loop
async def test_who_no_longer_waits_is_forgotten() -> None:
    watch = Watch(State.CONNECTING)
    waiting = asyncio.create_task(watch.wait_for(State.ACTIVE))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait({waiting})
    watch.become(State.ACTIVE)
    assert watch._waiters == []


def test_a_loop_that_has_ended_is_not_told() -> None:
    watch = Watch(State.CONNECTING)

    async def wait_in_vain() -> None:
        await watch.wait_for(State.ACTIVE)

    loop = asyncio.new_event_loop()
    task = loop.create_task(wait_in_vain())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    watch.become(State.ACTIVE)
    assert not task.done()
    task._log_destroy_pending = False  # type: ignore[attr-defined]  # it is meant to be left
