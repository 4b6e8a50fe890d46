"""Requests of functions over real sockets: what arrives, what is refused, what a failure tells."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp.resolver import ThreadedResolver

from inngest_contrib.devserver.engine.commands import Fetch, Fetched, FetchFailed
from inngest_contrib.devserver.engine.limits import MAX_STEP_OUTPUT
from inngest_contrib.devserver.instance import free_port
from inngest_contrib.devserver.outbound import Outbound, is_forbidden
from tests.contrib.devserver.live import Call, Reply, StandIn, stand_in
from tests.contrib.devserver.test_loop import App, all_ended, send, serving

SECRET = "sk-very-secret"


@pytest.fixture
def target() -> Iterator[StandIn]:
    def echo(call: Call) -> Reply:
        return Reply(201, {"method": call.method, "got": call.body.decode()})

    with stand_in(echo) as found:
        yield found


def at(target: StandIn, path: str) -> str:
    return target.url.replace("/api/inngest", path)


def make(
    url: str,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    body: bytes | None = None,
    *,
    timeout: int = 5000,
) -> Fetched | FetchFailed:
    async def once() -> Fetched | FetchFailed:
        outbound = Outbound()
        try:
            return await outbound.fetch(Fetch("id", method, url, headers or {}, body, timeout))
        finally:
            await outbound.close()

    return asyncio.run(once())


def succeed(*args: Any, **more: Any) -> Fetched:
    answer = make(*args, **more)
    assert isinstance(answer, Fetched), answer
    return answer


def fail(*args: Any, **more: Any) -> FetchFailed:
    answer = make(*args, **more)
    assert isinstance(answer, FetchFailed), answer
    return answer


def test_a_request_arrives_as_asked_for(target: StandIn) -> None:
    answer = succeed(at(target, "/x?a=%2F"), "POST", {"x-a": "1"}, b"hello")
    assert (answer.fetch_id, answer.status) == ("id", 201)
    assert answer.url == at(target, "/x?a=%2F")
    assert b'"got": "hello"' in answer.body
    (call,) = target.calls
    assert call.query == {"a": "/"}
    assert call.headers["x-a"] == "1"
    assert call.headers["user-agent"] == "Inngest"
    assert "content-type" not in call.headers


def test_every_status_is_an_answer(target: StandIn) -> None:
    target.answer = lambda call: Reply(503, raw=b"\xff")
    answer = succeed(at(target, "/x"))
    assert (answer.status, answer.body) == (503, b"\xff")


def test_a_compressed_body_is_unpacked(target: StandIn) -> None:
    packed = gzip.compress(b"hello")
    target.answer = lambda call: Reply(200, raw=packed, headers={"content-encoding": "gzip"})
    assert succeed(at(target, "/x")).body == b"hello"


def test_a_body_beyond_the_limit_is_refused(target: StandIn) -> None:
    bomb = gzip.compress(b"x" * (MAX_STEP_OUTPUT + 1))
    target.answer = lambda call: Reply(200, raw=bomb, headers={"content-encoding": "gzip"})
    failed = fail(at(target, "/x"))
    assert failed.final
    assert "larger than a step may return" in failed.error


def test_redirects_are_followed_as_a_browser_does(target: StandIn) -> None:
    def move(call: Call) -> Reply:
        if call.path == "/x":
            return Reply(int(call.query["s"]), headers={"location": "/y"})
        return Reply(200, call.method)

    target.answer = move
    target.on_put = move
    assert succeed(at(target, "/x?s=307"), "POST").body == b'"POST"'
    assert succeed(at(target, "/x?s=308"), "PUT").body == b'"PUT"'
    assert succeed(at(target, "/x?s=302"), "PUT").body == b'"PUT"'
    moved = succeed(at(target, "/x?s=302"), "POST", {"content-type": "a/b"}, b"body")
    assert (moved.body, moved.url) == (b'"GET"', at(target, "/y"))


def test_redirects_end(target: StandIn) -> None:
    target.answer = lambda call: Reply(307, headers={"location": "/x"})
    failed = fail(at(target, "/x"))
    assert failed.final
    assert "redirected more than 10 times" in failed.error


def test_a_redirect_to_another_server_gets_no_credentials(target: StandIn) -> None:
    with stand_in(lambda call: Reply(200)) as other:
        target.answer = lambda call: Reply(307, headers={"location": other.url})
        succeed(
            at(target, "/x"), "POST", {"authorization": SECRET, "x-api-key": SECRET, "x-a": "1"}
        )
        (call,) = other.calls
        assert SECRET not in call.headers.values()
        assert call.headers["x-a"] == "1"


def test_a_redirect_to_a_link_local_address_is_refused(target: StandIn) -> None:
    target.answer = lambda call: Reply(302, headers={"location": "http://169.254.169.254/latest"})
    failed = fail(at(target, "/x"))
    assert failed.final
    assert "169.254.169.254 is a link-local or cloud metadata address" in failed.error


@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254",
        "[fe80::1]",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[2002:a9fe:a9fe::]",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "①⑥⑨.254.169.254",
    ],
)
def test_addresses_that_give_away_credentials_are_refused(host: str) -> None:
    failed = fail(f"http://{host}/latest/meta-data")
    assert failed.final
    assert "not allowed" in failed.error


@pytest.mark.parametrize("host", ["2852039166", "0xa9fea9fe", "0251.0376.0251.0376"])
def test_other_ways_to_write_such_an_address_are_refused_too(host: str) -> None:
    assert fail(f"http://{host}/latest", timeout=2000).final


def test_a_name_that_leads_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    async def resolve(*args: Any, **more: Any) -> list[dict[str, Any]]:
        good, bad = (
            {"hostname": "x", "host": host, "port": 80, "family": socket.AF_INET, "proto": 0}
            for host in ("127.0.0.1", "169.254.169.254")
        )
        return [{**good, "flags": 0}, {**bad, "flags": 0}]

    monkeypatch.setattr(ThreadedResolver, "resolve", resolve)
    failed = fail("http://rebound.example/x")
    assert failed.final
    assert failed.error.startswith("rebound.example is a link-local")


def test_the_loopback_is_allowed() -> None:
    assert not is_forbidden("127.0.0.1")
    assert not is_forbidden("[::1]")
    assert not is_forbidden("10.0.0.1")
    assert not is_forbidden("example.com")


@pytest.mark.parametrize(
    "url", ["", "ftp://x/y", "file:///etc/passwd", "/x", "http://", "http://[", "http://x:bad/"]
)
def test_a_url_that_is_none_is_refused(url: str) -> None:
    failed = fail(url)
    assert failed.final
    assert "the URL" in failed.error


def test_nobody_there_is_told_by_the_place_alone() -> None:
    port = free_port()
    failed = fail(f"http://me:{SECRET}@127.0.0.1:{port}/{SECRET}?key={SECRET}")
    assert not failed.final
    assert failed.error.startswith(f"Unable to reach 127.0.0.1:{port}: Connect")
    assert SECRET not in failed.error


def test_a_name_that_does_not_exist_is_told() -> None:
    assert "Unable to reach nowhere.invalid:80: " in fail("http://nowhere.invalid/").error


def test_a_header_that_would_break_the_request_is_refused(target: StandIn) -> None:
    failed = fail(at(target, "/x"), "POST", {"x-a": f"1\r\nx-b: {SECRET}"})
    assert failed.final
    assert SECRET not in failed.error
    assert target.calls == []


def test_a_method_that_is_none_is_refused(target: StandIn) -> None:
    assert fail(at(target, "/x"), "GE T").final


def test_an_answer_that_takes_too_long_is_none(target: StandIn) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    with listener:
        failed = fail(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=100)
    assert not failed.final
    assert failed.error == "no answer within 0.1 s"


def test_a_request_that_outlasts_the_server_is_made_again_at_the_next_start(
    tmp_path: Path, target: StandIn
) -> None:
    arrived, waited_for = threading.Event(), threading.Event()

    def slowly(call: Call) -> Reply:
        arrived.set()
        waited_for.wait(10)
        return Reply(200, "slow and steady")

    async def answer(body: dict[str, Any]) -> tuple[int, Any]:
        if body["steps"]:
            return 200, json.loads(body["steps"]["g"]["data"]["body"])
        return 206, [{"id": "g", "op": "Gateway", "opts": {"url": at(target, "/x")}}]

    async def scenario() -> None:
        target.answer = slowly
        app, database = App(answer), str(tmp_path / "x.db")
        async with serving(app, database=database) as server:
            await send(server)
            await asyncio.to_thread(arrived.wait, 10)
            await server.stop(grace=0)
        waited_for.set()
        async with serving(app, database=database) as server:
            await all_ended(server)
            (run,) = server.reads.runs()
        assert (run.status, run.output) == ("COMPLETED", "slow and steady")
        assert [body["ctx"]["attempt"] for body in app.calls] == [0, 0, 0]
        assert len(target.calls) == 2

    asyncio.run(scenario())
