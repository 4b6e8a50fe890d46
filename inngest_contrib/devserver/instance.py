"""
A server for a block of code, or for a session of tests: started, ready, and ended with it.

The embedded server, in a thread or a process, and the official binary, where one is installed,
have the same face.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import logging
import os
import shutil
import socket
import sys
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

from typing_extensions import Self

from inngest_contrib.devserver.errors import ServerNotStarted
from inngest_contrib.devserver.hosting import Host, InProcess, InThread, announced_url
from inngest_contrib.devserver.keys import environment, read_keys
from inngest_core.wire.time import to_ms

if TYPE_CHECKING:
    from inngest_core import Inngest

Kind = Literal["thread", "process", "binary"]
_KINDS = ("thread", "process", "binary")
_LOGGER = logging.getLogger("inngest.devserver")


class DevServer:
    """
    An Inngest server that lives as long as a block.

        with DevServer() as server:
            os.environ.update(server.environment)

    kind: "thread" runs the embedded server in this process, "process" in another
    one, "binary" runs the official server. port: 0 takes a free one. database: a
    file; None keeps everything in memory. app: a client, or where it is
    (`module:attribute`), whose functions run inside the server, without HTTP; the
    client itself only in a thread. urls: where apps are. retain: how long ended runs
    and their events are kept ("7d", milliseconds or a timedelta); None: for good.
    retry_interval: seconds before every retry, in place of the growing ones.
    log_file: gets what the server logs. signing_key and event_keys: with them the
    server asks everyone for a key.
    binary: the official server's file, or its name on the path. start_timeout:
    seconds.
    """

    def __init__(
        self,
        *,
        app: Inngest | str | None = None,
        binary: str = "inngest",
        database: str | os.PathLike[str] | None = None,
        durability: Literal["normal", "full"] = "normal",
        event_keys: Sequence[str] = (),
        host: str = "127.0.0.1",
        kind: Kind = "thread",
        log_file: str | os.PathLike[str] | None = None,
        poll: bool = True,
        poll_interval: float = 5.0,
        port: int = 0,
        retain: int | datetime.timedelta | str | None = None,
        retry_interval: float | None = None,
        signing_key: str | None = None,
        start_timeout: float = 30.0,
        urls: Sequence[str] = (),
    ) -> None:
        if kind not in _KINDS:
            raise ValueError(f'kind: expected "thread", "process" or "binary", got {kind!r}')
        self._app = app
        self._binary = binary
        self._database = None if database is None else os.fspath(database)
        self._durability = durability
        self._name = host
        self._kind = kind
        self._log_file = None if log_file is None else Path(log_file)
        self._poll = poll
        self._poll_interval = poll_interval
        self._asked_port = port
        self._retain = None if retain is None else _read_retain(retain)
        self._retry_interval = retry_interval
        self._patience = start_timeout
        self._urls = tuple(urls)
        self._keys = read_keys(signing_key, event_keys)
        self._host: Host | None = None
        self._logging: logging.Handler | None = None
        self._url = ""

    # ---- where it is

    @property
    def url(self) -> str:
        """The server's address, once it runs, without a slash at its end."""
        if not self._url:
            raise RuntimeError("the server does not run: start it, or use it in a `with` block")
        return self._url

    @property
    def origin(self) -> str:
        """As ``url``."""
        return self.url

    @property
    def port(self) -> int:
        """The port it listens on; before it runs, the one it was asked to take."""
        return (urlsplit(self._url).port or 80) if self._url else self._asked_port

    @property
    def running(self) -> bool:
        return self._host is not None

    @property
    def environment(self) -> dict[str, str]:
        """The variables that make an app use this server."""
        return environment(self.url, self._keys)

    # ---- life

    def start(self) -> None:
        """
        Return once requests are taken.

        Raises ServerNotStarted, or what says why a server cannot run: CannotListen,
        AppNotLoaded, StoreInUse, StoreRefused.
        """
        if self._host is not None:
            raise RuntimeError(f"the server runs already, at {self._url}")
        self._open_log()
        host = _HOSTS[self._kind](self)
        try:
            self._url = host.start(self._patience)
        except BaseException:
            self._close_log()
            raise
        self._host = host

    def stop(self) -> None:
        """End the server: calls in progress may finish. Nothing happens if it does not run."""
        host, self._host, self._url = self._host, None, ""
        try:
            if host is not None:
                host.stop()
        finally:
            self._close_log()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)

    # ---- each kind

    def _in_thread(self) -> Host:
        from inngest_contrib.devserver.serving import Options

        return InThread(
            Options(
                urls=self._urls,
                host=self._name,
                port=self._asked_port,
                database=self._database,
                durability=self._durability,
                retain=self._retain,
                app=self._app,
                retry_interval=self._retry_interval,
                poll=self._poll,
                poll_interval=self._poll_interval,
                signing_key=self._keys.signing,
                event_keys=self._keys.events,
            )
        )

    def _in_process(self) -> Host:
        if self._app is not None and not isinstance(self._app, str):
            raise ValueError(
                "app: another process cannot run the functions of a client of this one; name it "
                'as "module:attribute", or use kind="thread"'
            )
        command = [sys.executable, "-m", "inngest_contrib.devserver", *self._arguments()]
        return InProcess(command, announced_url, self._log_file, self._secrets())

    def _secrets(self) -> dict[str, str]:
        """What it is told where other users of this machine cannot see it."""
        if self._keys.signing is None:
            return {}
        return {
            "INNGEST_SERVER_SIGNING_KEY": self._keys.signing,
            "INNGEST_SERVER_EVENT_KEY": " ".join(self._keys.events),
        }

    def _arguments(self) -> list[str]:
        """What `inngest-core dev` is told."""
        arguments = ["--host", self._name, "--port", str(self._asked_port)]
        arguments += ["--db", self._database] if self._database else ["--in-memory"]
        arguments += ["--durability", self._durability]
        arguments += [] if self._retain is None else ["--retain", f"{self._retain}ms"]
        arguments += ["--poll-interval", str(self._poll_interval)]
        arguments += [] if self._poll else ["--no-poll"]
        arguments += ["--app", self._app] if isinstance(self._app, str) else []
        if self._retry_interval is not None:
            arguments += ["--retry-interval", str(self._retry_interval)]
        return arguments + [part for url in self._urls for part in ("-u", url)]

    def _official(self) -> Host:
        self._refuse_for_binary()
        found = shutil.which(self._binary)
        if found is None:
            raise ServerNotStarted(
                f"{self._binary} is not installed. Install the official server, say where it is "
                '(binary="..."), or use the embedded one: kind="thread" or kind="process"'
            )
        port, gateway = self._asked_port or free_port(), free_port()
        command = [found, "dev", "--host", self._name, "--port", str(port), "--no-discovery"]
        command += ["--connect-gateway-port", str(gateway)]
        command += [] if self._poll else ["--no-poll"]
        command += ["--poll-interval", str(max(1, round(self._poll_interval)))]
        if self._retry_interval is not None:
            command += ["--retry-interval", str(max(1, round(self._retry_interval)))]
        command += [part for url in self._urls for part in ("-u", url)]
        address = f"http://{self._name}:{port}"
        return InProcess(command, lambda lines: _if_healthy(address), self._log_file)

    def _refuse_for_binary(self) -> None:
        refused = (
            ("app", self._app),
            ("database", self._database),
            ("retain", self._retain),
            ("signing_key", self._keys.signing),
        )
        for name, value in refused:
            if value is not None:
                raise ValueError(f"{name}: the official server has nothing of the kind")

    # ---- the log of a server in this process; another process writes its own

    def _open_log(self) -> None:
        if self._log_file is not None and self._kind == "thread":
            self._logging = logging.FileHandler(self._log_file)
            self._logging.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
            _LOGGER.addHandler(self._logging)

    def _close_log(self) -> None:
        if self._logging is not None:
            _LOGGER.removeHandler(self._logging)
            self._logging.close()
            self._logging = None


_HOSTS = {
    "thread": DevServer._in_thread,
    "process": DevServer._in_process,
    "binary": DevServer._official,
}


def _read_retain(retain: int | datetime.timedelta | str) -> int:
    ms = to_ms(retain, "retain")
    if ms == 0:
        raise ValueError("retain: it would keep nothing; leave it out to keep everything")
    return ms


def free_port() -> int:
    """A port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _if_healthy(url: str) -> str | None:
    """*url*, if a server there says that it is well."""
    import httpx

    with contextlib.suppress(httpx.HTTPError):
        if httpx.get(f"{url}/health", timeout=1, trust_env=False).is_success:
            return url
    return None


class SessionServer(DevServer):
    """
    The server of a session of tests, as its environment says.

    DEV_SERVER_PORT: its port, 8288 unless set. DEV_SERVER_ENABLED=0: one runs there
    already, so none is started. DEV_SERVER_LOGS=1: its log goes to
    artifacts/dev_server.log. DEV_SERVER_KIND: thread, process or binary.
    """

    def __init__(self, environ: Any = os.environ) -> None:
        log = Path("artifacts", "dev_server.log") if environ.get("DEV_SERVER_LOGS") == "1" else None
        kind: Any = environ.get("DEV_SERVER_KIND", "thread")
        port = int(environ.get("DEV_SERVER_PORT") or 8288)
        super().__init__(port=port, kind=kind, log_file=log, poll=False)
        self._enabled = environ.get("DEV_SERVER_ENABLED") != "0"
        self._log = log

    def start(self) -> None:
        """Start it, unless one runs there already."""
        if not self._enabled:
            self._url = f"http://127.0.0.1:{self._asked_port}"
            return
        if self._log is not None:
            self._log.parent.mkdir(exist_ok=True)
        super().start()
