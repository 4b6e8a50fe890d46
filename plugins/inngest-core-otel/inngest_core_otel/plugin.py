"""
The plugin: the middleware for clients that ask for it, and nothing for others.

    Inngest(..., options={"otel": {"enabled": True}})
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from inngest_core import ConfigError, Inngest, MiddlewareSync, hookimpl

from .middleware import OpenTelemetryMiddleware

inngest_plugin_api = 1

NAME = "otel"
_KNOWN = ("enabled", "tracer_provider")
_FLAGS = {"1": True, "true": True, "0": False, "false": False, "": False}


class _Config(Protocol):
    def options(self, plugin: str) -> Mapping[str, Any]: ...


@hookimpl(tryfirst=True)
def inngest_middleware(config: _Config) -> list[Callable[[Inngest, object], MiddlewareSync]] | None:
    """The middleware, in front of all others, if the options enable it."""
    options = config.options(NAME)
    for name in options:
        if name not in _KNOWN:
            raise ConfigError(
                f'options for {NAME}: there is no option "{name}"; there are {", ".join(_KNOWN)}'
            )
    if not _flag(options.get("enabled", False)):
        return None
    return [OpenTelemetryMiddleware.factory(tracer_provider=options.get("tracer_provider"))]


def _flag(given: Any) -> bool:
    """A flag, also as a variable of the environment says it."""
    if isinstance(given, bool):
        return given
    known = _FLAGS.get(given.lower()) if isinstance(given, str) else None
    if known is None:
        raise ConfigError(f"options for {NAME}: enabled: expected true or false")
    return known
