"""A subcommand that greets the app it is about."""

from __future__ import annotations

import click

from inngest_core import hookimpl
from inngest_core.cli import Command, Subject, client_option, pass_subject


@click.command("greet", cls=Command)
@client_option
@pass_subject
def greet(subject: Subject) -> None:
    """Say hello."""
    click.echo(f"hello, {subject.client.app_id}")


@hookimpl
def inngest_commands(group: click.Group) -> None:
    group.add_command(greet)
