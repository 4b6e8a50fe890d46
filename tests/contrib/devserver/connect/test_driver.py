"""The sockets around the rules: a worker that does not read, and an end that leaves nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from inngest_contrib.devserver.connect import driver
from inngest_contrib.devserver.connect.driver import Workers
from inngest_contrib.devserver.connect.messages import decode, encode
from inngest_contrib.devserver.connect.times import Times
from inngest_contrib.devserver.engine.commands import Command, SyncApp, Synced
from inngest_contrib.devserver.loop import ServerStopped
from inngest_core.connect import connect_pb2 as pb
from tests.contrib.devserver.connect.rig import introduction


class Host:
    """A server that takes everything, or nothing any more."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.stopped = False

    async def submit(self, command: Command) -> Any:
        if self.stopped:
            raise ServerStopped("the server is not running")
        self.commands.append(command)
        return Synced("app-id", "sync-id", True) if isinstance(command, SyncApp) else None

    def post(self, command: Command) -> None:
        self.commands.append(command)


class Socket:
    """A socket whose other end may stop reading."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.kinds: asyncio.Queue[int] = asyncio.Queue()
        self.reads = asyncio.Event()
        self.reads.set()
        self.closed: tuple[int, str] | None = None

    async def receive(self) -> bytes | None:
        return await self.incoming.get()

    async def send(self, data: bytes) -> None:
        await self.reads.wait()
        self.kinds.put_nowait(decode(data)[0])

    async def close(self, code: int, reason: str) -> None:
        await self.reads.wait()
        self.closed = code, reason

    async def expect(self, kind: int) -> None:
        assert await asyncio.wait_for(self.kinds.get(), 15) == kind


def workers_of(host: Host, **times: int) -> Workers:
    return Workers(host, problem_of=lambda text: None, kind="dev", times=Times(**times))


async def connected(workers: Workers, socket: Socket) -> asyncio.Task[None]:
    serving = asyncio.create_task(workers.serve(socket))
    await socket.expect(pb.GATEWAY_HELLO)
    said = introduction("app", token=workers.sessions.issue())
    socket.incoming.put_nowait(encode(pb.WORKER_CONNECT, said))
    await socket.expect(pb.GATEWAY_CONNECTION_READY)
    return serving


def test_an_end_leaves_no_task_behind() -> None:
    async def scenario() -> None:
        workers, sockets = workers_of(Host()), [Socket(), Socket()]
        serving = [await connected(workers, socket) for socket in sockets]
        await workers.close()
        await asyncio.gather(*serving)
        assert [one.closed for one in sockets] == [(1001, "connect_gateway_closing")] * 2
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scenario())


def test_a_worker_that_does_not_read_holds_up_neither_the_end_nor_others(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(driver, "_GOODBYE", 0.05)

    async def scenario() -> None:
        workers, deaf, other = workers_of(Host()), Socket(), Socket()
        serving = [await connected(workers, deaf), await connected(workers, other)]
        deaf.reads.clear()
        for socket in (deaf, other):
            socket.incoming.put_nowait(encode(pb.WORKER_HEARTBEAT))
        await other.expect(pb.GATEWAY_HEARTBEAT)
        await workers.close()
        await asyncio.gather(*serving)
        assert (deaf.closed, other.closed) == (None, (1001, "connect_gateway_closing"))

    asyncio.run(scenario())


def test_time_passes_by_itself() -> None:
    async def scenario() -> None:
        workers, socket = workers_of(Host(), heartbeat=10), Socket()
        await (await connected(workers, socket))
        assert socket.closed == (1011, "connect_worker_heartbeats_missed")

    asyncio.run(scenario())


def test_a_worker_whose_apps_cannot_be_stored_may_come_back() -> None:
    async def scenario() -> None:
        host, socket = Host(), Socket()
        workers = workers_of(host)
        serving = asyncio.create_task(workers.serve(socket))
        await socket.expect(pb.GATEWAY_HELLO)
        host.stopped = True
        said = introduction("app", token=workers.sessions.issue())
        socket.incoming.put_nowait(encode(pb.WORKER_CONNECT, said))
        await serving
        assert socket.closed == (1001, "connect_gateway_closing")

    asyncio.run(scenario())


def test_a_socket_that_breaks_is_forgotten() -> None:
    async def scenario() -> None:
        workers, socket = workers_of(Host()), Socket()
        serving = await connected(workers, socket)
        assert len(list(workers.gateway.connections)) == 1
        socket.incoming.put_nowait(None)
        await serving
        assert list(workers.gateway.connections) == []

    asyncio.run(scenario())
