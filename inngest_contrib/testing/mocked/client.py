"""A client whose requests go nowhere, and which sees what functions return."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import inngest_core
from inngest_core.wire.http import HttpRequest, HttpResponse

NO_ID = "0" * 26


class Inngest(inngest_core.Inngest):
    """
    A client in dev mode, of which nothing leaves the process: a send returns ids of 26 zeros.

    Takes the arguments of ``inngest_core.Inngest``, middleware and serializer among them.
    """

    def __init__(self, *, app_id: str, **arguments: Any) -> None:
        plugins = [*(arguments.pop("plugins", None) or ()), Nowhere(), Watcher()]
        super().__init__(app_id=app_id, **{**arguments, "is_production": False, "plugins": plugins})


# ---- requests


class Nowhere:
    """The transport that accepts everything and sends nothing."""

    @inngest_core.hookimpl(tryfirst=True)
    def inngest_transport(self, kind: str) -> Any:
        return _Blocking() if kind == "blocking" else _Async()


class _Blocking:
    def send(self, request: HttpRequest) -> HttpResponse:
        return accept(request)

    def close(self) -> None:
        """There is nothing to give back."""


class _Async:
    async def send(self, request: HttpRequest) -> HttpResponse:
        return accept(request)

    async def close(self) -> None:
        """There is nothing to give back."""


def accept(request: HttpRequest) -> HttpResponse:
    """What a server says to whatever it accepts: events, signals, messages."""
    sent = json.loads(request.body) if request.body else None
    ids = [NO_ID] * len(sent) if isinstance(sent, list) else []
    doc = {"ids": ids, "status": 200, "data": {"run_id": NO_ID}, "jwt": NO_ID}
    return HttpResponse(200, {"content-type": "application/json"}, json.dumps(doc).encode())


# ---- results


@dataclass(slots=True)
class Watched:
    """What the last call of a function came to. Handed to its middleware as the request."""

    outcome: inngest_core.Outcome[Any] | None = None


class Watcher:
    """The plugin that brings the middleware."""

    @inngest_core.hookimpl(tryfirst=True)
    def inngest_middleware(self) -> Any:
        return [Watch]


class Watch(inngest_core.MiddlewareSync):
    """Keeps what a function returns, before it becomes JSON."""

    def wrap_call(self, ctx: Any, function: Any) -> Any:
        outcome = yield
        if isinstance(self.raw_request, Watched):
            self.raw_request.outcome = outcome
        return outcome
