"""
No key is shown: in no representation, no log line, no error and no reply.
"""

from __future__ import annotations

import asyncio
import logging
import random
import traceback
from collections.abc import Callable
from typing import Any

import pytest

import inngest_core as inngest
from inngest_core.errors import TransportError
from inngest_core.net.http import AsyncHttpTransport, HttpTransport
from inngest_core.wire.http import HttpRequest, HttpResponse
from inngest_core.wire.signing import hash_signing_key

from .flow.wiring import (
    EVENT_KEY,
    FALLBACK,
    KEY,
    Server,
    accepted,
    call_of,
    cloud_client,
    reply,
    request_of,
    served,
)

SECRETS = [
    EVENT_KEY,
    *(text for key in (KEY, FALLBACK) for text in (key, key.rpartition("-")[2])),
    "Bearer",
    *map(hash_signing_key, (KEY, FALLBACK)),
]
EVENT = inngest.Event(name="a/b")
GONE = "http://127.0.0.1:1"

SERVERS: dict[str, Any] = {
    "it works": accepted,
    "it cannot be reached": [TransportError("no reply from https://inn.gs: refused")],
    "it is out of order": [reply(500, b"<html>out of order</html>")],
    "it knows no such key": [reply(401, {"error": "Event key not found"})],
    "it does not answer in JSON": [reply(200, b"<html>")],
}


def blocking(ctx: inngest.ContextSync) -> Any:
    ctx.logger.info("sending")
    return ctx.step.send_event("send", EVENT)


async def awaiting(ctx: inngest.Context) -> Any:
    return await ctx.step.send_event("send", EVENT)


def failing(ctx: inngest.ContextSync) -> None:
    raise ValueError("bad value")


def everything(client: inngest.Inngest) -> list[str]:
    """All that is to be seen of a client that is used in every way."""
    functions = [
        client.create_function(fn_id=name, trigger=inngest.TriggerEvent(event="a/b"))(handler)
        for name, handler in (("b", blocking), ("a", awaiting), ("f", failing))
    ]
    door = served(client)
    replies = [door.answer_sync(request) for request in requests()]
    replies += [asyncio.run(door.answer(request)) for request in requests()]
    shown = [repr(one) for one in (client, client.config, client.engine, door, *functions)]
    shown += [f"{one.headers} {one.body!r}" for one in replies]
    shown += [raised_by(lambda: client.send_sync(EVENT))]
    shown += [raised_by(lambda: asyncio.run(client.send([EVENT, EVENT])))]
    client.close()
    return shown


def requests() -> list[inngest.CommRequest]:
    in_band = {"x-inngest-sync-kind": "in_band"}
    return [
        request_of("GET"),
        request_of("GET", key=KEY),
        request_of("PUT"),
        request_of("PUT", {"url": "https://shop.example/api/inngest"}, key=KEY, headers=in_band),
        request_of("POST", b"{}", key=FALLBACK, query={"fnId": "shop-b"}),
        request_of("POST", b"{}", key="0123", query={"fnId": "shop-b"}),
        *(call_of(f"shop-{name}", key=KEY) for name in "baf"),
        call_of("shop-b", key=KEY, use_api=True),
        call_of("shop-unknown", key=KEY),
    ]


def raised_by(action: Callable[[], object]) -> str:
    try:
        return str(action())
    except inngest.SendEventsError as error:
        return "".join(traceback.format_exception(error)) + repr(error)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    # Of which every delay between two attempts is a multiple.
    monkeypatch.setattr(random, "uniform", lambda low, high: 0.0)


def check(shown: list[str], caplog: pytest.LogCaptureFixture) -> None:
    assert caplog.records
    for secret in SECRETS:
        assert not [text for text in (*shown, caplog.text) if secret in text]


@pytest.mark.parametrize("server", SERVERS)
def test_whatever_becomes_of_its_requests(server: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = cloud_client(Server(SERVERS[server]), signing_key_fallback=FALLBACK)
    check(everything(client), caplog)


def test_over_the_default_transports_where_there_is_no_server(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    ours = [HttpTransport(), AsyncHttpTransport()]

    class Default:
        @inngest.hookimpl
        def inngest_transport(self, kind: str) -> Any:
            return ours[kind == "async"]

    client = cloud_client(
        plugins=[Default()],
        signing_key_fallback=FALLBACK,
        api_base_url=GONE,
        event_api_base_url=GONE,
    )
    check(everything(client), caplog)


def test_requests_of_ours_show_where_they_go_and_no_more() -> None:
    request = HttpRequest("POST", f"https://inn.gs/e/{EVENT_KEY}", {"authorization": KEY}, b"[]")
    assert repr(request) == "<HttpRequest POST https://inn.gs>"
    assert EVENT_KEY not in repr(HttpResponse(200, {}, b"{}"))
