"""WorkerConnection: what users hold of a worker, and how one is made."""

from __future__ import annotations

import contextlib
import datetime
import platform
import random
import signal
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ..comm import CommHandler
from ..errors import ConfigError, InngestError
from ..execution.reply import dump
from ..net.aio import AsyncDriver
from ..version import VERSION
from ..wire.names import CAPABILITIES, SDK_LANGUAGE, Streaming
from . import connect_pb2 as pb
from .api import Api
from .calls import FRAMEWORK, Calls
from .driver import Driver
from .health import Health
from .protocol import Worker
from .states import ConnectionState
from .transport import MAX_FRAME_BYTES, missing
from .watch import Watch

if TYPE_CHECKING:
    from ..client import Inngest
    from ..function import Function

App = tuple["Inngest", "Sequence[Function[Any]] | None"]

MAX_APPS = 10
"""How many a gateway takes on one connection."""
SHUTDOWN_SIGNALS = (signal.SIGINT, signal.SIGTERM)
FUNCTIONS_URL = f"ws://{FRAMEWORK}"


def connect(
    apps: Sequence[App],
    *,
    instance_id: str | None = None,
    rewrite_gateway_endpoint: Callable[[str], str] | None = None,
    shutdown_signals: Sequence[signal.Signals] | None = None,
    max_worker_concurrency: int | None = None,
    health_host: str = "127.0.0.1",
    health_port: int | None = None,
) -> WorkerConnection:
    """
    A worker for some apps, over one connection; await its ``start()``.

    apps: clients with their functions; None for every function of the client. instance_id: what
    the server shows; the name of the machine unless given. rewrite_gateway_endpoint: changes the
    address of a gateway. shutdown_signals: close the worker; SIGINT and SIGTERM unless given.
    max_worker_concurrency: how many functions may run at once. health_port: answers there over
    HTTP how the worker is; 0 takes a free one.

    Raises ConfigError where the apps do not fit together.
    """
    _require_matching([client for client, _ in apps])
    first = apps[0][0]
    if max_worker_concurrency is None:
        max_worker_concurrency = first.config.connect_max_worker_concurrency
    elif max_worker_concurrency < 1:
        raise ConfigError(
            f"max_worker_concurrency: at least one is needed, got {max_worker_concurrency}"
        )
    return WorkerConnection(
        [(client, _handler(client, functions)) for client, functions in apps],
        health=None if health_port is None else Health(health_host, health_port),
        instance_id=instance_id or socket.gethostname(),
        limit=max_worker_concurrency,
        rewrite=rewrite_gateway_endpoint,
        signals=SHUTDOWN_SIGNALS if shutdown_signals is None else shutdown_signals,
    )


class WorkerConnection:
    """
    A worker's connection to the server. Made by ``connect``.

    Its methods may be called from any thread; the async ones from any loop.
    """

    def __init__(
        self,
        apps: Sequence[tuple[Inngest, CommHandler]],
        *,
        health: Health | None,
        instance_id: str,
        limit: int | None,
        rewrite: Callable[[str], str] | None,
        signals: Sequence[signal.Signals],
    ) -> None:
        self._apps = apps
        self._client = apps[0][0]
        self._health = health
        self._instance_id = instance_id
        self._limit = limit
        self._rewrite = rewrite
        self._signals = signals
        self._watch = Watch(ConnectionState.CONNECTING)
        self._worker: Worker | None = None
        self._driver: Driver | None = None

    @property
    def health_url(self) -> str | None:
        """Where the worker tells how it is, once it does."""
        return self._health.url if self._health else None

    def get_state(self) -> ConnectionState:
        """The state now."""
        return self._watch.state

    def get_connection_id(self) -> str:
        """The id that the server has given to the connection; InngestError before it has."""
        connection_id = self._worker.connection_id if self._worker else None
        if connection_id is None:
            raise InngestError(
                "connection not established; await wait_for_state(ConnectionState.ACTIVE) first"
            )
        return connection_id

    async def wait_for_state(self, state: ConnectionState) -> None:
        """Wait until the state is, or in passing was, *state*; InngestError if it never will be."""
        await self._watch.wait_for(state)

    async def start(self) -> None:
        """
        Connect, and work until the connection is closed.

        Async functions run on the loop that awaits this. Raises what the worker failed with.
        """
        if self._driver is not None:
            raise InngestError("start() was called twice; make another connection with connect()")
        if self._watch.state is ConnectionState.CLOSED:
            return
        self._worker = worker = Worker(
            self._introduction(), random=random.random, limit=self._limit
        )
        handlers = {client.app_id: handler for client, handler in self._apps}
        calls = Calls(handlers, self._finished, self._threads())
        calls.open()
        driver = self._driver = self._new_driver(worker, calls)
        try:
            with self._handled_signals():
                driver.start()
                await self._end(driver, calls)
        finally:
            driver.join()
            calls.close()
        if driver.error is not None:
            raise driver.error

    async def close(self, *, wait: bool = False) -> None:
        """
        Take on no more work, finish what runs, then disconnect; returns at once.

        wait: until all that has happened.
        """
        self._close()
        if wait:
            await self.closed()

    async def closed(self) -> None:
        """Wait until the connection is closed."""
        await self._watch.wait_for(ConnectionState.CLOSED)
        if self._driver is not None:
            self._driver.join()

    # ---- inside

    def _close(self) -> None:
        """Begin to close; also from a signal handler, which may come anywhere in this thread."""
        if self._driver is None:
            self._watch.become(ConnectionState.CLOSED)
            return
        self._watch.become(ConnectionState.CLOSING)
        self._driver.close()

    async def _end(self, driver: Driver, calls: Calls) -> None:
        try:
            await self._watch.wait_for(ConnectionState.CLOSED)
        except BaseException:
            # Whoever awaits start() wants no more: nobody would be told of what still runs.
            driver.abandon()
            await calls.abandon()
            await self._watch.wait_for(ConnectionState.CLOSED)
            raise

    def _finished(self, request_id: str, reply: bytes | None) -> None:
        assert self._driver is not None, "only a started worker is given work"
        self._driver.finished(request_id, reply)

    def _threads(self) -> int | None:
        """How many blocking functions may run at once; None for the standard library's number."""
        return self._client.config.thread_pool_size or self._limit

    def _new_driver(self, worker: Worker, calls: Calls) -> Driver:
        engine = self._client.engine
        http = AsyncDriver(engine.plugins.async_transport)
        return Driver(
            worker,
            api=Api(engine.home, http, self._rewrite),
            transport=engine.plugins.websocket_transport(),
            calls=calls,
            logger=lambda: self._client.logger,
            told=self._watch.become,
            health=self._health,
        )

    @contextlib.contextmanager
    def _handled_signals(self) -> Iterator[None]:
        """Let signals close the worker meanwhile. Only the main thread may set that."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        before = {each: signal.signal(each, self._on_signal) for each in self._signals}
        try:
            yield
        finally:
            for each, handler in before.items():
                # None: of a handler that was not set by Python.
                signal.signal(each, signal.SIG_DFL if handler is None else handler)

    def _on_signal(self, _number: int, _frame: object) -> None:
        self._close()

    def _introduction(self) -> pb.WorkerConnectRequestData:
        config = self._client.config
        data = pb.WorkerConnectRequestData(
            instance_id=self._instance_id,
            capabilities=dump(CAPABILITIES).encode(),
            apps=[_app(client, handler) for client, handler in self._apps],
            system_attributes=_system(),
            environment=config.env,
            framework=FRAMEWORK,
            platform=config.platform,
            sdk_version=f"v{VERSION}",
            sdk_language=SDK_LANGUAGE,
            max_worker_concurrency=self._limit,
        )
        data.started_at.FromDatetime(datetime.datetime.now(datetime.timezone.utc))
        return data


def _app(client: Inngest, handler: CommHandler) -> pb.AppConfiguration:
    functions = [config.to_wire(FUNCTIONS_URL) for config in handler.configs]
    return pb.AppConfiguration(
        app_name=client.app_id,
        app_version=client.app_version,
        functions=dump(functions).encode(),
    )


def _handler(client: Inngest, functions: Sequence[Function[Any]] | None) -> CommHandler:
    handler = CommHandler(
        client=client,
        framework=FRAMEWORK,
        functions=functions,
        max_body=MAX_FRAME_BYTES,
        # A message is whole or it is not there.
        streaming=Streaming.DISABLE,
        trusted=True,
    )
    handler.require_key()
    return handler


def _system() -> pb.SystemAttributes:
    try:
        import psutil
    except ImportError as error:
        raise missing("psutil") from error
    return pb.SystemAttributes(
        cpu_cores=psutil.cpu_count(),
        mem_bytes=psutil.virtual_memory().total,
        os=platform.system().lower(),
    )


def _require_matching(clients: Sequence[Inngest]) -> None:
    """Refuse apps that cannot share a connection."""
    if not clients:
        raise ConfigError("no apps provided")
    first = clients[0]
    for client in clients:
        for what, same in (
            ("API base URL", client.api_origin == first.api_origin),
            ("env", client.env == first.env),
            ("mode", client.is_production == first.is_production),
            ("signing key", client.signing_key == first.signing_key),
        ):
            if not same:
                raise ConfigError(f"inconsistent app config: {what}")
    ids = [client.app_id for client in clients]
    for app_id in ids:
        if ids.count(app_id) > 1:
            raise ConfigError(f'the app "{app_id}" is given twice; put its functions together')
    if len(ids) > MAX_APPS:
        raise ConfigError(f"a gateway takes {MAX_APPS} apps at most, got {len(ids)}")
