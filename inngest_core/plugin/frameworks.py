"""
Adapters of web frameworks, found by the entry-point group `inngest.frameworks`.

Law: an adapter is loaded when it is asked for by its name, and no other one with it.
"""

from __future__ import annotations

import difflib
import importlib
from importlib import metadata
from typing import Any

from ..errors import ConfigError
from .types import FRAMEWORKS, Framework


class Adapter:
    """One installed adapter; nothing of it is loaded until it is used."""

    def __init__(self, point: metadata.EntryPoint) -> None:
        self._point = point

    def __repr__(self) -> str:
        return f"<Adapter {self.name}>"

    @property
    def name(self) -> str:
        """By which it is asked for."""
        return self._point.name

    @property
    def distribution(self) -> str | None:
        return self._point.dist.name if self._point.dist else None

    @property
    def version(self) -> str | None:
        """Of its distribution."""
        return self._point.dist.version if self._point.dist else None

    def describe(self) -> Framework:
        """What it says of itself; ConfigError if it cannot be loaded or says nothing."""
        from .finding import register
        from .hooks import Hooks, new_manager

        manager = new_manager()
        try:
            register(manager, self._point.load(), self.name)
            found = Hooks(manager).first("inngest_framework")
        except Exception as error:
            raise self._broken(error) from error
        if not isinstance(found, Framework):
            raise ConfigError(
                f'framework "{self.name}" of {self.distribution}: its inngest_framework returned '
                f"{type(found).__name__}, and a Framework is needed"
            )
        return found

    def serve(self, *args: Any, **options: Any) -> Any:
        """Serve functions, with the arguments of the adapter's own `serve`."""
        path = self.describe().serve
        module, _, attribute = path.partition(":")
        try:
            serve = getattr(importlib.import_module(module), attribute)
        except (ImportError, AttributeError, ValueError) as error:
            raise self._broken(error) from error
        return serve(*args, **options)

    def _broken(self, error: Exception) -> ConfigError:
        missing = error.name if isinstance(error, ModuleNotFoundError) else None
        remedy = f"install {missing}" if missing else "repair it or use another one"
        return ConfigError(
            f'framework "{self.name}" of {self.distribution} cannot be loaded: {error}; {remedy}'
        )


def frameworks() -> dict[str, Adapter]:
    """Every installed adapter, by name. Nothing of them is loaded."""
    from .finding import installed

    return {point.name: Adapter(point) for point in installed(FRAMEWORKS)}


def framework(name: str) -> Adapter:
    """The adapter of that name, as in ``framework("flask").serve(app, client)``."""
    found = frameworks()
    if name not in found:
        near = difflib.get_close_matches(name, found, 1)
        hint = f'; did you mean "{near[0]}"?' if near else ""
        raise ConfigError(
            f'framework: "{name}" is not installed{hint}; installed are: '
            f"{', '.join(found) or 'none'}"
        )
    return found[name]
