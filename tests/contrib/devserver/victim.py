"""
A server with an app in process, made to be killed: `python -m ... <database> <steps> [finish]`.

It sends events all the time and prints each id that was acknowledged and each step that ran.
With `finish` it sends none, and ends when every run has.
"""

from __future__ import annotations

import asyncio
import json
import sys

from inngest_contrib.devserver.engine.commands import NewEvent, ReceiveEvents, SyncApp
from inngest_contrib.devserver.loop import Server, ServerConfig
from inngest_core.wire.http import CommRequest, CommResponse
from tests.contrib.devserver.engine.desk import (
    HEADERS,
    URL,
    Equality,
    function,
    next_minute,
    op,
    run_op,
)

FUNCTIONS = [
    function(),
    function("queued", {"event": "f"}, concurrency=2),
    function("runs", {"event": "f"}, concurrency={"fn": [{"limit": 2}]}),
    function("batched", {"event": "f"}, batchEvents={"maxSize": 4, "timeout": "1s"}),
    function("throttled", {"event": "f"}, throttle={"limit": 50, "period": "1s"}),
]


class App:
    """Runs steps one after the other, with a short sleep and a wait in vain among them."""

    def __init__(self, steps: int) -> None:
        self._steps = steps

    async def answer(self, request: CommRequest) -> CommResponse:
        body = json.loads(request.body)
        done = len(body["steps"])
        if done >= self._steps:
            return CommResponse(200, dict(HEADERS), b'"done"')
        await asyncio.sleep(0.002)
        name = f"s{done}"
        if done == self._steps // 2:
            return _ops(op("Sleep", name, duration="20ms"))
        if done == self._steps // 3:
            return _ops(op("WaitForEvent", name, event="never", timeout="30ms"))
        say(f"ran {body['ctx']['run_id']} {name}")
        return _ops(run_op(name))


def _ops(*ops: dict[str, object]) -> CommResponse:
    return CommResponse(206, dict(HEADERS), json.dumps(ops).encode())


def say(line: str) -> None:
    """One write per line, so that a kill cannot tear it from the lines before."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


async def main(database: str, steps: int, *, finish: bool) -> None:
    config = ServerConfig(database=database)
    server = Server(config, expressions=Equality(), next_tick=next_minute)
    server.attach(URL, App(steps))
    await server.start()
    await server.submit(SyncApp(name="app", url=URL, functions=FUNCTIONS))
    say("started")
    if finish:
        held_back = server._engine.state.control.holdings
        while held_back or any(run.ended_at is None for run in server.reads.runs(limit=10_000)):
            await asyncio.sleep(0.05)
        await server.stop()
        return
    while True:
        for event_id in await server.submit(ReceiveEvents([NewEvent(name="f")])):
            say(f"sent {event_id}")
        await asyncio.sleep(0.02)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), finish=len(sys.argv) > 3))
