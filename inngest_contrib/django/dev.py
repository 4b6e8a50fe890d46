"""
``manage.py inngest dev``: the embedded server beside runserver.

Each is a process of its own. The server asks the project for its functions again every
second, so that it knows them as soon as runserver has reloaded the code.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

import click
from django.urls import NoReverseMatch, reverse

from . import conf
from .adapter import DEFAULT_PATH, NAME
from .project import project

SERVER = "inngest_contrib.devserver"
SYNC_SECONDS = "1"
GRACE_SECONDS = 15.0
_PAUSE = 0.2


@click.command("dev")
@click.argument("address", default="127.0.0.1:8000", metavar="[ADDRESS:]PORT")
@click.option("--port", type=click.IntRange(1, 65535), help="Of the server.  [default: 8288]")
@click.option("--db", metavar="FILE", help="Its database file.  [default: .inngest/dev.db]")
@click.option("--in-memory", is_flag=True, help="Keep nothing when the server ends.")
@click.option("--noreload", is_flag=True, help="Do not reload the project when its code changes.")
@click.option("--server-only", is_flag=True, help="Start no runserver; yours is at ADDRESS.")
def dev(
    address: str,
    port: int | None,
    db: str | None,
    in_memory: bool,
    noreload: bool,
    server_only: bool,
) -> None:
    """
    Run the project and an Inngest server for it, until Ctrl-C.

    The project is run with runserver, and finds the server by INNGEST_DEV. Functions are
    synced when they change.
    """
    if db and in_memory:
        raise click.UsageError("--db and --in-memory exclude each other.")
    if conf.current().get("DEV") is False:
        raise click.UsageError("INNGEST has DEV: False; this server is for dev mode. Take it out.")
    host, app_port = _host_and_port(address)
    server_url = _server_url(port)
    app_url = f"http://{host}:{app_port}{_path()}"
    store = ["--db", db] if db else ["--in-memory"] if in_memory else []
    server = ["-m", SERVER, "--port", str(urlsplit(server_url).port), *store]
    server += ["--poll-interval", SYNC_SECONDS, "-u", app_url]
    run = [sys.argv[0], "runserver", f"{host}:{app_port}", *(["--noreload"] if noreload else [])]
    click.echo(f"project http://{host}:{app_port}, Inngest server {server_url}; Ctrl-C ends both")
    commands = (
        {"the Inngest server": server}
        if server_only
        else {
            "the Inngest server": server,
            "runserver": run,
        }
    )
    _supervise(commands, {"INNGEST_DEV": server_url})


def _host_and_port(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise click.BadParameter(f"{address}: expected a port, or an address and a port")
    return host or "127.0.0.1", int(port)


def _server_url(port: int | None) -> str:
    """Where the server is to be: at the port, else where the project looks for it."""
    client = project.client()
    if port is None and not client.is_production:
        parts = urlsplit(client.config.api_origin)
        if parts.hostname in ("127.0.0.1", "localhost") and parts.port:
            return client.config.api_origin
    return f"http://127.0.0.1:{port or 8288}"


def _path() -> str:
    try:
        return reverse(NAME)
    except NoReverseMatch:
        return DEFAULT_PATH


def _supervise(commands: Mapping[str, Sequence[str]], environment: dict[str, str]) -> None:
    """Run processes until one ends, or a signal comes; then end all."""
    variables = {**os.environ, **environment}
    with _signals_raise(), contextlib.ExitStack() as stack:
        running: dict[str, subprocess.Popen[bytes]] = {}
        for name, words in commands.items():
            # A session each: runserver has a child, which must end with it.
            process = subprocess.Popen(
                [sys.executable, *words], env=variables, start_new_session=True
            )
            stack.callback(_end, process)
            running[name] = process
        try:
            name = _first_ended(running)
        except KeyboardInterrupt:
            return
    raise click.ClickException(f"{name} has ended with status {running[name].returncode}.")


def _first_ended(running: dict[str, subprocess.Popen[bytes]]) -> str:
    while True:
        for name, process in running.items():
            if process.poll() is not None:
                return name
        time.sleep(_PAUSE)


def _end(process: subprocess.Popen[bytes]) -> None:
    _signal(process, signal.SIGTERM)
    try:
        process.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        _signal(process, getattr(signal, "SIGKILL", signal.SIGTERM))
        process.wait()


def _signal(process: subprocess.Popen[bytes], number: int) -> None:
    """Signal a process and its children."""
    with contextlib.suppress(ProcessLookupError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, number)
        else:
            process.terminate()


@contextlib.contextmanager
def _signals_raise() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C does."""

    def interrupt(number: int, frame: FrameType | None) -> Any:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
