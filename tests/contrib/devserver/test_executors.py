"""Calls to apps: over HTTP and in process. Whatever goes wrong becomes a failure in words."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from inngest_contrib.devserver.engine.commands import Call, CallFailed, Replied
from inngest_contrib.devserver.engine.limits import MAX_REPLY
from inngest_contrib.devserver.executors import Http, InProcess
from inngest_contrib.devserver.signatures import Signer
from inngest_core.wire.http import CommRequest, CommResponse
from inngest_core.wire.signing import verify

KEY = "signkey-test-0123456789abcdef0123456789abcdef"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def call(url: str, *, timeout: int = 5000, body: bytes = b"{}") -> Call:
    headers = {"content-type": "application/json", "x-run-id": "r", "user-agent": "Inngest"}
    return Call("job", "run", f"{url}?fnId=a-f&stepId=step", headers, body, timeout)


@asynccontextmanager
async def app(answer: Answer) -> AsyncIterator[str]:
    server = web.Server(answer)  # type: ignore[arg-type]  # it takes any request class
    runner = web.ServerRunner(server)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        yield f"http://127.0.0.1:{port}/api/inngest"
    finally:
        await runner.cleanup()


def post(
    answer: Answer, *, key: str | None = None, timeout: int = 5000
) -> tuple[Replied | CallFailed, list[web.Request]]:
    seen: list[web.Request] = []

    async def watched(request: web.Request) -> web.StreamResponse:
        seen.append(request)
        await request.read()
        return await answer(request)

    async def scenario() -> Replied | CallFailed:
        http = Http(Signer(key))
        async with app(watched) as url:
            try:
                return await http.call(call(url, timeout=timeout))
            finally:
                await http.close()

    return asyncio.run(scenario()), seen


async def ok(request: web.Request) -> web.Response:
    return web.Response(text='"done"', headers={"X-Inngest-Sdk": "demo:v1"})


def test_a_call_is_a_post_with_the_headers_given() -> None:
    outcome, (request,) = post(ok)
    assert isinstance(outcome, Replied)
    assert (outcome.status, outcome.body, outcome.headers["x-inngest-sdk"]) == (
        200,
        b'"done"',
        "demo:v1",
    )
    assert (request.method, request.query_string) == ("POST", "fnId=a-f&stepId=step")
    assert (request.headers["x-run-id"], request.headers["user-agent"]) == ("r", "Inngest")
    assert "x-inngest-signature" not in request.headers


def test_a_call_is_signed_over_its_bytes() -> None:
    _, (request,) = post(ok, key=KEY)
    signature = request.headers["x-inngest-signature"]
    stamp = float(signature.split("&")[0].removeprefix("t="))
    assert verify(signature, b"{}", [KEY], stamp) == KEY


def test_a_gzipped_reply_is_read() -> None:
    async def zipped(request: web.Request) -> web.Response:
        return web.Response(body=gzip.compress(b'{"z":1}'), headers={"Content-Encoding": "gzip"})

    outcome, _ = post(zipped)
    assert isinstance(outcome, Replied)
    assert outcome.body == b'{"z":1}'


def test_a_redirect_is_followed_with_post() -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        if request.path == "/moved":
            return await ok(request)
        return web.Response(status=302, headers={"Location": "/moved"})

    outcome, requests = post(elsewhere)
    assert isinstance(outcome, Replied)
    assert outcome.status == 200
    assert [(r.method, r.path) for r in requests] == [("POST", "/api/inngest"), ("POST", "/moved")]


def test_redirects_end() -> None:
    async def round_and_round(request: web.Request) -> web.Response:
        return web.Response(status=307, headers={"Location": "/again"})

    outcome, requests = post(round_and_round)
    assert isinstance(outcome, CallFailed)
    assert "stopped after 10 redirects" in outcome.error
    assert len(requests) == 11


def test_a_dropped_connection_is_a_failure() -> None:
    async def drop(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    outcome, _ = post(drop)
    assert isinstance(outcome, CallFailed)
    assert outcome.error.startswith("Unable to reach SDK URL")


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http://[bad", "ftp://x/", "no url"])
def test_an_address_that_cannot_be_reached_is_a_failure(url: str) -> None:
    async def scenario() -> Replied | CallFailed:
        http = Http(Signer(None))
        try:
            return await http.call(call(url))
        finally:
            await http.close()

    outcome = asyncio.run(scenario())
    assert isinstance(outcome, CallFailed)
    assert outcome.error.startswith("Unable to reach SDK URL")


def test_an_app_that_does_not_answer_is_a_failure() -> None:
    async def hang(request: web.Request) -> web.Response:
        await asyncio.sleep(0.3)
        return web.Response()

    outcome, _ = post(hang, timeout=50)
    assert isinstance(outcome, CallFailed)
    assert "did not answer within" in outcome.error


def test_an_endless_reply_is_cut_where_it_is_known_to_be_too_large() -> None:
    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            return response

    outcome, _ = post(flood)
    assert isinstance(outcome, Replied)
    assert MAX_REPLY < len(outcome.body) < MAX_REPLY + 2_000_000


class Local:
    """An app in this process."""

    def __init__(self) -> None:
        self.requests: list[CommRequest] = []

    async def answer(self, request: CommRequest) -> CommResponse:
        self.requests.append(request)
        if request.body == b"hang":
            await asyncio.sleep(0.3)
        if request.body == b"raise":
            raise ValueError("no")
        if request.body == b"stream":
            return CommResponse(201, {}, b"", _chunks())
        return CommResponse(200, {"x-inngest-sdk": "demo"}, b"1")


async def _chunks() -> AsyncIterator[bytes]:
    yield b"  "
    yield b'{"status":200}'


def call_locally(body: bytes, *, timeout: int = 5000) -> tuple[Replied | CallFailed, Local]:
    local = Local()
    inside = InProcess(Signer(None))
    inside.attach("http://in-process/api/inngest", local)
    made = call("http://in-process/api/inngest", body=body, timeout=timeout)
    assert inside.serves(made.url)
    assert not inside.serves("http://elsewhere/api/inngest")
    return asyncio.run(inside.call(made)), local


def test_in_process_the_handler_gets_what_a_request_would_bring() -> None:
    outcome, local = call_locally(b"{}")
    (request,) = local.requests
    assert outcome == Replied("job", 200, {"x-inngest-sdk": "demo"}, b"1")
    assert (request.method, request.query) == ("POST", {"fnId": "a-f", "stepId": "step"})


def test_in_process_a_stream_is_collected() -> None:
    outcome, _ = call_locally(b"stream")
    assert isinstance(outcome, Replied)
    assert (outcome.status, outcome.body) == (201, b'  {"status":200}')


def test_in_process_nothing_raises() -> None:
    outcome, _ = call_locally(b"raise")
    assert outcome == CallFailed("job", "the app in this process raised ValueError('no')")
    outcome, _ = call_locally(b"hang", timeout=20)
    assert isinstance(outcome, CallFailed)
    assert "did not answer" in outcome.error
