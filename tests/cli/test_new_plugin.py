"""What `new-plugin` writes: complete, tidy, and in nobody's way. Others install it."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import click
import pytest

from inngest_core.cli import build
from inngest_core.cli.new_plugin import rendered


def new_plugin(*words: str) -> Any:
    return build().main(["new-plugin", *words], standalone_mode=False)


def test_the_files_are_written_under_a_directory_of_their_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new_plugin("my-audit", "--into", str(tmp_path), "--json")
    told = json.loads(capsys.readouterr().out)
    root = tmp_path / "inngest-my-audit"
    assert told["directory"] == str(root)
    written = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert written == set(told["files"]) == set(rendered("my-audit"))
    assert "inngest_my_audit/plugin.py" in written


@pytest.mark.parametrize("name", ["a", "my-audit", "my_audit2"])
def test_what_is_written_is_python_with_nothing_left_to_fill_in(name: str) -> None:
    for path, text in rendered(name).items():
        assert "$" not in path
        if path.endswith(".py"):
            ast.parse(text)
            assert "$" not in text


def test_the_entry_point_bears_the_name_of_the_plugin() -> None:
    tomllib = pytest.importorskip("tomllib", reason="there is none before Python 3.11")
    project = tomllib.loads(rendered("my-audit")["pyproject.toml"])["project"]
    assert project["entry-points"]["inngest"] == {"my-audit": "inngest_my_audit.plugin"}
    assert project["name"] == "inngest-my-audit"


@pytest.mark.parametrize("name", ["My-Audit", "1st", "a b", "../a", "a--b", "-a", ""])
def test_a_name_that_would_not_do_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(click.ClickException):
        new_plugin("--into", str(tmp_path), "--", name)
    assert [*tmp_path.iterdir()] == []


def test_what_is_there_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "inngest-mine").mkdir()
    with pytest.raises(click.ClickException, match="is there already"):
        new_plugin("mine", "--into", str(tmp_path))
    assert [*(tmp_path / "inngest-mine").iterdir()] == []
