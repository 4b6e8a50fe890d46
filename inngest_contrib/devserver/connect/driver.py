"""
Sockets, clock and server around the rules of the gateway.

Every effect happens in the order in which it was decided: frames leave through one queue for each
socket, so a slow worker holds up nobody but itself.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from typing import Any, Protocol

from inngest_contrib.devserver.connect.gateway import (
    Close,
    Effect,
    Flushed,
    Gateway,
    Send,
    Settle,
    Sync,
)
from inngest_contrib.devserver.connect.handshake import Introduction, registrations
from inngest_contrib.devserver.connect.sessions import Sessions
from inngest_contrib.devserver.connect.times import REAL, Moment, Times
from inngest_contrib.devserver.engine.commands import (
    Call,
    CallFailed,
    CallPostponed,
    Command,
    NoteAppError,
    NoteWorkers,
    Replied,
    SyncApp,
)
from inngest_contrib.devserver.loop import ServerStopped
from inngest_contrib.devserver.registration import RegistrationRefused, describe
from inngest_core.connect import connect_pb2 as pb
from inngest_core.wire.ids import ulid

logger = logging.getLogger("inngest.devserver")

_GOODBYE = 2.0
"""Seconds for which a socket that does not take its last frames is waited for."""


class Socket(Protocol):
    """The two directions of a websocket that is open."""

    async def receive(self) -> bytes | None:
        """The next frame, as bytes in any case; None once it is closed."""
        ...

    async def send(self, data: bytes) -> None:
        """Write a frame."""
        ...

    async def close(self, code: int, reason: str) -> None:
        """Close it."""
        ...


class Host(Protocol):
    """The server, as far as workers concern it."""

    async def submit(self, command: Command) -> Any:
        """Apply a command; return once what it led to is stored."""
        ...

    def post(self, command: Command) -> None:
        """Apply a command soon."""
        ...


def now() -> Moment:
    """The time by both clocks."""
    return Moment(time.monotonic_ns() // 1_000_000, time.time_ns() // 1_000_000)


class Link:
    """A socket and what is to be written to it."""

    def __init__(self, socket: Socket) -> None:
        self._socket = socket
        self._outbox: asyncio.Queue[bytes | Close] = asyncio.Queue()
        self._ending: asyncio.TimerHandle | None = None
        self.writing = asyncio.create_task(self._write())

    def send(self, data: bytes) -> None:
        """Write a frame, in its turn."""
        self._outbox.put_nowait(data)

    def close(self, effect: Close) -> None:
        """Close the socket once all is written; or soon, where nobody reads it."""
        self._outbox.put_nowait(effect)
        self._ending = asyncio.get_running_loop().call_later(_GOODBYE, self.writing.cancel)

    async def _write(self) -> None:
        while isinstance(item := await self._outbox.get(), bytes):
            await self._socket.send(item)
        await self._socket.close(item.code, item.reason)

    def forget(self) -> None:
        """Nothing more is to be written."""
        self.writing.cancel()
        if self._ending is not None:
            self._ending.cancel()


class Workers:
    """The workers of a server. One event loop, the server's."""

    def __init__(
        self,
        host: Host,
        *,
        problem_of: Callable[[str], str | None],
        kind: str,
        times: Times = REAL,
        clock: Callable[[], Moment] | None = None,
    ) -> None:
        """`problem_of` says why an expression does not compile; `kind` what the server is."""
        self._now = clock or now
        self.sessions = Sessions(times.session / 1000)
        self.gateway = Gateway(
            id=ulid(self._now().wall, os.urandom(10)),
            seed=os.urandom(16),
            is_session=self.sessions.knows,
            times=times,
        )
        self._host = host
        self._problem_of = problem_of
        self._kind = kind
        self._links: dict[int, Link] = {}
        self._serial = 0
        self._outcomes: dict[str, asyncio.Future[Settle]] = {}
        """By job: who waits for what becomes of its call."""
        self._syncs: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.Task[None]] = set()
        self._tickets: set[asyncio.Future[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._due: int | None = None

    # --- sockets ----------------------------------------------------------------------------

    async def serve(self, socket: Socket) -> None:
        """Look after a socket until it is closed."""
        self._serial += 1
        number, link = self._serial, Link(socket)
        self._links[number] = link
        self._perform(self.gateway.opened(number, self._now()))
        reading = asyncio.create_task(self._read(number, socket))
        self._writers.add(link.writing)
        try:
            await asyncio.wait({reading, link.writing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            reading.cancel()
            link.forget()
            await asyncio.gather(reading, link.writing, return_exceptions=True)
            self._writers.discard(link.writing)
            self._links.pop(number, None)
            self._perform(self.gateway.lost(number, self._now()))

    async def _read(self, number: int, socket: Socket) -> None:
        while (data := await socket.receive()) is not None:
            self._perform(self.gateway.received(number, data, self._now()))

    # --- what the server wants --------------------------------------------------------------

    async def call(self, call: Call) -> Replied | CallFailed | CallPostponed:
        """Have a worker make a call. The outcome is stored when this returns."""
        settled = await self._settled(call)
        await self._host.submit(settled.outcome)
        self._perform(self.gateway.stored(settled.request_id, self._now()))
        return settled.outcome

    async def _settled(self, call: Call) -> Settle:
        outcome: asyncio.Future[Settle] = asyncio.get_running_loop().create_future()
        self._outcomes[call.job_id] = outcome
        try:
            self._perform(self.gateway.take(call, self._now()))
            return await outcome
        finally:
            if self._outcomes.get(call.job_id) is outcome:
                del self._outcomes[call.job_id]

    def drop(self, job_id: str) -> None:
        """Nobody waits for a call any more."""
        self._perform(self.gateway.drop(job_id, self._now()))

    def drain(self, *, ending: bool = False) -> None:
        """Ask all workers to connect anew; where the server ends, there is nothing to go to."""
        self._perform(self.gateway.drain(self._now(), ending=ending))

    async def close(self) -> None:
        """Close all sockets, and wait until they are. Nobody is answered any more."""
        self._perform(self.gateway.close(self._now()))
        for sync in self._syncs:
            sync.cancel()
        # None of them lasts: see Link.close.
        await asyncio.gather(*self._syncs, *self._writers, return_exceptions=True)
        for ticket in self._tickets:
            if not ticket.done():
                ticket.set_exception(ServerStopped("the server is not running"))
        if self._timer is not None:
            self._timer.cancel()

    # --- the side door ----------------------------------------------------------------------

    async def flush(self, reply: pb.SDKResponse) -> None:
        """Take a reply; return once it is stored, or nobody wants it."""
        ticket: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._tickets.add(ticket)
        try:
            self._perform(self.gateway.flush(reply, ticket, self._now()))
            await ticket
        finally:
            self._tickets.discard(ticket)

    # --- effects ----------------------------------------------------------------------------

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._links[effect.link].send(effect.data)
            elif isinstance(effect, Settle):
                self._settle(effect)
            elif isinstance(effect, NoteWorkers):
                self._host.post(effect)
            else:
                self._perform_rare(effect)
        self._arm()

    def _perform_rare(self, effect: Close | Sync | Flushed) -> None:
        if isinstance(effect, Close):
            self._links.pop(effect.link).close(effect)
        elif isinstance(effect, Flushed) and isinstance(effect.ticket, asyncio.Future):
            if not effect.ticket.done():
                effect.ticket.set_result(None)
        elif isinstance(effect, Sync):
            task = asyncio.ensure_future(self._sync(effect.link, effect.worker))
            self._syncs.add(task)
            task.add_done_callback(self._syncs.discard)

    def _settle(self, effect: Settle) -> None:
        outcome = self._outcomes.get(effect.outcome.job_id)
        if outcome is not None and not outcome.done():
            outcome.set_result(effect)

    async def _sync(self, link: int, worker: Introduction) -> None:
        """Register the apps of a worker, as /fn/register does."""
        gateway = self.gateway
        try:
            apps = registrations(worker, self._problem_of, self._kind)
            app_ids = {app.name: await self._register(app) for app in apps}
        except RegistrationRefused as refused:
            await self._refuse(link, refused)
        except Exception:
            logger.exception("a worker of %s could not be registered", worker.instance_id)
            self._perform(gateway.sync_broke(link, self._now()))
        else:
            groups = {app.name: app.checksum for app in apps}
            logger.info("Worker connected: %s, for %s", worker.instance_id, ", ".join(groups))
            self._perform(gateway.synced(link, app_ids, groups, self._now()))

    async def _register(self, app: SyncApp) -> str:
        synced = await self._host.submit(app)
        if synced.modified:
            logger.info("App synced: %s", describe(app))
        app_id: str = synced.app_id
        return app_id

    async def _refuse(self, link: int, refused: RegistrationRefused) -> None:
        logger.warning("A worker was refused: %s", refused)
        self._perform(self.gateway.sync_failed(link, str(refused), self._now()))
        await self._host.submit(NoteAppError(refused.url, str(refused)))

    # --- time -------------------------------------------------------------------------------

    def _arm(self) -> None:
        due = self.gateway.next_due()
        if due == self._due:
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._due = due
        if due is not None:
            delay = max(0, due - self._now().at) / 1000
            self._timer = asyncio.get_running_loop().call_later(delay, self._wake)

    def _wake(self) -> None:
        self._timer = self._due = None
        self._perform(self.gateway.tick(self._now()))
