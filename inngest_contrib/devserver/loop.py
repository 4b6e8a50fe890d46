"""
Drives the engine: one loop, one turn at a time, no polling.

A turn applies every command that is waiting and everything that is due, stores all changes in
one transaction, and only then performs the effects and answers the callers.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from inngest_contrib.devserver.engine.commands import (
    Call,
    Changes,
    Command,
    Effect,
    Expressions,
    NextTick,
    Settings,
    Tick,
    Warn,
)
from inngest_contrib.devserver.engine.engine import Engine
from inngest_contrib.devserver.engine.turn import Turn
from inngest_contrib.devserver.executors import Handler, Http, InProcess, Signer
from inngest_contrib.devserver.reads import Reads
from inngest_contrib.devserver.store import Store

Listener = Callable[[list[Any]], None]

_LOOK_AGAIN = 60.0
"""Seconds after which the clock is looked at in any case: it may have been set."""

_log = logging.getLogger("inngest.devserver")


@dataclass(slots=True, frozen=True, kw_only=True)
class ServerConfig:
    """What an embedded server is started with."""

    database: str | None = None
    """Path of the SQLite file; None keeps everything in memory."""
    durability: str = "normal"
    """`normal` survives kill -9; `full` also the loss of power, at a price per commit."""
    retry_interval: float | None = None
    """Seconds between attempts, always; None means the real server's backoff table."""
    max_calls: int = 100
    """Calls to apps in progress at once."""
    signing_key: str | None = None
    """Signs the calls to apps when given."""
    address: str = ""
    """Where this server listens; named to a second server that wants the same database."""


@dataclass(slots=True, frozen=True)
class _Asked:
    """A command on its way, and who waits for its result."""

    command: Command
    answer: asyncio.Future[Any] | None


class ServerStopped(Exception):
    """The server takes no more commands: it was stopped, or its store failed."""


class Server:
    """The embedded server without its HTTP face. One event loop; not safe to share by threads."""

    reads: Reads
    """What was committed: events, runs, steps, apps, functions. There once started."""

    def __init__(
        self, config: ServerConfig, *, expressions: Expressions, next_tick: NextTick
    ) -> None:
        if config.durability not in ("normal", "full"):
            raise ValueError(f'durability is "normal" or "full", not "{config.durability}"')
        self._config = config
        # In memory there is no disk to wait for.
        self._full = config.durability == "full" and config.database is not None
        interval = config.retry_interval
        self._engine = Engine(
            expressions=expressions,
            next_tick=next_tick,
            seed=os.urandom(16),
            settings=Settings(
                retry_interval=None if interval is None else round(interval * 1000),
                max_calls=config.max_calls,
            ),
        )
        signer = Signer(config.signing_key)
        self._in_process = InProcess(signer)
        self._http = Http(signer)
        self._inbox: list[_Asked] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._listeners: list[Listener] = []
        self._timer: asyncio.TimerHandle | None = None
        self._turn_planned = False
        self._open = False
        self._calling = False
        self._store: Store
        self._loop: asyncio.AbstractEventLoop
        self._committing: asyncio.Future[None] | None = None
        self._checkpointing: asyncio.Future[None] | None = None
        self._threads: ThreadPoolExecutor | None = None

    # --- life -------------------------------------------------------------------------------

    async def start(self) -> None:
        """Open the store, take up what is unfinished. Raises StoreInUse, StoreRefused."""
        self._loop = asyncio.get_running_loop()
        config = self._config
        self._store = Store(config.database, full=config.durability == "full", owner=config.address)
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="inngest-store")
        self.reads = Reads(self._store.reader, self._engine.state.runs)
        self._engine.restore(self._store.load(), _now())
        self._open = self._calling = True
        self._plan_turn()

    async def stop(self, *, grace: float = 10.0) -> None:
        """Start nothing new, wait up to `grace` seconds for calls in progress, close the store."""
        self._calling = False
        if self._calls:
            await asyncio.wait(self._calls, timeout=grace)
        await self._come_to_rest()
        self._open = False
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        await self._http.close()
        if self._checkpointing is not None:
            await asyncio.wait([self._checkpointing])
        if self._threads is not None:
            self._threads.shutdown()
            self._store.close()
            self._threads = None

    async def _come_to_rest(self) -> None:
        while self._open and (self._inbox or self._committing is not None):
            if self._committing is not None:
                await asyncio.wait([self._committing])
            await asyncio.sleep(0)

    def attach(self, url: str, handler: Handler) -> None:
        """Call the app at `url` in process: `handler` is a CommHandler (`answer(request)`)."""
        self._in_process.attach(url, handler)

    def watch(self, listener: Listener) -> Callable[[], None]:
        """Tell `listener` after every commit which records changed; the result ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    # --- commands ---------------------------------------------------------------------------

    async def submit(self, command: Command) -> Any:
        """Apply a command; return its result (see `commands`) once it is stored."""
        if not self._open:
            raise ServerStopped("the server is not running")
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._post(_Asked(command, answer))
        return await answer

    def _post(self, asked: _Asked) -> None:
        self._inbox.append(asked)
        self._plan_turn()

    def _plan_turn(self) -> None:
        # Not at once: whatever else this round of the loop brings joins the same transaction.
        if not self._turn_planned and self._committing is None and self._open:
            self._turn_planned = True
            self._loop.call_soon(self._turn)

    # --- a turn -----------------------------------------------------------------------------

    def _turn(self) -> None:
        self._turn_planned = False
        if not self._open:
            return
        inbox, self._inbox = self._inbox, []
        turn = self._engine.begin(_now())
        answers = [(asked.answer, *self._apply(turn, asked.command)) for asked in inbox]
        self._apply(turn, Tick())
        if self._calling:
            self._engine.finish(turn)
        for mistake in turn.mistakes:
            _log.error("the engine failed at a reply; please report this", exc_info=mistake)

        def settle() -> None:
            _answer(answers)
            self._perform(turn.effects)
            self._tell(turn.changes)
            self._arm()

        self._commit(turn.changes, settle, answers)

    def _apply(self, turn: Turn, command: Command) -> tuple[Any, Exception | None]:
        try:
            return self._engine.apply(turn, command), None
        except Exception as error:
            # A mistake of ours must not take the other runs down.
            _log.exception("the engine failed at %s; please report this", type(command).__name__)
            return None, error

    def _commit(self, changes: Changes, settle: Callable[[], None], answers: _Answers) -> None:
        if not changes:
            settle()
            return
        statements = self._store.prepare(changes)
        if self._full and self._threads is not None:
            commit = self._loop.run_in_executor(self._threads, self._store.commit, statements)
            self._committing = commit
            commit.add_done_callback(lambda done: self._committed(done, settle, answers))
            return
        try:
            self._store.commit(statements)
        except Exception as error:
            self._break(error, answers)
            return
        settle()
        self._checkpoint()

    def _committed(
        self, done: asyncio.Future[None], settle: Callable[[], None], answers: _Answers
    ) -> None:
        self._committing = None
        error = done.exception()
        if isinstance(error, Exception):
            self._break(error, answers)
            return
        settle()
        self._checkpoint()
        if self._inbox:
            self._plan_turn()

    def _break(self, error: Exception, answers: _Answers) -> None:
        """The store failed. Memory is ahead of it now, so nothing more may be answered."""
        self._open = self._calling = False
        _log.critical(
            "the store failed (%s): the server has stopped working. What was acknowledged is "
            "safe; make room or repair the disk, and start it again.",
            error,
        )
        waiting = [answer for answer, _, _ in answers] + [asked.answer for asked in self._inbox]
        self._inbox = []
        for answer in waiting:
            if answer is not None and not answer.done():
                answer.set_exception(ServerStopped(f"the store failed: {error}"))

    def _checkpoint(self) -> None:
        if self._checkpointing is None and self._threads and self._store.wants_checkpoint():
            work = self._loop.run_in_executor(self._threads, self._store.checkpoint)
            self._checkpointing = work
            work.add_done_callback(self._checkpointed)

    def _checkpointed(self, done: asyncio.Future[None]) -> None:
        self._checkpointing = None
        if done.exception() is not None:
            _log.warning("the log of the database could not be written back: %s", done.exception())

    def _tell(self, changes: Changes) -> None:
        for listener in list(self._listeners):
            try:
                listener(list(changes.put.values()))
            except Exception:
                _log.exception("a listener failed")

    # --- effects and time -------------------------------------------------------------------

    def _perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Call):
                task = self._loop.create_task(self._call(effect))
                self._calls.add(task)
                task.add_done_callback(self._calls.discard)
            elif isinstance(effect, Warn):
                _log.warning("%s", effect.message)

    async def _call(self, call: Call) -> None:
        executor = self._in_process if self._in_process.serves(call.url) else self._http
        outcome = await executor.call(call)
        self._post(_Asked(outcome, None))

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due = self._engine.next_due()
        if due is not None and self._calling:
            delay = min(max(due / 1000 - time.time(), 0.0), _LOOK_AGAIN)
            self._timer = self._loop.call_later(delay, self._plan_turn)


_Answers = list[tuple["asyncio.Future[Any] | None", Any, "Exception | None"]]


def _answer(answers: _Answers) -> None:
    for answer, result, error in answers:
        if answer is None or answer.done():
            continue
        if error is not None:
            answer.set_exception(error)
        else:
            answer.set_result(result)


def _now() -> int:
    return time.time_ns() // 1_000_000
