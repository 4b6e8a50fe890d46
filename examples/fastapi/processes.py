"""
Child processes that never outlive their parent's work: started, waited for, ended by their id.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import httpx

GRACE = 5.0


class NotReady(RuntimeError):
    """A process ended or stayed silent; the message ends with what it last wrote."""


class Process:
    """One running module, with what it writes in a file, or on the terminal if there is none."""

    def __init__(self, module: str, *args: str, env: Mapping[str, str], log: Path | None) -> None:
        self.name = module
        self._log = log
        output = log.open("wb") if log else None
        self._child = subprocess.Popen(
            [sys.executable, "-m", module, *args],
            env={**os.environ, **env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT if output else None,
        )
        if output:
            output.close()

    def wait_until(self, ready: Callable[[], bool], *, seconds: float) -> None:
        """Ask until the answer is yes. Raises NotReady after that time or if the process ended."""
        deadline = time.monotonic() + seconds
        while not answers(ready):
            if self._child.poll() is not None:
                raise NotReady(self._explain(f"ended with code {self._child.returncode}"))
            if time.monotonic() > deadline:
                raise NotReady(self._explain(f"was not ready after {seconds:.0f} s"))
            time.sleep(0.05)

    def wait(self) -> int:
        """Wait until the process ends of itself; return its code."""
        return self._child.wait()

    def end(self) -> None:
        """Ask the process to end, and after a while make it."""
        if self._child.poll() is None:
            self._child.terminate()
        try:
            self._child.wait(GRACE)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _explain(self, what: str) -> str:
        wrote = self._log.read_text(errors="replace")[-4000:] if self._log else "(see above)"
        return f"{self.name} {what}. It wrote:\n{wrote or '(nothing)'}"


@contextmanager
def ended_at_exit() -> Iterator[list[Process]]:
    """Give a list; the processes in it are ended when the block is left, by a signal too."""
    processes: list[Process] = []
    # Windows knows no SIGHUP.
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {number: signal.signal(number, leave) for number in numbers}
    try:
        yield processes
    finally:
        for process in reversed(processes):
            process.end()
        for number, handler in before.items():
            signal.signal(number, handler)


def leave(number: int, frame: FrameType | None) -> None:
    """Turn a signal into an exception, so that `finally` blocks run."""
    raise SystemExit(128 + number)


def answers(ready: Callable[[], bool]) -> bool:
    """Ask once; an error on the wire is a no."""
    try:
        return ready()
    except httpx.HTTPError:
        return False


def free_port(wanted: int = 0) -> int:
    """Return a port of the loopback that is free now: the wanted one if possible."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", wanted))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
