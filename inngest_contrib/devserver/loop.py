"""
Drives the engine: one loop, one turn at a time, no polling.

A turn applies every command that is waiting and everything that is due, stores all changes in
one transaction, and only then performs the effects and answers the callers.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from inngest_contrib.devserver.engine.commands import (
    Call,
    CallFailed,
    CallPostponed,
    Changes,
    Command,
    Effect,
    Expressions,
    Fetch,
    NextTick,
    Report,
    Settings,
    Tick,
    Warn,
)
from inngest_contrib.devserver.engine.engine import Engine
from inngest_contrib.devserver.engine.turn import Turn
from inngest_contrib.devserver.executors import ByWorkers, Handler, Http, InProcess
from inngest_contrib.devserver.outbound import Outbound
from inngest_contrib.devserver.reads import Reads
from inngest_contrib.devserver.reports import Reports
from inngest_contrib.devserver.retention import Sweep, sweep_interval
from inngest_contrib.devserver.signatures import Signer
from inngest_contrib.devserver.store import Store
from inngest_contrib.devserver.timings import Timings

Listener = Callable[[list[Any]], None]
T = TypeVar("T")

_LOOK_AGAIN = 60.0
"""Seconds after which the clock is looked at in any case: it may have been set."""

_BREATH = 0.01
"""Seconds between two pieces of a sweep, for everything else."""

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
    retain: int | None = None
    """Milliseconds for which ended runs and their events are kept; None keeps them for good."""
    vacuum: bool = False
    """Rewrite the file without its gaps before anything else."""
    max_calls: int = 100
    """Calls to apps in progress at once."""
    signing_key: str | None = field(default=None, repr=False)
    """Signs the calls to apps, and verifies their replies, when given."""
    address: str = ""
    """Where this server listens; named to a second server that wants the same database."""


Answer = asyncio.Future[Any] | concurrent.futures.Future[Any]


@dataclass(slots=True, frozen=True)
class _Asked:
    """A command on its way, and who waits for its result."""

    command: Command
    answer: Answer | None


@dataclass(slots=True, frozen=True)
class Load:
    """How much a server has before it: calls that are due or will be, and those under way."""

    queued: int
    calling: int


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
        if config.retain is not None and config.retain <= 0:
            raise ValueError(f"retain is a number of milliseconds above 0, not {config.retain}")
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
        self._outbound = Outbound()
        self.workers: ByWorkers | None = None
        """Those that are connected, where there is a way to connect."""
        self.timings = Timings()
        self._inbox: list[_Asked] = []
        self._calls: set[asyncio.Task[None]] = set()
        self._listeners: list[Listener] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due: int | None = None
        """What the timer is set for; mostly the same after a turn."""
        self._turn_planned = False
        self._open = False
        self._calling = False
        self._store: Store
        self._loop: asyncio.AbstractEventLoop
        self._committing: asyncio.Future[Any] | None = None
        """The store is at work in a thread: no turn may begin."""
        self._checkpointing: asyncio.Future[None] | None = None
        self._threads: ThreadPoolExecutor | None = None
        self._retaining: asyncio.Task[None] | None = None

    # --- life -------------------------------------------------------------------------------

    async def start(self, *, calls: bool = True) -> None:
        """
        Open the store, take up what is unfinished. Raises StoreInUse, StoreRefused.

        Without `calls`, apps are called from `begin_calls` on.
        """
        self._loop = asyncio.get_running_loop()
        self._in_process.report = Reports(self._take_report)
        config = self._config
        self._store = Store(
            config.database,
            full=config.durability == "full",
            owner=config.address,
            vacuum=config.vacuum,
        )
        try:
            self._take_up()
        except BaseException:
            self._store.close()
            raise
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="inngest-store")
        self._open = True
        self._calling = calls
        self._plan_turn()
        if config.retain is not None:
            self._retaining = self._loop.create_task(self._retain(config.retain))

    def _take_up(self) -> None:
        self.reads = Reads(self._store.reader, self._engine.state.runs)
        changes = self._engine.restore(self._store.load(), _now())
        if changes:
            self._store.commit(self._store.prepare(changes))

    def begin_calls(self) -> None:
        """Make the calls that have waited until their app was there."""
        self._calling = self._open
        self._plan_turn()

    async def stop(self, *, grace: float = 10.0) -> None:
        """Start nothing new, wait up to `grace` seconds for calls in progress, close the store."""
        self._calling = False
        if self._retaining is not None:
            self._retaining.cancel()
            await asyncio.wait([self._retaining])
        if self.workers is not None:
            self.workers.drain(ending=True)
        if self._calls:
            await asyncio.wait(self._calls, timeout=grace)
        await self._come_to_rest()
        self._open = False
        for call in self._calls:
            call.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        if self._timer is not None:
            self._timer.cancel()
        if self.workers is not None:
            await self.workers.close()
        await self._http.close()
        await self._outbound.close()
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

    def secret(self, name: str) -> bytes:
        """A random key, the same one after every restart with this database."""
        return self._store.secret(name)

    def attach(self, url: str, handler: Handler) -> None:
        """Call the app at `url` in process: `handler` is a CommHandler (`answer(request)`)."""
        self._in_process.attach(url, handler)

    def load(self) -> Load:
        """How much there is to do; cheap to ask."""
        state = self._engine.state
        return Load(max(0, len(state.jobs) - len(state.calling)), len(state.calling))

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

    def post(self, command: Command) -> None:
        """Apply a command soon; nobody waits for its result."""
        if self._open:
            self._post(_Asked(command, None))

    def _take_report(self, report: Report, answer: Answer) -> None:
        if self._open:
            self._post(_Asked(report, answer))
        else:
            answer.set_exception(ServerStopped("the server is not running"))

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
        if not self._open or self._committing is not None:
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
        if self._store.wants_checkpoint():
            self._write_back()

    def _write_back(self) -> None:
        if self._checkpointing is None and self._threads:
            work = self._loop.run_in_executor(self._threads, self._store.checkpoint)
            self._checkpointing = work
            work.add_done_callback(self._checkpointed)

    def _checkpointed(self, done: asyncio.Future[None]) -> None:
        self._checkpointing = None
        if done.exception() is not None:
            _log.warning("the log of the database could not be written back: %s", done.exception())

    # --- what is kept -----------------------------------------------------------------------

    async def _retain(self, retain: int) -> None:
        """Delete what ended so many milliseconds ago, again and again."""
        while self._open:
            sweep = self._store.sweep(_now() - retain)
            try:
                await self._sweep(sweep)
            except sqlite3.Error as error:
                _log.warning("what is old could not be deleted, for now: %s", error)
            await asyncio.sleep(sweep_interval(retain))

    async def _sweep(self, sweep: Sweep) -> None:
        while self._open and await self._between_turns(sweep.step):
            await asyncio.sleep(_BREATH)
        if sweep.runs or sweep.events:
            _log.info("deleted what is old: %d runs, %d events", sweep.runs, sweep.events)
            # Only this makes the file smaller.
            self._write_back()

    async def _between_turns(self, work: Callable[[], T]) -> T:
        """Do something with the store while no turn is under way; without holding up the loop."""
        while self._committing is not None:
            await asyncio.wait([self._committing])
            await asyncio.sleep(0)
        if self._threads is None or self._config.database is None:
            # In memory the readers share the connection: they must not see half of it.
            return work()
        done = self._loop.run_in_executor(self._threads, work)
        self._committing = done
        done.add_done_callback(self._go_on)
        # The work goes on in its thread if we are cancelled, and turns must wait for it.
        return await asyncio.shield(done)

    def _go_on(self, done: asyncio.Future[Any]) -> None:
        self._committing = None
        self._plan_turn()

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
                self._begin(
                    self._call(effect) if effect.target is None else self._hand_over(effect)
                )
            elif isinstance(effect, Fetch):
                self._begin(self._fetch(effect))
            elif isinstance(effect, Warn):
                _log.warning("%s", effect.message)
            elif self.workers is not None:
                self.workers.drop(effect.job_id)

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._calls.add(task)
        task.add_done_callback(self._calls.discard)

    async def _fetch(self, fetch: Fetch) -> None:
        self._post(_Asked(await self._outbound.fetch(fetch), None))

    async def _call(self, call: Call) -> None:
        executor = self._in_process if self._in_process.serves(call.url) else self._http
        began = time.perf_counter()
        outcome = await executor.call(call)
        self.timings.note(time.perf_counter() - began, failed=isinstance(outcome, CallFailed))
        self._post(_Asked(outcome, None))

    async def _hand_over(self, call: Call) -> None:
        """Have a worker make a call."""
        if self.workers is None:
            self.post(CallPostponed(call.job_id, "connect_no_healthy_connection"))
            return
        began = time.perf_counter()
        # Stopped in the middle, it is made again at the next start.
        with contextlib.suppress(ServerStopped):
            outcome = await self.workers.call(call)
            took = time.perf_counter() - began
            self.timings.note(took, failed=isinstance(outcome, CallFailed))

    def _arm(self) -> None:
        due = self._engine.next_due() if self._calling else None
        if due == self._due:
            return
        self._disarm()
        if due is not None:
            delay = min(max(due / 1000 - time.time(), 0.0), _LOOK_AGAIN)
            self._due, self._timer = due, self._loop.call_later(delay, self._wake)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = self._timer = None

    def _wake(self) -> None:
        self._disarm()
        self._plan_turn()


_Answers = list[tuple[Answer | None, Any, Exception | None]]


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
