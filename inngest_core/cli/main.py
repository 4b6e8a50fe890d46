"""The command group: found plugins add what they offer."""

from __future__ import annotations

import sys

import click
import pluggy

from ..env import resolve
from ..errors import ConfigError, InngestError
from ..plugin.manager import load
from ..version import VERSION
from . import plugins


def build() -> click.Group:
    """The command with every subcommand that a plugin offers."""
    group = click.Group(
        "inngest-core",
        help="Durable, event-driven step functions.",
        context_settings={"help_option_names": ["-h", "--help"]},
        params=[_version_option()],
    )
    config = resolve(app_id="inngest-core")
    manager = load(config, (), ())
    group.add_command(plugins.command(manager, config))
    for hook in reversed(manager.hook.inngest_commands.get_hookimpls()):
        _add(group, hook)
    return group


def _add(group: click.Group, hook: pluggy.HookImpl) -> None:
    """Ask one plugin; the commands of the others do not suffer if it fails."""
    try:
        hook.function(*[group for _ in hook.argnames])
    except Exception as error:
        _complain(f'plugin "{hook.plugin_name}" could not add its commands: {error!r}')


def main() -> None:
    """
    Run the command with the arguments of the process.

    Ends with 2 where the command line or the settings are wrong, with 1 where
    the work failed.
    """
    try:
        group = build()
    except ConfigError as error:
        _complain(str(error))
        sys.exit(2)
    try:
        group()
    except InngestError as error:
        _complain(str(error))
        sys.exit(1)


def _complain(message: str) -> None:
    click.echo(f"inngest-core: {message}", err=True)


def _version_option() -> click.Option:
    def show(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
        if wanted:
            click.echo(f"inngest-core {VERSION}")
            context.exit()

    return click.Option(
        ["--version"], is_flag=True, is_eager=True, expose_value=False, callback=show
    )
