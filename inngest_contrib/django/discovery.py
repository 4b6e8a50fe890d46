"""Finding functions: the modules of installed apps that are named for them."""

from __future__ import annotations

import logging
from importlib import import_module

from django.apps import apps
from django.utils.module_loading import module_has_submodule

from inngest_core import ConfigError

from . import conf
from .project import project

_log = logging.getLogger("inngest")

problems: list[tuple[str, ConfigError]] = []
"""Modules with a function that could not be created, and why."""


def discover() -> None:
    """
    Import every module of functions.

    Settings that are wrong, and functions that cannot be created, are kept for the system
    checks and for the endpoint, which answers with them. Whatever else a module raises is
    raised, and the log names the module.
    """
    problems.clear()
    try:
        names = conf.modules()
        project.client()
    except ConfigError:
        return
    for app in apps.get_app_configs():
        for name in names:
            if module_has_submodule(app.module, name):
                _import(f"{app.name}.{name}")


def _import(path: str) -> None:
    try:
        import_module(path)
    except ConfigError as error:
        _log.error("%s: %s", path, error)
        problems.append((path, error))
    except Exception as error:
        message = f"{path}, a module of Inngest functions, cannot be imported"
        _log.error("%s: %s", message, error)
        if hasattr(error, "add_note"):
            error.add_note(f"{message}; repair it, or leave it out of AUTODISCOVER_MODULES")
        raise


def require_all() -> None:
    """Raise ConfigError where a function could not be created: some would be missing."""
    for path, error in problems:
        raise ConfigError(f"{path}: {error}") from error
