"""Workers of both packages, on the gateway of the embedded server: the same story for each."""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from inngest_contrib.devserver.connect.times import Times
from tests.contrib.devserver.live import Running, eventually, running

from .kits import KITS, Kit

TIMES = Times(heartbeat=1000, lease=3000, extend_lease=1000, grace=1000)
WORKERS = {"ours": "inngest_core.connect", "official": "inngest.connect"}


@contextmanager
def working(kit: Kit, apps: list[Any], **options: Any) -> Iterator[Any]:
    """Have a worker of a package in a thread of its own; at the end it is closed in order."""
    package: Any = importlib.import_module(WORKERS[kit.name])
    loop = asyncio.new_event_loop()
    connection = package.connect(apps, shutdown_signals=[], **options)
    thread = threading.Thread(target=lambda: loop.run_until_complete(connection.start()))
    thread.start()
    try:
        yield connection
    finally:
        asyncio.run_coroutine_threadsafe(connection.close(), loop).result(20)
        thread.join(20)
        assert not thread.is_alive()
        loop.close()


def app_of(kit: Kit, server: Running) -> tuple[Any, list[Any]]:
    inngest = kit.inngest
    client = inngest.Inngest(
        app_id="both",
        is_production=False,
        api_base_url=server.url,
        event_api_base_url=server.url,
    )

    def declared(name: str) -> Callable[[Any], Any]:
        trigger = inngest.TriggerEvent(event=f"both/{name}")
        decorator: Callable[[Any], Any] = client.create_function(
            fn_id=name, trigger=trigger, retries=1
        )
        return decorator

    @declared("async")
    async def on_loop(ctx: Any) -> int:
        async def give(number: int) -> int:
            return number

        numbers: list[int] = [await ctx.step.run(f"step {n}", give, n) for n in range(20)]
        return sum(numbers)

    @declared("sync")
    def in_thread(ctx: Any) -> int:
        numbers: list[int] = [ctx.step.run(f"step {n}", lambda n=n: n) for n in range(20)]
        return sum(numbers)

    @declared("fails")
    async def fails(ctx: Any) -> None:
        raise inngest.NonRetriableError("no use")

    @declared("long")
    async def takes_longer_than_its_lease(ctx: Any) -> int:
        async def wait() -> int:
            await asyncio.sleep(5)
            attempt: int = ctx.attempt
            return attempt

        result: int = await ctx.step.run("wait", wait)
        return result

    return client, [on_loop, in_thread, fails, takes_longer_than_its_lease]


def connections(server: Running) -> dict[str, int]:
    """The connections by their ids, with their statuses."""
    found = server.get("/v0/connect/envs/dev/conns")["data"]
    return {one["id"]: one["status"] for one in found}


def ready(server: Running, *, but: frozenset[str] = frozenset()) -> frozenset[str]:
    """Wait until there is a connection that is ready, other than those."""

    def found() -> frozenset[str]:
        return frozenset(key for key, status in connections(server).items() if status == 1) - but

    ids: frozenset[str] = eventually(found, what="a connection")
    return ids


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
def test_a_worker_runs_reconnects_and_shuts_down(kit: Kit) -> None:
    with running(connect_times=TIMES) as server:
        with working(kit, [app_of(kit, server)], max_worker_concurrency=4):
            first = ready(server)
            events = {name: server.send(f"both/{name}") for name in ("long", "async", "sync")}
            assert server.run("both/fails")["status"] == "FAILED"
            assert server.ended_runs(events["async"])[0]["output"] == {"data": 190}
            assert server.ended_runs(events["sync"])[0]["output"] == {"data": 190}
            server.http.post("/v0/connect/drain")
            ready(server, but=first)
            assert server.run("both/async")["output"] == {"data": 190}
            # Its lease was extended, also over the new connection: it is still the first attempt.
            assert server.ended_runs(events["long"])[0]["output"] == {"data": 0}
        assert connections(server) == {}
