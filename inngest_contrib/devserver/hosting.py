"""
Where a server runs: in a thread of this process, or in a process of its own.

Each kind has `start`, which returns the server's address once requests are taken, and `stop`.
"""

from __future__ import annotations

import asyncio
import collections
import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from inngest_contrib.devserver.errors import ServerNotStarted

if TYPE_CHECKING:
    from inngest_contrib.devserver.serving import Options

STOP_SECONDS = 15.0
"""How long a server may take to end: calls in progress may finish."""
READY = "ready on "
"""Ends with the address, in the line by which `inngest-core dev` says that it takes requests."""
_PAUSE = 0.05
_LAST_LINES = 30


class Host(Protocol):
    """Something that a server runs in."""

    def start(self, patience: float) -> str:
        """Start the server; its address. Raise ServerNotStarted after *patience* seconds."""

    def stop(self) -> None:
        """End the server, and wait for its end."""


class InThread:
    """A server on an event loop of its own, in a thread of this process."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._failure: BaseException | None = None
        self._url = ""
        self._settled = threading.Event()
        # Whoever forgets to stop it can still leave: what was acknowledged is stored.
        self._thread = threading.Thread(target=self._run, name="inngest-devserver", daemon=True)

    def start(self, patience: float) -> str:
        """See Host.start. What the server itself raises is raised here."""
        self._thread.start()
        if not self._settled.wait(patience):
            self.stop()
            raise ServerNotStarted(f"The server did not start within {patience:g} seconds.")
        if self._failure is not None:
            raise self._failure
        return self._url

    def stop(self) -> None:
        """See Host.stop. Raises what ended the server before its time."""
        if self._loop and self._stop:
            with contextlib.suppress(RuntimeError):  # The loop has ended already.
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(STOP_SECONDS)
        if self._thread.is_alive():
            raise TimeoutError(f"The server has not ended within {STOP_SECONDS:g} seconds.")
        failure, self._failure = self._failure, None
        if failure is not None and self._url:
            raise failure

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:
            self._failure = failure
        finally:
            self._settled.set()

    async def _serve(self) -> None:
        from inngest_contrib.devserver.serving import serve

        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await serve(self._options, ready=self._note, stop=self._stop)

    def _note(self, url: str) -> None:
        self._url = url
        self._settled.set()


class InProcess:
    """
    A server in a process of its own.

    find_url: reads the address out of what the process has written; asked again and
    again until it finds one. log_file: gets all that it writes. environment: variables
    that it has beyond ours.
    """

    def __init__(
        self,
        command: Sequence[str],
        find_url: Callable[[Sequence[str]], str | None],
        log_file: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._command = list(command)
        self._find_url = find_url
        self._log_file = log_file
        self._environment = dict(environment or {})
        self._lines: collections.deque[str] = collections.deque(maxlen=_LAST_LINES)
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self, patience: float) -> str:
        """See Host.start. The error shows the last lines that the process has written."""
        try:
            self._process = subprocess.Popen(
                self._command,
                env={**os.environ, **self._environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            raise ServerNotStarted(f"{self._command[0]} cannot be run: {error}") from error
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self._wait(self._process, time.monotonic() + patience)

    def stop(self) -> None:
        """See Host.stop. A process that does not end is killed."""
        process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._reader is not None:
            self._reader.join()

    def _wait(self, process: subprocess.Popen[str], deadline: float) -> str:
        while process.poll() is None and time.monotonic() < deadline:
            if (url := self._find_url(tuple(self._lines))) is not None:
                return url
            time.sleep(_PAUSE)
        status = process.poll()
        self.stop()
        what = "did not start in time" if status is None else f"ended with status {status}"
        written = "\n".join(self._lines) or "It has written nothing."
        raise ServerNotStarted(f"{self._command[0]} {what}.\n{written}")

    def _read(self) -> None:
        """Keep the pipe empty: a process that nobody listens to would stand still."""
        assert self._process is not None
        assert self._process.stdout is not None
        with contextlib.ExitStack() as stack:
            stack.enter_context(self._process.stdout)
            log = stack.enter_context(self._log_file.open("a")) if self._log_file else None
            for line in self._process.stdout:
                self._lines.append(line.rstrip())
                if log is not None:
                    log.write(line)
                    log.flush()


def announced_url(lines: Sequence[str]) -> str | None:
    """The address that `inngest-core dev` has announced."""
    found = [line.rpartition(READY)[2].strip() for line in lines if READY in line]
    return found[-1] if found else None
