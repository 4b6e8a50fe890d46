"""Requests to the REST API: the bearer, the fallback key, and the two GETs of a big state."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from inngest_core import Context, ContextSync, TriggerEvent
from inngest_core.errors import ConfigError, TransportError
from inngest_core.flow.fetch import fetch
from inngest_core.wire.http import HttpRequest, HttpResponse
from inngest_core.wire.signing import hash_signing_key

from .wiring import (
    FALLBACK,
    KEY,
    Server,
    ask,
    call_of,
    client_of,
    cloud_client,
    document,
    reply,
    served,
)

BEARER, FALLBACK_BEARER = (f"Bearer {hash_signing_key(key)}" for key in (KEY, FALLBACK))


def bearers(server: Server) -> list[str | None]:
    return [request.headers.get("authorization") for request in server.requests]


def get(client: Any) -> HttpResponse:
    response: HttpResponse = client.engine.run(fetch(client.engine.home, "GET", "/v1/x"))
    return response


def test_the_hashed_key_is_the_bearer() -> None:
    server = Server([reply(200, {})])
    get(cloud_client(server))
    (request,) = server.requests
    assert (request.method, request.url) == ("GET", "https://api.inngest.com/v1/x")
    assert bearers(server) == [BEARER]
    assert KEY not in str(request.headers)


def test_without_a_key_there_is_no_bearer() -> None:
    server = Server([reply(200, {})])
    get(client_of(server))
    assert bearers(server) == [None]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_key_is_followed_by_the_fallback_which_is_kept_if_it_works(status: int) -> None:
    def script(request: HttpRequest) -> HttpResponse:
        known = request.headers["authorization"] == FALLBACK_BEARER
        return reply(200 if known else status, {})

    server = Server(script)
    client = cloud_client(server, signing_key_fallback=FALLBACK)
    assert get(client).status == 200
    assert get(client).status == 200
    assert bearers(server) == [BEARER, FALLBACK_BEARER, FALLBACK_BEARER]


def test_where_both_are_refused_each_request_tries_both_once() -> None:
    server = Server([reply(401, b"Authentication failed\n")])
    client = cloud_client(server, signing_key_fallback=FALLBACK)
    assert get(client).status == 401
    assert get(client).status == 401
    assert bearers(server) == [BEARER, FALLBACK_BEARER] * 2


@pytest.mark.parametrize("status", [200, 400, 404, 410, 500])
def test_any_other_status_is_an_answer(status: int) -> None:
    server = Server([reply(status, {})])
    assert get(cloud_client(server, signing_key_fallback=FALLBACK)).status == status
    assert bearers(server) == [BEARER]


def test_a_key_that_is_no_key_is_not_shown() -> None:
    with pytest.raises(ConfigError) as raised:
        get(cloud_client(signing_key="signkey-prod-secret"))
    assert "secret" not in repr(raised.value)


# ---- use_api

MEMO = "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"
RUN = "01M81CV4SR9WGEDKMNJWE4XNQ5"


def kept_back(request: HttpRequest) -> HttpResponse:
    if request.url.endswith("/actions"):
        return reply(200, {MEMO: {"data": "from afar"}})
    return reply(200, [{"name": "a/b", "data": {"n": n}} for n in range(3)])


def big_call(**ctx: Any) -> Any:
    return call_of("shop-f", use_api=True, **ctx)


def blocking(ctx: ContextSync) -> Any:
    return [ctx.step.run("a", lambda: "here"), [event.data for event in ctx.events]]


async def awaiting(ctx: Context) -> Any:
    return [await ctx.step.run("a", lambda: "here"), [event.data for event in ctx.events]]


@pytest.mark.parametrize("function", [blocking, awaiting])
def test_what_the_server_kept_back_is_fetched_with_two_gets(function: Any) -> None:
    server = Server(kept_back)
    client = cloud_client(server)
    client.create_function(fn_id="f", trigger=TriggerEvent(event="a/b"))(function)
    call = call_of("shop-f", use_api=True, key=KEY)
    response = ask(client, call)
    assert response.status == 200
    assert document(response) == ["from afar", [{"n": 0}, {"n": 1}, {"n": 2}]]
    assert [(request.method, request.url) for request in server.requests] == [
        ("GET", f"https://api.inngest.com/v0/runs/{RUN}/actions"),
        ("GET", f"https://api.inngest.com/v0/runs/{RUN}/batch"),
    ]
    assert bearers(server) == [BEARER, BEARER]
    assert "use_api;dur=" in response.headers["server-timing"]


def test_a_call_on_a_loop_fetches_too() -> None:
    client = client_of(Server(kept_back))
    client.create_function(fn_id="f", trigger=TriggerEvent(event="a/b"))(awaiting)
    response = asyncio.run(served(client).answer(big_call()))
    assert document(response)[0] == "from afar"


@pytest.mark.parametrize(
    ("script", "code", "text"),
    [
        ([reply(410, {"error": "runtime state is no longer available"})], "server_refused", "410"),
        ([reply(200, b"nope")], "body_invalid", "not JSON"),
        ([reply(200, [])], "body_invalid", "steps must be an object"),
        ([reply(200, {}), reply(200, {})], "body_invalid", "events must be an array"),
        ([TransportError("no reply from http://x: refused")], "transport_failed", "no reply"),
    ],
)
def test_where_it_cannot_be_had_the_call_fails_and_is_tried_again(
    script: Any, code: str, text: str
) -> None:
    client = client_of(Server(script))
    client.create_function(fn_id="f", trigger=TriggerEvent(event="a/b"))(blocking)
    response = ask(client, big_call())
    assert response.status >= 400
    assert response.headers.get("x-inngest-no-retry") != "true"
    assert document(response)["code"] == code
    assert text in document(response)["message"]


def test_a_run_id_cannot_lead_to_another_path() -> None:
    server = Server(kept_back)
    client = client_of(server)
    client.create_function(fn_id="f", trigger=TriggerEvent(event="a/b"))(blocking)
    ask(client, big_call(run_id="../../v1/x?y#z"))
    path = server.requests[0].url.removeprefix("http://127.0.0.1:8288")
    assert path == "/v0/runs/..%2F..%2Fv1%2Fx%3Fy%23z/actions"
    assert json.dumps(path)
