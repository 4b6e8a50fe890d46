"""
How a function within this process reports its steps: straight to the engine, without a request.

Reports that come in one round of the loop are stored in one transaction; each is answered once
that is committed.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import json
from collections.abc import Callable
from typing import Any

from inngest_contrib.devserver.engine.commands import Checkpointed, Report
from inngest_core.wire.http import HttpResponse

Post = Callable[[Report, Any], None]
"""Hands a command to the server's loop, on that loop, with a future for its result."""

_STORED = HttpResponse(200, {}, b"")


class Reports:
    """What functions of apps in this process are given to report with."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._loop = asyncio.get_running_loop()

    def __call__(self, body: bytes) -> Any:
        """The reply to a report; on a loop an awaitable of it, elsewhere once it is there."""
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            return self._submit(body).result()
        if running is self._loop:
            return self._on_own_loop(body)
        return asyncio.wrap_future(self._submit(body))

    async def _on_own_loop(self, body: bytes) -> HttpResponse:
        answer: asyncio.Future[Checkpointed] = self._loop.create_future()
        self._post(Report(body), answer)
        try:
            return read(await answer)
        except Exception as error:
            return _gone(error)

    def _submit(self, body: bytes) -> concurrent.futures.Future[HttpResponse]:
        answer = _Answer()
        try:
            self._loop.call_soon_threadsafe(self._post, Report(body), answer)
        except RuntimeError as error:
            # The loop has ended, and with it the server.
            answer.set_exception(error)
        return answer


class _Answer(concurrent.futures.Future[HttpResponse]):
    """A future for another thread: what the engine says becomes a reply, and so does an error."""

    def set_result(self, result: Any) -> None:
        super().set_result(read(result))

    def set_exception(self, exception: BaseException | None) -> None:
        super().set_result(_gone(exception))


def read(result: Checkpointed) -> HttpResponse:
    """The reply that says what became of a report."""
    if result.status == 200:
        return _STORED
    return HttpResponse(result.status, {"content-type": "application/json"}, document(result))


def document(result: Checkpointed) -> bytes:
    """The body of a refusal."""
    data = None if result.run_id is None else {"run_id": result.run_id}
    body = {"error": result.error, "data": data, "status": result.status}
    return json.dumps(body).encode()


def _gone(error: BaseException | None) -> HttpResponse:
    return HttpResponse(503, {}, json.dumps({"error": str(error), "status": 503}).encode())
