"""``manage.py inngest``: the commands of inngest-core about the project; dev beside runserver."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import click
import httpx
import pytest
from click.testing import CliRunner
from django.core.management import CommandError, call_command
from django.test import override_settings

from inngest_contrib.devserver.instance import free_port
from inngest_contrib.django import dev
from inngest_contrib.django.management.commands.inngest import Command, _words, commands
from inngest_contrib.testing.conformance import RecordedServer

from .conftest import ROOT

WANTED = {"connect", "dev", "doctor", "functions", "invoke", "plugins", "runs", "send", "sync"}


def called(*words: str) -> str:
    """What a command prints."""
    out = io.StringIO()
    call_command("inngest", *words, stdout=out)
    return out.getvalue()


def test_it_has_the_commands_of_inngest_core() -> None:
    group = commands()
    assert set(group.list_commands(click.Context(group))) >= WANTED


def test_help_tells_them_all() -> None:
    result = CliRunner().invoke(commands(), ["--help"])
    assert result.exit_code == 0
    for name in WANTED:
        assert name in result.output
    for name in sorted(WANTED):
        result = CliRunner().invoke(commands(), [name, "--help"])
        assert (result.exit_code, "Usage:" in result.output) == (0, True), name


def test_functions_of_the_project_are_listed() -> None:
    assert "shop-found" in called("functions")
    listed = json.loads(called("functions", "--json"))
    assert {"shop-found", "shop-afound"} <= {one["id"] for one in listed}


def test_events_are_sent_by_the_projects_client(project: Any) -> None:
    server = RecordedServer()
    given = {"APP_ID": "shop", "DEV": True, "PLUGINS": [server]}
    with override_settings(INNGEST=given):
        assert "id-0" in called("send", "shop/found", "--data", '{"n": 1}')
    assert server.bodies[0][0]["data"] == {"n": 1}


def test_what_goes_wrong_is_a_command_error(project: Any) -> None:
    with pytest.raises(CommandError, match="No such command"):
        called("nonsense")
    nobody = {"APP_ID": "shop", "DEV": f"http://127.0.0.1:{free_port()}"}
    with override_settings(INNGEST=nobody), pytest.raises(CommandError, match="inngest-core dev"):
        called("runs", "list")


def test_options_of_django_are_none_of_ours() -> None:
    given = ["--settings", "a.b", "send", "x", "--pythonpath=/", "--data", "--settings=c", "--json"]
    assert _words(given) == ["send", "x", "--data", "--json"]


def test_manage_py_ends_with_the_status_of_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        Command().run_from_argv(["manage.py", "inngest", "nonsense"])
    assert ended.value.code == 2
    assert "manage.py inngest" in capsys.readouterr().err
    Command().print_help("manage.py", "inngest")
    assert "manage.py inngest [OPTIONS]" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["functions"], ["dev"], ["--help"]])
def test_a_wrong_setting_ends_manage_py_with_a_line(
    project: Any, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with override_settings(INNGEST={"APP_IDD": "shop"}), pytest.raises(SystemExit) as ended:
        Command().run_from_argv(["manage.py", "inngest", *words])
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("Error: INNGEST.APP_IDD: there is no such setting")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["0"], "expected a port"),
        (["host:"], "expected a port"),
        (["99999"], "expected a port"),
        (["--db", "x", "--in-memory"], "exclude each other"),
    ],
)
def test_dev_refuses_what_it_cannot_do(words: list[str], said: str) -> None:
    result = CliRunner().invoke(dev.dev, words)
    assert result.exit_code == 2
    assert said in result.output


def test_dev_is_for_dev_mode(project: Any) -> None:
    with override_settings(INNGEST={"APP_ID": "shop", "DEV": False}):
        result = CliRunner().invoke(dev.dev, [])
    assert result.exit_code == 2
    assert "DEV: False" in result.output


def test_the_server_is_where_the_project_looks_for_it(project: Any) -> None:
    with override_settings(INNGEST={"APP_ID": "shop", "DEV": "http://127.0.0.1:9000"}):
        assert dev._server_url(None) == "http://127.0.0.1:9000"
        assert dev._server_url(9001) == "http://127.0.0.1:9001"
    assert dev._server_url(None) == "http://127.0.0.1:8288"


SETTINGS = """
ALLOWED_HOSTS = ["*"]
DEBUG = True
INNGEST = {"APP_ID": "reloaded"}
INSTALLED_APPS = ["inngest_contrib.django", "shop"]
ROOT_URLCONF = "urls"
SECRET_KEY = "x"
"""
URLS = """
from django.urls import include, path
urlpatterns = [path("api/", include("inngest_contrib.django.urls"))]
"""
MANAGE = """
import os, sys
from django.core.management import execute_from_command_line
os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
"""
WORKFLOW = """
import inngest_core as inngest
from inngest_contrib.django import client


@client.create_function(fn_id="{name}", trigger=inngest.TriggerEvent(event="a"))
def function(ctx):
    return 1
"""


def names_of(server: str) -> set[str]:
    """The functions that the server knows."""
    try:
        reply = httpx.get(f"{server}/v2/apps/reloaded/functions", trust_env=False)
    except httpx.HTTPError:
        return set()
    return {str(one["id"]) for one in reply.json().get("data", [])} if reply.is_success else set()


@pytest.mark.slow
@pytest.mark.timeout(120)
def test_dev_runs_both_and_syncs_what_was_reloaded(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    for path, text in {
        tmp_path / "settings.py": SETTINGS,
        tmp_path / "urls.py": URLS,
        tmp_path / "manage.py": MANAGE,
        shop / "__init__.py": "",
        shop / "workflows.py": WORKFLOW.format(name="first"),
    }.items():
        path.write_text(text)
    app, port = free_port(), free_port()
    environment = {k: v for k, v in os.environ.items() if not k.startswith("INNGEST")}
    process = subprocess.Popen(
        [
            sys.executable,
            "manage.py",
            "inngest",
            "dev",
            str(app),
            "--port",
            str(port),
            "--in-memory",
        ],
        cwd=tmp_path,
        env={**environment, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    server = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: any("first" in name for name in names_of(server)))
        # The reloader of Django compares times of files, once a second.
        time.sleep(1.1)
        (shop / "workflows.py").write_text(WORKFLOW.format(name="second"))
        eventually(lambda: any("second" in name for name in names_of(server)))
    finally:
        process.send_signal(signal.SIGTERM)
        written, _ = process.communicate(timeout=40)
    assert process.returncode == 0, written
    for address in (server, f"http://127.0.0.1:{app}/api/inngest"):
        with pytest.raises(httpx.HTTPError):
            httpx.get(address, trust_env=False)


def eventually(true: Any) -> None:
    deadline = time.monotonic() + 50
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)
