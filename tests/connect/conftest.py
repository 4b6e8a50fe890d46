"""A gateway for each test, and the proof that a worker leaves nothing behind."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.connect.gateway import Gateway


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway of one's own."""
    with Gateway() as gateway:
        yield gateway


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    """Every thread of a worker is gone once its test is."""
    before = set(threading.enumerate())
    yield
    left = [
        thread.name
        for thread in set(threading.enumerate()) - before
        if thread.name.startswith(("inngest-connect", "inngest-call"))
    ]
    assert left == []
