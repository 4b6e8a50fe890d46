"""A transport on urllib, which notes where its requests go. Option: log, a file."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from inngest_core.plugin import HttpRequest, HttpResponse, hookimpl

inngest_plugin_api = 1


class Blocking:
    """Carries requests from threads."""

    def __init__(self, log: Path) -> None:
        self._log = log

    def send(self, request: HttpRequest) -> HttpResponse:
        with self._log.open("a") as file:
            file.write(f"{request.method} {request.origin}\n")
        asked = urllib.request.Request(
            request.url, request.body or None, dict(request.headers), method=request.method
        )
        try:
            with urllib.request.urlopen(asked, timeout=request.timeout) as reply:
                return _response(reply)
        except urllib.error.HTTPError as refused:
            return _response(refused)

    def close(self) -> None: ...


class Async:
    """Carries requests from event loops."""

    def __init__(self, blocking: Blocking) -> None:
        self._blocking = blocking

    async def send(self, request: HttpRequest) -> HttpResponse:
        return await asyncio.to_thread(self._blocking.send, request)

    async def close(self) -> None: ...


def _response(reply: Any) -> HttpResponse:
    headers = {name.lower(): value for name, value in reply.headers.items()}
    return HttpResponse(reply.status, headers, reply.read())


@hookimpl
def inngest_transport(config: Any, kind: str) -> Any:
    log = config.options("acme-transport").get("log")
    if log is None:
        return None
    blocking = Blocking(Path(log))
    return {"blocking": blocking, "async": Async(blocking)}.get(kind)
