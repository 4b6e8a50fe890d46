"""
Functions that report their steps while they go on: over real sockets, and in the server's process.

Each story is told blocking and awaiting; all four must end the same.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import httpx
import pytest

import inngest_core as inngest
from inngest_contrib.devserver.instance import free_port
from tests.contrib.devserver.live import running
from tests.contrib.devserver.stories import on
from tests.contrib.devserver.test_end_to_end import Told, on_fastapi, on_flask

MANY = 100
tries: Counter[str] = Counter()
"""How often a function was entered and each step tried, by run and name."""


def tried(ctx: Any, name: str) -> int:
    tries[f"{ctx.run_id}/{name}"] += 1
    return tries[f"{ctx.run_id}/{name}"]


def flaky(ctx: Any, name: str, failures: int) -> str:
    """Fail so many times, then succeed."""
    if tried(ctx, name) <= failures:
        raise ValueError(f"{name} failed")
    return name


def cancel(client: inngest.Inngest, run_id: str) -> int:
    address = f"{client.api_origin}/v1/runs/{run_id}"
    return httpx.delete(address, trust_env=False).status_code


def blocking(client: inngest.Inngest) -> None:
    """Make the functions that block."""

    @client.create_function(fn_id="many-sync", trigger=on(client, "many-sync"))
    def many(ctx: inngest.ContextSync) -> Any:
        tried(ctx, "function")
        return sum(ctx.step.run(f"s{n}", tried, ctx, f"s{n}") for n in range(MANY))

    @client.create_function(fn_id="mixed-sync", trigger=on(client, "mixed-sync"))
    def mixed(ctx: inngest.ContextSync) -> Any:
        tried(ctx, "function")
        found = [ctx.step.run("a", flaky, ctx, "a", 0), ctx.step.run("b", flaky, ctx, "b", 0)]
        ctx.step.sleep("nap", 1000)
        found.append(ctx.step.run("c", flaky, ctx, "c", 0))
        found += ctx.group.parallel(
            (
                lambda: ctx.step.run("d", flaky, ctx, "d", 0),
                lambda: ctx.step.run("e", flaky, ctx, "e", 1),
            )
        )
        found.append(ctx.step.run("f", flaky, ctx, "f", 0))
        return "".join(found)

    @client.create_function(fn_id="again-sync", trigger=on(client, "again-sync"), retries=2)
    def again(ctx: inngest.ContextSync) -> Any:
        ctx.step.run("a", tried, ctx, "a")
        ctx.step.run("b", flaky, ctx, "b", 2)
        ctx.step.run("c", tried, ctx, "c")
        flaky(ctx, "code", 2)
        return ctx.step.run("d", tried, ctx, "d")

    @client.create_function(fn_id="cancelled-sync", trigger=on(client, "cancelled-sync"))
    def cancelled(ctx: inngest.ContextSync) -> Any:
        ctx.step.run("a", tried, ctx, "a")
        ctx.step.run("b", cancel, client, ctx.run_id)
        ctx.step.run("c", tried, ctx, "c")


def awaiting(client: inngest.Inngest) -> None:
    """Make the functions that await."""

    async def atried(ctx: Any, name: str) -> int:
        return tried(ctx, name)

    async def aflaky(ctx: Any, name: str, failures: int) -> str:
        return flaky(ctx, name, failures)

    @client.create_function(fn_id="many-async", trigger=on(client, "many-async"))
    async def many(ctx: inngest.Context) -> Any:
        tried(ctx, "function")
        return sum([await ctx.step.run(f"s{n}", atried, ctx, f"s{n}") for n in range(MANY)])

    @client.create_function(fn_id="mixed-async", trigger=on(client, "mixed-async"))
    async def mixed(ctx: inngest.Context) -> Any:
        tried(ctx, "function")
        step = ctx.step
        found = [await step.run("a", aflaky, ctx, "a", 0), await step.run("b", aflaky, ctx, "b", 0)]
        await step.sleep("nap", 1000)
        found.append(await step.run("c", aflaky, ctx, "c", 0))
        found += await asyncio.gather(
            step.run("d", aflaky, ctx, "d", 0), step.run("e", aflaky, ctx, "e", 1)
        )
        found.append(await step.run("f", aflaky, ctx, "f", 0))
        return "".join(found)

    @client.create_function(fn_id="again-async", trigger=on(client, "again-async"), retries=2)
    async def again(ctx: inngest.Context) -> Any:
        await ctx.step.run("a", atried, ctx, "a")
        await ctx.step.run("b", aflaky, ctx, "b", 2)
        await ctx.step.run("c", atried, ctx, "c")
        flaky(ctx, "code", 2)
        return await ctx.step.run("d", atried, ctx, "d")

    @client.create_function(fn_id="cancelled-async", trigger=on(client, "cancelled-async"))
    async def cancelled(ctx: inngest.Context) -> Any:
        await ctx.step.run("a", atried, ctx, "a")
        await ctx.step.run("b", asyncio.to_thread, cancel, client, ctx.run_id)
        await ctx.step.run("c", atried, ctx, "c")


def of_client(app_id: str, server_url: str) -> inngest.Inngest:
    """Make the client of an app, with all the functions on it."""
    client = inngest.Inngest(
        app_id=app_id,
        is_production=False,
        api_base_url=server_url,
        event_api_base_url=server_url,
        checkpoint=True,
    )
    blocking(client)
    awaiting(client)
    return client


Serve = Callable[[inngest.Inngest], AbstractContextManager[str]]


def over_http(serve: Serve) -> Iterator[Told]:
    with running(poll=False) as server:
        client = of_client(f"reports-{serve.__name__}", server.url)
        with serve(client) as url:
            assert server.http.put(url).status_code == 200
            yield Told(server, client)


def inside() -> Iterator[Told]:
    port = free_port()
    client = of_client("reports-inside", f"http://127.0.0.1:{port}")
    with running(app=client, port=port, poll=False) as server:
        yield Told(server, client)


WAYS: dict[str, Callable[[], Iterator[Told]]] = {
    "inside": inside,
    "fastapi": lambda: over_http(on_fastapi),
    "flask": lambda: over_http(on_flask),
}


@pytest.fixture(scope="module", params=list(WAYS))
def served(request: pytest.FixtureRequest) -> Iterator[Told]:
    yield from WAYS[request.param]()


@pytest.fixture(params=["sync", "async"])
def told(request: pytest.FixtureRequest, served: Told) -> Told:
    return Told(served.server, served.client, request.param)


def times(run: dict[str, Any]) -> dict[str, int]:
    """How often each name was tried in a run."""
    own = f"{run['id']}/"
    return {key.removeprefix(own): n for key, n in tries.items() if key.startswith(own)}


def test_a_hundred_steps_take_one_call(told: Told) -> None:
    run = told.run("many")
    assert run["output"] == {"data": MANY}
    assert times(run) == {"function": 1, **{f"s{n}": 1 for n in range(MANY)}}
    spans = told.server.steps(run["id"])
    assert [span["name"] for span in spans] == [f"s{n}" for n in range(MANY)]
    assert {span["attempts"] for span in spans} == {1}


def test_what_the_server_must_do_comes_between(told: Told) -> None:
    run = told.run("mixed")
    assert run["output"] == {"data": "abcdef"}
    found = times(run)
    assert found.pop("function") < 10
    assert found == {"a": 1, "b": 1, "c": 1, "d": 1, "e": 2, "f": 1}


def test_a_retry_keeps_what_was_reported(told: Told) -> None:
    run = told.run("again")
    assert run["output"] == {"data": 1}
    # A step of a retry is answered by itself, so the code before it is passed once more.
    assert times(run) == {"a": 1, "b": 3, "c": 1, "code": 4, "d": 1}


def test_a_run_that_is_cancelled_runs_no_further_step(told: Told) -> None:
    run = told.run("cancelled")
    assert run["status"] == "CANCELLED"
    # Another run, behind whose end the first has had its time.
    assert told.run("many")["status"] == "COMPLETED"
    assert times(run) == {"a": 1}
