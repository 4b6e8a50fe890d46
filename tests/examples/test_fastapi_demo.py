"""
The demo itself, as `make demo` runs it: processes, HTTP, a file, and an exit code that means it.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_the_demo_ends_with_every_run_as_expected() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.fastapi.demo"],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "150"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All runs ended as expected" in done.stdout
    assert "make dev" in done.stdout
    lines = done.stdout.splitlines()
    for order, status in (("A-1001", "COMPLETED"), ("A-1008", "FAILED"), ("A-1013", "CANCELLED")):
        assert any(re.match(rf"{order} .* {status} ", line) for line in lines), (order, status)
