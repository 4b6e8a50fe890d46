"""
The setting INNGEST, read lazily and again whenever it changes.

What its keys mean stands in inngest_core.settings, the table shared with Flask.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from django.conf import settings as django_settings
from django.core.signals import setting_changed

from inngest_core import ConfigError
from inngest_core.settings import Settings, read

NAME = "INNGEST"
PREFIX = f"{NAME}."
AUTODISCOVER_MODULES = "AUTODISCOVER_MODULES"
SEND_ON_COMMIT = "SEND_ON_COMMIT"
OWN_KEYS = (AUTODISCOVER_MODULES, SEND_ON_COMMIT)
DEFAULT_MODULES = ("inngest_functions", "workflows")

_kept: list[Settings] = []
_to_forget: list[Callable[[], None]] = []


def current() -> Settings:
    """The settings as they are now. Raises ConfigError naming the key that is wrong."""
    if not _kept:
        _kept.append(_read())
    return _kept[0]


def _read() -> Settings:
    given = getattr(django_settings, NAME, None) or {}
    if not isinstance(given, Mapping):
        raise ConfigError(f"{NAME}: expected a dict of settings, got {type(given).__name__}")
    found = read(given, prefix=PREFIX, also=OWN_KEYS)
    _require_texts(found.get(AUTODISCOVER_MODULES, DEFAULT_MODULES))
    _require_flag(found.get(SEND_ON_COMMIT, False))
    return found


def modules() -> tuple[str, ...]:
    """The names of the modules in which apps keep their functions."""
    return tuple(current().get(AUTODISCOVER_MODULES, DEFAULT_MODULES))


def sends_on_commit() -> bool:
    """Whether events that are sent in a transaction wait for its end."""
    return bool(current().get(SEND_ON_COMMIT, False))


def _require_texts(names: Any) -> None:
    is_list = isinstance(names, Sequence) and not isinstance(names, str)
    if not is_list or not all(isinstance(name, str) and name for name in names):
        raise ConfigError(
            f"{PREFIX}{AUTODISCOVER_MODULES}: expected a list of module names, like "
            f"{list(DEFAULT_MODULES)}, got {names!r}"
        )


def _require_flag(value: Any) -> None:
    if not isinstance(value, bool):
        raise ConfigError(f"{PREFIX}{SEND_ON_COMMIT}: expected True or False, got {value!r}")


def on_change(forget: Callable[[], None]) -> None:
    """Call *forget* whenever the setting changes, as in tests."""
    _to_forget.append(forget)


def _changed(*, setting: str, **_: Any) -> None:
    if setting == NAME:
        _kept.clear()
        for forget in _to_forget:
            forget()


setting_changed.connect(_changed, dispatch_uid="inngest")
