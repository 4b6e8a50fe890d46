"""
Who may speak to a server that listens on this machine only.

A page in a browser can reach it too, so two doors are shut: a foreign name in the Host header (DNS
rebinding), and a request that changes something and comes from a page of another site. CORS is
granted to pages of this machine alone, never with `*`.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from inngest_contrib.devserver.api.replies import reply
from inngest_core.wire.names import Header, ServerKind

_LOCAL_NAMES = frozenset({"", "localhost", "host.docker.internal"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Guard:
    """ASGI middleware: refuse strangers, and say on every response which kind of server this is."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        allowed_hosts: Collection[str] = (),
        any_host: bool = False,
        kind: ServerKind = ServerKind.DEV,
    ) -> None:
        """`any_host` is for a server that was told to listen on more than the loopback."""
        self._app = app
        self._kind = kind
        self._allowed = frozenset(host.lower() for host in allowed_hosts)
        self._any_host = any_host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await self._guard_websocket(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers["origin"] if self._is_trusted(headers) else None

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                _mark(MutableHeaders(scope=message), self._kind, origin)
            await send(message)

        answer = self._refusal(scope["method"], headers) or _preflight(scope["method"], headers)
        await (answer or self._app)(scope, receive, send_marked)

    async def _guard_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Close a foreign one before it is open. It counts as a write: its page may send."""
        if self._refusal("POST", Headers(scope=scope)) is None:
            await self._app(scope, receive, send)
            return
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": ""})

    def _refusal(self, method: str, headers: Headers) -> Response | None:
        host = headers.get("host", "")
        if not self._any_host and not self._is_own_host(_name_of(f"//{host}")):
            return _refuse(
                f"The Host header names {host!r}, and this server answers to names of this "
                "machine only. If that name is yours, start it with --allow-host."
            )
        origin = headers.get("origin")
        if origin and method not in _READING and not self._is_trusted(headers):
            return _refuse(
                f"A page of {origin!r} may not change anything here. "
                "If that page is yours, start the server with --allow-host."
            )
        return None

    def _is_own_host(self, name: str | None) -> bool:
        # A name can be made to point here from elsewhere, an address cannot.
        return name is not None and (self._is_known(name) or _address(name) is not None)

    def _is_trusted(self, headers: Headers) -> bool:
        """Whether a request comes from a page of this machine, or of this very server."""
        origin = headers.get("origin")
        name = _name_of(origin) if origin else None
        if not name:
            return False
        address = _address(name)
        loopback = address is not None and address.is_loopback
        return loopback or self._is_known(name) or name == _name_of(f"//{headers.get('host', '')}")

    def _is_known(self, name: str) -> bool:
        return name in _LOCAL_NAMES or name.endswith(".localhost") or name in self._allowed


def _name_of(url: str) -> str | None:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return None


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _refuse(reason: str) -> Response:
    return reply({"error": reason, "data": None, "status": 403}, 403)


def _preflight(method: str, headers: Headers) -> Response | None:
    if method != "OPTIONS" or "access-control-request-method" not in headers:
        return None
    allowed = {
        "access-control-allow-methods": headers["access-control-request-method"],
        "access-control-allow-headers": headers.get("access-control-request-headers", ""),
    }
    return Response(status_code=200, headers=allowed)


def _mark(headers: MutableHeaders, kind: ServerKind, origin: str | None) -> None:
    headers[Header.SERVER_KIND] = kind.value
    headers["vary"] = "Origin"
    if origin:
        headers["access-control-allow-origin"] = origin
