"""What a client sends, how often it tries, and what it tells of it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.contrib.devserver.live import Call, Reply, StandIn, stand_in

from .differences import expected_of
from .kits import KITS, Kit
from .scenario import COLOURS

Send = Callable[..., list[str]]


def accept(call: Call) -> Reply:
    """Answer as the event API does."""
    events = call.json if isinstance(call.json, list) else [call.json]
    return Reply(200, {"ids": [f"id-{n}" for n in range(len(events))], "status": 200})


@pytest.fixture
def server() -> Iterator[StandIn]:
    with stand_in(accept) as found:
        yield found


@pytest.fixture(params=KITS, ids=lambda kit: kit.name)
def kit(request: pytest.FixtureRequest) -> Kit:
    found: Kit = request.param
    return found


@pytest.fixture(params=COLOURS)
def colour(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def client_of(kit: Kit, server: StandIn, **options: Any) -> Any:
    origin = server.url.removesuffix("/api/inngest")
    options.setdefault("is_production", False)
    return kit.inngest.Inngest(app_id="shop", event_api_base_url=origin, **options)


def sender(client: Any, colour: str) -> Send:
    """The one form of `send` or the other."""
    if colour == "sync":
        send: Send = client.send_sync
        return send
    return lambda *args, **options: asyncio.run(client.send(*args, **options))


def test_an_event_is_posted_to_its_key(kit: Kit, colour: str, server: StandIn) -> None:
    send = sender(client_of(kit, server, event_key="abc"), colour)
    event = kit.inngest.Event(name="a/b", data={"n": 1}, id="once", ts=1700000000000)
    assert send(event) == ["id-0"]
    (call,) = server.calls
    assert call.path == "/e/abc"
    assert call.json == [{"data": {"n": 1}, "id": "once", "name": "a/b", "ts": 1700000000000}]
    assert call.headers["content-type"] == "application/json"
    assert call.headers["x-inngest-sdk"].startswith("inngest-py:v")
    assert call.headers["x-inngest-event-id-seed"].count(",") == 1


def test_an_empty_id_is_left_out_and_a_time_is_put_in(
    kit: Kit, colour: str, server: StandIn
) -> None:
    sender(client_of(kit, server), colour)(kit.inngest.Event(name="a"))
    ((event,),) = [call.json for call in server.calls]
    assert event.pop("ts") > 1700000000000
    assert event == {"data": {}, "name": "a"}


def test_several_events_go_in_one_request(kit: Kit, colour: str, server: StandIn) -> None:
    events = [kit.inngest.Event(name="a", data={"n": n}) for n in range(3)]
    assert sender(client_of(kit, server), colour)(events) == ["id-0", "id-1", "id-2"]
    (call,) = server.calls
    assert [event["data"]["n"] for event in call.json] == [0, 1, 2]


def test_without_a_key_in_dev_mode_one_is_made_up(kit: Kit, colour: str, server: StandIn) -> None:
    sender(client_of(kit, server), colour)(kit.inngest.Event(name="a"))
    (call,) = server.calls
    assert call.path == "/e/NO_EVENT_KEY_SET"


def test_without_a_key_in_cloud_mode_nothing_is_sent(
    kit: Kit, colour: str, server: StandIn
) -> None:
    send = sender(client_of(kit, server, is_production=True), colour)
    with pytest.raises(Exception) as raised:  # each package has its own
        send(kit.inngest.Event(name="a"))
    assert type(raised.value).__name__ == "EventKeyUnspecifiedError"
    assert server.calls == []


def test_the_environment_is_told(kit: Kit, colour: str, server: StandIn) -> None:
    sender(client_of(kit, server, env="branch"), colour)(kit.inngest.Event(name="a"))
    (call,) = server.calls
    assert call.headers["x-inngest-env"] == "branch"


def test_server_errors_are_tried_again_under_one_seed(
    kit: Kit, colour: str, server: StandIn
) -> None:
    def busy_twice(call: Call) -> Reply:
        return Reply(503, {"error": "busy"}) if len(server.calls) < 3 else accept(call)

    server.answer = busy_twice
    assert sender(client_of(kit, server), colour)(kit.inngest.Event(name="a")) == ["id-0"]
    seeds = {call.headers["x-inngest-event-id-seed"] for call in server.calls}
    assert (len(server.calls), len(seeds)) == (3, 1)


def test_what_is_refused_is_not_tried_again(kit: Kit, colour: str, server: StandIn) -> None:
    server.answer = lambda call: Reply(400, {"error": "no good", "status": 400, "ids": []})
    send = sender(client_of(kit, server), colour)
    with pytest.raises(Exception) as raised:  # each package has its own
        send(kit.inngest.Event(name="a"))
    assert len(server.calls) == 1
    facts = {"error": type(raised.value).__name__, "told": "no good" in str(raised.value)}
    assert facts == expected_of(kit, "refused events", {"error": "SendEventsError", "told": True})


def test_the_ids_of_what_was_accepted_are_told(kit: Kit, colour: str, server: StandIn) -> None:
    server.answer = lambda call: Reply(400, {"error": "half", "status": 400, "ids": ["id-0"]})
    send = sender(client_of(kit, server), colour)
    with pytest.raises(Exception) as raised:  # each package has its own
        send([kit.inngest.Event(name="a"), kit.inngest.Event(name="b")])
    assert raised.value.ids == ["id-0"]  # type: ignore[attr-defined]  # of either package


def noting(kit: Kit, log: list[Any]) -> Any:
    base: Any = kit.inngest.MiddlewareSync

    class Noting(base):  # type: ignore[misc]  # either package's
        def before_send_events(self, events: list[Any]) -> None:
            log.append(["before", [event.name for event in events], self.raw_request])
            events[0].data = {"changed": True}

        def after_send_events(self, result: Any) -> None:
            log.append(["after", result.ids, result.error])

    return Noting


def test_middleware_sees_what_is_sent(kit: Kit, colour: str, server: StandIn) -> None:
    log: list[Any] = []
    client = client_of(kit, server, middleware=[noting(kit, log)])
    sender(client, colour)(kit.inngest.Event(name="a"))
    assert log == [["before", ["a"], None], ["after", ["id-0"], None]]
    assert server.calls[0].json[0]["data"] == {"changed": True}


def test_middleware_can_be_skipped(kit: Kit, colour: str, server: StandIn) -> None:
    log: list[Any] = []
    client = client_of(kit, server, middleware=[noting(kit, log)])
    sender(client, colour)(kit.inngest.Event(name="a"), skip_middleware=True)
    assert log == []


def test_middleware_that_is_added_later_sees_it(kit: Kit, colour: str, server: StandIn) -> None:
    log: list[Any] = []
    client = client_of(kit, server)
    client.add_middleware(noting(kit, log))
    sender(client, colour)(kit.inngest.Event(name="a"))
    assert [one[0] for one in log] == ["before", "after"]


def test_a_blocking_send_cannot_await_its_middleware(kit: Kit, server: StandIn) -> None:
    base: Any = kit.inngest.Middleware

    class Awaiting(base):  # type: ignore[misc]  # either package's
        async def before_send_events(self, events: list[Any]) -> None:
            raise AssertionError("it cannot be awaited")

    client = client_of(kit, server, middleware=[Awaiting])
    with pytest.raises(Exception) as raised:  # each package has its own
        client.send_sync(kit.inngest.Event(name="a"))
    assert "middleware" in str(raised.value)
    assert not server.calls


def test_a_hundred_are_sent_at_once(kit: Kit, server: StandIn) -> None:
    client = client_of(kit, server)

    async def send_all() -> list[list[str]]:
        events = [kit.inngest.Event(name="a", data={"n": n}) for n in range(100)]
        found: list[list[str]] = await asyncio.gather(*map(client.send, events))
        return found

    assert asyncio.run(send_all()) == [["id-0"]] * 100
    assert sorted(call.json[0]["data"]["n"] for call in server.calls) == list(range(100))


@pytest.mark.parametrize(
    "data",
    [{"a": [1, 2.5, None, True, "ü\u2028"]}, {"big": 2**53, "small": 1e-7, "nested": {"": {}}}],
)
def test_data_arrives_as_it_was(kit: Kit, server: StandIn, data: Any) -> None:
    client_of(kit, server).send_sync(kit.inngest.Event(name="a", data=data))
    assert json.loads(server.calls[0].body)[0]["data"] == data
