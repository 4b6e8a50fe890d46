"""Connections are closed in every mode, on SQLite and on PostgreSQL; the ORM works in each."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import connection
from django.test import AsyncClient, Client, TestCase

from inngest_contrib.testing.conformance import call

from .conftest import ROOT
from .shop.models import Order

PROBE = "tests.contrib.django.probe_connections"


def probed(*arguments: str) -> Any:
    """What the probe has counted."""
    done = subprocess.run(
        [sys.executable, "-m", PROBE, *arguments],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def check(found: dict[str, dict[str, int]]) -> None:
    assert len(found) == 8
    assert {way: counts["left"] for way, counts in found.items()} == dict.fromkeys(found, 0)
    assert all(counts["opened"] > 0 for counts in found.values()), found


def test_no_connection_is_left_open_on_sqlite(tmp_path: Path) -> None:
    check(probed("sqlite3", str(tmp_path / "db.sqlite3")))


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_no_connection_is_left_open_on_postgresql(postgres: Path) -> None:
    check(probed("postgresql", "postgres", str(postgres)))


@pytest.fixture
def postgres() -> Iterator[Path]:
    """A PostgreSQL server for one test: the directory of its socket."""
    pytest.importorskip("psycopg")
    for program in ("initdb", "postgres"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on the path")
    unprivileged = _unprivileged()
    # Not below tmp_path: the path of a socket has at most 107 bytes, and other users must get in.
    with tempfile.TemporaryDirectory(prefix="pg", dir="/tmp") as folder:
        home = Path(folder)
        data = home / "data"
        data.mkdir()
        home.chmod(0o755)
        if unprivileged:
            shutil.chown(home, "nobody")
            shutil.chown(data, "nobody")
        _run([*unprivileged, "initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "-N"])
        options = ["-D", str(data), "-k", folder, "-h", "", "-F"]
        server = subprocess.Popen(
            [*unprivileged, "postgres", *options],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(home / ".s.PGSQL.5432", server)
            yield home
        finally:
            server.terminate()
            server.wait(20)


def _unprivileged() -> list[str]:
    """What runs a command as somebody else: PostgreSQL refuses to be run by root."""
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("PostgreSQL does not run as root, and there is no setpriv to be somebody else")
    return ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd="/tmp", capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        pytest.skip(f"{command[-8]} does not run here: {done.stderr[-300:]}")


def _wait_for(path: Path, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert server.poll() is None, "PostgreSQL has ended"
        assert time.monotonic() < deadline, "PostgreSQL does not listen"
        with socket.socket(socket.AF_UNIX) as probe:
            if probe.connect_ex(str(path)) == 0:
                return
        time.sleep(0.05)


# ---- tests of users see what their functions do


class TestInATestCase(TestCase):
    """Functions work on the connection of the test, in its transaction."""

    databases = {"default"}  # noqa: RUF012  # as Django has it

    def ask(self, function: str) -> Any:
        asked = call(function)
        with self.settings(ROOT_URLCONF="tests.contrib.django.urls"):
            return Client().post(asked.target, asked.body, content_type="application/json")

    async def aask(self, function: str) -> Any:
        asked = call(function)
        return await AsyncClient().post(asked.target, asked.body, content_type="application/json")

    def test_a_blocking_function_sees_what_the_test_has_not_committed(self) -> None:
        Order.objects.create(name="one")
        assert self.ask("found").json() == 1

    def test_an_async_function_sees_it_too(self) -> None:
        Order.objects.create(name="one")
        assert self.ask("afound").json() == 1

    async def test_both_see_it_from_an_async_test(self) -> None:
        await Order.objects.acreate(name="one")
        assert (await self.aask("found")).json() == 1
        assert (await self.aask("afound")).json() == 1

    async def test_the_thread_is_that_of_the_test(self) -> None:
        mine = await sync_to_async(lambda: id(connection.connection))()
        await self.aask("found")
        assert await sync_to_async(lambda: id(connection.connection))() == mine
