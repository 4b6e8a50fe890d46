"""
Worker and gateway under every misfortune that a network has: each run ends well, the memo of each
step is stored once, nothing hangs and nothing is left behind.

`make chaos` plays 500 schedules; the suite plays a few. CONNECT_SCHEDULES says how many, and
CHAOS_SEED which.
"""

from __future__ import annotations

import gc
import json
import os
import threading
from pathlib import Path

import psutil
import pytest

from tests.connect_chaos.schedule import Schedule
from tests.connect_chaos.stage import STEPS, Stage

COUNT = int(os.environ.get("CONNECT_SCHEDULES", "10"))
SEED = int(os.environ.get("CHAOS_SEED", "0"))


@pytest.mark.parametrize("number", range(COUNT))
def test_runs_survive_a_schedule_of_faults(
    number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = Schedule.of(SEED * 100_000 + number)
    print(schedule)
    threads, sockets = _threads(), _sockets()
    stage = Stage(schedule, tmp_path, monkeypatch)
    with stage.open():
        stage.suffer()
        runs = stage.finished_runs()
    assert {run["status"] for run in runs} == {"COMPLETED"}, runs
    assert stage.ledger.rewritten == []
    stored = {
        json.loads(memo)["data"]
        for memos in stage.ledger.memos.values()
        for memo in memos
        if b'"data":"' in memo
    }
    for run in runs:
        tokens = run["output"]["data"]
        assert len(tokens) == (STEPS if run["function"]["id"] == "thread" else STEPS + 2)
        assert set(tokens) <= stored, "what a run returns is what was stored"
    assert _threads() <= threads
    assert _sockets() <= sockets


def _threads() -> set[str]:
    return {thread.name for thread in threading.enumerate()}


def _sockets() -> int:
    gc.collect()
    return len(psutil.Process().net_connections())
