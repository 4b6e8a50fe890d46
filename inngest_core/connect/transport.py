"""
What carries frames: the default transport of websockets.

It is on the websockets library, and a plugin like any other, asked last. The library is
imported at the first connection.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, SocketClosedError, TransportError
from ..plugin.types import hookimpl
from ..wire.register import SDK_NAME

if TYPE_CHECKING:
    from websockets.asyncio.client import ClientConnection

MAX_FRAME_BYTES = 64 * 1024 * 1024
"""More than the state of any run."""
CLOSE_SECONDS = 1.0


class WebsocketsTransport:
    """Websockets of the library of that name; ConfigError where it is not installed."""

    def __init__(self) -> None:
        # Before the first connection: one that cannot be made is tried for ever.
        if find_spec("websockets") is None:
            raise missing("websockets")

    async def connect(self, url: str, *, subprotocol: str, timeout: float) -> LibrarySocket:
        import asyncio

        from websockets.asyncio.client import connect
        from websockets.exceptions import WebSocketException
        from websockets.typing import Subprotocol

        try:
            socket = await connect(
                url,
                subprotocols=[Subprotocol(subprotocol)],
                user_agent_header=SDK_NAME,
                open_timeout=timeout,
                close_timeout=CLOSE_SECONDS,
                # Heartbeats of our own see to that.
                ping_interval=None,
                max_size=MAX_FRAME_BYTES,
                # What is sent is small, or JSON for one reader: not worth the time and the memory.
                compression=None,
            )
        except (OSError, asyncio.TimeoutError, WebSocketException, ValueError) as error:
            detail = str(error) or type(error).__name__
            raise TransportError(f"no websocket at {_origin(url)}: {detail}") from error
        return LibrarySocket(socket)


class LibrarySocket:
    """A websocket of the library."""

    def __init__(self, socket: ClientConnection) -> None:
        from websockets.exceptions import ConnectionClosed

        self._socket = socket
        self._closed = ConnectionClosed

    async def send(self, data: bytes) -> None:
        try:
            await self._socket.send(data)
        except self._closed as error:
            raise _closed(error) from error

    async def receive(self) -> bytes | str:
        try:
            return await self._socket.recv()
        except self._closed as error:
            raise _closed(error) from error

    async def close(self, code: int, reason: str) -> None:
        import asyncio

        try:
            await asyncio.wait_for(self._socket.close(code, reason), 2 * CLOSE_SECONDS)
        except asyncio.TimeoutError:
            pass
        finally:
            self._socket.transport.abort()


def missing(name: str) -> ConfigError:
    """The error of an installation without the extra."""
    return ConfigError(
        f"connect needs {name}, which is not installed; install the extra: "
        "pip install 'inngest-core[connect]'"
    )


def _closed(error: Any) -> SocketClosedError:
    received = error.rcvd
    if received is None:
        return SocketClosedError("the connection broke")
    return SocketClosedError(f"the gateway closed it, {received.code} {received.reason}".rstrip())


def _origin(url: str) -> str:
    return "/".join(url.split("/", 3)[:3])


@hookimpl(trylast=True)
def inngest_transport(config: Any, kind: str) -> WebsocketsTransport | None:
    """The transport of a client whose plugins offer no other."""
    return WebsocketsTransport() if kind == "websocket" else None
