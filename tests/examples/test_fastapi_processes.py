"""
The demo's child processes are waited for, explained when they fail, and never left behind.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from examples.fastapi.processes import NotReady, Process, ended_at_exit, free_port

SLEEPER = "import time\nprint('up', flush=True)\ntime.sleep(60)\n"


@pytest.fixture
def started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Process]:
    monkeypatch.chdir(tmp_path)
    for name, text in (("sleeper", SLEEPER), ("broken", "raise SystemExit('no such port')\n")):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
    return []


def start(module: str) -> Process:
    return Process(module, env={"PYTHONPATH": os.getcwd()}, log=Path(f"{module}.log"))


def test_a_process_is_ready_when_the_question_is_answered(started: list[Process]) -> None:
    with ended_at_exit() as processes:
        sleeper = start("sleeper")
        processes.append(sleeper)
        sleeper.wait_until(lambda: Path("sleeper.log").read_text() == "up\n", seconds=20)
    assert sleeper.wait() == -signal.SIGTERM


def test_a_process_that_ends_early_is_explained_by_what_it_wrote(started: list[Process]) -> None:
    with ended_at_exit() as processes:
        processes.append(start("broken"))
        with pytest.raises(NotReady, match=r"broken ended with code 1\. It wrote:\nno such port"):
            processes[0].wait_until(lambda: False, seconds=20)


def test_a_process_that_stays_silent_is_given_up(started: list[Process]) -> None:
    with ended_at_exit() as processes:
        processes.append(start("sleeper"))
        with pytest.raises(NotReady, match=r"was not ready after 0 s"):
            processes[0].wait_until(lambda: False, seconds=0.2)


def test_processes_are_ended_when_the_parent_is_told_to_end(tmp_path: Path) -> None:
    (tmp_path / "sleeper.py").write_text(SLEEPER, encoding="utf-8")
    parent = (
        "import os, signal, time\n"
        "from pathlib import Path\n"
        "from examples.fastapi.processes import Process, ended_at_exit\n"
        "with ended_at_exit() as processes:\n"
        "    child = Process('sleeper', env={}, log=Path('log'))\n"
        "    processes.append(child)\n"
        "    child.wait_until(lambda: Path('log').read_text() == 'up\\n', seconds=20)\n"
        "    print(child._child.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    time.sleep(20)\n"
    )
    root = str(Path(__file__).resolve().parents[2])
    done = subprocess.run(
        [sys.executable, "-c", parent],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([root, str(tmp_path)])},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert done.returncode == 128 + signal.SIGTERM, done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_a_wanted_port_is_given_if_it_is_free() -> None:
    port = free_port()
    assert free_port(port) == port


def test_another_port_is_given_if_the_wanted_one_is_taken() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert free_port(taken.getsockname()[1]) != taken.getsockname()[1]
