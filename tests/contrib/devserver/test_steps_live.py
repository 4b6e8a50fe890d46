"""Steps of the SDK that the server performs or keeps, over real sockets, blocking and awaiting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

import inngest_core as inngest
from inngest_core import realtime
from inngest_core.ai import gemini, openai
from tests.contrib.devserver.live import Call, Reply, Running, StandIn, running, stand_in
from tests.contrib.devserver.stories import on
from tests.contrib.devserver.test_end_to_end import Told, on_flask

SECRET = "sk-very-secret"


def blocking(client: inngest.Inngest) -> None:
    """Make the functions that block."""

    @client.create_function(fn_id="fetch-sync", trigger=on(client, "fetch-sync"))
    def fetch(ctx: inngest.ContextSync) -> Any:
        response = ctx.step.fetch("get", str(ctx.event.data["url"]), headers={"X-A": "1"})
        return [response.status, response.headers["content-type"], response.body]

    @client.create_function(fn_id="model-sync", trigger=on(client, "model-sync"), retries=1)
    def model(ctx: inngest.ContextSync) -> Any:
        answer = ctx.step.ai.infer("ask", adapter=adapter_of(ctx), body={"messages": []})
        return answer["said"]

    @client.create_function(fn_id="wait-sync", trigger=on(client, "wait-sync"))
    def wait(ctx: inngest.ContextSync) -> Any:
        name = str(ctx.event.data["name"])
        signal = ctx.step.wait_for_signal("wait", signal=name, timeout=60_000)
        return None if signal is None else signal.data

    @client.create_function(fn_id="signal-sync", trigger=on(client, "signal-sync"))
    def send(ctx: inngest.ContextSync) -> Any:
        return ctx.step.send_signal("send", str(ctx.event.data["name"]), {"by": "ada"})

    @client.create_function(fn_id="defer-sync", trigger=on(client, "defer-sync"))
    def defer(ctx: inngest.ContextSync) -> Any:
        ctx.step.defer("keep", function_id="later", data={"n": ctx.event.data["n"]})
        ctx.step.defer("drop", function_id="later", data={"n": 0}).abort()
        return ctx.step.run("last", lambda: "done")


def awaiting(client: inngest.Inngest) -> None:
    """Make the functions that await."""

    @client.create_function(fn_id="fetch-async", trigger=on(client, "fetch-async"))
    async def fetch(ctx: inngest.Context) -> Any:
        response = await ctx.step.fetch("get", str(ctx.event.data["url"]), headers={"X-A": "1"})
        return [response.status, response.headers["content-type"], response.body]

    @client.create_function(fn_id="model-async", trigger=on(client, "model-async"), retries=1)
    async def model(ctx: inngest.Context) -> Any:
        body: dict[str, Any] = {"messages": []}
        answer = await ctx.step.ai.infer("ask", adapter=adapter_of(ctx), body=body)
        return answer["said"]

    @client.create_function(fn_id="wait-async", trigger=on(client, "wait-async"))
    async def wait(ctx: inngest.Context) -> Any:
        name = str(ctx.event.data["name"])
        signal = await ctx.step.wait_for_signal("wait", signal=name, timeout=60_000)
        return None if signal is None else signal.data

    @client.create_function(fn_id="signal-async", trigger=on(client, "signal-async"))
    async def send(ctx: inngest.Context) -> Any:
        return await ctx.step.send_signal("send", str(ctx.event.data["name"]), {"by": "ada"})

    @client.create_function(fn_id="defer-async", trigger=on(client, "defer-async"))
    async def defer(ctx: inngest.Context) -> Any:
        await ctx.step.defer("keep", function_id="later", data={"n": ctx.event.data["n"]})
        (await ctx.step.defer("drop", function_id="later", data={"n": 0})).abort()
        return await ctx.step.run("last", lambda: "done")

    trigger = inngest.TriggerEvent(
        event="inngest/deferred.schedule",
        expression=f"event.data._inngest.fn_slug == '{client.app_id}-later'",
    )

    @client.create_function(fn_id="later", trigger=trigger)
    async def later(ctx: inngest.Context) -> Any:
        return ctx.event.data["n"]


def adapter_of(ctx: inngest.Context | inngest.ContextSync) -> Any:
    provider = gemini if ctx.event.data["provider"] == "gemini" else openai
    base = str(ctx.event.data["url"])
    return provider.Adapter(auth_key=SECRET, base_url=base, model="m")


@pytest.fixture(scope="module")
def served() -> Iterator[Told]:
    with running(poll=False) as server:
        client = inngest.Inngest(
            app_id="served",
            is_production=False,
            api_base_url=server.url,
            event_api_base_url=server.url,
        )
        blocking(client)
        awaiting(client)
        with on_flask(client) as url:
            assert server.http.put(url).status_code == 200
            yield Told(server, client)


@pytest.fixture(params=["sync", "async"])
def told(request: pytest.FixtureRequest, served: Told) -> Told:
    return Told(served.server, served.client, request.param)


@pytest.fixture
def provider() -> Iterator[StandIn]:
    with stand_in(lambda call: Reply(200, {"said": "hi"})) as found:
        yield found


def test_the_server_fetches(told: Told, provider: StandIn) -> None:
    provider.answer = lambda call: Reply(404, {"method": call.method, "a": call.headers["x-a"]})
    output = told.output("fetch", url=provider.url)["data"]
    assert output == [404, "application/json", '{"method": "GET", "a": "1"}']


@pytest.mark.parametrize("name", ["openai", "gemini"])
def test_the_server_asks_a_model(told: Told, provider: StandIn, name: str) -> None:
    run = told.run("model", url=provider.url, provider=name)
    assert run["output"] == {"data": "hi"}
    (call,) = provider.calls
    assert SECRET in (call.query.get("key") or call.headers["authorization"])
    trace = told.server.http.get(f"/v2/runs/{run['id']}/trace?includeOutput=true")
    assert SECRET not in trace.text


def test_a_model_that_answers_late_is_asked_again(told: Told, provider: StandIn) -> None:
    def answer(call: Call) -> Reply:
        return Reply(503 if len(provider.calls) == 1 else 200, {"said": len(provider.calls)})

    provider.answer = answer
    run = told.run("model", url=provider.url, provider="openai")
    assert run["output"] == {"data": 2}
    (step,) = told.server.steps(run["id"])
    assert step["attempts"] == 2


def test_a_model_that_never_answers_fails_the_run(told: Told, provider: StandIn) -> None:
    provider.answer = lambda call: Reply(503, {"error": "busy"})
    run = told.run("model", url=provider.url, provider="openai")
    assert run["status"] == "FAILED"
    assert "unsuccessful status code: 503" in str(run["output"])
    assert len(provider.calls) == 2


def test_one_run_signals_another(told: Told) -> None:
    name = f"go/{told.colour}"
    waiting = told.start("wait", name=name)
    run = told.server.waiting(waiting, "WAIT_FOR_SIGNAL")
    assert told.output("signal", name=name) == {"data": run["id"]}
    assert told.server.ended_runs(waiting)[0]["output"] == {"by": "ada"}
    assert told.output("signal", name=name) == {"data": None}


def test_a_deferred_function_begins_when_the_run_has_ended(told: Told) -> None:
    run = told.run("defer", n=f"from {told.colour}")
    assert run["output"] == {"data": "done"}
    events = told.server.get("/v1/events", name="inngest/deferred.schedule")["data"]
    own = [one for one in events if one["data"]["_inngest"]["parent_run_id"] == run["id"]]
    assert [one["data"]["n"] for one in own] == [f"from {told.colour}"]
    (later,) = told.server.ended_runs(own[0]["internal_id"])
    assert later["output"] == {"data": f"from {told.colour}"}


def test_what_is_published_reaches_who_has_a_token(served: Told) -> None:
    server: Running = served.server
    token = realtime.get_subscription_token_sync(served.client, "room", ["said"])
    url = f"{server.url}/v1/realtime/sse"
    with httpx.stream("GET", url, params={"token": str(token["key"])}, timeout=10) as response:
        lines = response.iter_lines()
        assert next(lines) == ":"
        realtime.publish_sync(served.client, "room", "said", {"n": 1})
        said = next(line for line in lines if line.startswith("data: "))
    assert '"data":{"n":1}' in said
