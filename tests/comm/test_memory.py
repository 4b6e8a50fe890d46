"""
Nothing stays of a call that is answered.

A small form of ``benchmarks.memory``, which counts the resident memory of 100,000 calls.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from benchmarks.memory_calls import CALLS, our_handler, request
from inngest_core import CommResponse

ROUNDS = 300
WARM_UP = 100
MOST_BYTES = 96 * 1024
"""32 bytes a call, less than most objects have. Python's own free lists take a third of it."""
MOST_OBJECTS = 200

Answer = Callable[[], None]


@pytest.fixture(autouse=True)
def silence() -> Iterator[None]:
    """pytest would keep every line that is logged."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def one_round(kind: str, way: str) -> Answer:
    """A function that has all calls answered, each once."""
    handler = our_handler(kind)

    def check(status: int, response: CommResponse) -> None:
        assert response.status == status

    def blocking() -> None:
        for call in CALLS:
            check(call.status, handler.answer_sync(request(call)))

    async def awaiting() -> None:
        for call in CALLS:
            check(call.status, await handler.answer(request(call)))

    if way == "answer_sync":
        return blocking
    loop = asyncio.new_event_loop()
    return lambda: loop.run_until_complete(awaiting())


def standing() -> tuple[int, int]:
    """The bytes and objects that are there now."""
    gc.collect()
    return tracemalloc.get_traced_memory()[0], len(gc.get_objects())


@pytest.mark.slow
@pytest.mark.parametrize("way", ["answer_sync", "answer"])
@pytest.mark.parametrize("kind", ["sync", "async"])
def test_nothing_stays_of_calls(kind: str, way: str) -> None:
    answer = one_round(kind, way)
    tracemalloc.start()
    try:
        for _ in range(WARM_UP):
            answer()
        size, objects = standing()
        for _ in range(ROUNDS):
            answer()
        size_after, objects_after = standing()
    finally:
        tracemalloc.stop()
    assert size_after - size < MOST_BYTES
    assert objects_after - objects < MOST_OBJECTS
