"""The steps that a server does, with a server: ours, over real sockets."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from inngest_contrib.devserver import DevServer
from inngest_contrib.devserver.instance import free_port
from inngest_core import Context, ContextSync, Event, Inngest, StepError, TriggerCron, TriggerEvent
from inngest_core.ai import anthropic, gemini, openai
from tests.contrib.devserver.live import Call, Reply, StandIn, stand_in

KEY = "sk-very-secret"
SECONDS = 20


class Shop:
    """An app within its server, and what its functions tell."""

    def __init__(self, client: Inngest) -> None:
        self.client = client
        self._told: queue.Queue[Any] = queue.Queue()

    def tell(self, what: Any) -> None:
        self._told.put(what)

    def next(self) -> Any:
        """What is told next; a failure of the test if it takes too long."""
        return self._told.get(timeout=SECONDS)

    def function(self, name: str, *triggers: TriggerEvent) -> Callable[[Any], Any]:
        trigger: list[TriggerCron | TriggerEvent] = [*triggers]
        trigger = trigger or [TriggerEvent(event=f"shop/{name}")]
        return self.client.create_function(fn_id=name, trigger=trigger, retries=0)

    def serve(self) -> DevServer:
        return DevServer(
            port=int(self.client.config.api_origin.rpartition(":")[2]), app=self.client
        )


@pytest.fixture
def shop() -> Iterator[Shop]:
    address = f"http://127.0.0.1:{free_port()}"
    client = Inngest(
        app_id="shop", is_production=False, api_base_url=address, event_api_base_url=address
    )
    yield Shop(client)
    client.close()


@pytest.fixture
def service() -> Iterator[StandIn]:
    """A service on the network: it answers with what it was sent."""

    def echo(call: Call) -> Reply:
        return Reply(400 if "bad" in call.path else 200, {"path": call.path, "got": call.json})

    with stand_in(echo) as found:
        yield found


def origin(service: StandIn) -> str:
    return service.url.removesuffix("/api/inngest")


def test_models_are_asked_each_in_its_way(shop: Shop, service: StandIn) -> None:
    adapters = [
        provider.Adapter(auth_key=KEY, model="m", base_url=origin(service) + "/v1")
        for provider in (openai, anthropic, gemini)
    ]

    @shop.function("asks")
    async def asks(ctx: Context) -> None:
        for n, adapter in enumerate(adapters):
            shop.tell(await ctx.step.ai.infer(f"ask {n}", adapter=adapter, body={"n": n}))

    with shop.serve():
        shop.client.send_sync(Event(name="shop/asks"))
        told = [shop.next() for _ in range(6)]
    # Each call replays: the first answer is told three times.
    assert {one["path"]: one["got"] for one in told} == {
        "/v1/chat/completions": {"model": "m", "n": 0},
        "/v1/messages": {"model": "m", "n": 1},
        "/v1/models/m:generateContent": {"model": "m", "n": 2},
    }
    first, second, third = service.calls
    assert first.headers["authorization"] == f"Bearer {KEY}"
    assert (second.headers["x-api-key"], second.headers["anthropic-version"]) == (KEY, "2023-06-01")
    assert third.query == {"key": KEY}


def test_a_model_that_refuses_and_an_address_that_is_not_there(
    shop: Shop, service: StandIn
) -> None:
    adapter = openai.Adapter(auth_key=KEY, model="m", base_url=origin(service) + "/bad")

    @shop.function("fails")
    def fails(ctx: ContextSync) -> None:
        names = []
        for use in (
            lambda: ctx.step.ai.infer("ask", adapter=adapter, body={}),
            lambda: ctx.step.fetch("get", f"http://127.0.0.1:{free_port()}"),
        ):
            with pytest.raises(StepError) as raised:
                use()
            names.append(raised.value.name)
        shop.tell(names)

    with shop.serve():
        shop.client.send_sync(Event(name="shop/fails"))
        assert shop.next() == ["AIGatewayError", "GatewayError"]


def test_a_request_is_made_by_the_server(shop: Shop, service: StandIn) -> None:
    @shop.function("fetches")
    async def fetches(ctx: Context) -> None:
        response = await ctx.step.fetch(
            "post",
            origin(service) + "/bad",
            method="post",
            headers={"X-A": "1"},
            body={"n": 1},
        )
        shop.tell([response.status, response.ok, response.json()["got"], response.headers])

    with shop.serve():
        shop.client.send_sync(Event(name="shop/fetches"))
        status, ok, got, headers = shop.next()
    assert (status, ok, got) == (400, False, {"n": 1})
    assert headers["content-type"].startswith("application/json")
    (call,) = service.calls
    assert (call.method, call.headers["x-a"]) == ("POST", "1")


def test_a_signal_wakes_the_one_that_waits(shop: Shop) -> None:
    @shop.function("waits")
    async def waits(ctx: Context) -> None:
        await ctx.step.send_event("begin", Event(name="shop/sends"))
        signal = await ctx.step.wait_for_signal("wait", signal="order/7", timeout="1h")
        late = await ctx.step.wait_for_signal("wait on", signal="never", timeout="1s")
        assert signal is not None
        shop.tell({"waited": [ctx.run_id, signal.signal, signal.data, late]})

    @shop.function("sends")
    def sends(ctx: ContextSync) -> None:
        nobody = ctx.step.send_signal("to nobody", "nobody")
        woken = nobody
        attempts = 0
        while woken is None:
            # The other run may be on its way to its wait.
            woken = ctx.step.send_signal(f"send {attempts}", "order/7", {"by": "ada"})
            attempts += 1
        shop.tell({"sent": [nobody, woken]})

    with shop.serve():
        shop.client.send_sync(Event(name="shop/waits"))
        told = shop.next() | shop.next()
    run_id, name, data, late = told["waited"]
    assert (name, data, late) == ("order/7", {"by": "ada"}, None)
    assert told["sent"] == [None, run_id]


def test_what_was_deferred_starts_when_the_run_has_ended(shop: Shop) -> None:
    trigger = TriggerEvent(
        event="inngest/deferred.schedule",
        expression="event.data._inngest.fn_slug == 'shop-remind'",
    )

    @shop.function("remind", trigger)
    def remind(ctx: ContextSync) -> None:
        shop.tell(ctx.event.data["n"])

    @shop.function("defers")
    async def defers(ctx: Context) -> str:
        await ctx.step.defer("first", function=remind, data={"n": 1})
        dropped = await ctx.step.defer("dropped", function=remind, data={"n": 2})
        await ctx.step.run("work", lambda: shop.tell("worked"))
        dropped.abort()
        await ctx.step.run("more", lambda: shop.tell("worked more"))
        await ctx.step.defer("last", function=remind, data={"n": 3})
        return "done"

    with shop.serve():
        shop.client.send_sync(Event(name="shop/defers"))
        told = [shop.next() for _ in range(4)]
    assert told[:2] == ["worked", "worked more"]
    assert sorted(told[2:]) == [1, 3]
