"""What a worker tells of itself over HTTP."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any

import pytest

from inngest_core import ConfigError
from inngest_core.connect import ConnectionState, WorkerConnection, connect
from tests.connect.gateway import Gateway, until
from tests.connect.working import new_client, on_a_loop, serving, started, working


def ask(url: str, head: bytes = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n") -> tuple[int, bytes]:
    """Status and body of what a worker answers; blocks the loop, and it answers all the same."""
    host, _, port = url.removeprefix("http://").rstrip("/").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head)
        answer = b""
        while more := connection.recv(65536):
            answer += more
    top, _, body = answer.partition(b"\r\n\r\n")
    return int(top.split(b" ")[1]), body


def report(connection: WorkerConnection) -> tuple[int, dict[str, Any]]:
    assert connection.health_url is not None
    status, body = ask(connection.health_url)
    told: dict[str, Any] = json.loads(body)
    return status, told


@on_a_loop
async def test_an_active_worker_is_well_and_tells_what_it_does(gateway: Gateway) -> None:
    release = asyncio.Event()

    async def fn(ctx: Any) -> None:
        await release.wait()

    async with working(gateway, fn, health_port=0, max_worker_concurrency=2) as connection:
        for n in range(3):
            gateway.request(f"r{n}")
        await until(lambda: report(connection)[1]["waiting"])
        status, told = report(connection)
        release.set()
    assert status == 200
    assert told.pop("seconds_since_heartbeat") < 60
    assert told == {
        "state": "ACTIVE",
        "connection_id": "connection-1",
        "gateway_group": "group-1",
        "running": 2,
        "waiting": 1,
        "capacity": 2,
        "unacked_replies": 0,
    }


@on_a_loop
async def test_a_worker_without_a_connection_is_not_well(gateway: Gateway) -> None:
    gateway.start_statuses = [500] * 100
    connection = connect([(new_client(gateway), [])], health_port=0)
    async with started(connection):
        await until(lambda: connection.health_url)
        status, told = report(connection)
    assert (status, told["state"]) == (503, "CONNECTING")
    assert told["seconds_since_heartbeat"] is None


@on_a_loop
async def test_a_worker_answers_while_its_functions_block_the_loop(gateway: Gateway) -> None:
    told: list[Any] = []
    connection: list[WorkerConnection] = []

    async def blocks(ctx: Any) -> None:
        told.append(report(connection[0]))

    async with working(gateway, blocks, health_port=0) as made:
        connection.append(made)
        gateway.request("r1")
        await until(gateway.replies)
    assert (told[0][0], told[0][1]["running"]) == (200, 1)


@on_a_loop
async def test_a_closing_worker_is_well_until_it_is_gone(gateway: Gateway) -> None:
    release = asyncio.Event()

    async def fn(ctx: Any) -> None:
        await release.wait()

    async with working(gateway, fn, health_port=0) as connection:
        gateway.request("r1")
        await until(lambda: report(connection)[1]["running"])
        await connection.close()
        await until(lambda: report(connection)[1]["state"] == "CLOSING")
        assert report(connection)[0] == 200
        release.set()
        await connection.closed()
        assert connection.health_url is not None
        with pytest.raises(ConnectionRefusedError):
            ask(connection.health_url)


@on_a_loop
async def test_a_port_that_is_taken_is_named() -> None:
    with Gateway() as gateway, socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        client = new_client(gateway)
        connection = connect([(client, [serving(client, print)])], health_port=port)
        with pytest.raises(ConfigError, match=f"health_port: cannot listen on 127.0.0.1:{port}"):
            await connection.start()
        assert connection.get_state() is ConnectionState.CLOSED


@on_a_loop
async def test_head_has_no_body_and_nonsense_no_answer(gateway: Gateway) -> None:
    async with working(gateway, print, health_port=0) as connection:
        url = connection.health_url
        assert url is not None
        assert ask(url, b"HEAD / HTTP/1.1\r\n\r\n") == (200, b"")
        with pytest.raises(IndexError):
            ask(url, b"x" * 100_000)
        assert ask(url)[0] == 200
