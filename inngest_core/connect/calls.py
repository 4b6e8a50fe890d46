"""
Requests of a gateway as calls of functions, and what comes of them as replies.

Connect is one more adapter: each message becomes a CommRequest and each CommResponse a message.
An async function runs on the loop that awaits ``start()``, a blocking one in a pool of threads:
neither is ever in the way of the connection.
"""

from __future__ import annotations

import asyncio
import contextvars
import functools
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from ..comm import CommHandler, CommRequest, CommResponse
from ..errors import InngestError
from ..execution.reply import dump
from ..wire.names import REQUEST_VERSION, Header, Query
from ..wire.register import SDK_NAME
from . import connect_pb2 as pb
from .mailbox import Mailbox

FRAMEWORK = "connect"
MAX_REPLY_BYTES = 8 * 1024 * 1024 - 64 * 1024
"""Gateways close the connection over a frame larger than 8 MB."""

ABANDON_SECONDS = 10.0
"""How long functions that were cancelled may take to clean up."""

Request = pb.GatewayExecutorRequestData
Finished = Callable[[str, "bytes | None"], None]

_STATUS = {200: pb.DONE, 206: pb.NOT_COMPLETED}


@dataclass(slots=True)
class Calls:
    """
    Runs functions where they belong.

    apps: by their ids. finished: told, in any thread, the id and the encoded reply of each
    request, or None where it was cancelled. threads: how many the pool may have.
    """

    apps: Mapping[str, CommHandler]
    finished: Finished
    threads: int | None
    _pool: ThreadPoolExecutor | None = None
    _home: Mailbox = field(default_factory=Mailbox)
    _context: contextvars.Context = field(default_factory=contextvars.copy_context)
    _abandoned: bool = False
    _busy: set[str] = field(default_factory=set)
    _tasks: dict[str, asyncio.Task[bytes]] = field(default_factory=dict)

    def open(self) -> None:
        """Run async functions on the running loop, with the context variables of the caller."""
        self._context = contextvars.copy_context()
        self._home.open()

    def run(self, request: Request) -> None:
        """Begin a call."""
        app = self.apps.get(request.app_name)
        if app is None:
            self.finished(request.request_id, _refusal(request, self.apps))
        elif app.blocks(request.function_slug):
            self._threads().submit(self._context.copy().run, self._block, app, request)
        else:
            self._home.post(self._begin, app, request)

    def cancel(self, request_id: str) -> None:
        """Cancel a call, if it is of an async function; a thread cannot be stopped."""
        self._home.post(self._cancel, request_id)

    async def abandon(self) -> None:
        """Cancel what still runs on this loop, begin nothing more, and wait for the end of it."""
        self._abandoned = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=ABANDON_SECONDS)

    def close(self) -> None:
        """Let go of the threads. One in which a function runs goes on until that has ended."""
        if self._pool is not None:
            self._pool.shutdown(wait=not self._busy, cancel_futures=True)

    # ---- in a thread of the pool

    def _threads(self) -> ThreadPoolExecutor:
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self.threads, thread_name_prefix="inngest-call")
        return self._pool

    def _block(self, app: CommHandler, request: Request) -> None:
        reply: bytes | None = None
        self._busy.add(request.request_id)
        try:
            reply = encode(request, app.answer_sync(to_request(request)))
        finally:
            self._busy.discard(request.request_id)
            self.finished(request.request_id, reply)

    # ---- on the loop of the async functions

    def _begin(self, app: CommHandler, request: Request) -> None:
        if self._abandoned:
            return
        loop = asyncio.get_running_loop()
        # A task takes its context variables from where it is made.
        task = self._context.copy().run(loop.create_task, _answer(app, request))
        self._tasks[request.request_id] = task
        # Not the task itself: one that is cancelled before its first turn would never say so.
        task.add_done_callback(functools.partial(self._ended, request.request_id))

    def _ended(self, request_id: str, task: asyncio.Task[bytes]) -> None:
        del self._tasks[request_id]
        failed = task.cancelled() or task.exception() is not None
        self.finished(request_id, None if failed else task.result())

    def _cancel(self, request_id: str) -> None:
        task = self._tasks.get(request_id)
        if task is not None:
            task.cancel()


async def _answer(app: CommHandler, request: Request) -> bytes:
    return encode(request, await app.answer(to_request(request)))


# ---- messages


def to_request(request: Request) -> CommRequest:
    """A message as the request that it would be over HTTP."""
    query = {Query.FUNCTION_ID: request.function_slug}
    if request.step_id:
        query[Query.STEP_ID] = request.step_id
    return CommRequest(
        method="POST",
        url=f"ws://{FRAMEWORK}",
        headers=_headers(request),
        query=query,
        body=request.request_payload,
        raw=request,
    )


def _headers(request: Request) -> dict[str, str]:
    """What stands in headers over HTTP: the run, and the trace that the call belongs to."""
    from pydantic_core import from_json

    headers = {Header.RUN_ID: request.run_id}
    try:
        trace = from_json(request.user_trace_ctx or b"{}")
    except ValueError:
        return headers
    if isinstance(trace, dict):
        headers.update((k, v) for k, v in trace.items() if isinstance(v, str))
    return headers


def encode(request: Request, response: CommResponse) -> bytes:
    """A response as the encoded SDKResponse to a request."""
    reply = _reply(request, response.status, response.body, response.headers)
    return reply if len(reply) <= MAX_REPLY_BYTES else _too_large(request, len(reply))


def _reply(request: Request, status: int, body: bytes, headers: Mapping[str, Any]) -> bytes:
    return pb.SDKResponse(
        request_id=request.request_id,
        account_id=request.account_id,
        env_id=request.env_id,
        app_id=request.app_id,
        status=_STATUS.get(status, pb.ERROR),
        body=body,
        no_retry=headers.get(Header.NO_RETRY) == "true",
        retry_after=headers.get(Header.RETRY_AFTER),
        sdk_version=SDK_NAME,
        request_version=int(REQUEST_VERSION),
        # Where a reply is posted, the server insists on JSON.
        system_trace_ctx=request.system_trace_ctx or b"{}",
        user_trace_ctx=request.user_trace_ctx,
        run_id=request.run_id,
    ).SerializeToString()


def _error(request: Request, error: InngestError, *, retry: bool) -> bytes:
    body = dump({"code": error.code, "message": error.message, "name": error.name}).encode()
    no_retry = "false" if retry else "true"
    return _reply(request, error.status, body, {Header.NO_RETRY: no_retry})


def _refusal(request: Request, apps: Iterable[str]) -> bytes:
    served = ", ".join(apps)
    error = InngestError(f'this worker has no app "{request.app_name}"; it has: {served}')
    return _error(request, error, retry=True)


def _too_large(request: Request, size: int) -> bytes:
    error = InngestError(
        f"the reply has {size} bytes, and a gateway takes at most {MAX_REPLY_BYTES}; return less, "
        "or keep it elsewhere and return where"
    )
    return _error(request, error, retry=False)
