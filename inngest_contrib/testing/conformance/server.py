"""
A client whose Inngest server is a list: what it sends is recorded, and answered at once.

The transport comes in by the hook that any plugin has, so there is no network.
"""

from __future__ import annotations

import json
import threading
from typing import Any

from inngest_core import Inngest, hookimpl
from inngest_core.wire.http import HttpRequest, HttpResponse

from .exchange import APP_ID, EVENT_KEY, KEY


class RecordedServer:
    """A plugin that takes every request of a client. requests: those it got, in order."""

    def __init__(self) -> None:
        self.requests: list[HttpRequest] = []
        self._lock = threading.Lock()

    @hookimpl
    def inngest_transport(self, kind: str) -> Any:
        """Carry the requests of threads and of loops."""
        return {"blocking": _Blocking, "async": _Awaiting}[kind](self) if kind in _KINDS else None

    @property
    def bodies(self) -> list[Any]:
        """The JSON of what it got."""
        return [json.loads(request.body) for request in self.requests]

    def take(self, request: HttpRequest) -> HttpResponse:
        """Record a request and accept what it brings."""
        with self._lock:
            self.requests.append(request)
        doc = json.loads(request.body or b"null")
        reply: dict[str, Any] = {"ok": True, "modified": True, "status": 200}
        if isinstance(doc, list):
            reply["ids"] = [f"id-{number}" for number in range(len(doc))]
        headers = {"content-type": "application/json"}
        return HttpResponse(200, headers, json.dumps(reply).encode())


_KINDS = ("blocking", "async")


class _Blocking:
    def __init__(self, server: RecordedServer) -> None:
        self._server = server

    def send(self, request: HttpRequest) -> HttpResponse:
        return self._server.take(request)

    def close(self) -> None: ...


class _Awaiting:
    def __init__(self, server: RecordedServer) -> None:
        self._server = server

    async def send(self, request: HttpRequest) -> HttpResponse:
        return self._server.take(request)

    async def close(self) -> None: ...


def dev_client(server: RecordedServer | None = None, **arguments: Any) -> Inngest:
    """Make a client in dev mode that talks to *server*. arguments: of ``Inngest``."""
    arguments = {"app_id": APP_ID, "is_production": False, **arguments}
    return Inngest(plugins=[server or RecordedServer()], **arguments)


def cloud_client(server: RecordedServer | None = None, **arguments: Any) -> Inngest:
    """As ``dev_client``, in cloud mode and with keys."""
    keys = {"is_production": True, "signing_key": KEY, "event_key": EVENT_KEY}
    return dev_client(server, **{**keys, **arguments})
