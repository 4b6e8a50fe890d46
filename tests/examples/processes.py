"""Examples as their users run them: `python -m ...`, which prints its address first."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def example(module: str, server: str) -> Iterator[str]:
    """Run a module for a block, against a server; give what it prints first: its address."""
    process = subprocess.Popen(
        [sys.executable, "-m", module],
        cwd=ROOT,
        env={**os.environ, "INNGEST_DEV": server, "PORT": "0"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    printed = process.stdout
    assert printed is not None
    try:
        address = printed.readline().strip()
        assert address.startswith("http://"), f"{module} has printed {address!r}"
        yield address
    finally:
        process.terminate()
        process.wait(timeout=30)
        printed.close()
