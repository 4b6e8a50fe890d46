"""The heap: in order, letting go of what is cancelled, never growing with it."""

from __future__ import annotations

import gc
import weakref

from inngest_contrib.devserver.engine.timers import Timers


def test_things_come_out_by_time_and_then_in_the_order_they_went_in() -> None:
    timers = Timers()
    for due, thing in [(5, "c"), (1, "a"), (5, "d"), (2, "b"), (9, "later")]:
        timers.add(due, thing)
    assert list(timers.pop_due(5)) == ["a", "b", "c", "d"]
    assert timers.next_due() == 9


def test_what_becomes_due_meanwhile_comes_out_too() -> None:
    timers = Timers()
    timers.add(1, "first")
    found = []
    for thing in timers.pop_due(5):
        found.append(thing)
        if thing == "first":
            timers.add(3, "second")
    assert found == ["first", "second"]


def test_a_cancelled_thing_neither_comes_out_nor_is_waited_for() -> None:
    timers = Timers()
    timers.add(1, "gone").cancel()
    timers.add(2, "there")
    assert timers.next_due() == 2
    assert list(timers.pop_due(9)) == ["there"]
    assert timers.next_due() is None


def test_a_cancelled_thing_is_let_go_at_once() -> None:
    class Thing:
        pass

    thing = Thing()
    gone = weakref.ref(thing)
    timers = Timers()
    timers.add(1, thing).cancel()
    del thing
    gc.collect()
    assert gone() is None


def test_cancelled_things_do_not_pile_up() -> None:
    timers = Timers()
    for n in range(50_000):
        timers.add(1_000_000 + n, n).cancel()
    assert len(timers) < 2_000
