"""Publishing and tokens: what is asked of the server, and what the caller gets."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contrib.devserver.live import Call, Reply, StandIn, stand_in

from .differences import expected_of
from .kits import KITS, Kit
from .scenario import COLOURS

KEY = "signkey-test-0123456789abcdef0123456789abcdef"
HASH = "223e0a160af9da0a03e6dd2c4719c56f5d66a633cbe84e78aaa9f3735865522a"


@pytest.fixture
def server() -> Iterator[StandIn]:
    def answer(call: Call) -> Reply:
        return Reply(201, {"jwt": "a token"})

    with stand_in(answer) as found:
        yield found


@pytest.fixture(params=KITS, ids=lambda kit: kit.name)
def kit(request: pytest.FixtureRequest) -> Kit:
    found: Kit = request.param
    return found


def told(kit: Kit, server: StandIn, colour: str, what: str, *args: Any) -> Any:
    """Ask in one form or the other."""
    origin = server.url.removesuffix("/api/inngest")
    client = kit.inngest.Inngest(
        app_id="shop",
        is_production=False,
        api_base_url=origin,
        event_api_base_url=origin,
        signing_key=KEY,
    )
    realtime = kit.module("experimental.realtime")
    if colour == "sync":
        return getattr(realtime, f"{what}_sync")(client, *args)
    return asyncio.run(getattr(realtime, what)(client, *args))


@pytest.mark.parametrize("colour", COLOURS)
def test_data_is_published(kit: Kit, server: StandIn, colour: str) -> None:
    assert told(kit, server, colour, "publish", "orders", "new", {"n": 1}) is None
    (call,) = server.calls
    assert (call.path, call.query) == (
        "/v1/realtime/publish",
        {"channel": "orders", "topic": "new"},
    )
    assert call.json == {"n": 1}
    found = {"authorization": call.headers["authorization"]}
    wanted = {"authorization": f"Bearer signkey-test-{HASH}"}
    assert found == expected_of(kit, "a realtime request", wanted)


@pytest.mark.parametrize("colour", COLOURS)
def test_a_subscriber_gets_a_token(kit: Kit, server: StandIn, colour: str) -> None:
    found = told(kit, server, colour, "get_subscription_token", "orders", ["new", "old"])
    assert dict(found) == {"channel": "orders", "topics": ["new", "old"], "key": "a token"}
    (call,) = server.calls
    assert call.path == "/v1/realtime/token"
    assert call.json == [
        {"channel": "orders", "kind": "run", "name": "new"},
        {"channel": "orders", "kind": "run", "name": "old"},
    ]
