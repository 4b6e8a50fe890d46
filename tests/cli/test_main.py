"""The command: its version, what plugins add, and how it ends when something is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import types
from importlib import metadata
from typing import Any

import click
import pytest

from inngest_core import ConfigError, hookimpl
from inngest_core.cli import main
from inngest_core.version import VERSION


class Point:
    def __init__(self, name: str, plugin: Any) -> None:
        self.name = self.value = name
        self.dist = types.SimpleNamespace(name="a-dist", version="1.2") if plugin else None
        self._plugin = plugin

    def load(self) -> Any:
        if isinstance(self._plugin, Exception):
            raise self._plugin
        return self._plugin


class Greeting:
    """A plugin with a subcommand that says hello, or fails as it is told."""

    @hookimpl
    def inngest_commands(self, group: click.Group) -> None:
        @group.command()
        @click.argument("how", default="")
        def greet(how: str) -> None:
            """Say hello."""
            if how == "badly":
                raise ConfigError("greeting: that is no way to greet")
            click.echo("hello")


class Broken:
    @hookimpl
    def inngest_commands(self, group: click.Group) -> None:
        raise RuntimeError("boom")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    def invoke(*arguments: str, **plugins: Any) -> tuple[Any, str, str]:
        points = [Point(name, plugin) for name, plugin in plugins.items()]
        found = {"inngest": points, "inngest.frameworks": [Point("flask", None)]}
        monkeypatch.setattr(metadata, "entry_points", lambda *, group: found[group])
        monkeypatch.setattr(sys, "argv", ["inngest-core", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return ended.value.code, shown.out, shown.err

    return invoke


def test_the_version(run: Any) -> None:
    assert run("--version") == (0, f"inngest-core {VERSION}\n", "")


@pytest.mark.parametrize("flag", ["-h", "--help"])
def test_help_lists_what_plugins_add(run: Any, flag: str) -> None:
    code, out, _ = run(flag, greeting=Greeting())
    assert code == 0
    assert "Say hello." in out


def test_a_subcommand_of_a_plugin_runs(run: Any) -> None:
    assert run("greet", greeting=Greeting()) == (0, "hello\n", "")


def test_an_unknown_subcommand_is_a_usage_error(run: Any) -> None:
    code, _, err = run("nope")
    assert code == 2
    assert "No such command 'nope'" in err


def test_an_error_of_ours_is_one_line_and_no_traceback(run: Any) -> None:
    code, out, err = run("greet", "badly", greeting=Greeting())
    assert (code, out, err) == (2, "", "Error: greeting: that is no way to greet\n")


def test_a_plugin_whose_subcommands_fail_leaves_the_others(run: Any) -> None:
    code, out, err = run("greet", broken=Broken(), greeting=Greeting())
    assert (code, out) == (0, "hello\n")
    assert 'plugin "broken"' in err
    assert "boom" in err


def test_a_wrong_variable_ends_it_with_2(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNGEST_BASE_URL", "nope")
    code, _, err = run("--help")
    assert code == 2
    assert err.startswith("Error: INNGEST_BASE_URL: ")
    assert "Traceback" not in err


def test_a_plugin_asked_for_and_missing_ends_it_with_2(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INNGEST_LOAD_PLUGINS", "absent")
    code, _, err = run("--help")
    assert code == 2
    assert '"absent" is not installed' in err


def test_plugins_lists_what_is_installed_and_what_became_of_it(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INNGEST_DISABLE_PLUGINS", "off")
    code, out, _ = run("plugins", bad=ImportError("gone"), greet=Greeting(), off=Greeting())
    assert code == 0
    assert [line.split(maxsplit=4) for line in out.splitlines()] == [
        ["NAME", "DISTRIBUTION", "VERSION", "HOOKS", "STATUS"],
        ["bad", "a-dist", "1.2", "-", "broken: gone"],
        ["greet", "a-dist", "1.2", "commands", "loaded"],
        ["off", "a-dist", "1.2", "-", "left out by INNGEST_DISABLE_PLUGINS"],
        ["flask", "-", "-", "framework", "loaded where it is served"],
    ]


def test_plugins_are_told_to_programs_as_well(run: Any) -> None:
    code, out, _ = run("plugins", "--json", greet=Greeting())
    assert code == 0
    assert json.loads(out)[0] == {
        "name": "greet",
        "distribution": "a-dist",
        "version": "1.2",
        "hooks": ["commands"],
        "status": "loaded",
    }


def test_it_runs_as_a_process_of_its_own() -> None:
    code = "import sys, inngest_core.cli as c; sys.argv = ['x', '--version']; c.main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"inngest-core {VERSION}\n")
