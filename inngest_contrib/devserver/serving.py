"""
A whole server put together: engine and store, HTTP face, apps to find, and an orderly end.

The end: nothing new is started, calls in progress may finish (and still ask this server for what
they need), then the sockets close.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import uvicorn

from inngest_contrib.devserver import cron
from inngest_contrib.devserver.api.app import build
from inngest_contrib.devserver.api.context import Api
from inngest_contrib.devserver.connect.times import REAL, Times
from inngest_contrib.devserver.discovery import IN_PROCESS_URL, Discovery
from inngest_contrib.devserver.errors import AppNotLoaded, CannotListen, KeysRefused
from inngest_contrib.devserver.expressions import ExpressionError, Expressions
from inngest_contrib.devserver.keys import Keys, read_keys
from inngest_contrib.devserver.lock import StoreInUse
from inngest_contrib.devserver.loop import Server, ServerConfig, ServerStopped
from inngest_contrib.devserver.metrics import Metrics
from inngest_contrib.devserver.scanning import Scan
from inngest_contrib.devserver.sockets import is_loopback, listen
from inngest_contrib.devserver.store import StoreRefused
from inngest_contrib.devserver.tokens import Tokens
from inngest_core import __version__

if TYPE_CHECKING:
    from inngest_core import Inngest

logger = logging.getLogger("inngest.devserver")

GRACE_SECONDS = 10.0
_PING_SECONDS = 15.0
"""How often a websocket is asked whether somebody is still there."""
_PONG_SECONDS = 35.0
"""How long the answer may take: a worker that is busy may miss as many heartbeats."""
_FALSE_ALARM = "ASGI callable returned without completing handshake."
"""What uvicorn says of a websocket that is answered with an HTTP error, as ASGI allows."""
EXPECTED = (
    AppNotLoaded,
    CannotListen,
    ExpressionError,
    KeysRefused,
    ServerStopped,
    StoreInUse,
    StoreRefused,
)
"""What a user can put right; the message says how."""


@dataclass(slots=True, frozen=True, kw_only=True)
class Options:
    """What the `dev` command was asked for."""

    urls: tuple[str, ...] = ()
    host: str = "127.0.0.1"
    port: int = 8288
    allowed_hosts: tuple[str, ...] = ()
    database: str | None = None
    """Path of the file; None keeps everything in memory."""
    durability: str = "normal"
    retain: int | None = None
    """Milliseconds for which what has ended is kept; None keeps it for good."""
    vacuum: bool = False
    app: Inngest | str | None = None
    """A client whose functions run in this process, or where it is: `module:attribute`."""
    retry_interval: float | None = None
    poll: bool = True
    poll_interval: float = 5.0
    scan: bool = False
    """Look for apps at the usual ports of this machine."""
    signing_key: str | None = field(default=None, repr=False)
    """Bare hex; with it the server asks everyone for a key."""
    event_keys: tuple[str, ...] = field(default=(), repr=False)
    connect_times: Times = REAL
    """The intervals of the workers that are connected."""


async def serve(
    options: Options, *, ready: Callable[[str], None], stop: asyncio.Event | None = None
) -> None:
    """Serve until a signal comes or `stop` is set. `ready` is told the URL once requests are taken.

    Raises what EXPECTED lists.
    """
    keys = read_keys(options.signing_key, options.event_keys)
    stop = stop or _stop_on_signals()
    sockets = listen(options.host, options.port)
    url = _url(options.host, sockets)
    expressions = Expressions()
    server = Server(_config(options, url), expressions=expressions, next_tick=cron.next_tick)
    try:
        # An app within this process cannot be called before it is loaded.
        await server.start(calls=options.app is None)
        try:
            await _serve(options, keys, server, expressions, sockets, url, ready, stop)
        finally:
            await server.stop(grace=GRACE_SECONDS)
    finally:
        for one in sockets:
            one.close()


async def _serve(
    options: Options,
    keys: Keys,
    server: Server,
    expressions: Expressions,
    sockets: list[socket.socket],
    url: str,
    ready: Callable[[str], None],
    stop: asyncio.Event,
) -> None:
    api = Api(server, expressions, __version__, _start_options(options), keys)
    api.tokens = Tokens(server.secret("tokens"))
    api.metrics = Metrics(server)
    api.connect_times = options.connect_times
    any_host = not is_loopback(options.host)
    if any_host and keys.signing is None:
        logger.warning("Other machines can reach this server, and it asks nobody for a key.")
    web = _Web(
        uvicorn.Config(
            build(api, keys=keys, allowed_hosts=options.allowed_hosts, any_host=any_host),
            lifespan="off",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            timeout_keep_alive=65,
            timeout_graceful_shutdown=2,
            ws_ping_interval=_PING_SECONDS,
            ws_ping_timeout=_PONG_SECONDS,
            # Small messages, mostly from this machine: not worth the time and the memory.
            ws_per_message_deflate=False,
        )
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_false_alarm)
    serving = asyncio.create_task(web.serve(sockets=sockets))
    try:
        await web.wait_until_started(serving)
        async with _inside(server, options.app, url, keys) as urls:
            server.begin_calls()
            ready(url)
            discovery = Discovery(
                server,
                options.urls,
                url,
                options.poll_interval,
                poll=options.poll,
                skip=urls,
                keys=keys,
            )
            scan = Scan(discovery, urlsplit(url).port or 0, options.poll_interval)
            finders = [discovery.run(), *([scan.run()] if options.scan else [])]
            await _watch_apps(finders, stop, serving)
            api.ending.set()
            await server.stop(grace=GRACE_SECONDS)
    finally:
        # Whoever listens would stay for minutes, and uvicorn would wait for them.
        api.ending.set()
        api.hub.close()
        web.should_exit = True
        await serving


@contextlib.asynccontextmanager
async def _inside(
    server: Server, app: Inngest | str | None, url: str, keys: Keys
) -> AsyncIterator[frozenset[str]]:
    """Run an app within this process for a block, if there is one; give its addresses."""
    if app is None:
        yield frozenset({IN_PROCESS_URL})
        return
    # Only this needs the SDK: a server for apps elsewhere starts without it.
    from inngest_contrib.devserver.inprocess import attach_app

    inside = await attach_app(server, app, url, keys)
    try:
        yield inside.urls
    finally:
        await inside.close()


async def _watch_apps(
    finders: Sequence[Coroutine[Any, Any, None]],
    stop: asyncio.Event,
    serving: asyncio.Task[None],
) -> None:
    """Look for apps until the end is asked for."""
    finding = [asyncio.create_task(finder) for finder in finders]
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({*finding, stopping, serving}, return_when=asyncio.FIRST_COMPLETED)
        for one in finding:
            if one.done():
                one.result()
    finally:
        for task in (*finding, stopping):
            task.cancel()
        await asyncio.gather(*finding, stopping, return_exceptions=True)


def _is_no_false_alarm(record: logging.LogRecord) -> bool:
    # What is still under way when the sockets close is left, and uvicorn tells it as an error.
    left = record.exc_info is not None and record.exc_info[0] is asyncio.CancelledError
    return record.msg != _FALSE_ALARM and not left


class _Web(uvicorn.Server):
    """uvicorn, but signals are ours: the engine ends before the sockets do."""

    def install_signal_handlers(self) -> None:
        """Do nothing; versions before 0.29 ask here."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none; later versions ask here."""
        yield

    async def wait_until_started(self, serving: asyncio.Task[None]) -> None:
        """Return once requests are taken; raise what ended the server before."""
        while not self.started:
            if serving.done():
                serving.result()
                return
            await asyncio.sleep(0.005)


def _stop_on_signals() -> asyncio.Event:
    """Return what is set at the first signal. A second one does not wait for anything."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def end(number: int) -> None:
        if stop.is_set():
            # Whatever was acknowledged is stored: an abrupt end loses nothing.
            os._exit(128 + number)
        logger.info("Ending: calls in progress may finish. A second signal ends at once.")
        stop.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has no add_signal_handler; there Ctrl-C ends the process at once.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, end, number)
    return stop


def _config(options: Options, url: str) -> ServerConfig:
    return ServerConfig(
        address=url,
        database=options.database,
        durability=options.durability,
        retain=options.retain,
        vacuum=options.vacuum,
        retry_interval=options.retry_interval,
        signing_key=options.signing_key,
    )


def _url(host: str, sockets: list[socket.socket]) -> str:
    port = sockets[0].getsockname()[1]
    name = {"localhost": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, host)
    return f"http://{f'[{name}]' if ':' in name and '[' not in name else name}:{port}"


def _start_options(options: Options) -> dict[str, Any]:
    return {
        "urls": list(options.urls),
        "autodiscover": options.scan,
        "poll": options.poll,
        "poll_interval": options.poll_interval,
        "retry_interval": options.retry_interval or 0,
        "persist": options.database is not None,
    }
