"""``send_signal``: what is posted, whom it woke, and what is tried again."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from inngest_core import Context, ContextSync, TriggerEvent
from inngest_core.errors import ConfigError, ServerError
from inngest_core.wire.http import HttpRequest, HttpResponse
from inngest_core.wire.signing import hash_signing_key

from .wiring import FALLBACK, KEY, Server, ask, call_of, client_of, cloud_client, reply, served

RUN = "01M81CX5YS83BV54V49A94AZ6B"
WOKEN = reply(200, {"data": {"run_id": RUN}, "metadata": {"fetched_at": "2026-11-22T10:30:24Z"}})
NOBODY = reply(404, {"error": "No signal found", "data": None, "status": 404})
APPROVED = ("order/7/approved", {"by": "ada"})


def sent(client: Any, *args: Any, **options: Any) -> list[Any]:
    """The op of a step that sends a signal: from a blocking and from an async function."""

    def blocking(ctx: ContextSync) -> Any:
        return ctx.step.send_signal("send", *args, **options)

    async def awaiting(ctx: Context) -> Any:
        return await ctx.step.send_signal("send", *args, **options)

    trigger = TriggerEvent(event="a/b")
    key = KEY if client.is_production else None
    client.create_function(fn_id="f", trigger=trigger)(blocking)
    client.create_function(fn_id="g", trigger=trigger)(awaiting)
    answers = [
        ask(client, call_of("shop-f", key=key)),
        asyncio.run(served(client).answer(call_of("shop-g", key=key))),
    ]
    assert [response.status for response in answers] == [206, 206]
    return [op for response in answers for op in json.loads(response.body)]


def test_a_signal_is_posted_and_the_step_knows_whom_it_woke() -> None:
    server = Server([WOKEN])
    for op in sent(client_of(server), *APPROVED):
        assert (op["op"], op["data"], op["opts"]) == ("StepRun", RUN, {"type": "step.sendSignal"})
    for request in server.requests:
        assert (request.method, request.url) == ("POST", "http://127.0.0.1:8288/v1/signals")
        assert json.loads(request.body) == {"signal": "order/7/approved", "data": {"by": "ada"}}
    assert len(server.requests) == 2


@pytest.mark.parametrize("data", [None, 0, "text", [1, {"a": None}]])
def test_a_signal_carries_any_json_value(data: Any) -> None:
    server = Server([WOKEN])
    sent(client_of(server), "s", data=data)
    assert server.bodies == [{"signal": "s", "data": data}] * 2


def test_where_nobody_waits_it_woke_none() -> None:
    assert [op["data"] for op in sent(client_of(Server([NOBODY])), "s")] == [None, None]


def test_the_bearer_is_the_hashed_key_and_then_the_fallback() -> None:
    fallback = f"Bearer {hash_signing_key(FALLBACK)}"

    def script(request: HttpRequest) -> HttpResponse:
        return WOKEN if request.headers["authorization"] == fallback else reply(401, b"no")

    server = Server(script)
    client = cloud_client(server, signing_key_fallback=FALLBACK)
    assert [op["data"] for op in sent(client, "s")] == [RUN, RUN]
    bearers = [request.headers["authorization"] for request in server.requests]
    assert bearers == [f"Bearer {hash_signing_key(KEY)}", fallback, fallback]


@pytest.mark.parametrize(
    ("response", "text"),
    [
        (reply(404, b"404 page not found"), "404 page not found; check the address of the API"),
        (reply(401, b"Authentication failed\n"), "Authentication failed; check the signing key"),
        (reply(500, {"error": "oh"}), "status 500: oh"),
        (reply(200, {}), 'the signal "s" has status 200, but no data.run_id'),
        (reply(200, b"hello"), "no data.run_id"),
    ],
)
def test_a_refusal_is_tried_again(response: HttpResponse, text: str) -> None:
    for op in sent(client_of(Server([response])), "s"):
        assert (op["op"], op["error"]["name"]) == ("StepError", "ServerError")
        assert text in op["error"]["message"]


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("",), "send_signal signal: it is empty"),
        ((5,), "send_signal signal: expected text, got int"),
        (("s", {1}), 'send_signal "s" data: it is not JSON'),
    ],
)
def test_what_cannot_be_sent_is_refused_for_good_before_it_is_sent(args: Any, text: str) -> None:
    server = Server([WOKEN])
    for op in sent(client_of(server), *args):
        assert (op["op"], op["error"]["name"]) == ("StepFailed", "ConfigError")
        assert text in op["error"]["message"]
    assert server.requests == []


def test_a_signal_is_sent_once_in_the_life_of_a_run() -> None:
    server = Server([WOKEN])
    client = client_of(server)

    def handler(ctx: ContextSync) -> Any:
        return ctx.step.send_signal("send", "s")

    client.create_function(fn_id="f", trigger=TriggerEvent(event="a/b"))(handler)
    (op,) = json.loads(ask(client, call_of("shop-f")).body)
    again = ask(client, call_of("shop-f", steps={op["id"]: {"data": op["data"]}}))
    assert (again.status, json.loads(again.body)) == (200, RUN)
    assert len(server.requests) == 1


# ---- from outside of a run


@pytest.mark.parametrize(("response", "woken"), [(WOKEN, RUN), (NOBODY, None)])
def test_a_client_sends_signals_as_well(response: HttpResponse, woken: str | None) -> None:
    server = Server([response])
    client = client_of(server)
    assert asyncio.run(client.send_signal(*APPROVED)) == woken
    assert client.send_signal_sync(*APPROVED) == woken
    assert server.bodies == [{"signal": "order/7/approved", "data": {"by": "ada"}}] * 2
    assert {request.url for request in server.requests} == {"http://127.0.0.1:8288/v1/signals"}


def test_a_client_hears_of_a_refusal() -> None:
    client = client_of(Server([reply(500, {"error": "oh"})]))
    with pytest.raises(ServerError, match='refused the signal "s" with status 500: oh'):
        client.send_signal_sync("s")
    with pytest.raises(ConfigError, match="send_signal signal: it is empty"):
        client.send_signal_sync("")
