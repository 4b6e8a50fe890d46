"""
The settings of frameworks that keep them in one place: Django's INNGEST, Flask's INNGEST_*.

One table says what each key becomes: an argument of ``Inngest``, or one of an endpoint.
Law: nothing is imported and no client is made before it is asked for.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .errors import ConfigError

if TYPE_CHECKING:
    from .client import Inngest

CLIENT_ARGUMENTS = {
    "API_BASE_URL": "api_base_url",
    "APP_ID": "app_id",
    "APP_VERSION": "app_version",
    "CHECKPOINT": "checkpoint",
    "DEV": "is_production",
    "ENV": "env",
    "EVENT_API_BASE_URL": "event_api_base_url",
    "EVENT_KEY": "event_key",
    "LOGGER": "logger",
    "MIDDLEWARE": "middleware",
    "OPTIONS": "options",
    "PLUGINS": "plugins",
    "REQUEST_TIMEOUT": "request_timeout",
    "SERIALIZER": "serializer",
    "SIGNING_KEY": "signing_key",
    "SIGNING_KEY_FALLBACK": "signing_key_fallback",
    "STRICT_PLUGINS": "strict_plugins",
    "THREAD_POOL_SIZE": "thread_pool_size",
}
"""Keys that make a client, and the arguments of ``Inngest`` that they become."""

ENDPOINT_ARGUMENTS = {
    "ENABLE_UNAUTHED_SYNC": "enable_unauthed_sync",
    "MAX_BODY_SIZE": "max_body",
    "PUBLIC_PATH": "public_path",
    "SERVE_ORIGIN": "serve_origin",
    "SERVE_PATH": "serve_path",
}
"""Keys about where functions are served, and the arguments of ``CommHandler`` that they become."""

CLIENT = "CLIENT"
"""The key that names the user's own client, in place of those that make one."""

_SWITCH = {"": False, "0": False, "1": True, "false": False, "true": True}


@dataclass(frozen=True, slots=True)
class Settings:
    """
    Settings whose keys are all known.

    values: by key, without the prefix; a None is as if it were not there. prefix:
    what stands before a key where users write it, for messages.
    """

    values: Mapping[str, Any] = field(repr=False)
    prefix: str = ""

    def get(self, key: str, default: Any = None) -> Any:
        """The value of a key, or *default*."""
        return self.values.get(key, default)

    def client(self) -> Inngest:
        """The user's own client, or a new one. Raises ConfigError naming the key."""
        if CLIENT in self.values:
            return self._own_client()
        from .client import Inngest

        return Inngest(**self.client_arguments())

    def client_arguments(self) -> dict[str, Any]:
        """The arguments of ``Inngest``, dotted paths imported. Raises ConfigError."""
        if not self.get("APP_ID"):
            raise ConfigError(
                f"{self.prefix}APP_ID: name your app, or your own client in {self.prefix}{CLIENT}"
            )
        arguments = {
            argument: self.values[key]
            for key, argument in CLIENT_ARGUMENTS.items()
            if key in self.values
        }
        for several in ("MIDDLEWARE", "PLUGINS"):
            if several in self.values:
                arguments[several.lower()] = self._all_imported(several)
        if "SERIALIZER" in self.values:
            serializer = self._imported("SERIALIZER", self.values["SERIALIZER"])
            arguments["serializer"] = serializer() if isinstance(serializer, type) else serializer
        if "DEV" in self.values:
            del arguments["is_production"]
            arguments = {**self._mode(self.values["DEV"]), **arguments}
        return arguments

    def endpoint_arguments(self) -> dict[str, Any]:
        """The arguments of ``CommHandler`` beside client, framework and functions."""
        limit = self.get("MAX_BODY_SIZE", 1)
        if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
            raise ConfigError(
                f"{self.prefix}MAX_BODY_SIZE: expected a number of bytes, got {limit!r}"
            )
        return {
            argument: self.values[key]
            for key, argument in ENDPOINT_ARGUMENTS.items()
            if key in self.values
        }

    def _own_client(self) -> Inngest:
        from .client import Inngest

        beside = sorted(CLIENT_ARGUMENTS.keys() & self.values.keys())
        if beside:
            raise ConfigError(
                f"{self.prefix}{beside[0]}: it would change nothing beside "
                f"{self.prefix}{CLIENT}; give it to that client"
            )
        client = self._imported(CLIENT, self.values[CLIENT])
        if not isinstance(client, Inngest):
            raise ConfigError(
                f"{self.prefix}{CLIENT}: expected a client, an inngest_core.Inngest, or the "
                f'dotted path of one, like "shop.inngest.client"; got {type(client).__name__}'
            )
        return client

    def _mode(self, dev: object) -> dict[str, Any]:
        """The arguments that DEV stands for: a yes or no, or where the server of dev mode is."""
        if isinstance(dev, int) and dev in (0, 1):
            return {"is_production": not dev}
        if not isinstance(dev, str):
            raise ConfigError(
                f"{self.prefix}DEV: expected True, False or the URL of a server, got {dev!r}"
            )
        switch = _SWITCH.get(dev.lower())
        if switch is not None:
            return {"is_production": not switch}
        return {"is_production": False, "api_base_url": dev, "event_api_base_url": dev}

    def _all_imported(self, key: str) -> list[Any]:
        given = self.values[key]
        if isinstance(given, str) or not isinstance(given, Sequence):
            raise ConfigError(
                f"{self.prefix}{key}: expected a list of dotted paths or objects, got "
                f"{type(given).__name__}"
            )
        return [self._imported(key, one) for one in given]

    def _imported(self, key: str, given: object) -> Any:
        """What a dotted path names; anything else as it is."""
        if not isinstance(given, str):
            return given
        module, _, name = given.replace(":", ".").rpartition(".")
        if not module:
            raise ConfigError(
                f'{self.prefix}{key}: "{given}" is no dotted path, like "shop.inngest.name"'
            )
        try:
            return getattr(importlib.import_module(module), name)
        except AttributeError:
            raise ConfigError(f'{self.prefix}{key}: {module} has no "{name}"') from None
        except ModuleNotFoundError as error:
            if error.name is None or not f"{module}.".startswith(f"{error.name}."):
                raise
            raise ConfigError(f"{self.prefix}{key}: there is no module {error.name}") from error


def read(given: Mapping[str, Any], *, prefix: str = "", also: Collection[str] = ()) -> Settings:
    """
    Settings of these keys, which stand without the prefix.

    also: keys of the framework's own. Raises ConfigError for any other, naming the
    nearest known one.
    """
    known = {CLIENT, *CLIENT_ARGUMENTS, *ENDPOINT_ARGUMENTS, *also}
    for key in given:
        if key not in known:
            raise ConfigError(_unknown(key, known, prefix))
    values = {key: value for key, value in given.items() if value is not None}
    return Settings(values, prefix)


def _unknown(key: str, known: Collection[str], prefix: str) -> str:
    near = difflib.get_close_matches(key.upper(), sorted(known), n=1, cutoff=0)
    return f"{prefix}{key}: there is no such setting; did you mean {prefix}{near[0]}?"
