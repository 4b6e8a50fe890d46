"""
A server, a proxy and a worker in this process, with all their intervals made short; and a ledger
of every memo that the server has ever stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from inngest_contrib.devserver import loop, serving
from inngest_contrib.devserver.connect import driver
from inngest_contrib.devserver.connect.times import Moment, Times
from inngest_contrib.devserver.engine.state import Step
from inngest_contrib.devserver.serving import Options, serve
from inngest_core import Context, ContextSync, Inngest, TriggerEvent
from inngest_core.connect import ConnectionState, connect, links, protocol
from tests.connect_chaos.proxy import Proxy
from tests.connect_chaos.schedule import Blow, Schedule

TIMES = Times(
    hello=1000, heartbeat=100, lease=600, extend_lease=120, grace=80, drain=300, status=250
)
FASTER = 20
"""By how much the worker is quicker than it is elsewhere."""
PATIENCE = 40.0
STEPS = 3
_ENDED = ("COMPLETED", "FAILED", "CANCELLED")


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Make short what no gateway can ask for: waits of the worker, and the server's grace."""
    patch.setattr(protocol, "BACKOFF", tuple(one / FASTER for one in protocol.BACKOFF[:5]))
    patch.setattr(protocol, "ACK_SECONDS", protocol.ACK_SECONDS / FASTER)
    patch.setattr(protocol, "PAUSE_SECONDS", protocol.PAUSE_SECONDS / FASTER)
    for phase in links.Phase:
        if phase.seconds is not None:
            patch.setattr(phase, "seconds", phase.seconds / FASTER)
    patch.setattr(serving, "GRACE_SECONDS", 0.1)


@dataclass
class Ledger:
    """What has been stored, by run and step: one value for each, if all is well."""

    memos: dict[tuple[str, str], set[bytes]] = field(default_factory=dict)

    def note(self, records: list[Any]) -> None:
        for record in records:
            if isinstance(record, Step) and record.memo is not None:
                self.memos.setdefault((record.run_id, record.id), set()).add(record.memo)

    @property
    def rewritten(self) -> list[tuple[str, str]]:
        return [place for place, values in self.memos.items() if len(values) > 1]


class Host:
    """Something with a loop and a thread of its own, which must leave nothing behind."""

    def __init__(self, name: str, main: Callable[[Host], Awaitable[None]]) -> None:
        self.failure: BaseException | None = None
        self.ready = threading.Event()
        self._main = main
        self.loop: asyncio.AbstractEventLoop
        self._thread = threading.Thread(target=self._run, name=name)
        self._thread.start()
        if not self.ready.wait(PATIENCE):
            raise AssertionError(f"{name} is not ready")
        self._raise()

    def join(self) -> None:
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive(), f"{self._thread.name} hangs"
        self._raise()

    def _raise(self) -> None:
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        try:
            asyncio.run(self._watched())
        except BaseException as error:
            self.failure = error
        finally:
            self.ready.set()

    async def _watched(self) -> None:
        self.loop = asyncio.get_running_loop()
        await self._main(self)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"{self._thread.name} leaves tasks behind: {left}"


class Gateway:
    """A server that can be ended and begun again at its port, with its database."""

    def __init__(self, database: Path, ledger: Ledger, patch: pytest.MonkeyPatch) -> None:
        self.port = 0
        self.url = ""
        self._database = str(database)
        self.shift = 0
        patch.setattr(driver, "now", self._now)
        patch.setattr(serving, "Server", _watched_server(ledger))
        self._host: Host | None = None

    def start(self) -> None:
        self._host = Host("server", self._serve)

    def stop(self) -> None:
        assert self._host is not None
        self._host.loop.call_soon_threadsafe(self._stop.set)
        self._host.join()

    def _now(self) -> Moment:
        return Moment(time.monotonic_ns() // 1_000_000, time.time_ns() // 1_000_000 + self.shift)

    async def _serve(self, host: Host) -> None:
        self._stop = asyncio.Event()
        options = Options(
            port=self.port,
            database=self._database,
            retry_interval=0.02,
            poll=False,
            connect_times=TIMES,
        )

        def ready(url: str) -> None:
            self.url, self.port = url, int(url.rpartition(":")[2])
            host.ready.set()

        await serve(options, ready=ready, stop=self._stop)


def _watched_server(ledger: Ledger) -> Any:
    def make(*args: Any, **named: Any) -> loop.Server:
        server = loop.Server(*args, **named)
        server.watch(ledger.note)
        return server

    return make


class Worker:
    """A worker of two functions, one for a loop and one for threads."""

    def __init__(self, url: str, limit: int | None) -> None:
        self.client = Inngest(
            app_id="chaos", is_production=False, api_base_url=url, request_timeout=1000
        )
        self._limit = limit
        self._declare()
        self._host: Host | None = None

    def start(self) -> None:
        self._host = Host("worker", self._work)

    def stop(self) -> None:
        """Close it as a signal would."""
        assert self._host is not None
        asyncio.run_coroutine_threadsafe(self._connection.close(), self._host.loop)
        self._host.join()

    async def _work(self, host: Host) -> None:
        self._connection = connect(
            [(self.client, None)], shutdown_signals=[], max_worker_concurrency=self._limit
        )
        host.ready.set()
        await self._connection.start()
        assert self._connection.get_state() is ConnectionState.CLOSED
        await self.client.aclose()

    def _declare(self) -> None:
        @self.client.create_function(
            fn_id="loop", retries=20, trigger=TriggerEvent(event="chaos/loop")
        )
        async def on_loop(ctx: Context) -> list[str]:
            pause = float(str(ctx.event.data["pause"]))
            values = [await ctx.step.run(f"step {n}", _slow_token, pause) for n in range(STEPS)]
            both = await asyncio.gather(
                ctx.step.run("left", _slow_token, pause), ctx.step.run("right", _slow_token, 0.0)
            )
            return [*values, *both]

        @self.client.create_function(
            fn_id="thread", retries=20, trigger=TriggerEvent(event="chaos/thread")
        )
        def in_thread(ctx: ContextSync) -> list[str]:
            pause = float(str(ctx.event.data["pause"]))
            return [ctx.step.run(f"step {n}", _blocking_token, pause) for n in range(STEPS)]


async def _slow_token(pause: float) -> str:
    await asyncio.sleep(pause)
    return uuid4().hex


def _blocking_token(pause: float) -> str:
    time.sleep(pause)
    return uuid4().hex


class Stage:
    """All of them together."""

    def __init__(self, schedule: Schedule, folder: Path, patch: pytest.MonkeyPatch) -> None:
        hurry(patch)
        self.schedule = schedule
        self.ledger = Ledger()
        self.gateway = Gateway(folder / "chaos.db", self.ledger, patch)
        self.gateway.start()
        self.proxy = Proxy(self.gateway.port, schedule.faults())
        self.proxy.start()
        self.worker = Worker(f"http://127.0.0.1:{self.proxy.port}", schedule.limit)
        self.events: list[str] = []
        self._http = httpx.Client(timeout=10, trust_env=False)

    @contextlib.contextmanager
    def open(self) -> Iterator[Stage]:
        """Begin to work; end everything in order."""
        self.worker.start()
        try:
            yield self
        finally:
            self.proxy.heal()
            try:
                self.worker.stop()
            finally:
                self.proxy.stop()
                self.gateway.stop()
                self._http.close()

    def suffer(self) -> None:
        """Let everything happen that the schedule has in store."""
        self._await_functions()
        began = time.monotonic()
        self._send("chaos/loop", "chaos/thread")
        for pause, blow, number in self.schedule.blows:
            time.sleep(pause)
            self._send("chaos/loop")
            self.strike(blow, number)
        time.sleep(max(0.0, self.schedule.seconds - (time.monotonic() - began)))
        self._send("chaos/thread")
        self.proxy.heal()

    def strike(self, blow: Blow, number: float) -> None:
        """Let one blow fall."""
        logging.getLogger("chaos").info("blow: %s", blow.value)
        if blow is Blow.RESTART:
            self.gateway.stop()
            time.sleep(number * 0.1)
            self.gateway.start()
        elif blow is Blow.DRAIN:
            self._http.post(f"{self.gateway.url}/v0/connect/drain").raise_for_status()
        elif blow is Blow.BREAK_ALL:
            self.proxy.break_all()
        elif blow is Blow.FREEZE_ALL:
            self.proxy.freeze_all()
        elif blow is Blow.REFUSE_CONNECTIONS:
            self.proxy.refusing = True
            self.proxy.break_all()
            time.sleep(number * 0.15)
            self.proxy.refusing = False
        elif blow is Blow.JUMP:
            self.gateway.shift += round((number - 0.5) * 7_200_000)

    def _await_functions(self) -> None:
        """An event that comes before them starts nothing."""
        deadline = time.monotonic() + PATIENCE
        path = f"{self.gateway.url}/v2/apps/chaos/functions"
        while not self._http.get(path).json().get("data"):
            assert time.monotonic() < deadline, f"never connected; struck: {self.proxy.struck}"
            time.sleep(0.005)

    def _send(self, *names: str) -> None:
        for index, name in enumerate(names):
            pause = (self.schedule.seed % 4) * 0.06 * (index + 1)
            event = {"name": name, "data": {"pause": pause}}
            answer = self._http.post(f"{self.gateway.url}/e/test", json=event)
            self.events.append(answer.raise_for_status().json()["ids"][0])

    def finished_runs(self) -> list[dict[str, Any]]:
        """Wait until the run of every event has ended."""
        deadline = time.monotonic() + PATIENCE
        while True:
            runs = [run for event in self.events for run in self._runs_of(event)]
            if len(runs) == len(self.events) and all(run["status"] in _ENDED for run in runs):
                return runs
            if time.monotonic() > deadline:
                raise AssertionError(f"runs hang: {runs}; struck: {self.proxy.struck}")
            time.sleep(0.02)

    def _runs_of(self, event: str) -> list[dict[str, Any]]:
        path = f"{self.gateway.url}/v2/events/{event}/runs?includeOutput=true"
        found: list[dict[str, Any]] = self._http.get(path).raise_for_status().json().get("data", [])
        return found
