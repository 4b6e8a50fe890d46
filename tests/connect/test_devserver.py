"""A worker and the embedded server: from the event to the end of the run."""

from __future__ import annotations

import contextlib
import json
import urllib.request
from pathlib import Path
from typing import Any

from inngest_contrib.devserver import DevServer
from inngest_core import Event, Inngest, TriggerEvent
from inngest_core.connect import ConnectionState, connect
from tests.connect.gateway import until
from tests.connect.working import on_a_loop, started


def runs_of(server: DevServer, event_id: str) -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{server.url}/v1/events/{event_id}/runs", timeout=30) as reply:
        found: list[dict[str, Any]] = json.load(reply)["data"]
    return found


def ended(server: DevServer, event_id: str, count: int = 1) -> bool:
    runs = runs_of(server, event_id)
    return len([run for run in runs if run.get("ended_at")]) == count


def client_of(server: DevServer, **options: Any) -> Inngest:
    settings = {
        "app_id": "app",
        "is_production": False,
        "api_base_url": server.url,
        "event_api_base_url": server.url,
        **options,
    }
    return Inngest(**settings)


def two_functions(client: Inngest) -> None:
    """The same steps, awaited and blocking."""

    @client.create_function(fn_id="async", trigger=TriggerEvent(event="test/both"))
    async def awaiting(ctx: Any) -> Any:
        first = await ctx.step.run("a", lambda: 1)
        await ctx.step.sleep("nap", 1)
        return [first, await ctx.step.run("b", lambda: 2)]

    @client.create_function(fn_id="sync", trigger=TriggerEvent(event="test/both"))
    def blocking(ctx: Any) -> Any:
        first = ctx.step.run("a", lambda: 1)
        ctx.step.sleep("nap", 1)
        return [first, ctx.step.run("b", lambda: 2)]


@on_a_loop
async def test_functions_of_both_kinds_run_from_the_event_to_their_end() -> None:
    with DevServer() as server:
        client = client_of(server)
        two_functions(client)
        connection = connect([(client, None)])
        async with started(connection):
            await connection.wait_for_state(ConnectionState.ACTIVE)
            (event_id,) = await client.send(Event(name="test/both"))
            await until(lambda: ended(server, event_id, 2))
        assert [run["output"] for run in runs_of(server, event_id)] == [[1, 2], [1, 2]]
        await client.aclose()


@on_a_loop
async def test_a_worker_with_a_key_works_for_a_server_with_that_key() -> None:
    key = "0123456789abcdef0123456789abcdef"
    with DevServer(signing_key=key, event_keys=["event-key"]) as server:
        client = client_of(server, is_production=True, signing_key=key, event_key="event-key")
        two_functions(client)
        connection = connect([(client, None)])
        async with started(connection):
            await connection.wait_for_state(ConnectionState.ACTIVE)
        await client.aclose()


@on_a_loop
async def test_a_worker_outlives_its_server_and_works_for_the_next(tmp_path: Path) -> None:
    database = tmp_path / "dev.db"
    async with contextlib.AsyncExitStack() as work:
        with DevServer(database=database) as server:
            port = server.port
            client = client_of(server)
            two_functions(client)
            connection = connect([(client, None)])
            await work.enter_async_context(started(connection))
            await connection.wait_for_state(ConnectionState.ACTIVE)
        await connection.wait_for_state(ConnectionState.RECONNECTING)
        with DevServer(database=database, port=port) as server:
            await connection.wait_for_state(ConnectionState.ACTIVE)
            (event_id,) = await client.send(Event(name="test/both"))
            await until(lambda: ended(server, event_id, 2))
            await connection.close(wait=True)
        await client.aclose()
