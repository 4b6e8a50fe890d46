"""Django's signals tell of calls, steps and sends, and disturb none of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from django.dispatch import Signal
from django.test import AsyncClient, Client, override_settings

import inngest_core as inngest
from inngest_contrib.django import client, signals
from inngest_contrib.testing.conformance import RecordedServer, call
from inngest_contrib.testing.conformance.exchange import changed

ALL = {
    "events_sent": signals.events_sent,
    "function_started": signals.function_started,
    "function_finished": signals.function_finished,
    "function_failed": signals.function_failed,
    "step_finished": signals.step_finished,
}
ANY = inngest.TriggerEvent(event="a/b")


@pytest.fixture
def told() -> Iterator[list[tuple[str, Any, dict[str, Any]]]]:
    """What the signals have told: name, sender, arguments."""
    found: list[tuple[str, Any, dict[str, Any]]] = []
    receivers = []
    for name, signal in ALL.items():

        def receive(sender: Any, name: str = name, **arguments: Any) -> None:
            arguments.pop("signal")
            found.append((name, sender, arguments))

        receivers.append((signal, receive))
        signal.connect(receive)
    yield found
    for signal, receive in receivers:
        signal.disconnect(receive)


@pytest.fixture
def served(project: Any) -> Iterator[RecordedServer]:
    server = RecordedServer()
    with override_settings(INNGEST={"APP_ID": "shop", "DEV": True, "PLUGINS": [server]}):

        @client.create_function(fn_id="steps", trigger=ANY)
        def steps(ctx: Any) -> Any:
            return ctx.step.run("a", lambda: 1)

        @client.create_function(fn_id="asteps", trigger=ANY)
        async def asteps(ctx: Any) -> Any:
            return await ctx.step.run("a", lambda: 1)

        @client.create_function(fn_id="sends", trigger=ANY)
        def sends(ctx: Any) -> Any:
            return ctx.step.send_event("a", inngest.Event(name="x"))

        @client.create_function(fn_id="asends", trigger=ANY)
        async def asends(ctx: Any) -> Any:
            return await ctx.step.send_event("a", inngest.Event(name="x"))

        @client.create_function(fn_id="fails", trigger=ANY)
        def fails(ctx: Any) -> Any:
            raise ValueError("no")

        @client.create_function(fn_id="afails", trigger=ANY)
        async def afails(ctx: Any) -> Any:
            raise ValueError("no")

        yield server


async def ask(under: str, function: str, **ctx: Any) -> int:
    asked = call(function, changed(**ctx))
    options: dict[str, Any] = {"data": asked.body, "content_type": "application/json"}
    if under == "wsgi":
        blocking = await asyncio.to_thread(Client().post, asked.target, **options)
        return int(blocking.status_code)
    response = await AsyncClient().post(asked.target, **options)
    return int(response.status_code)


both = pytest.mark.parametrize("under", ["wsgi", "asgi"])


@pytest.mark.parametrize("function", ["steps", "asteps"])
@both
def test_a_call_that_executes_a_step_tells_its_start_and_the_step(
    served: Any, told: list[Any], under: str, function: str
) -> None:
    assert asyncio.run(ask(under, function)) == 206
    assert [name for name, _, _ in told] == ["function_started", "step_finished"]
    started, finished = told
    assert started[1].id == finished[1].id == f"shop-{function}"
    assert finished[2]["step"].id == "a"
    assert finished[2]["outcome"].value == 1
    assert finished[2]["ctx"].run_id == "r"


@pytest.mark.parametrize("function", ["plain", "aplain"])
@both
def test_the_end_of_a_function_is_told(
    served: Any, told: list[Any], under: str, function: str
) -> None:
    async def aplain(ctx: Any) -> str:
        return "done"

    make = client.create_function(fn_id=function, trigger=ANY)
    make((lambda ctx: "done") if function == "plain" else aplain)
    assert asyncio.run(ask(under, function, attempt=1)) == 200
    assert [(name, arguments["output"]) for name, _, arguments in told] == [
        ("function_finished", "done")
    ]


@pytest.mark.parametrize("function", ["fails", "afails"])
@both
def test_a_failure_is_told(served: Any, told: list[Any], under: str, function: str) -> None:
    assert asyncio.run(ask(under, function, attempt=2)) == 500
    ((name, sender, arguments),) = told
    assert (name, sender.id) == ("function_failed", f"shop-{function}")
    assert str(arguments["error"]) == "no"
    assert arguments["ctx"].attempt == 2


@pytest.mark.parametrize("function", ["sends", "asends"])
@both
def test_what_a_step_sends_is_told(served: Any, told: list[Any], under: str, function: str) -> None:
    assert asyncio.run(ask(under, function)) == 206
    ((_, sender, arguments),) = [one for one in told if one[0] == "events_sent"]
    assert sender is inngest.Inngest
    assert [event.name for event in arguments["events"]] == ["x"]
    assert len(arguments["ids"]) == 1


def test_what_the_client_sends_is_told(served: Any, told: list[Any]) -> None:
    ids = client.send_sync(inngest.Event(name="a"))
    more = asyncio.run(client.send([inngest.Event(name="b")]))
    assert [(arguments["events"][0].name, arguments["ids"]) for _, _, arguments in told] == [
        ("a", ids),
        ("b", more),
    ]
    assert all(arguments["client"].app_id == "shop" for _, _, arguments in told)


@pytest.mark.parametrize("function", ["steps", "asteps", "fails", "afails", "sends", "asends"])
@both
def test_a_receiver_that_fails_disturbs_nothing(
    served: Any, under: str, function: str, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(**_: Any) -> None:
        raise RuntimeError("receiver is broken")

    for signal in ALL.values():
        signal.connect(fail)
    try:
        wanted = 500 if "fails" in function else 206
        assert asyncio.run(ask(under, function)) == wanted
    finally:
        for signal in ALL.values():
            signal.disconnect(fail)
    assert "receiver is broken" in caplog.text


def test_receivers_may_be_async(served: Any) -> None:
    seen: list[str] = []

    async def receive(step: Any, **_: Any) -> None:
        await asyncio.sleep(0)
        seen.append(step.id)

    signals.step_finished.connect(receive)
    try:
        for under, function in (("asgi", "asteps"), ("wsgi", "asteps"), ("wsgi", "steps")):
            asyncio.run(ask(under, function))
    finally:
        signals.step_finished.disconnect(receive)
    assert seen == ["a"] * 3


def test_a_blocking_send_on_a_loop_tells_as_well(served: Any) -> None:
    seen: list[str] = []

    async def receive(events: Any, **_: Any) -> None:
        seen.append(events[0].name)

    async def sending() -> None:
        client.send_sync(inngest.Event(name="a"))
        while not seen:
            await asyncio.sleep(0)

    signals.events_sent.connect(receive)
    try:
        asyncio.run(sending())
    finally:
        signals.events_sent.disconnect(receive)
    assert seen == ["a"]


def test_signals_are_plain_signals_of_django() -> None:
    assert all(isinstance(signal, Signal) for signal in ALL.values())
