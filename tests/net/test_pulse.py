"""How long a loop was blocked, as the Server-Timing header tells it."""

from __future__ import annotations

import asyncio
import re
import time
import types
from typing import Any

import pytest

import inngest_core as inngest
from inngest_core.net.pulse import PULSE_SECONDS, Pulse

from ..flow.wiring import ask, call_of, client_of, served

TRIGGER = inngest.TriggerEvent(event="a/b")


def blocked(handler: Any, *, on_loop: bool = True) -> int | None:
    """The whole milliseconds that a call of *handler* reports."""
    client = client_of()
    client.create_function(fn_id="f", trigger=TRIGGER)(handler)
    if on_loop:
        response = asyncio.run(served(client).answer(call_of("shop-f")))
    else:
        response = ask(client, call_of("shop-f"))
    client.close()
    assert response.status == 200
    found = re.search(r"async_block;dur=(\d+)", response.headers["server-timing"])
    return None if found is None else int(found[1])


async def blocking_at_once(ctx: inngest.Context) -> None:
    time.sleep(0.15)


async def blocking_twice(ctx: inngest.Context) -> None:
    for _ in range(2):
        await asyncio.sleep(0.03)
        time.sleep(0.1)


class Clock:
    """A loop whose time is set by hand, and whose timers fire as late as they are told."""

    def __init__(self) -> None:
        self.now = 0.0
        self.due: tuple[float, Any] = (0.0, None)

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Any) -> Any:
        self.due = (when, callback)
        return types.SimpleNamespace(cancel=lambda: None)

    def fire(self, late: float) -> None:
        when, callback = self.due
        self.now = when + late
        callback()


@pytest.mark.parametrize(
    ("lateness", "counted"),
    [
        ([], 0.0),
        ([0.001] * 1000, 0.0),
        ([0.001, 0.2, 0.001], 0.2),
        ([0.1, 0.0, 0.3], 0.4),
    ],
)
def test_only_what_is_later_than_timers_are_counts(lateness: list[float], counted: float) -> None:
    clock = Clock()
    pulse = Pulse(clock)  # type: ignore[arg-type]  # as much of a loop as is used
    for late in lateness:
        clock.fire(late)
    assert pulse.stop() == pytest.approx(counted)


def test_a_block_that_lasts_to_the_end_counts() -> None:
    clock = Clock()
    pulse = Pulse(clock)  # type: ignore[arg-type]  # as much of a loop as is used
    clock.now = PULSE_SECONDS + 0.5
    assert pulse.stop() == pytest.approx(0.5)


@pytest.mark.parametrize(("handler", "least"), [(blocking_at_once, 125), (blocking_twice, 150)])
@pytest.mark.parametrize("on_loop", [True, False])
def test_a_loop_that_does_nothing_else_is_blocked(handler: Any, least: int, on_loop: bool) -> None:
    found = blocked(handler, on_loop=on_loop)
    assert found is not None
    assert found >= least


@pytest.mark.parametrize("on_loop", [True, False])
def test_a_blocking_function_blocks_no_loop(on_loop: bool) -> None:
    assert blocked(lambda ctx: time.sleep(0.05), on_loop=on_loop) is None


def test_a_pulse_that_was_stopped_leaves_no_timer() -> None:
    async def stopped() -> float:
        pulse = Pulse(asyncio.get_running_loop())
        found = pulse.stop()
        assert pulse._timer.cancelled()
        return found

    assert asyncio.run(stopped()) == 0.0
