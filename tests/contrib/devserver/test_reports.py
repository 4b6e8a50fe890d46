"""Reports of functions in the server's process: from its loop, from threads, and too late."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from inngest_contrib.devserver.engine.commands import NewEvent, ReceiveEvents, SyncApp
from inngest_contrib.devserver.instance import free_port
from inngest_contrib.devserver.loop import Server, ServerConfig
from inngest_core.wire.http import CommRequest, CommResponse, HttpResponse
from tests.contrib.devserver.engine.desk import (
    HEADERS,
    URL,
    Equality,
    function,
    hashed,
    next_minute,
    run_op,
)
from tests.contrib.devserver.live import Call, Reply, eventually, stand_in


class App:
    """Lets a test do what it likes in a call, with the report of that call."""

    def __init__(self) -> None:
        self.called: asyncio.Future[CommRequest] = asyncio.get_running_loop().create_future()
        self.end = asyncio.Event()

    async def answer(self, request: CommRequest) -> CommResponse:
        self.called.set_result(request)
        await self.end.wait()
        return CommResponse(200, dict(HEADERS), b"null")


def report_of(request: CommRequest, step: str) -> bytes:
    ctx = json.loads(request.body)["ctx"]
    head = {key: ctx[key] for key in ("run_id", "qi_id", "generation_id")}
    return json.dumps({**head, "steps": [run_op(step)]}).encode()


async def begun() -> tuple[Server, App, CommRequest]:
    server = Server(ServerConfig(), expressions=Equality(), next_tick=next_minute)
    app = App()
    server.attach(URL, app)
    await server.start()
    await server.submit(SyncApp(name="app", url=URL, functions=[function("f")]))
    await server.submit(ReceiveEvents([NewEvent(name="f")]))
    return server, app, await app.called


def test_reports_of_one_round_of_the_loop_are_one_transaction() -> None:
    async def scenario() -> None:
        server, app, request = await begun()
        told: list[list[str]] = []
        server.watch(lambda records: told.append([record.TABLE for record in records]))
        assert request.report is not None
        reports = [request.report(report_of(request, f"s{n}")) for n in range(5)]
        assert [one.status for one in await asyncio.gather(*reports)] == [200] * 5
        assert told == [["steps"] * 5]
        app.end.set()
        await server.stop()

    asyncio.run(scenario())


def test_a_thread_and_another_loop_may_report() -> None:
    async def scenario() -> None:
        server, app, request = await begun()
        report = request.report
        assert report is not None

        async def elsewhere() -> HttpResponse:
            found: HttpResponse = await report(report_of(request, "b"))
            return found

        assert (await asyncio.to_thread(report, report_of(request, "a"))).status == 200
        assert (await asyncio.to_thread(asyncio.run, elsewhere())).status == 200
        refused = await asyncio.to_thread(report, b"{")
        assert (refused.status, json.loads(refused.body)["status"]) == (400, 400)
        app.end.set()
        await server.stop()

    asyncio.run(scenario())


def test_a_server_that_has_stopped_says_so() -> None:
    async def scenario() -> None:
        server, app, request = await begun()
        app.end.set()
        await server.stop()
        report = request.report
        assert report is not None
        body = report_of(request, "a")
        late: list[Any] = [await report(body), await asyncio.to_thread(report, body)]
        assert [one.status for one in late] == [503, 503]
        assert b"the server is not running" in late[0].body

    asyncio.run(scenario())


def test_a_thread_that_outlives_the_loop_is_told_so() -> None:
    async def main() -> CommRequest:
        server, app, request = await begun()
        app.end.set()
        await server.stop()
        return request

    request = asyncio.run(main())
    assert request.report is not None
    assert request.report(report_of(request, "a")).status == 503


# --- kill -9 -----------------------------------------------------------------------------------


@dataclass
class Asked:
    """A server, for a stand-in that registers."""

    http: httpx.Client


def start(port: int, database: Path) -> subprocess.Popen[str]:
    arguments = ["--port", str(port), "--db", str(database), "--no-poll", "--log-level", "error"]
    command = [sys.executable, "-m", "inngest_contrib.devserver", *arguments]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    assert "ready" in server.stdout.readline()
    return server


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    port = free_port()
    processes = [start(port, tmp_path / "dev.db")]
    calls: list[dict[str, Any]] = []
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=10) as http:

        def answer(call: Call) -> Reply:
            calls.append(call.json)
            if len(calls) > 1:
                return Reply(200, "done")
            head = {key: call.json["ctx"][key] for key in ("run_id", "qi_id", "generation_id")}
            for step in "ab":
                body = {**head, "steps": [run_op(step)]}
                address = f"/v1/checkpoint/{head['run_id']}/async"
                assert http.post(address, json=body).status_code == 200
            processes[0].send_signal(signal.SIGKILL)
            raise ConnectionAbortedError

        with stand_in(answer) as app:
            assert app.register(Asked(http), "app", app.function("app", "f")).is_success
            http.post("/e/k", json={"name": "app/f"}).raise_for_status()
            processes[0].wait(15)
            processes.append(start(port, tmp_path / "dev.db"))
            eventually(lambda: len(calls) == 2, what="the second call")
            processes[1].terminate()
            processes[1].wait(15)
    assert calls[1]["steps"] == {hashed("a"): {"data": 1}, hashed("b"): {"data": 1}}
    assert (calls[1]["ctx"]["attempt"], calls[1]["ctx"]["generation_id"]) == (0, 2)
