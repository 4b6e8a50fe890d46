"""The lock of a database: one holder, named to whoever else asks."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from inngest_contrib.devserver.lock import FileLock, StoreInUse


def test_the_first_holder_is_named(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db-lock")
    lock = FileLock(path, "http://127.0.0.1:8288")
    with pytest.raises(StoreInUse, match=f"process {os.getpid()}, http://127.0.0.1:8288"):
        FileLock(path, "other")
    lock.release()
    lock.release()
    FileLock(path).release()


HOLD = "import sys, time\nfrom inngest_contrib.devserver.lock import FileLock\n"
HOLD += "lock = FileLock(sys.argv[1])\nprint('held', flush=True)\ntime.sleep(60)"


def test_the_lock_dies_with_its_process(tmp_path: Path) -> None:
    path = str(tmp_path / "x.db-lock")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, path],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[3],
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline().strip() == b"held"
        with pytest.raises(StoreInUse, match=f"process {holder.pid}"):
            FileLock(path)
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    FileLock(path).release()
