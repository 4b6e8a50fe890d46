"""A worker on the loop of a test: started, active, and ended without a trace."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

from typing_extensions import ParamSpec

from inngest_core import Inngest, TriggerEvent
from inngest_core.connect import ConnectionState, WorkerConnection, connect
from tests.connect.gateway import PATIENCE, Gateway

P = ParamSpec("P")
ANY = TriggerEvent(event="test/event")


def on_a_loop(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run a test on a loop of its own, in the main thread."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        asyncio.run(asyncio.wait_for(test(*args, **kwargs), 1.2 * PATIENCE))

    return run


def new_client(gateway: Gateway, app_id: str = "app", **options: Any) -> Inngest:
    """A client of the gateway's server, in dev mode unless told otherwise."""
    settings = {"api_base_url": gateway.url, "is_production": False, **options}
    return Inngest(app_id=app_id, **settings)


def serving(client: Inngest, handler: Any, fn_id: str = "fn", **options: Any) -> Any:
    """The handler as a function of the client."""
    return client.create_function(fn_id=fn_id, trigger=ANY, **options)(handler)


@asynccontextmanager
async def started(connection: WorkerConnection) -> AsyncIterator[asyncio.Task[None]]:
    """A connection that is being started; at the end it is closed, and nothing of it is left."""
    before = asyncio.all_tasks()
    task = asyncio.create_task(connection.start())
    try:
        yield task
    finally:
        await connection.close()
        await asyncio.wait({task}, timeout=PATIENCE)
        assert task.done(), "start() did not return"
        # Tasks that were cancelled have one more turn to end.
        await asyncio.sleep(0)
        left = asyncio.all_tasks() - before
        assert left == set(), f"left behind: {left}"
    task.result()


async def passing(
    connection: WorkerConnection, state: ConnectionState, cause: Callable[[], None]
) -> None:
    """Do what makes a connection pass through a state, and see it pass."""
    seen = asyncio.create_task(connection.wait_for_state(state))
    await asyncio.sleep(0)
    cause()
    await seen


@asynccontextmanager
async def working(
    gateway: Gateway, handler: Any, *, client: Inngest | None = None, **options: Any
) -> AsyncIterator[WorkerConnection]:
    """An active worker with one function, `app-fn`."""
    client = client or new_client(gateway)
    connection = connect([(client, [serving(client, handler)])], **options)
    async with started(connection):
        await connection.wait_for_state(ConnectionState.ACTIVE)
        yield connection
