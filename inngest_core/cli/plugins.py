"""``inngest-core plugins``: what is installed, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata

import click
import pluggy

from ..env import Config
from ..plugin.manager import wanted
from ..plugin.types import FRAMEWORKS, PROJECT
from .subject import Command, Subject, client_option, pass_subject

_HEAD = ("NAME", "DISTRIBUTION", "VERSION", "HOOKS", "STATUS")
Row = tuple[str, ...]


@click.command("plugins", cls=Command)
@client_option
@pass_subject
def plugins(subject: Subject) -> None:
    """List the installed plugins."""
    found = subject.client.engine.plugins
    for line in _table([_HEAD, *_plugins(found.manager, subject.client.config), *_frameworks()]):
        click.echo(line)


def _plugins(manager: pluggy.PluginManager, config: Config) -> Iterator[Row]:
    for point in _installed(PROJECT):
        plugin = manager.get_plugin(point.name)
        hooks = [caller.name for caller in manager.get_hookcallers(plugin) or ()] if plugin else []
        if plugin is not None:
            status = "loaded"
        else:
            status = "broken" if wanted(config, point.name) else "not loaded, by a variable"
        short = " ".join(sorted(name.removeprefix("inngest_") for name in hooks))
        yield (*_origin(point), short or "-", status)


def _frameworks() -> Iterator[Row]:
    for point in _installed(FRAMEWORKS):
        yield (*_origin(point), "framework", "loaded where it is served")


def _installed(group: str) -> list[metadata.EntryPoint]:
    return sorted(metadata.entry_points(group=group), key=lambda point: point.name)


def _origin(point: metadata.EntryPoint) -> Row:
    if point.dist is None:
        return point.name, "-", "-"
    return point.name, point.dist.name, point.dist.version


def _table(rows: list[Row]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()
