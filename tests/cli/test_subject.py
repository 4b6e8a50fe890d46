"""Which client a command is about, and how an adapter builds the commands around its own."""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path
from typing import Any, ClassVar

import click
import pytest

from inngest_core import Inngest, hookimpl
from inngest_core.cli import Command, Subject, build, client_argument, client_option, pass_subject


class Telling:
    """A plugin whose commands tell which client they are about."""

    @hookimpl
    def inngest_commands(self, group: click.Group) -> None:
        @group.command(cls=Command)
        @client_option
        @pass_subject
        def one(subject: Subject) -> None:
            click.echo(subject.client.app_id)

        @group.command(cls=Command)
        @client_argument(several=True)
        @pass_subject
        def many(subject: Subject) -> None:
            click.echo(" ".join(client.app_id for client in subject.clients))


def client(app_id: str) -> Inngest:
    return Inngest(app_id=app_id, is_production=False, plugins=[Telling()])


def run(given: Any, *words: str) -> Any:
    return build(given).main(list(words), prog_name="inngest", standalone_mode=False)


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with a module that has one client, and one that has two."""
    head = "from inngest_core import Inngest\n"
    line = "{0} = Inngest(app_id='{0}', is_production=False)\n"
    (tmp_path / "shop_one.py").write_text(head + line.format("alone"))
    (tmp_path / "shop_two.py").write_text(head + line.format("first") + line.format("second"))
    (tmp_path / "shop_bad.py").write_text("import not_there_at_all\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return tmp_path


@pytest.fixture
def telling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the plugin installed."""
    point = metadata.EntryPoint("telling", f"{__name__}:TELLING", "inngest")
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [point])


TELLING = Telling()


class Closing:
    """A plugin that notes which clients were closed."""

    closed: ClassVar[list[str]] = []

    @hookimpl
    def inngest_close(self, config: Any) -> None:
        self.closed.append(config.app_id)

    @hookimpl
    def inngest_commands(self, group: click.Group) -> None:
        @group.command()
        @pass_subject
        def tell(subject: Subject) -> None:
            click.echo(subject.client.app_id)


CLOSING = Closing()


@pytest.fixture
def installed_closing(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Have the plugin installed that notes which clients were closed."""
    point = metadata.EntryPoint("closing", f"{__name__}:CLOSING", "inngest")
    monkeypatch.setattr(metadata, "entry_points", lambda *, group: [point])
    Closing.closed.clear()
    return Closing.closed


def test_a_given_client_is_the_one(capsys: pytest.CaptureFixture[str]) -> None:
    run(client("given"), "one")
    run(client("given"), "many")
    assert capsys.readouterr().out == "given\ngiven\n"


def test_a_client_may_be_given_as_what_returns_it(capsys: pytest.CaptureFixture[str]) -> None:
    run(lambda: client("late"), "one")
    assert capsys.readouterr().out == "late\n"


def test_a_given_client_lives_on_and_another_is_closed(
    installed_closing: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    run(Inngest(app_id="given", is_production=False), "plugins")
    assert installed_closing == []
    run(None, "tell")
    assert capsys.readouterr().out.endswith("inngest-core\n")
    assert installed_closing == ["inngest-core"]


def test_building_the_commands_does_not_build_the_client() -> None:
    def never() -> Inngest:
        raise AssertionError("nobody has asked for a client")

    build(never)


@pytest.mark.parametrize("words", [["one", "--app", "x:y"], ["many", "x:y"]])
def test_where_a_client_is_given_none_can_be_named(words: list[str]) -> None:
    with pytest.raises(click.UsageError):
        run(client("given"), *words)


@pytest.mark.usefixtures("telling", "shop")
@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("one --app shop_one:alone", "alone"),
        ("one --app shop_one", "alone"),
        ("one", "inngest-core"),
        ("many shop_two:second shop_one shop_two:first", "second alone first"),
    ],
)
def test_a_client_is_named_by_its_module(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    run(None, *words.split())
    assert capsys.readouterr().out == f"{said}\n"


@pytest.mark.usefixtures("telling")
@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("absent.app:client", 'no module "absent"'),
        ("shop_one:clinet", "its clients are: alone"),
        ("shop_one:Inngest", "is of the type type"),
        ("shop_two", "there are: shop_two:first, shop_two:second"),
        (":client", "module:client"),
    ],
)
def test_what_is_no_client_is_told(shop: Path, path: str, said: str) -> None:
    with pytest.raises(click.ClickException, match=said) as raised:
        run(None, "one", "--app", path)
    assert raised.value.exit_code == 2


@pytest.mark.usefixtures("telling", "shop")
def test_a_failing_import_inside_the_module_is_not_taken_for_a_missing_module() -> None:
    with pytest.raises(click.ClickException, match=r"shop_bad.*not_there_at_all"):
        run(None, "one", "--app", "shop_bad")


def test_errors_of_ours_reach_an_adapter_as_exceptions_of_click() -> None:
    with pytest.raises(click.ClickException, match="app_id") as raised:
        run(lambda: Inngest(app_id=""), "plugins")
    assert raised.value.exit_code == 2


def test_the_commands_are_a_group_below_another(capsys: pytest.CaptureFixture[str]) -> None:
    outer = click.Group("outer")
    outer.add_command(build(client("below"), name="inngest"))
    outer.main(["inngest", "one"], obj="an object of the outer one", standalone_mode=False)
    assert capsys.readouterr().out == "below\n"
