"""What is said where the extra is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = """
import asyncio, sys
import inngest_core as inngest

sys.modules[{name!r}] = None
client = inngest.Inngest(app_id="app", is_production=False)
try:
    from inngest_core.connect import connect

    asyncio.run(connect([(client, [])]).start())
except inngest.ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["google.protobuf", "psutil", "websockets"])
def test_a_library_that_is_missing_is_named_with_the_extra_that_brings_it(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(name=name)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=50,
        check=True,
    )
    said = name.removeprefix("google.")
    assert done.stdout == (
        f"connect needs {said}, which is not installed; install the extra: "
        "pip install 'inngest-core[connect]'\n"
    )
