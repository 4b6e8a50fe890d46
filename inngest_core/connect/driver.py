"""
The one driver of the protocol: a thread with an event loop of its own.

Nothing of the user runs here. What functions, signals and other threads have to say comes in as
letters; what the protocol wants done is done by one method for each kind of effect.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import logging
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from ..errors import InngestError
from ..plugin.types import WebSocket, WebSocketTransport
from .api import Api, Refused
from .calls import Calls
from .effects import (
    Become,
    Cancel,
    Close,
    Effect,
    End,
    Flush,
    Note,
    Open,
    Run,
    Start,
    Transmit,
)
from .frames import SUBPROTOCOL, BadFrame
from .health import Health
from .mailbox import Mailbox
from .protocol import Snapshot, Worker
from .states import ConnectionState

OPEN_SECONDS = 10.0
LAST_FRAMES_SECONDS = 1.0
_LEVELS = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
}


class Driver:
    """
    Performs what a Worker asks for.

    told: called with each new state, in this thread; with CLOSED once nothing is left to be given
    back. error: what the worker failed with, once it is CLOSED.
    """

    def __init__(
        self,
        worker: Worker,
        *,
        api: Api,
        transport: WebSocketTransport,
        calls: Calls,
        logger: Callable[[], Any],
        told: Callable[[ConnectionState], None],
        health: Health | None = None,
    ) -> None:
        self.error: BaseException | None = None
        self._worker = worker
        self._api = api
        self._transport = transport
        self._calls = calls
        self._logger = logger
        self._told = told
        self._health = health
        self._mailbox = Mailbox()
        self._thread = threading.Thread(target=self._serve, name="inngest-connect", daemon=True)
        self._lines: dict[int, _Line] = {}
        self._links: dict[int, asyncio.Task[None]] = {}
        self._asking: set[asyncio.Task[None]] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_is_stale = False
        self._perform_by_type: dict[type, Callable[[Any], None]] = {
            Become: self._become,
            Cancel: self._cancel,
            Close: self._close,
            End: self._finish,
            Flush: self._flush,
            Note: self._note,
            Open: self._open,
            Run: self._run,
            Start: self._start,
            Transmit: self._transmit,
        }

    # ---- from other threads

    def start(self) -> None:
        """Connect."""
        self._thread.start()

    def close(self) -> None:
        """Finish what runs, then end."""
        self._mailbox.post(self._feed, self._worker.close)

    def abandon(self) -> None:
        """End now, whatever runs."""
        self._mailbox.post(self._finish, End(None))

    def finished(self, request_id: str, reply: bytes | None) -> None:
        """A function has ended."""
        self._mailbox.post(self._feed, self._worker.finished, request_id, reply)

    def join(self) -> None:
        """Wait until the thread is gone."""
        self._thread.join()

    # ---- the thread

    def _serve(self) -> None:
        try:
            asyncio.run(self._main())
        except BaseException as error:
            self.error = error
        finally:
            self._told(ConnectionState.CLOSED)

    async def _main(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._end: asyncio.Future[None] = self._loop.create_future()
        try:
            if self._health is not None:
                await self._health.open(self._snapshot)
            self._mailbox.open()
            self._feed(self._worker.begin)
            await self._end
        finally:
            await self._give_back()

    async def _give_back(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for link in list(self._links):
            self._close(Close(link, 1000, "WORKER_SHUTDOWN"))
        if self._closing:
            # A matter of two seconds at most; then those who read have nothing to read.
            await asyncio.wait(self._closing)
        for task in self._asking:
            task.cancel()
        if self._asking:
            await asyncio.wait(self._asking)
        if self._health is not None:
            await self._health.close()
        await self._api.close()

    def _feed(self, happened: Callable[..., list[Effect]], *args: Any, **named: Any) -> None:
        """Tell the protocol what has happened, and do what it says."""
        if self._end.done():
            return
        try:
            for effect in happened(self._loop.time(), *args, **named):
                self._perform_by_type[type(effect)](effect)
        except Exception as error:
            # A worker that has lost its mind must not look like one that waits.
            self._end.set_exception(error)
        if not self._timer_is_stale:
            # Once for all that happens in this turn of the loop.
            self._timer_is_stale = True
            self._loop.call_soon(self._set_timer)

    def _set_timer(self) -> None:
        self._timer_is_stale = False
        seconds = self._worker.wait()
        if seconds is None:
            return
        due = self._loop.time() + seconds
        if self._timer is not None:
            # One that comes too early does no harm.
            if self._timer.when() <= due:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(due, self._ring)

    def _ring(self) -> None:
        self._timer = None
        self._feed(self._worker.passed)

    def _snapshot(self) -> Snapshot:
        return self._worker.snapshot(self._loop.time())

    def _spawn(
        self, coroutine: Coroutine[Any, Any, None], among: set[asyncio.Task[None]]
    ) -> asyncio.Task[None]:
        task = self._loop.create_task(coroutine)
        among.add(task)
        task.add_done_callback(among.discard)
        return task

    # ---- effects

    def _become(self, effect: Become) -> None:
        # That it is closed is told at the very end.
        if effect.state is not ConnectionState.CLOSED:
            self._told(effect.state)

    def _note(self, effect: Note) -> None:
        getattr(self._logger(), _LEVELS[effect.level])(effect.text, *effect.args)

    def _finish(self, effect: End) -> None:
        if self._end.done():
            return
        if effect.error is None:
            self._end.set_result(None)
        else:
            self._end.set_exception(effect.error)

    def _run(self, effect: Run) -> None:
        self._calls.run(effect.request)

    def _cancel(self, effect: Cancel) -> None:
        self._calls.cancel(effect.request_id)

    def _start(self, effect: Start) -> None:
        self._links[effect.link] = self._spawn(self._ask(effect), self._asking)

    def _open(self, effect: Open) -> None:
        self._links[effect.link] = self._spawn(self._carry(effect), self._asking)

    def _transmit(self, effect: Transmit) -> None:
        self._lines[effect.link].send(effect.frame)

    def _flush(self, effect: Flush) -> None:
        self._spawn(self._hand_in(effect), self._asking)

    def _close(self, effect: Close) -> None:
        task = self._links.pop(effect.link)
        line = self._lines.pop(effect.link, None)
        if line is not None:
            # What waits for frames sees the end of the socket.
            self._spawn(line.close(effect.code, effect.reason), self._closing)
        elif task is not asyncio.current_task():
            task.cancel()

    # ---- what takes time
    # Transports are others' code as well: whatever they raise is a loss, and never a silence.

    async def _ask(self, effect: Start) -> None:
        try:
            response = await self._api.start(effect.exclude)
        except Refused as error:
            self._feed(self._worker.refused, effect.link, str(error), final=error.final)
        except Exception as error:
            self._feed(self._worker.refused, effect.link, _said(error))
        else:
            self._feed(self._worker.started, effect.link, response)

    async def _carry(self, effect: Open) -> None:
        """Open a websocket, and pass on what comes in until it is closed."""
        link = effect.link
        try:
            socket = await self._transport.connect(
                effect.url, subprotocol=SUBPROTOCOL, timeout=OPEN_SECONDS
            )
            self._lines[link] = _Line(socket)
            self._feed(self._worker.opened, link)
            while True:
                self._feed(self._worker.received, link, await socket.receive())
        except Exception as error:
            self._feed(self._worker.lost, link, _said(error))

    async def _hand_in(self, effect: Flush) -> None:
        request_id = effect.request_id
        try:
            await self._api.flush(effect.body)
        except Exception as error:
            final = isinstance(error, Refused) and error.final
            self._feed(self._worker.unflushed, request_id, _said(error), final=final)
        else:
            self._feed(self._worker.flushed, request_id)


def _said(error: Exception) -> str:
    return str(error) if isinstance(error, (InngestError, BadFrame)) else repr(error)


class _Line:
    """An open websocket, and the frames that are on their way into it."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._frames: collections.deque[bytes | None] = collections.deque()
        self._wake = asyncio.Event()
        self._writer = asyncio.get_running_loop().create_task(self._write())

    def send(self, data: bytes) -> None:
        self._frames.append(data)
        self._wake.set()

    async def close(self, code: int, reason: str) -> None:
        """Close it behind the last frame."""
        self._frames.append(None)
        self._wake.set()
        await asyncio.wait({self._writer}, timeout=LAST_FRAMES_SECONDS)
        self._writer.cancel()
        # What closes badly is closed all the same.
        with contextlib.suppress(Exception):
            await self._socket.close(code, reason)

    async def _write(self) -> None:
        # Whoever reads is told of the end of the socket; if not, heartbeats find no answer.
        with contextlib.suppress(Exception):
            while True:
                await self._wake.wait()
                self._wake.clear()
                while self._frames:
                    data = self._frames.popleft()
                    if data is None:
                        return
                    await self._socket.send(data)
