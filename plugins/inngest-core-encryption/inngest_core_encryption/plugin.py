"""
The plugin: a cipher for clients that have options for it, and nothing for others.

    Inngest(..., options={"encryption": {"key": "...", "fallback_keys": ["..."]}})
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Protocol

from inngest_core import ConfigError, hookimpl

from .cipher import SecretBoxCipher, warn_of_short

inngest_plugin_api = 1

NAME = "encryption"
_KNOWN = ("decrypt_only", "event_field", "fallback_keys", "key")
_FLAGS = {"1": True, "true": True, "0": False, "false": False, "": False}


class _Config(Protocol):
    @property
    def plugin_options(self) -> Mapping[str, Mapping[str, Any]]: ...

    def options(self, plugin: str) -> Mapping[str, Any]: ...


@hookimpl
def inngest_cipher(config: _Config) -> SecretBoxCipher | None:
    """The cipher of a client; None for one that has no options for it."""
    # Empty options are a mistake, and not the wish for no encryption.
    return _cipher(config.options(NAME)) if NAME in config.plugin_options else None


def _cipher(options: Mapping[str, Any]) -> SecretBoxCipher:
    _require_known(options)
    try:
        cipher = SecretBoxCipher(
            options["key"],
            fallback_keys=_keys(options.get("fallback_keys")),
            event_field=options.get("event_field", "encrypted"),
            decrypt_only=_flag(options.get("decrypt_only", False)),
        )
    except ConfigError as error:
        raise ConfigError(f"options for {NAME}: {error}") from None
    warn_of_short(options["key"], "the key")
    return cipher


def _require_known(options: Mapping[str, Any]) -> None:
    for name in options:
        if name not in _KNOWN:
            near = difflib.get_close_matches(name, _KNOWN, n=1)
            meant = f'did you mean "{near[0]}"?' if near else f"there are {', '.join(_KNOWN)}"
            raise ConfigError(f'options for {NAME}: there is no option "{name}"; {meant}')
    if "key" not in options:
        raise ConfigError(
            f'options for {NAME}: the key is missing; give Inngest(options={{"{NAME}": {{"key": '
            "...}}), or set INNGEST_OPTIONS__ENCRYPTION__KEY"
        )


def _keys(given: Any) -> Any:
    """A list of keys; a variable of the environment holds a single one."""
    if given is None:
        return ()
    if isinstance(given, (bytes, str)):
        return [given] if given else ()
    if not isinstance(given, (list, tuple)):
        raise ConfigError(f"fallback_keys: expected a list of keys, got {type(given).__name__}")
    return given


def _flag(given: Any) -> bool:
    """A flag, also as a variable of the environment says it."""
    if isinstance(given, bool):
        return given
    known = _FLAGS.get(given.lower()) if isinstance(given, str) else None
    if known is None:
        raise ConfigError("decrypt_only: expected true or false")
    return known
