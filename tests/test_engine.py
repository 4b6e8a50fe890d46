"""What a client runs with: threads and loops made once, given back, and made anew after a fork."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

import inngest_core as inngest
from inngest_core.wire.http import HttpRequest, HttpResponse

from .flow.wiring import accepted
from .support import ANY, endpoint, new_client, post

EVENT = inngest.Event(name="a/b")


class Noting:
    """A plugin whose async transport notes on which loop it is used and closed."""

    def __init__(self) -> None:
        self.used: list[Any] = []
        self.closed: list[Any] = []

    @inngest.hookimpl
    def inngest_transport(self, kind: str) -> Any:
        return self if kind == "async" else None

    async def send(self, request: HttpRequest) -> HttpResponse:
        self.used.append(asyncio.get_running_loop())
        return accepted(request)

    async def close(self) -> None:
        await asyncio.sleep(0)
        self.closed.append(asyncio.get_running_loop())


async def sending(ctx: Any) -> Any:
    return await ctx.step.send_event("send", EVENT)


def client_on(noting: Noting) -> tuple[inngest.Inngest, inngest.CommHandler]:
    client = new_client(plugins=[noting])
    return client, endpoint(sending, client=client)


# ---- the end


def test_close_gives_back_what_was_opened_on_the_background_loop() -> None:
    noting = Noting()
    client, door = client_on(noting)
    assert door.answer_sync(post()).status == 206
    client.close()
    assert noting.closed == noting.used
    assert noting.used[0].is_closed()
    client.close()
    assert len(noting.closed) == 1


def test_aclose_gives_back_what_was_opened_on_either_loop() -> None:
    noting = Noting()
    client, door = client_on(noting)

    async def both() -> None:
        await client.send(EVENT)
        await asyncio.to_thread(door.answer_sync, post())
        await client.aclose()

    asyncio.run(both())
    assert len(set(noting.used)) == 2
    assert set(noting.closed) == set(noting.used)


def test_a_client_that_was_closed_runs_async_functions_again() -> None:
    noting = Noting()
    client, door = client_on(noting)
    for _ in range(2):
        assert door.answer_sync(post()).status == 206
        client.close()
    assert len(set(noting.used)) == 2
    assert noting.closed == noting.used


def test_a_function_on_the_background_loop_may_close_its_client() -> None:
    async def handler(ctx: Any) -> None:
        client.close()

    client = new_client()
    door = endpoint(handler, client=client)
    assert door.answer_sync(post()).body == b"null"


def test_no_thread_is_left_of_a_client_that_was_closed() -> None:
    before = set(threading.enumerate())
    client, door = client_on(Noting())
    door.answer_sync(post())
    (made,) = set(threading.enumerate()) - before
    client.close()
    assert not made.is_alive()


# ---- threads


@pytest.mark.parametrize("way", ["option", "variable"])
def test_blocking_functions_on_a_loop_share_as_many_threads_as_were_asked_for(
    way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if way == "variable":
        monkeypatch.setenv("INNGEST_THREAD_POOL_MAX_WORKERS", "2")
    client = new_client(thread_pool_size=2 if way == "option" else None)
    two = threading.Barrier(2, timeout=5)
    used: list[str] = []

    def handler(ctx: Any) -> None:
        used.append(threading.current_thread().name)
        two.wait()

    door = endpoint(handler, client=client)

    async def asking() -> list[int]:
        replies = await asyncio.gather(*(door.answer(post()) for _ in range(6)))
        return [reply.status for reply in replies]

    assert asyncio.run(asking()) == [200] * 6
    assert len(set(used)) == 2
    client.close()


def test_a_client_may_be_used_first_by_many_threads_at_once() -> None:
    client, door = client_on(noting := Noting())
    with ThreadPoolExecutor(8) as threads:
        replies = list(threads.map(door.answer_sync, [post()] * 16))
    assert {reply.status for reply in replies} == {206}
    assert len(set(noting.used)) == 1
    client.close()


# ---- forks


class EventApi(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        events = json.loads(self.rfile.read(int(self.headers["content-length"])))
        content = json.dumps({"ids": ["id"] * len(events), "status": 200}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args: Any) -> None: ...


@pytest.fixture
def event_api() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), EventApi)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


def use(origin: str, loop: str) -> None:
    """Use a client in every way, before a fork and after it, in parent and children."""
    if loop == "uvloop":
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    client = new_client(event_api_base_url=origin)

    @client.create_function(fn_id="async", trigger=ANY)
    async def awaiting(ctx: inngest.Context) -> list[str]:
        return await client.send(EVENT)

    @client.create_function(fn_id="sync", trigger=ANY)
    def blocking(ctx: inngest.ContextSync) -> list[str]:
        return client.send_sync(EVENT)

    door = inngest.CommHandler(client=client, framework="test")

    def in_every_way() -> bool:
        async def on_a_loop() -> list[Any]:
            reply = await door.answer(post(fn_id="app-sync"))
            return [await client.send(EVENT), json.loads(reply.body)]

        reply = door.answer_sync(post(fn_id="app-async"))
        found = [client.send_sync(EVENT), json.loads(reply.body), *asyncio.run(on_a_loop())]
        return found == [["id"]] * 4

    def child(close_first: bool) -> int:
        if close_first:
            client.close()
        fine = in_every_way()
        client.close()
        return 0 if fine and in_every_way() else 1

    assert in_every_way()
    for close_first in (False, True):
        pid = os.fork()
        if pid == 0:
            os._exit(child(close_first))
        assert os.waitpid(pid, 0)[1] == 0
    assert in_every_way()
    client.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
def test_a_client_that_was_used_before_a_fork_works_on_both_sides_of_it(
    event_api: str, loop: str
) -> None:
    if loop == "uvloop":
        pytest.importorskip("uvloop")
    root = str(Path(__file__).parent.parent)
    program = "import sys; from tests.test_engine import use; use(*sys.argv[1:])"
    arguments = [sys.executable, "-W", "ignore", "-c", program, event_api, loop]
    ended = subprocess.run(
        arguments, cwd=root, capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stderr) == (0, "")
