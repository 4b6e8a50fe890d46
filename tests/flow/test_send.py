"""Sending events: one body, one seed, five attempts, and nothing lost in silence."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from inngest_core import (
    Event,
    EventKeyUnspecifiedError,
    EventSeed,
    Middleware,
    MiddlewareSync,
    SendEventsError,
    TriggerEvent,
)
from inngest_core.errors import EventInvalidError, TransportError
from inngest_core.flow import persist
from inngest_core.flow import send as sending
from inngest_core.wire.http import HttpRequest, HttpResponse
from inngest_core.wire.ids import parse_seed, seeded_ulid
from inngest_core.wire.names import MAX_EVENT_BYTES

from .wiring import (
    EVENT_KEY,
    NOW,
    Server,
    accepted,
    call_of,
    client_of,
    cloud_client,
    reply,
    served,
)

SEED = "x-inngest-event-id-seed"
GONE = TransportError("no reply from http://127.0.0.1:8288: refused")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persist, "FIRST_DELAY", 0)


def seeds(server: Server) -> list[str]:
    return [request.headers[SEED] for request in server.requests]


def test_an_event_is_posted_and_its_id_returned() -> None:
    server = Server()
    ids = client_of(server).send_sync(Event(name="a/b", data={"é": 1}))
    assert ids == ["id-1"]
    (request,) = server.requests
    assert (request.method, request.url) == ("POST", "http://127.0.0.1:8288/e/NO_EVENT_KEY_SET")
    assert request.body == '[{"data":{"é":1},"name":"a/b","ts":1700000000000}]'.encode()


def test_the_headers_of_a_send() -> None:
    server = Server()
    cloud_client(server, env="branch").send_sync(Event(name="a"))
    headers = dict(server.requests[0].headers)
    assert parse_seed(headers.pop(SEED)) is not None
    sdk = headers.pop("x-inngest-sdk")
    assert re.fullmatch(r"inngest-py:v\d.*", sdk)
    assert headers == {
        "content-type": "application/json",
        "user-agent": sdk,
        "x-inngest-env": "branch",
        "x-inngest-expected-server-kind": "cloud",
        "x-inngest-req-version": "2",
    }
    assert server.requests[0].url == f"https://inn.gs/e/{EVENT_KEY}"


def test_a_key_is_quoted_in_the_path() -> None:
    server = Server()
    client_of(server, event_key="a/b c?d").send_sync(Event(name="a"))
    assert server.requests[0].url.endswith("/e/a%2Fb%20c%3Fd")


def test_send_and_send_sync_post_the_same_bytes() -> None:
    events = [Event(name="a", data={"n": n}, id=str(n)) for n in range(3)]
    one, two = Server(), Server()
    assert client_of(one).send_sync(events) == asyncio.run(client_of(two).send(events))
    assert one.requests[0].body == two.requests[0].body


def test_an_empty_id_is_omitted_and_no_time_is_now() -> None:
    server = Server()
    client_of(server).send_sync([Event(name="a"), Event(name="b", id="i", ts=7)])
    assert server.bodies == [
        [
            {"data": {}, "name": "a", "ts": NOW * 1000},
            {"data": {}, "name": "b", "ts": 7, "id": "i"},
        ]
    ]


def test_no_events_need_no_request() -> None:
    server = Server()
    assert client_of(server).send_sync([]) == []
    assert server.requests == []


@pytest.mark.parametrize("failure", [GONE, reply(500), reply(503, b"<html>"), reply(599)])
def test_network_errors_and_5xx_are_tried_five_times_under_one_seed(failure: Any) -> None:
    server = Server([failure])
    with pytest.raises(SendEventsError) as raised:
        client_of(server).send_sync(Event(name="a"))
    assert raised.value.ids == []
    assert len(server.requests) == 5
    assert len(set(seeds(server))) == 1


def test_it_ends_with_the_first_success() -> None:
    server = Server([GONE, reply(502), reply(200, {"ids": ["x"], "status": 200})])
    assert client_of(server).send_sync(Event(name="a")) == ["x"]
    assert len(server.requests) == 3


def test_an_awaited_send_is_tried_again_too() -> None:
    server = Server([GONE, reply(200, {"ids": ["x"], "status": 200})])
    assert asyncio.run(client_of(server).send(Event(name="a"))) == ["x"]


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 413, 429])
def test_what_was_refused_is_not_tried_again(status: int) -> None:
    server = Server([reply(status, {"error": "Event key not found", "ids": [""]})])
    with pytest.raises(SendEventsError, match="Event key not found") as raised:
        client_of(server).send_sync(Event(name="a"))
    assert raised.value.ids == []
    assert len(server.requests) == 1


def test_the_last_network_error_is_the_cause() -> None:
    with pytest.raises(SendEventsError, match="after 5 attempts") as raised:
        client_of(Server([GONE])).send_sync(Event(name="a"))
    assert raised.value.__cause__ is GONE


def test_the_delays_double_with_jitter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persist, "FIRST_DELAY", 0.1)
    delays: list[float] = []
    monkeypatch.setattr("time.sleep", delays.append)
    with pytest.raises(SendEventsError):
        client_of(Server([GONE])).send_sync(Event(name="a"))
    assert len(delays) == 4
    for number, delay in enumerate(delays):
        assert 0.05 * 2**number <= delay <= 0.15 * 2**number


@pytest.mark.parametrize(
    "body", [b"", b"<html>hello</html>", b"[]", b'{"ids":null}', b'{"ids":5}', b'{"status":200}']
)
def test_a_success_that_no_event_api_would_send_is_an_error(body: bytes) -> None:
    with pytest.raises(SendEventsError, match="is not that of an event API"):
        client_of(Server([reply(200, body)])).send_sync(Event(name="a"))


def test_a_partial_failure_tells_which_ids_were_accepted() -> None:
    refused = reply(400, {"error": "event name is empty", "ids": ["a", "b", ""], "status": 400})
    with pytest.raises(SendEventsError, match="event name is empty") as raised:
        client_of(Server([refused])).send_sync([Event(name="x")] * 3)
    assert raised.value.ids == ["a", "b"]


def test_without_an_event_key_the_cloud_gets_nothing() -> None:
    server = Server()
    client = cloud_client(server, event_key=None)
    with pytest.raises(EventKeyUnspecifiedError, match="INNGEST_EVENT_KEY"):
        client.send_sync(Event(name="a"))
    with pytest.raises(EventKeyUnspecifiedError):
        asyncio.run(client.send(Event(name="a")))
    assert server.requests == []


# ---- bad events


class Odd:
    pass


def nested(depth: int) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    ("data", "why"),
    [
        ({"x": Odd()}, "Odd is not JSON serializable"),
        ({"x": float("nan")}, "not JSON"),
        ({"x": {1, 2}}, "set is not JSON serializable"),
        ({"x": b"bytes"}, "bytes is not JSON serializable"),
        ({"x": "\ud800"}, "not JSON"),
        ({("a", 1): 1}, "not JSON"),
        ({"x": nested(100_000)}, "not JSON"),
    ],
)
def test_data_that_is_not_json_is_refused_before_anything_is_sent(data: Any, why: str) -> None:
    server = Server()
    with pytest.raises(EventInvalidError, match=rf'(?s)events\[1\] "a/b": .*{why}'):
        client_of(server).send_sync([Event(name="a"), Event(name="a/b", data=data)])
    assert server.requests == []


def test_an_event_without_a_name_is_refused_before_anything_is_sent() -> None:
    server = Server()
    with pytest.raises(EventInvalidError, match=r"events\[0\]\.name"):
        client_of(server).send_sync(Event(name=""))
    assert server.requests == []


@pytest.mark.parametrize("events", [None, 5, "x", {"name": "a"}, [{"name": "a"}], [Event]])
def test_what_is_no_event_is_refused_by_position(events: Any) -> None:
    with pytest.raises(EventInvalidError, match="expected an Event"):
        client_of().send_sync(events)


def test_an_event_too_large_for_the_server_is_refused_by_name() -> None:
    server = Server()
    large = Event(name="big/one", data={"x": "y" * MAX_EVENT_BYTES})
    with pytest.raises(EventInvalidError, match=r'events\[1\] "big/one" has \d+ bytes'):
        client_of(server).send_sync([Event(name="a"), large])
    assert server.requests == []


# ---- ids that are known before


def numbered(request: HttpRequest) -> HttpResponse:
    """Accept all events under the ids that the seed makes, as a server does."""
    ms, entropy = parse_seed(request.headers[SEED]) or (0, b"")
    ids = [seeded_ulid(ms, entropy, index) for index in range(len(json.loads(request.body)))]
    return reply(200, {"ids": ids})


def test_a_seed_tells_the_ids_before_anything_is_sent() -> None:
    seed = EventSeed.new()
    events = [Event(name="a"), Event(name="b")]
    ids = seed.ids(2)
    assert client_of(Server(numbered)).send_sync(events, seed=seed) == ids
    assert asyncio.run(client_of(Server(numbered)).send(events, seed=seed)) == ids


def test_a_seed_tells_the_ids_of_a_list_that_is_split_too() -> None:
    server, seed = Server(numbered), EventSeed(1, b"\xff" * 10)
    ids = client_of(server).send_sync([Event(name="a") for _ in range(5001)], seed=seed)
    assert len(server.requests) == 2
    assert ids == seed.ids(5001)
    assert len(set(ids)) == 5001


def test_two_seeds_are_not_alike() -> None:
    assert EventSeed.new(1) != EventSeed.new(1)


# ---- splitting


def test_lists_above_5000_events_are_split_in_order() -> None:
    server = Server()
    events = [Event(name="a", data={"n": n}) for n in range(10_001)]
    ids = client_of(server).send_sync(events)
    assert [len(body) for body in server.bodies] == [5000, 5000, 1]
    assert [one["data"]["n"] for body in server.bodies for one in body] == list(range(10_001))
    assert len(ids) == 10_001
    assert len(set(seeds(server))) == 3, "each request has a seed of its own"


def test_lists_above_3_megabytes_are_split() -> None:
    server = Server()
    events = [Event(name="a", data={"x": "y" * 1_000_000}) for _ in range(7)]
    client_of(server).send_sync(events)
    assert [len(body) for body in server.bodies] == [3, 3, 1]
    assert all(len(request.body) <= MAX_EVENT_BYTES for request in server.requests)


@pytest.mark.parametrize("spare", [-1, 0, 1])
def test_a_split_counts_brackets_and_commas(spare: int, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server()
    client = client_of(server)
    client.send_sync([Event(name="a")] * 4)
    whole = len(server.requests[0].body)
    monkeypatch.setattr(sending, "MAX_EVENT_BYTES", whole + spare)
    server.requests.clear()
    client.send_sync([Event(name="a")] * 4)
    assert len(server.requests) == (2 if spare < 0 else 1)


def test_a_failure_in_a_later_part_tells_what_the_earlier_ones_brought() -> None:
    server = Server()

    def script(request: HttpRequest) -> HttpResponse:
        if len(server.requests) == 1:
            return accepted(request)
        return reply(400, {"error": "no", "ids": ["late", ""]})

    server.script = script
    with pytest.raises(SendEventsError) as raised:
        client_of(server).send_sync([Event(name="a")] * 6000)
    assert len(raised.value.ids) == 5001
    assert raised.value.ids[-1] == "late"


# ---- concurrency and middleware


def test_500_concurrent_sends_work() -> None:
    server = Server()
    client = client_of(server)

    async def many() -> list[list[str]]:
        return await asyncio.gather(*(client.send(Event(name=str(n))) for n in range(500)))

    assert asyncio.run(many()) == [["id-1"]] * 500
    assert len(set(seeds(server))) == 500


class Watching(Middleware):
    seen: list[Any]

    async def before_send_events(self, events: list[Event]) -> None:
        self.seen.append(("before", [event.name for event in events], self.raw_request))
        events[0].data = {"changed": True}
        events.append(Event(name="added"))

    async def after_send_events(self, result: Any) -> None:
        self.seen.append(("after", result.ids, result.error))


@pytest.fixture
def seen() -> list[Any]:
    Watching.seen = []
    return Watching.seen


def test_middleware_sees_and_changes_what_is_sent(seen: list[Any]) -> None:
    server = Server()
    client = client_of(server, middleware=[Watching])
    assert asyncio.run(client.send(Event(name="a"))) == ["id-1", "id-2"]
    assert [one["name"] for one in server.bodies[0]] == ["a", "added"]
    assert server.bodies[0][0]["data"] == {"changed": True}
    assert seen == [("before", ["a"], None), ("after", ["id-1", "id-2"], None)]


def test_middleware_sees_a_failure_too(seen: list[Any]) -> None:
    refused = reply(400, {"error": "no", "ids": ["a", ""]})
    client = client_of(Server([refused]), middleware=[Watching])
    with pytest.raises(SendEventsError):
        asyncio.run(client.send(Event(name="a")))
    assert seen[-1] == ("after", ["a"], "the server refused the events: no")


@pytest.mark.parametrize("kind", [Middleware, MiddlewareSync])
def test_middleware_may_change_the_headers_of_the_request(kind: Any) -> None:
    def stamp(headers: dict[str, str]) -> None:
        assert headers["x-inngest-sdk"].startswith("inngest-py:")
        headers["traceparent"] = "00-1"

    class Blocking(MiddlewareSync):
        def before_send_request(self, headers: dict[str, str]) -> None:
            stamp(headers)

    class Awaiting(Middleware):
        async def before_send_request(self, headers: dict[str, str]) -> None:
            stamp(headers)

    server = Server()
    client = client_of(server, middleware=[Awaiting if kind is Middleware else Blocking])
    asyncio.run(client.send([Event(name="x")] * 5001))
    assert [request.headers["traceparent"] for request in server.requests] == ["00-1"] * 2
    assert len(set(seeds(server))) == 2
    asyncio.run(client.send(Event(name="x"), skip_middleware=True))
    assert "traceparent" not in server.requests[2].headers


def test_middleware_can_be_skipped(seen: list[Any]) -> None:
    server = Server()
    client = client_of(server, middleware=[Watching])
    client.send_sync(Event(name="a"), skip_middleware=True)
    assert seen == []
    assert len(server.bodies[0]) == 1


def test_send_sync_with_async_middleware_raises_naming_it(seen: list[Any]) -> None:
    server = Server()
    client = client_of(server, middleware=[Watching])
    with pytest.raises(Exception, match=r"Watching\.before_send_events is async"):
        client.send_sync(Event(name="a"))
    assert server.requests == []


def test_what_a_middleware_makes_of_the_events_is_checked() -> None:
    class Spoiling(Middleware):
        async def before_send_events(self, events: list[Event]) -> None:
            events.append({"name": "a"})  # type: ignore[arg-type]  # the point

    server = Server()
    client = client_of(server, middleware=[Spoiling])
    with pytest.raises(EventInvalidError, match=r"events\[1\]: expected an Event, got dict"):
        asyncio.run(client.send(Event(name="a")))
    assert server.requests == []


def test_no_error_of_a_send_shows_the_key() -> None:
    for script in ([GONE], [reply(401, {"error": "Event key not found"})], [reply(500)]):
        with pytest.raises(SendEventsError) as raised:
            cloud_client(Server(script)).send_sync(Event(name="a"))  # type: ignore[arg-type]
        for shown in (repr(raised.value), repr(raised.value.__cause__)):
            assert EVENT_KEY not in shown
            assert json.dumps(shown)


@pytest.mark.parametrize("events", [{"name": "a"}, "a", b"a"])
def test_one_thing_that_is_no_event_is_named_itself(events: Any) -> None:
    with pytest.raises(EventInvalidError, match=f"or a list of them, got {type(events).__name__}"):
        sending.as_list(events)


# ---- sessions


def play_in_session(handler: Any, **options: Any) -> list[Any]:
    """The metas of the events that a function sends whose own event has sessions."""
    server = Server()
    client = client_of(server, **options)
    client.create_function(fn_id="f", trigger=TriggerEvent(event="a/b"))(handler(client))
    call = call_of("shop-f")
    doc = json.loads(call.body)
    doc["event"]["meta"] = {"sessions": {"order": "7"}}
    call.body = json.dumps(doc).encode()
    served(client).answer_sync(call)
    return [event.get("meta") for event in server.bodies[0]]


def in_a_step(client: Any) -> Any:
    return lambda ctx: ctx.step.send_event("s", Event(name="x"))


def in_the_function(client: Any) -> Any:
    return lambda ctx: client.send_sync(Event(name="x"))


def awaited(client: Any) -> Any:
    async def handler(ctx: Any) -> Any:
        return await client.send(Event(name="x"))

    return handler


@pytest.mark.parametrize("handler", [in_a_step, in_the_function, awaited])
def test_the_sessions_of_a_run_go_along_with_what_it_sends(handler: Any) -> None:
    assert play_in_session(handler) == [{"propagated_sessions": {"order": "7"}}]


def test_unless_they_are_told_not_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNGEST_SESSION_PROPAGATION", "0")
    assert play_in_session(in_a_step) == [None]


def test_those_of_an_event_itself_are_sent_beside_them() -> None:
    meta = {"sessions": {"order": None, "user": "ada"}}

    def handler(client: Any) -> Any:
        return lambda ctx: client.send_sync(Event(name="x", meta=meta))

    (sent,) = play_in_session(handler)
    assert sent == {**meta, "propagated_sessions": {"order": "7"}}


def test_outside_a_run_there_are_none() -> None:
    server = Server()
    client_of(server).send_sync(Event(name="x"))
    assert "meta" not in server.bodies[0][0]
