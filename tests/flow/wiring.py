"""
A client on a transport without a network: what it sends is recorded, what it gets is scripted.

The transport comes in by the hook that any plugin has.
"""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import inngest_core
from inngest_core.comm import CommHandler, CommRequest, CommResponse
from inngest_core.wire.http import HttpRequest, HttpResponse
from inngest_core.wire.signing import sign

KEY = "signkey-test-0123456789abcdef0123456789abcdef"
FALLBACK = "signkey-test-fedcba9876543210fedcba9876543210"
EVENT_KEY = "demo-event-key"
NOW = 1_700_000_000
URL = "https://shop.example/api/inngest"

Reply = HttpResponse | Exception


def reply(status: int, body: Any = None) -> HttpResponse:
    """Make a reply of the server; what is no bytes goes out as JSON."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpResponse(status, {"content-type": "text/plain"}, content)


def accepted(request: HttpRequest) -> HttpResponse:
    """Accept all events of a request, under ids that count up."""
    numbers = itertools.count(1)
    ids = [f"id-{next(numbers)}" for _ in json.loads(request.body)]
    return reply(200, {"ids": ids, "status": 200})


@dataclass
class Server:
    """
    A plugin whose transports hand every request to *script*.

    script: replies in order (an exception is raised), the last for all that
    follow; or a function of the request.
    """

    script: list[Reply] | Callable[[HttpRequest], Reply] = accepted
    requests: list[HttpRequest] = field(default_factory=list)
    closed: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def handle(self, request: HttpRequest) -> HttpResponse:
        with self._lock:
            self.requests.append(request)
            number = len(self.requests)
        if callable(self.script):
            answer = self.script(request)
        else:
            answer = self.script[min(number, len(self.script)) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    @inngest_core.hookimpl
    def inngest_transport(self, kind: str) -> Any:
        return _Blocking(self) if kind == "blocking" else _Async(self)

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(request.body) for request in self.requests]


@dataclass
class _Blocking:
    server: Server

    def send(self, request: HttpRequest) -> HttpResponse:
        return self.server.handle(request)

    def close(self) -> None:
        self.server.closed += 1


@dataclass
class _Async:
    server: Server

    async def send(self, request: HttpRequest) -> HttpResponse:
        return self.server.handle(request)

    async def close(self) -> None:
        self.server.closed += 1


def client_of(server: Server | None = None, **arguments: Any) -> inngest_core.Inngest:
    """Make a client on *server*, at a fixed time, in dev mode unless told otherwise."""
    arguments = {"app_id": "shop", "is_production": False, **arguments}
    plugins = [*arguments.pop("plugins", ()), server or Server()]
    client = inngest_core.Inngest(plugins=plugins, **arguments)
    client.engine.home.clock = lambda: NOW
    return client


def cloud_client(server: Server | None = None, **arguments: Any) -> inngest_core.Inngest:
    """Make a client in cloud mode, with keys."""
    keys = {"is_production": True, "signing_key": KEY, "event_key": EVENT_KEY}
    return client_of(server, **{**keys, **arguments})


def request_of(
    method: str,
    body: Any = b"",
    *,
    query: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
    key: str | None = None,
    url: str = URL,
) -> CommRequest:
    """Make a request of the server, signed if a key is given."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    signature = {"x-inngest-signature": sign(key, content, NOW)} if key else {}
    return CommRequest(method, url, {**signature, **(headers or {})}, dict(query or {}), content)


def call_of(
    function: str,
    *,
    steps: Mapping[str, Any] | None = None,
    step: str = "step",
    key: str | None = None,
    **ctx: Any,
) -> CommRequest:
    """Make a call of a function; other arguments go into ``ctx``."""
    event = {"data": {}, "id": "e", "name": "a/b", "ts": 1}
    stack = list(steps or {})
    doc = {
        "ctx": {
            "attempt": 0,
            "run_id": "01M81CV4SR9WGEDKMNJWE4XNQ5",
            "stack": {"current": len(stack), "stack": stack},
            **ctx,
        },
        "event": event,
        "events": [event],
        "steps": dict(steps or {}),
    }
    return request_of("POST", doc, query={"fnId": function, "stepId": step}, key=key)


def served(client: inngest_core.Inngest, **arguments: Any) -> CommHandler:
    """Make the door to everything created on *client*."""
    return CommHandler(client=client, framework="flask", **arguments)


def ask(client: inngest_core.Inngest, request: CommRequest, **arguments: Any) -> CommResponse:
    """Answer one request, in this thread."""
    return served(client, **arguments).answer_sync(request)


def document(response: CommResponse) -> Any:
    """The JSON of a reply's body."""
    return json.loads(response.body)
