"""The command group: found plugins add what they offer."""

from __future__ import annotations

import sys

import click

from ..env import resolve
from ..errors import ConfigError
from ..plugin.manager import load
from ..version import VERSION


def build() -> click.Group:
    """The command with every subcommand that a plugin offers."""
    group = click.Group(
        "inngest-core",
        help="Durable, event-driven step functions.",
        context_settings={"help_option_names": ["-h", "--help"]},
        params=[_version_option()],
    )
    manager = load(resolve(app_id="inngest-core"), (), ())
    manager.hook.inngest_commands(group=group)
    return group


def main() -> None:
    """Run the command with the arguments of the process."""
    try:
        group = build()
    except ConfigError as error:
        click.echo(f"inngest-core: {error}", err=True)
        sys.exit(2)
    group()


def _version_option() -> click.Option:
    def show(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
        if wanted:
            click.echo(f"inngest-core {VERSION}")
            context.exit()

    return click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=show
    )
