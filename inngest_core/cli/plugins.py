"""`plugins`: what is installed, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import metadata
from typing import Any

import click

from ..env import resolve
from ..plugin.finding import Found, Loaded, installed, load
from ..plugin.types import FRAMEWORKS
from .show import json_option, show_rows
from .subject import APP_ID, Command, Subject, client_option, pass_subject

_HEAD = ("name", "distribution", "version", "hooks", "status")


@click.command("plugins", cls=Command)
@client_option
@json_option
@pass_subject
def plugins(subject: Subject, as_json: bool) -> None:
    """
    List plugins, and what became of them.

    Those that are installed, and those that the client was given. What keeps one out is
    told beside it.
    """
    loaded = _loaded(subject)
    rows = [*_installed(loaded), *_given(loaded), *_frameworks()]
    show_rows(_HEAD, rows, as_json=as_json)


def _loaded(subject: Subject) -> Loaded:
    if subject.is_known:
        return subject.client.engine.plugins.loaded
    # Without a client: this is to work where the settings of a plugin keep one from being built.
    return load(resolve(app_id=APP_ID), (), ())


def _installed(loaded: Loaded) -> Iterator[dict[str, Any]]:
    for name in sorted(loaded.installed):
        found = loaded.installed[name]
        yield {**_origin(found.point), "hooks": _hooks(loaded, name), "status": _status(found)}


def _status(found: Found) -> str:
    return found.problem or "loaded"


def _given(loaded: Loaded) -> Iterator[dict[str, Any]]:
    for name, plugin in loaded.manager.list_name_plugin():
        if name not in loaded.installed and plugin is not None and not _ours(name):
            row = {"name": name, "distribution": None, "version": None}
            yield {**row, "hooks": _hooks(loaded, name), "status": "given to the client"}


def _ours(name: str) -> bool:
    return name.startswith("inngest_core.")


def _hooks(loaded: Loaded, name: str) -> list[str]:
    plugin = loaded.manager.get_plugin(name)
    callers = (loaded.manager.get_hookcallers(plugin) if plugin else None) or ()
    return sorted(caller.name.removeprefix("inngest_") for caller in callers)


def _frameworks() -> Iterator[dict[str, Any]]:
    for point in installed(FRAMEWORKS):
        yield {**_origin(point), "hooks": ["framework"], "status": "loaded where it is served"}


def _origin(point: metadata.EntryPoint) -> dict[str, Any]:
    dist = point.dist
    return {
        "name": point.name,
        "distribution": dist.name if dist else None,
        "version": dist.version if dist else None,
    }
