"""The command: options, where it keeps its data, how it starts and ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner

from inngest_contrib.devserver.command import dev
from inngest_contrib.devserver.plugin import inngest_commands
from tests.contrib.devserver.live import Call, Reply, StandIn, eventually, nap

ROOT = Path(__file__).parents[3]


class Server:
    """The command in a process of its own, as a user runs it."""

    def __init__(self, directory: Path, *arguments: str, **environment: str) -> None:
        self._log = (directory / "server.log").open("w+")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "inngest_contrib.devserver", "--port", "0", *arguments],
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        ready = eventually(self._ready, what="the line that says it is ready")
        self.http = httpx.Client(base_url=ready, timeout=10, trust_env=False)

    def _ready(self) -> str | None:
        match = re.search(r"^inngest-core dev: ready on (http://\S+)$", self.log(), re.MULTILINE)
        assert match or self.process.poll() is None, self.log()
        return match[1] if match else None

    def log(self) -> str:
        """Return what it has written so far."""
        return Path(self._log.name).read_text()

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.http.close()
        self.process.send_signal(number)
        return self.process.wait(15)

    def close(self) -> None:
        """End it by force if it is still there, and show its log in the report of the test."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        print(self.log())
        self._log.close()


@contextmanager
def started(directory: Path, *arguments: str, **environment: str) -> Iterator[Server]:
    server = Server(directory, *arguments, **environment)
    try:
        yield server
    finally:
        server.close()


def send(server: Server, name: str) -> str:
    event_id: str = server.http.post("/e/k", json={"name": name}).json()["ids"][0]
    return event_id


def runs_of(server: Server, event_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        server.http.get(f"/v2/events/{event_id}/runs").json().get("data", [])
    )
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0(tmp_path: Path, number: int) -> None:
    with started(tmp_path, "--in-memory") as server:
        assert server.http.get("/health").json()["message"] == "OK"
        assert server.end(number) == 0
    assert not (tmp_path / ".inngest").exists()


def test_the_default_database_is_private_and_not_for_version_control(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        assert server.end() == 0
    directory = tmp_path / ".inngest"
    assert (directory / ".gitignore").read_text() == "*\n"
    assert (directory.stat().st_mode & 0o777, (directory / "dev.db").stat().st_mode & 0o777) == (
        0o700,
        0o600,
    )


def test_a_run_goes_on_in_the_next_server_on_the_same_file(tmp_path: Path, app: StandIn) -> None:
    app.answer = lambda call: (
        Reply(200, "rested") if call.json["steps"] else Reply(206, [nap("1s")])
    )
    database = ("--db", str(tmp_path / "state" / "x.db"))
    with started(tmp_path, *database) as server:
        app.register(server, "on", app.function("on", "f"))
        event_id = send(server, "on/f")
        eventually(lambda: app.calls)
        eventually(lambda: [run["status"] for run in runs_of(server, event_id)] == ["RUNNING"])
        assert server.end() == 0
    with started(tmp_path, *database) as server:
        eventually(lambda: [run["status"] for run in runs_of(server, event_id)] == ["COMPLETED"])


def test_a_second_server_on_the_same_file_refuses(tmp_path: Path) -> None:
    with started(tmp_path) as server:
        done = subprocess.run(
            [sys.executable, "-m", "inngest_contrib.devserver", "--port", "0"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 1
        assert "in use by another server" in done.stderr
        assert "Traceback" not in done.stderr
        assert server.end() == 0


def test_calls_in_progress_may_end_before_the_server_does(tmp_path: Path, app: StandIn) -> None:
    with started(tmp_path, "--db", "x.db") as server:

        def slow(call: Call) -> Reply:
            server.process.send_signal(signal.SIGTERM)
            with pytest.raises(AssertionError):
                eventually(lambda: server.process.poll() is not None, seconds=0.5)
            return Reply(200, "late but well")

        app.answer = slow
        app.register(server, "slow", app.function("slow", "f"))
        event_id = send(server, "slow/f")
        assert server.process.wait(15) == 0
    with started(tmp_path, "--db", "x.db") as server:
        assert [run["status"] for run in runs_of(server, event_id)] == ["COMPLETED"]


def test_a_second_signal_does_not_wait(tmp_path: Path, app: StandIn) -> None:
    release = threading.Event()

    def hang(call: Call) -> Reply:
        release.wait(20)
        return Reply(200, "late")

    app.answer = hang
    with started(tmp_path, "--in-memory") as server:
        app.register(server, "hangs", app.function("hangs", "f"))
        send(server, "hangs/f")
        eventually(lambda: app.calls)
        server.process.send_signal(signal.SIGINT)
        eventually(lambda: "A second signal ends at once" in server.log())
        assert server.end(signal.SIGINT) == 130
    release.set()


def test_a_taken_port_ends_it_with_a_message(tmp_path: Path) -> None:
    with started(tmp_path, "--in-memory") as server:
        port = str(server.http.base_url.port)
        result = CliRunner().invoke(dev, ["--in-memory", "--port", port])
    assert result.exit_code == 1
    assert f"Port {port}" in result.output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--db", "x", "--in-memory"], "exclude each other"),
        (["--vacuum", "--in-memory"], "is for a file"),
        (["--retain", "soon"], '"soon" is not a duration'),
        (["--retain", "0s"], "0s would keep nothing"),
        (["--retry-interval", "-1"], "is not in the range"),
        (["--durability", "some"], "is not one of"),
        (["--retry-interval", "nan"], "is not a number of seconds"),
        (["--poll-interval", "inf"], "is not a number of seconds"),
        (["--port", "x"], "is not a valid integer"),
        (["--port", "65536"], "is not in the range"),
    ],
)
def test_bad_options_are_explained(arguments: list[str], text: str) -> None:
    result = CliRunner().invoke(dev, arguments)
    assert result.exit_code == 2
    assert text in result.output


def test_a_directory_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = CliRunner().invoke(dev, ["--port", "0", "--db", str(tmp_path / "file" / "x.db")])
    assert result.exit_code == 1
    assert "Cannot make the directory" in result.output


def test_the_plugin_adds_the_command() -> None:
    group = click.Group()
    inngest_commands(group)
    assert list(group.commands) == ["dev"]
    assert "--retry-interval" in CliRunner().invoke(group, ["dev", "--help"]).output


def test_an_address_without_a_scheme_is_completed(tmp_path: Path, app: StandIn) -> None:
    bare = app.url.removeprefix("http://")
    with started(tmp_path, "--in-memory", "--poll-interval", "0.2", "-u", bare) as server:
        assert server.http.get("/dev").json()["startOpts"]["urls"] == [app.url]
        eventually(lambda: "registered with another server" in server.log())


def test_a_run_goes_on_once_the_app_inside_is_there(tmp_path: Path) -> None:
    (tmp_path / "inside.py").write_text(
        "import asyncio, pathlib\n"
        "import inngest_core as inngest\n"
        "client = inngest.Inngest(app_id='in')\n"
        "trigger = inngest.TriggerEvent(event='in/f')\n"
        "@client.create_function(fn_id='f', trigger=trigger, retries=0)\n"
        "async def f(ctx):\n"
        "    if not pathlib.Path('seen').exists():\n"
        "        pathlib.Path('seen').touch()\n"
        "        await asyncio.sleep(60)\n"
    )
    arguments = ("--db", str(tmp_path / "x.db"), "--app", "inside:client")
    with started(tmp_path, *arguments, INNGEST_DEV="1") as server:
        event_id = send(server, "in/f")
        eventually((tmp_path / "seen").exists)
        server.end(signal.SIGKILL)
    with started(tmp_path, *arguments, INNGEST_DEV="1") as server:
        eventually(lambda: [run["status"] for run in runs_of(server, event_id)] == ["COMPLETED"])


@pytest.mark.parametrize("mode", ["1", "true"])
def test_an_app_inside_talks_to_this_server_wherever_it_listens(tmp_path: Path, mode: str) -> None:
    (tmp_path / "inside.py").write_text(
        "import inngest_core as inngest\n"
        "client = inngest.Inngest(app_id='in')\n"
        "trigger = inngest.TriggerEvent(event='in/f')\n"
        "f = client.create_function(fn_id='f', trigger=trigger)(lambda ctx: 'well')\n"
    )
    environment = {"INNGEST_DEV": mode}
    with started(tmp_path, "--in-memory", "--app", "inside:client", **environment) as server:
        event_id = send(server, "in/f")
        eventually(lambda: [run["status"] for run in runs_of(server, event_id)] == ["COMPLETED"])


KEY = "0123456789abcdef0123456789abcdef"


def test_keys_come_from_options_or_from_variables_of_their_own(tmp_path: Path) -> None:
    variables = {"INNGEST_SERVER_SIGNING_KEY": KEY, "INNGEST_SERVER_EVENT_KEY": "one two"}
    options = ("--signing-key", KEY, "--event-key", "one", "--event-key", "two")
    for given, environment in ((options, {}), ((), variables)):
        with started(tmp_path, "--in-memory", *given, **environment) as server:
            assert server.http.post("/e/two", json={"name": "a"}).status_code == 200
            assert server.http.post("/e/three", json={"name": "a"}).status_code == 401
            assert server.http.get("/v1/events").status_code == 401
            assert server.end() == 0
            assert KEY not in server.log()


def test_the_keys_of_apps_are_not_taken_for_those_of_the_server(tmp_path: Path) -> None:
    variables = {"INNGEST_SIGNING_KEY": f"signkey-test-{KEY}", "INNGEST_EVENT_KEY": "one"}
    with started(tmp_path, "--in-memory", **variables) as server:
        assert server.http.get("/v1/events").status_code == 200
        assert server.http.get("/dev").status_code == 200


def test_a_key_with_a_prefix_is_refused_with_the_remedy(tmp_path: Path) -> None:
    arguments = ["--in-memory", "--port", "0", "--event-key", "e"]
    result = CliRunner().invoke(dev, [*arguments, "--signing-key", f"signkey-test-{KEY}"])
    assert result.exit_code == 1
    assert "only the hex digits that follow" in result.output
    assert KEY not in result.output
