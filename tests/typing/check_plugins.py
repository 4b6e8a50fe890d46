"""What the type checker makes of plugins; mypy reads this file, nothing runs it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from typing_extensions import assert_type

import inngest_core as inngest
from inngest_core.plugin import (
    API_VERSION,
    AsyncTransport,
    BlockingTransport,
    Cipher,
    Config,
    HttpRequest,
    HttpResponse,
    Serializer,
    WebSocket,
    WebSocketTransport,
)

if TYPE_CHECKING:
    from inngest_core.plugin.frameworks import Adapter

    class Blocking:
        def send(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(200, {}, b"")

        def close(self) -> None: ...

    class Async:
        async def send(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(200, {}, b"")

        async def close(self) -> None: ...

    class Socket:
        async def send(self, data: bytes) -> None: ...

        async def receive(self) -> bytes | str:
            return b""

        async def close(self, code: int, reason: str) -> None: ...

    class Sockets:
        async def connect(self, url: str, *, subprotocol: str, timeout: float) -> Socket:
            return Socket()

    class Rot(Cipher):
        name = "rot"

        def encrypt(self, text: bytes) -> str:
            return text.decode()

        def decrypt(self, sealed: str) -> bytes:
            return sealed.encode()

    class Plugin:
        inngest_plugin_api = API_VERSION

        @inngest.hookimpl
        def inngest_transport(
            self, config: Config, kind: str
        ) -> BlockingTransport | AsyncTransport | WebSocketTransport | None:
            if kind == "websocket":
                return Sockets()
            return Blocking() if kind == "blocking" else Async()

        @inngest.hookimpl(tryfirst=True)
        def inngest_serializer(self, config: Config) -> Serializer | None:
            return inngest.PydanticSerializer()

        @inngest.hookimpl
        def inngest_cipher(self, config: Config) -> Cipher | None:
            return Rot() if config.options("rot") else None

        @inngest.hookimpl
        def inngest_middleware(self, config: Config) -> Sequence[object]:
            return [inngest.MiddlewareSync]

        @inngest.hookimpl
        def inngest_framework(self) -> inngest.Framework:
            return inngest.Framework(name="acme", version="1", serve="acme:serve")

    socket: WebSocket = Socket()
    inngest.Inngest(app_id="shop", plugins=[Plugin(), "audit"], options={"rot": {"by": 13}})
    assert_type(inngest.frameworks(), dict[str, Adapter])
    assert_type(inngest.framework("acme").describe(), inngest.Framework)
