"""`inngest-core connect`, as a process of its own beside the embedded server."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from inngest_contrib.devserver import DevServer
from inngest_core import Inngest
from inngest_core.cli.group import build

ROOT = Path(__file__).parents[2]
SHOP = """
import inngest_core as inngest

client = inngest.Inngest(app_id="shop", is_production=False)


@client.create_function(fn_id="welcome", trigger=inngest.TriggerEvent(event="shop/joined"))
async def welcome(ctx: inngest.Context) -> str:
    return await ctx.step.run("greet", lambda: f"hello {ctx.event.data['name']}")
"""


def fetch(url: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return json.load(response)


def finished_run(server: str, event_id: str) -> dict[str, Any]:
    deadline = time.monotonic() + 40
    while time.monotonic() < deadline:
        for run in fetch(f"{server}/v1/events/{event_id}/runs")["data"]:
            if run.get("ended_at"):
                found: dict[str, Any] = run
                return found
        time.sleep(0.05)
    raise AssertionError("no run has ended")


def test_a_worker_runs_functions_tells_how_it_is_and_ends_well(tmp_path: Path) -> None:
    (tmp_path / "shop.py").write_text(SHOP)
    script = "import sys; from inngest_core.cli import main; sys.argv[0] = 'inngest-core'; main()"
    with DevServer() as server:
        worker = subprocess.Popen(
            [sys.executable, "-c", script, "connect", "shop:client", "--health-port", "0"],
            cwd=tmp_path,
            env={"INNGEST_DEV": server.url, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            assert worker.stdout is not None
            with worker.stdout:
                words = worker.stdout.readline().split()
                assert words[:2] == ["connected", "as"]
                (event_id,) = fetch(
                    f"{server.url}/e/key", {"name": "shop/joined", "data": {"name": "Ada"}}
                )["ids"]
                assert finished_run(server.url, event_id)["output"] == "hello Ada"
                assert fetch(words[-1])["state"] == "ACTIVE"
                worker.send_signal(signal.SIGTERM)
                assert worker.wait(40) == 0
        finally:
            worker.kill()
            worker.wait()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["connect"], "Missing argument"),
        (["connect", "there.is.none:client"], "there is no module"),
        (["connect", "json:client", "--max-concurrency", "0"], "--max-concurrency"),
    ],
)
def test_a_command_line_that_is_wrong_is_refused_by_what_is_wrong(
    arguments: list[str], said: str
) -> None:
    result = CliRunner().invoke(build(), arguments)
    assert result.exit_code == 2
    assert said in result.output


def test_a_client_without_functions_has_no_worker() -> None:
    client = Inngest(app_id="empty", is_production=False)
    result = CliRunner().invoke(build(client), ["connect"])
    assert result.exit_code == 2
    assert 'the client "empty" has no functions' in result.output


def test_where_the_client_is_given_nothing_names_it() -> None:
    client = Inngest(app_id="empty", is_production=False)
    group = build(client)
    assert isinstance(group, click.Group)
    assert "MODULE:CLIENT" not in CliRunner().invoke(group, ["connect", "--help"]).output
