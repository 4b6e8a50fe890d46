"""Realtime: what is posted, what comes back, and what is refused before or by the server."""

from __future__ import annotations

import asyncio
import inspect
import json
import types
from collections.abc import Callable
from typing import Any

import pytest

from inngest_core import Inngest, realtime
from inngest_core.errors import ConfigError, ServerError, TransportError
from inngest_core.wire.http import HttpRequest, HttpResponse
from inngest_core.wire.signing import hash_signing_key
from tests.flow.wiring import FALLBACK, KEY, Server, client_of, cloud_client, reply

ORIGIN = "http://127.0.0.1:8288/v1/realtime"
OK = reply(200, b"")
TOKEN = reply(201, {"jwt": "a.b.c"})

Call = Callable[..., Any]


def publish(client: Inngest, *args: Any) -> None:
    asyncio.run(realtime.publish(client, *args))


def get_token(client: Inngest, *args: Any) -> Any:
    return asyncio.run(realtime.get_subscription_token(client, *args))


PUBLISH = pytest.mark.parametrize("send", [publish, realtime.publish_sync])
SUBSCRIBE = pytest.mark.parametrize("ask", [get_token, realtime.get_subscription_token_sync])


@PUBLISH
def test_a_message_is_posted_as_json_to_its_channel_and_topic(send: Call) -> None:
    server = Server([OK])
    assert send(client_of(server), "user:1", "news & more", {"n": 2, "é": ["ü"]}) is None
    (request,) = server.requests
    assert request.method == "POST"
    assert request.url == f"{ORIGIN}/publish?channel=user%3A1&topic=news+%26+more"
    assert request.headers["content-type"] == "application/json"
    assert request.body == '{"n":2,"é":["ü"]}'.encode()


@SUBSCRIBE
def test_a_token_is_asked_for_by_topic_and_comes_ready_for_the_browser(ask: Call) -> None:
    server = Server([TOKEN])
    token = ask(client_of(server), "user:1", ["news", "other"])
    assert token == {"channel": "user:1", "topics": ["news", "other"], "key": "a.b.c"}
    (request,) = server.requests
    assert (request.method, request.url) == ("POST", f"{ORIGIN}/token")
    assert json.loads(request.body) == [
        {"channel": "user:1", "name": "news", "kind": "run"},
        {"channel": "user:1", "name": "other", "kind": "run"},
    ]


@SUBSCRIBE
def test_no_topics_is_a_token_for_later(ask: Call) -> None:
    server = Server([TOKEN])
    assert ask(client_of(server), "c", [])["topics"] == []
    assert server.bodies == [[]]


@PUBLISH
def test_the_bearer_is_the_hashed_key_and_then_the_fallback(send: Call) -> None:
    fallback = f"Bearer {hash_signing_key(FALLBACK)}"

    def script(request: HttpRequest) -> HttpResponse:
        return OK if request.headers["authorization"] == fallback else reply(401, b"no")

    server = Server(script)
    client = cloud_client(server, signing_key_fallback=FALLBACK)
    send(client, "c", "t", {})
    send(client, "c", "t", {})
    bearers = [request.headers["authorization"] for request in server.requests]
    assert bearers == [f"Bearer {hash_signing_key(KEY)}", fallback, fallback]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"a": {1}}, "publish data: it is not JSON: Object of type set is not JSON serializable"),
        ({"a": float("inf")}, "publish data: it is not JSON: "),
        ({1j: 1}, "publish data: it is not JSON: "),
        ({"a": "x" * 524_289}, "publish data: it has 524297 bytes, and the server cuts"),
    ],
)
@PUBLISH
def test_what_could_not_arrive_is_refused_before_anything_is_sent(
    send: Call, data: Any, text: str
) -> None:
    server = Server([OK])
    with pytest.raises(ConfigError) as raised:
        send(client_of(server), "c", "t", data)
    assert text in raised.value.message
    assert server.requests == []


def test_as_much_as_arrives_whole_is_sent() -> None:
    server = Server([OK])
    realtime.publish_sync(client_of(server), "c", "t", {"a": "x" * (524_288 - 8)})
    assert len(server.requests[0].body) == 524_288


def test_any_mapping_is_a_message() -> None:
    server = Server([OK])
    realtime.publish_sync(client_of(server), "c", "t", types.MappingProxyType({"a": 1}))
    assert server.bodies == [{"a": 1}]


def test_half_of_a_surrogate_pair_goes_out_as_its_escape() -> None:
    server = Server([OK])
    realtime.publish_sync(client_of(server), "c", "t", {"a": "\ud83d"})
    assert server.requests[0].body == b'{"a":"\\ud83d"}'


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("", "t", {}), "publish channel: it is empty"),
        (("c", "", {}), "publish topic: it is empty"),
        ((None, "t", {}), "publish channel: expected text, got NoneType"),
        (("c", "\ud83d", {}), "publish topic: it is no Unicode text"),
    ],
)
@PUBLISH
def test_a_message_to_nowhere_is_refused(send: Call, args: Any, text: str) -> None:
    server = Server([OK])
    with pytest.raises(ConfigError, match=text):
        send(client_of(server), *args)
    assert server.requests == []


@pytest.mark.parametrize(
    ("args", "text"),
    [
        (("", []), "get_subscription_token channel: it is empty"),
        (("c", "news"), "get_subscription_token topics: expected a list, got str"),
        (("c", ["a", 1]), r"get_subscription_token topics\[1\]: expected text, got int"),
    ],
)
@SUBSCRIBE
def test_a_token_for_nothing_is_refused(ask: Call, args: Any, text: str) -> None:
    server = Server([TOKEN])
    with pytest.raises(ConfigError, match=text):
        ask(client_of(server), *args)
    assert server.requests == []


REFUSALS = [
    (reply(401, b"Authentication failed\n"), "status 401: Authentication failed; check the signi"),
    (reply(404, b""), "status 404: it gave no reason; check the address of the API"),
    (
        reply(400, {"error": "Invalid request: must provide a list of topics"}),
        "status 400: Invalid request: must provide a list of topics",
    ),
    (reply(501, {"error": "not implemented"}), "this server cannot do this; use another one"),
    (reply(500, b"<html>\n" + b"x" * 5000), "status 500: <html> xxx"),
]


@pytest.mark.parametrize(("response", "text"), REFUSALS)
def test_a_refusal_says_why_and_what_to_do(response: HttpResponse, text: str) -> None:
    for call in (
        lambda client: realtime.publish_sync(client, "c", "t", {}),
        lambda client: realtime.get_subscription_token_sync(client, "c", ["t"]),
    ):
        with pytest.raises(ServerError) as raised:
            call(client_of(Server([response])))
        assert text in raised.value.message
        assert '"c"' in raised.value.message
        assert len(raised.value.message) < 400


@pytest.mark.parametrize("body", [b"", b"hello", {"jwt": ""}, {"jwt": 5}, [], {}])
def test_a_reply_without_a_token_is_no_token(body: Any) -> None:
    with pytest.raises(ServerError, match="has status 201, but no jwt; check the address"):
        realtime.get_subscription_token_sync(client_of(Server([reply(201, body)])), "c", ["t"])


@PUBLISH
def test_a_server_that_cannot_be_reached_is_a_transport_error(send: Call) -> None:
    with pytest.raises(TransportError, match="no reply"):
        send(client_of(Server([TransportError("no reply from http://x: refused")])), "c", "t", {})


@pytest.mark.parametrize(
    ("awaited", "blocking"),
    [
        (realtime.publish, realtime.publish_sync),
        (realtime.get_subscription_token, realtime.get_subscription_token_sync),
    ],
)
def test_what_is_awaited_and_what_is_not_take_the_same(awaited: Any, blocking: Any) -> None:
    assert inspect.signature(awaited) == inspect.signature(blocking)
    assert inspect.iscoroutinefunction(awaited)
    assert not inspect.iscoroutinefunction(blocking)


@pytest.mark.parametrize(
    ("function", "names"),
    [
        (realtime.publish, ["client", "channel", "topic", "data"]),
        (realtime.get_subscription_token, ["client", "channel", "topics"]),
    ],
)
def test_the_arguments_are_those_of_the_official_package(function: Any, names: list[str]) -> None:
    parameters = inspect.signature(function).parameters
    assert list(parameters) == names
    assert all(one.kind is one.POSITIONAL_OR_KEYWORD for one in parameters.values())
