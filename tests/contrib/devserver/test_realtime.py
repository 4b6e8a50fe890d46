"""Realtime: tokens, publishing, and listening by websocket and server-sent events."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import httpx
import jwt
import pytest

from inngest_contrib.devserver.realtime import Envelope, Hub, Message, Topic, read_data
from inngest_contrib.devserver.tokens import BadToken, Tokens
from tests.contrib.devserver.live import Running, running

NEWS, OTHER = Topic("user:1", "news"), Topic("user:1", "other")
RUN = "01M81EES37G68XN3HKJP6X71B6"
KEY = "0123456789abcdef0123456789abcdef"


# --- the hub --------------------------------------------------------------------------------


def test_a_message_goes_to_those_who_listen_to_its_topic() -> None:
    async def scenario() -> None:
        hub = Hub()
        hub.publish(NEWS, Message("too early"))
        one, two = hub.join([NEWS]), hub.join([NEWS, OTHER])
        hub.publish(OTHER, Message("a"))
        hub.publish(NEWS, Message("b"))
        assert await one.next() == Message("b")
        assert [await two.next(), await two.next()] == [Message("a"), Message("b")]
        hub.leave(one)
        hub.publish(NEWS, Message("c"))
        assert await one.next() is None

    asyncio.run(scenario())


def test_who_waits_is_woken() -> None:
    async def scenario() -> None:
        hub = Hub()
        listener = hub.join([NEWS])
        waiting = asyncio.ensure_future(listener.next())
        await asyncio.sleep(0)
        hub.publish(NEWS, Message("a"))
        assert await waiting == Message("a")
        waiting = asyncio.ensure_future(listener.next())
        await asyncio.sleep(0)
        hub.close()
        assert await waiting is None

    asyncio.run(scenario())


def test_who_never_reads_is_let_go(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        hub = Hub()
        listener = hub.join([NEWS])
        for _ in range(17):
            hub.publish(NEWS, Message("x" * 1024 * 1024))
        assert await listener.next() is None

    asyncio.run(scenario())
    assert "reads too slowly" in caplog.text


@pytest.mark.parametrize(
    ("body", "data"),
    [
        (b'{"n":1}', {"n": 1}),
        (b"plain text", "plain text"),
        (b"", ""),
        (b"null", None),
        (b"NaN", "NaN"),
        (b"\xff", "\ufffd"),
        (b'{\n "n": 1\n}', {"n": 1}),
        (b"[" * 100_000, "[" * 100_000),
    ],
)
def test_what_is_published_is_json_or_a_text(body: bytes, data: Any) -> None:
    assert read_data(body) == data


def test_a_message_says_where_it_belongs() -> None:
    envelope = Envelope(NEWS, "2026-11-22T11:01:13Z", RUN, '{"a":1}')
    assert envelope.wrap("data", "a\nb").text == (
        '{"kind":"data","data":"a\\nb","metadata":{"a":1},"created_at":"2026-11-22T11:01:13Z",'
        '"channel":"user:1","env_id":"00000000-0000-4000-b000-000000000000","topic":"news",'
        f'"run_id":"{RUN}"}}'
    )
    bare = Envelope(NEWS, "now", "no ulid", "{broken").wrap("data", 1)
    assert json.loads(bare.text).keys() == {
        "kind",
        "data",
        "created_at",
        "channel",
        "env_id",
        "topic",
    }


# --- tokens ---------------------------------------------------------------------------------


def test_a_token_has_the_claims_that_clients_know() -> None:
    claims = jwt.decode(Tokens().issue([NEWS]), options={"verify_signature": False})
    assert claims["iss"] == "rt.inngest.com"
    assert claims["exp"] - claims["iat"] == 60
    assert claims["publish"] is False
    assert claims["topics"] == [
        {
            "kind": "run",
            "env_id": "00000000-0000-4000-b000-000000000000",
            "channel": "user:1",
            "name": "news",
        }
    ]


def test_a_token_is_read_by_who_issued_it_and_in_its_time() -> None:
    tokens = Tokens()
    assert tokens.read(tokens.issue([NEWS])) == [NEWS]
    for bad in (Tokens().issue([NEWS]), tokens.issue([NEWS], seconds=-5), "", "x", "a.b.c"):
        with pytest.raises(BadToken):
            tokens.read(bad)


def test_a_token_without_a_signature_is_none() -> None:
    tokens = Tokens()
    claims = jwt.decode(tokens.issue([NEWS]), options={"verify_signature": False})
    with pytest.raises(BadToken):
        tokens.read(jwt.encode(claims, "", algorithm="none"))


# --- over HTTP ------------------------------------------------------------------------------


def token(server: Running, *topics: tuple[str, str]) -> str:
    wished = [{"channel": channel, "name": name, "kind": "run"} for channel, name in topics]
    response = server.http.post("/v1/realtime/token", json=wished)
    assert response.status_code == 201
    return str(response.json()["jwt"])


def publish(server: Running, data: Any, channel: str, topic: str, **more: str) -> httpx.Response:
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    params = {"channel": channel, "topic": topic, **more}
    return server.http.post("/v1/realtime/publish", params=params, content=body)


@contextmanager
def events(server: Running, key: str) -> Iterator[Iterator[str]]:
    """Listen to server-sent events; gives their lines."""
    with server.http.stream("GET", "/v1/realtime/sse", params={"token": key}) as response:
        assert response.status_code == 200
        lines = response.iter_lines()
        assert [next(lines), next(lines)] == [":", ""]
        yield lines


def data_of(lines: Iterator[str]) -> Any:
    line = next(lines)
    assert line.startswith("data: "), line
    assert next(lines) == ""
    return json.loads(line.removeprefix("data: "))


def by_websocket(
    server: Running,
    scenario: Callable[[Any, Callable[..., Awaitable[Any]]], Awaitable[None]],
    key: str,
    **headers: str,
) -> None:
    """Connect, and play a scenario; `ask` lets it do something blocking meanwhile."""

    async def ask(function: Callable[..., Any], *args: Any) -> Any:
        return await asyncio.to_thread(function, *args)

    async def play() -> None:
        params = {"token": key} if key else {}
        url = f"{server.url}/v1/realtime/connect"
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as session,
            session.ws_connect(url, params=params, headers=headers) as socket,
        ):
            await scenario(socket, ask)

    asyncio.run(play())


def test_a_browser_may_listen_to_events_of_a_channel(server: Running) -> None:
    with events(server, token(server, ("sse", "a"), ("sse", "b"))) as lines:
        assert publish(server, {"n": 1}, "sse", "a", run_id=RUN).status_code == 200
        publish(server, {"n": 2}, "sse", "c")
        publish(server, b"text", "sse", "b")
        first, second = data_of(lines), data_of(lines)
    assert (first["kind"], first["data"], first["run_id"]) == ("data", {"n": 1}, RUN)
    assert (first["channel"], first["topic"]) == ("sse", "a")
    assert (second["data"], second["topic"]) == ("text", "b")


def test_a_stream_of_events_is_open_to_any_page(server: Running) -> None:
    params = {"token": token(server)}
    headers = {"origin": "https://elsewhere.example"}
    with server.http.stream("GET", "/v1/realtime/sse", params=params, headers=headers) as response:
        assert response.headers["access-control-allow-origin"] == "*"
        assert response.headers["content-type"] == "text/event-stream"


def test_only_the_first_topic_counts(server: Running) -> None:
    with events(server, token(server, ("first", "a"), ("first", "b"))) as lines:
        server.http.post("/v1/realtime/publish?channel=first&topic=b&topic=a", content=b"1")
        assert data_of(lines)["topic"] == "b"


def test_what_nobody_hears_is_well_received(server: Running) -> None:
    for url in ("?channel=nobody&topic=x", "?channel=&topic=", ""):
        response = server.http.post(f"/v1/realtime/publish{url}", content=b"1")
        assert (response.status_code, response.content) == (200, b"")


def test_a_message_beyond_the_limit_is_cut(server: Running) -> None:
    with events(server, token(server, ("big", "a"))) as lines:
        publish(server, "y" * 600_000, "big", "a")
        assert data_of(lines)["data"] == '"' + "y" * (512 * 1024 - 1)


def test_a_stream_is_handed_on_in_pieces(server: Running) -> None:
    with events(server, token(server, ("pieces", "a"))) as lines:
        text = "ä" * 3000
        server.http.post(
            "/v1/realtime/publish?channel=pieces&topic=a",
            content=text.encode(),
            headers={"content-type": "text/stream; charset=utf-8"},
        )
        start = data_of(lines)
        chunks = []
        while (message := data_of(lines))["kind"] == "chunk":
            chunks.append(message)
    assert start["kind"] == "datastream-start"
    assert "".join(piece["data"] for piece in chunks) == text
    assert {piece["stream_id"] for piece in chunks} == {start["data"]}
    assert max(len(piece["data"].encode()) for piece in chunks) <= 1025
    assert (message["kind"], message["data"]) == ("datastream-end", start["data"])


def test_a_piece_is_handed_on_before_the_stream_has_ended(server: Running) -> None:
    heard = threading.Event()

    def slowly() -> Iterator[bytes]:
        yield b"one"
        assert heard.wait(10)
        yield b"two"

    def send() -> None:
        url = f"{server.url}/v1/realtime/publish?channel=slow&topic=a"
        httpx.post(url, content=slowly(), headers={"content-type": "text/stream"}, timeout=15)

    with events(server, token(server, ("slow", "a"))) as lines:
        sending = threading.Thread(target=send)
        sending.start()
        data_of(lines)
        assert data_of(lines)["data"] == "one"
        heard.set()
        assert data_of(lines)["data"] == "two"
        sending.join()


def test_the_output_of_a_run_is_handed_on_as_it_is(server: Running) -> None:
    url = "/v1/realtime/publish/tee"
    with events(server, token(server, (RUN, "$stream"))) as lines:
        server.http.post(url, params={"channel": RUN}, content=b"event: x\ndata: 1\n\n")
        assert [next(lines), next(lines), next(lines)] == ["event: x", "data: 1", ""]
    nowhere = server.http.post(url, content=b"zz")
    assert (nowhere.status_code, nowhere.text) == (400, "channel query parameter required\n")


@pytest.mark.parametrize("body", [b'{"a":1}', b"junk", b"", b"[1]", b'[{"channel":1,"name":""}]'])
def test_a_token_is_for_a_list_of_topics(server: Running, body: bytes) -> None:
    response = server.http.post("/v1/realtime/token", content=body)
    assert response.status_code == 400
    assert "must provide a list of topics" in response.json()["error"]


def test_a_token_to_listen_is_none_to_publish(server: Running) -> None:
    url = "/v1/realtime/publish?channel=x&topic=y"
    for key, status in ((token(server), 401), ("garbage", 200)):
        response = server.http.post(url, headers={"authorization": f"Bearer {key}"})
        assert response.status_code == status
    assert (
        "Not authenticated for publishing"
        in server.http.post(
            "/v1/realtime/publish/tee?channel=x",
            headers={"authorization": f"bearer {token(server)}"},
        ).text
    )


@pytest.mark.parametrize("query", ["", "?token=x"])
def test_without_a_token_there_is_nothing_to_hear(server: Running, query: str) -> None:
    response = server.http.get(f"/v1/realtime/sse{query}")
    assert response.status_code == 401
    assert response.json() == {"error": "Not authenticated", "data": None, "status": 401}


def test_methods_and_upgrades_are_told(server: Running) -> None:
    assert server.http.get("/v1/realtime/publish").status_code == 405
    assert server.http.get("/v1/realtime/connect").status_code == 426
    assert server.http.head(f"/v1/realtime/sse?token={token(server)}").status_code == 200


# --- by websocket ---------------------------------------------------------------------------


def test_a_websocket_hears_its_topics(server: Running) -> None:
    async def scenario(socket: Any, ask: Any) -> None:
        await ask(publish, server, {"n": 1}, "ws", "a")
        await ask(publish, server, {"n": 2}, "ws", "b")
        await ask(publish, server, {"n": 3}, "ws", "a")
        assert [(await socket.receive_json())["data"] for _ in range(2)] == [{"n": 1}, {"n": 3}]

    by_websocket(server, scenario, token(server, ("ws", "a")))


def test_a_websocket_may_bring_its_token_as_a_header(server: Running) -> None:
    async def scenario(socket: Any, ask: Any) -> None:
        await ask(publish, server, 1, "head", "a")
        assert (await socket.receive_json())["data"] == 1

    by_websocket(server, scenario, "", authorization=f"Bearer {token(server, ('head', 'a'))}")


def test_topics_come_and_go(server: Running) -> None:
    async def scenario(socket: Any, ask: Any) -> None:
        for junk in ("junk", "[]", '{"kind":"sub","data":"x"}', '{"kind":"unsub","data":[1]}', "3"):
            await socket.send_str(junk)
        await socket.send_bytes(b"\xff")
        more = await ask(token, server, ("later", "b"))
        await socket.send_json({"kind": "sub", "data": more})
        while True:
            await ask(publish, server, "again", "later", "b")
            try:
                message = await asyncio.wait_for(socket.receive_json(), 0.2)
            except asyncio.TimeoutError:
                continue
            break
        assert message["topic"] == "b"
        gone = {"kind": "run", "channel": "later", "name": "b", "env_id": "x"}
        await socket.send_json({"kind": "unsub", "data": [gone]})
        while message["data"] == "again":
            await ask(publish, server, "again", "later", "b")
            await ask(publish, server, "end", "later", "a")
            messages = [await socket.receive_json()]
            while messages[-1]["data"] != "end":
                messages.append(await socket.receive_json())
            message = messages[0]

    by_websocket(server, scenario, token(server, ("later", "a")))


def test_a_websocket_without_a_token_is_refused(
    server: Running, caplog: pytest.LogCaptureFixture
) -> None:
    async def never(socket: Any, ask: Any) -> None:
        raise AssertionError("it was let in")

    for key in ("", "bad"):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            by_websocket(server, never, key)
        assert refused.value.status == 401
    assert "handshake" not in caplog.text


def test_a_websocket_of_a_foreign_name_is_refused(server: Running) -> None:
    async def never(socket: Any, ask: Any) -> None:
        raise AssertionError("it was let in")

    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        by_websocket(server, never, token(server), host="rebound.example")
    assert refused.value.status == 403


def test_the_end_of_the_server_is_the_end_of_listening() -> None:
    with running() as server:
        client = httpx.Client(base_url=server.url, timeout=10)
        with client.stream(
            "GET", "/v1/realtime/sse", params={"token": token(server, ("end", "a"))}
        ) as response:
            lines = response.iter_lines()
            assert next(lines) == ":"
            server.stop()
            assert list(lines) == [""]
        client.close()


# --- tokens to publish with, restarts and the end ---------------------------------------------


def issued(server: Running, *topics: Topic, publish: bool = False) -> str:
    body = [{"channel": topic.channel, "name": topic.name} for topic in topics]
    path = f"/v1/realtime/token{'?publish=true' if publish else ''}"
    headers = {"authorization": f"Bearer {KEY}"}
    return str(server.http.post(path, json=body, headers=headers).json()["jwt"])


@pytest.mark.parametrize(
    ("topics", "publish", "status"),
    [([NEWS], True, 200), ([], True, 200), ([OTHER], True, 401), ([NEWS], False, 401)],
)
def test_a_token_to_publish_with_is_good_for_its_topics_also_on_a_server_with_keys(
    topics: list[Topic], publish: bool, status: int
) -> None:
    with running(signing_key=KEY, event_keys=("k",)) as server:
        token = issued(server, *topics, publish=publish)
        response = server.http.post(
            f"/v1/realtime/publish?channel={NEWS.channel}&topic={NEWS.name}",
            json={"n": 1},
            headers={"authorization": f"Bearer {token}"},
        )
        assert response.status_code == status
        # It opens nothing else.
        refused = server.http.get("/v1/events", headers={"authorization": f"Bearer {token}"})
        assert refused.status_code == 401


def test_tokens_outlive_a_restart_on_the_same_file(tmp_path: Path) -> None:
    database = str(tmp_path / "dev.db")
    with running(database=database) as server:
        token = issued(server, NEWS)
    with running(database=database) as server:
        path = "/v1/realtime/sse"
        assert server.http.head(path, params={"token": token}).status_code == 200
    with running(database=str(tmp_path / "other.db")) as server:
        assert server.http.head(path, params={"token": token}).status_code == 401


def test_a_server_that_ends_lets_listeners_go_without_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with running() as server:
        token = issued(server, NEWS)
        listener = httpx.Client(base_url=server.url, timeout=20, trust_env=False)
        stream = listener.stream("GET", "/v1/realtime/sse", params={"token": token})
        messages = stream.__enter__()
        lines = messages.iter_lines()
        assert next(lines) == ":"
    assert [line for line in lines if line] == []
    stream.__exit__(None, None, None)
    listener.close()
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]
