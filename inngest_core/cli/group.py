"""The group of commands: ours and those of plugins, made when they are first asked for."""

from __future__ import annotations

from typing import Any

import click
import pluggy

from ..env import resolve
from ..plugin.finding import Loaded, load
from ..version import VERSION
from .completion import completion
from .connect import connect
from .doctor import doctor
from .failure import failures
from .functions import functions
from .invoke import invoke
from .new_plugin import new_plugin
from .plugins import plugins
from .runs import runs
from .send import send
from .subject import APP_ID, Given, Subject
from .sync import sync

OWN: tuple[click.Command, ...] = (connect, doctor, functions, invoke, plugins, runs, send, sync)
"""Our subcommands, wherever the group stands; whoever adds one adds it here."""

OWN_ALONE: tuple[click.Command, ...] = (completion, new_plugin)
"""Those of `inngest-core` only: they have nothing to do with a client."""


def build(client: Given = None, *, name: str = APP_ID) -> Commands:
    """
    The group of commands around a client, or around what the environment says.

    client: an Inngest, or what returns one when a command first needs it. name: of
    the group, as it is typed.
    """
    return Commands(client, name)


class Commands(click.Group):
    """Every subcommand, ours and those of plugins. Nothing is loaded until one is asked for."""

    def __init__(self, client: Given, name: str) -> None:
        super().__init__(
            name,
            help="Durable, event-driven step functions.",
            context_settings={"help_option_names": ["-h", "--help"]},
            params=[_version_option()],
        )
        self._given = client
        self._filled = False
        ours = OWN if client is not None else (*OWN, *OWN_ALONE)
        self._own = {str(command.name): command for command in ours}

    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        """Give each run a Subject of its own."""
        subject = Subject(self._given)
        context = super().make_context(*args, obj=subject, **extra)
        context.call_on_close(subject.close)
        return context

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of all."""
        self._fill()
        return sorted({*self._own, *super().list_commands(ctx)})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """One by its name. Ours need no plugin, and none takes their place."""
        if cmd_name in self._own:
            return self._own[cmd_name]
        self._fill()
        return super().get_command(ctx, cmd_name)

    def invoke(self, ctx: click.Context) -> Any:
        """Run a subcommand; what it raises of ours ends it with a line and a status."""
        with failures():
            return super().invoke(ctx)

    def _fill(self) -> None:
        if self._filled:
            return
        self._filled = True
        with failures():
            loaded = self._loaded()
        for hook in loaded.hooks.implementations("inngest_commands"):
            self._add(hook)

    def _loaded(self) -> Loaded:
        """The plugins of the client, or those that any client would find."""
        if self._given is None:
            return load(resolve(app_id=APP_ID), (), ())
        return Subject(self._given).client.engine.plugins.loaded

    def _add(self, hook: pluggy.HookImpl) -> None:
        """Ask one plugin; the commands of the others do not suffer if it fails."""
        try:
            hook.function(*[self for _ in hook.argnames])
        except Exception as error:
            click.echo(
                f'Warning: plugin "{hook.plugin_name}" could not add its commands: {error!r}',
                err=True,
            )


def _version_option() -> click.Option:
    def show(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
        if wanted:
            click.echo(f"inngest-core {VERSION}")
            context.exit()

    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=show,
        help="Show the version and exit.",
    )
