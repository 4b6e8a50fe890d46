"""``manage.py inngest``: the commands of ``inngest-core``, about the project's client."""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connections

from inngest_contrib.django.dev import dev
from inngest_contrib.django.project import project
from inngest_core.cli import build

_OF_DJANGO = ("--settings", "--pythonpath")
"""Options that manage.py has read already, each with a value."""


class Command(BaseCommand):
    """Hands its words over; Django's own parser would not know them."""

    help = "Inngest functions of this project: see `manage.py inngest --help`."
    requires_system_checks = ()

    def run_from_argv(self, argv: list[str]) -> None:
        """See BaseCommand. Ends the process with the status of the subcommand."""
        try:
            with _told():
                commands().main(args=_words(argv[2:]), prog_name=_name(argv[0], argv[1]))
        finally:
            connections.close_all()

    def print_help(self, prog_name: str, subcommand: str) -> None:
        """See BaseCommand."""
        with contextlib.suppress(SystemExit), _told():
            commands().main(args=["--help"], prog_name=_name(prog_name, subcommand))

    def add_arguments(self, parser: CommandParser) -> None:
        """See BaseCommand."""
        parser.add_argument("words", nargs=argparse.REMAINDER)

    def handle(self, *args: Any, words: Sequence[str] = (), **options: Any) -> None:
        """See BaseCommand: for ``call_command("inngest", "functions", "--json")``."""
        out = options.get("stdout") or sys.stdout
        try:
            with contextlib.redirect_stdout(out):
                commands().main(args=[*words], prog_name="inngest", standalone_mode=False)
        except click.ClickException as error:
            raise CommandError(error.format_message(), returncode=error.exit_code) from error


def commands() -> click.Group:
    """Every subcommand: ours, those of plugins, and ``dev`` as a project wants it."""
    group = build(project.client, name="inngest")
    # Plugins add theirs when they are first asked for; this one comes behind them.
    group.list_commands(click.Context(group))
    group.add_command(dev)
    return group


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """A wrong setting is found before click is in charge; it ends the process as click would."""
    try:
        yield
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)


def _words(given: Sequence[str]) -> list[str]:
    """The words without those of Django."""
    return list(_without_django(iter(given)))


def _without_django(given: Iterator[str]) -> Iterator[str]:
    for word in given:
        if word in _OF_DJANGO:
            next(given, None)
        elif word.partition("=")[0] not in _OF_DJANGO:
            yield word


def _name(program: str, subcommand: str) -> str:
    return f"{Path(program).name} {subcommand}"
