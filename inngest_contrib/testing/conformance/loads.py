"""Claims about what is large, and about what happens at the same time."""

from __future__ import annotations

import asyncio
import threading

import pytest

from inngest_core import Context, ContextSync

from .adapter import Adapter
from .exchange import CALL, EVENT, call
from .functions import PLAIN, create, functions
from .server import dev_client

LIMIT = 16 * 1024 * 1024
PATIENCE = 30.0
"""Seconds, on a machine that is busy with other things."""


class Loads(Adapter):
    """Large bodies are read, larger ones refused; calls do not wait for each other."""

    def test_a_large_body_is_read_whole(self) -> None:
        text = "x" * (4 * 1024 * 1024)
        event = {**EVENT, "data": {"n": text}}
        answered = self.answer(dev_client(), call("plain", {**CALL, "event": event}))
        assert answered.status == 200
        assert answered.json["n"] == text

    def test_a_body_beyond_the_limit_is_refused_and_the_next_is_read(self) -> None:
        client = dev_client()
        app = self.serve(client, functions(client))
        answered = self.request(app, call("plain", b" " * (LIMIT + 1)))
        assert answered.status == 413
        assert answered.json["code"] == "body_too_large"
        assert self.request(app, call("plain")).body == PLAIN

    @pytest.mark.parametrize("function", ["meet", "ameet"])
    def test_calls_run_at_the_same_time(self, function: str) -> None:
        count = 4
        client = dev_client()
        meeting = _Meeting(count)
        create(client, "meet", meeting.blocking)
        create(client, "ameet", meeting.awaiting)
        app = self.serve(client)
        asked = [self.addressed(call(function))] * count
        assert [one.status for one in self.ask_all(app, asked)] == [200] * count

    def test_many_calls_of_all_kinds_do_not_mix(self) -> None:
        client = dev_client()
        app = self.serve(client, functions(client))
        names = ["plain", "aplain"] * 8
        events = [{**EVENT, "data": {"n": number}} for number in range(len(names))]
        asked = [
            self.addressed(call(name, {**CALL, "event": event}))
            for name, event in zip(names, events, strict=True)
        ]
        answered = self.ask_all(app, asked)
        assert [one.json["n"] for one in answered] == list(range(len(names)))


class _Meeting:
    """Two handlers that return once so many of their calls have begun."""

    def __init__(self, count: int) -> None:
        self._barrier = threading.Barrier(count)
        self._count = count
        self._arrived = 0

    def blocking(self, ctx: ContextSync) -> None:
        self._barrier.wait(PATIENCE)

    async def awaiting(self, ctx: Context) -> None:
        self._arrived += 1
        await asyncio.wait_for(self._all(), PATIENCE)

    async def _all(self) -> None:
        # Not an event: the calls may run on several loops.
        while self._arrived < self._count:
            await asyncio.sleep(0.005)
