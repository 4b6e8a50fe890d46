"""
How a worker is, over HTTP: for those who must know whether it lives and is connected.

A request for anything is answered with one JSON object: status 200 while the worker is connected
or closing, 503 while it is not.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from http import HTTPStatus

from ..errors import ConfigError
from ..execution.reply import dump
from .protocol import Snapshot
from .states import ConnectionState

HEAD_SECONDS = 5.0
MAX_HEAD_BYTES = 16 * 1024
_WELL = (ConnectionState.ACTIVE, ConnectionState.CLOSING)


class Health:
    """
    The endpoint. port: 0 takes a free one. url: where it is, once it is open.

    It answers from the thread of the connection, which functions cannot block.
    """

    def __init__(self, host: str, port: int) -> None:
        self.url: str | None = None
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None
        self._answering: set[asyncio.Task[None]] = set()

    async def open(self, snapshot: Callable[[], Snapshot]) -> None:
        """Answer from now on; ConfigError if the address is taken."""
        self._snapshot = snapshot
        try:
            self._server = await asyncio.start_server(
                self._accept, self._host, self._port, limit=MAX_HEAD_BYTES
            )
        except OSError as error:
            raise ConfigError(
                f"health_port: cannot listen on {self._host}:{self._port}: {error}"
            ) from error
        port = self._server.sockets[0].getsockname()[1]
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.url = f"http://{host}:{port}/"

    async def close(self) -> None:
        """Answer no more."""
        if self._server is None:
            return
        self._server.close()
        for task in self._answering:
            task.cancel()
        if self._answering:
            await asyncio.wait(self._answering)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._answer(reader, writer))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), HEAD_SECONDS)
            writer.write(_response(self._snapshot(), with_body=not head.startswith(b"HEAD ")))
            await asyncio.wait_for(writer.drain(), HEAD_SECONDS)
        except (
            OSError,
            asyncio.IncompleteReadError,
            asyncio.LimitOverrunError,
            asyncio.TimeoutError,
        ):
            # Whoever asked has gone, or speaks something else.
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


def _response(snapshot: Snapshot, *, with_body: bool) -> bytes:
    well = snapshot.state in _WELL
    status = HTTPStatus.OK if well else HTTPStatus.SERVICE_UNAVAILABLE
    body = dump(report(snapshot)).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}\r\n"
        "content-type: application/json\r\n"
        "cache-control: no-store\r\n"
        f"content-length: {len(body)}\r\n"
        "connection: close\r\n\r\n"
    ).encode()
    return head + body if with_body else head


def report(snapshot: Snapshot) -> dict[str, object]:
    """What is told of a worker."""
    age = snapshot.heartbeat_age
    return {
        "state": snapshot.state.value,
        "connection_id": snapshot.connection_id,
        "gateway_group": snapshot.gateway_group,
        "seconds_since_heartbeat": None if age is None else round(age, 3),
        "running": snapshot.running,
        "waiting": snapshot.waiting,
        "capacity": snapshot.capacity,
        "unacked_replies": snapshot.unacked,
    }
