"""
Finding plugins and folding their answers into plain values.

Each client has a manager of its own. pluggy is never called during a request: a
hook call costs a microsecond even without an implementation.
"""

from __future__ import annotations

import importlib
import inspect
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import Any

import pluggy

from ..env import Config
from ..errors import ConfigError
from . import specs
from .types import PROJECT, AsyncTransport, BlockingTransport, Cipher, Serializer

_log = logging.getLogger("inngest")


@dataclass(frozen=True, slots=True)
class Plugins:
    """What the plugins of one client have answered."""

    manager: pluggy.PluginManager
    serializer: Serializer
    ciphers: tuple[Cipher, ...]
    middleware: tuple[Any, ...]
    blocking_transport: Callable[[], BlockingTransport]
    async_transport: Callable[[], AsyncTransport]
    close: Callable[[], None]


def fold(config: Config, given: Sequence[Any], builtins: Sequence[str]) -> Plugins:
    """
    Load the plugins of a client and ask every hook.

    given: the user's own, objects or dotted paths. builtins: modules of ours.
    """
    manager = load(config, given, builtins)
    hook = manager.hook
    hook.inngest_configure(config=config)
    middleware = [each for many in hook.inngest_middleware(config=config) for each in many]
    return Plugins(
        manager=manager,
        serializer=hook.inngest_serializer(config=config),
        ciphers=tuple(hook.inngest_cipher(config=config)),
        middleware=tuple(middleware),
        blocking_transport=lambda: _transport(manager, config, "blocking"),
        async_transport=lambda: _transport(manager, config, "async"),
        close=lambda: hook.inngest_close(config=config),
    )


def load(config: Config, given: Sequence[Any], builtins: Sequence[str]) -> pluggy.PluginManager:
    """
    A manager with every plugin of a client.

    The given ones are asked first, in their order, then the discovered ones by
    name, then our builtins.
    """
    manager = new_manager()
    # pluggy asks the last one registered first.
    for name in reversed(builtins):
        manager.register(importlib.import_module(name), name=name)
    for point in reversed(_discovered(config)):
        _register_discovered(manager, point, asked_for=config.load_plugins is not None)
    for plugin in reversed(given):
        _register_given(manager, plugin)
    return manager


def new_manager() -> pluggy.PluginManager:
    """A manager that knows our hooks and no plugin."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(specs)
    return manager


def _transport(manager: pluggy.PluginManager, config: Config, kind: str) -> Any:
    transport = manager.hook.inngest_transport(config=config, kind=kind)
    if transport is None:
        raise ConfigError(f"no plugin offers a {kind} transport")
    return transport


def _discovered(config: Config) -> list[metadata.EntryPoint]:
    """The installed plugins that are wanted, by name; ConfigError if one that was named is not."""
    found = sorted(metadata.entry_points(group=PROJECT), key=lambda point: point.name)
    installed = [point.name for point in found]
    for name in config.load_plugins or ():
        if name not in installed:
            raise ConfigError(
                f'INNGEST_LOAD_PLUGINS: "{name}" is not installed; installed are: '
                f"{', '.join(installed) or 'none'}"
            )
    return [point for point in found if wanted(config, point.name)]


def wanted(config: Config, name: str) -> bool:
    """Whether the variables allow an installed plugin."""
    allowed = config.load_plugins is None or name in config.load_plugins
    return allowed and name not in config.disable_plugins


def _register_discovered(
    manager: pluggy.PluginManager, point: metadata.EntryPoint, asked_for: bool
) -> None:
    """A plugin that fails does not take the app down, unless it was asked for by name."""
    try:
        _register(manager, _instance(point.load(), point.name), point.name)
    except Exception as error:
        distribution = point.dist.name if point.dist else "an unknown distribution"
        message = (
            f'plugin "{point.name}" of {distribution} could not be loaded: {error}. '
            f"Repair or uninstall it, or set INNGEST_DISABLE_PLUGINS={point.name}"
        )
        if asked_for:
            raise ConfigError(message) from error
        _log.warning("%s", message)


def _register_given(manager: pluggy.PluginManager, plugin: Any) -> None:
    if isinstance(plugin, str):
        plugin = _imported(plugin)
    name = getattr(plugin, "__name__", type(plugin).__qualname__)
    instance = _instance(plugin, name)
    if manager.is_registered(instance):
        return
    try:
        _register(manager, instance, None)
    except pluggy.PluginValidationError as error:
        raise ConfigError(f'plugins: "{name}" is not a plugin of ours: {error}') from error


def _imported(path: str) -> Any:
    module, _, attribute = path.partition(":")
    try:
        loaded = importlib.import_module(module)
        return getattr(loaded, attribute) if attribute else loaded
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f'plugins: "{path}" cannot be imported: {error}') from error


def _register(manager: pluggy.PluginManager, plugin: Any, name: str | None) -> None:
    """Register one plugin; where one of its hooks is none of ours, take all of it out again."""
    try:
        manager.register(plugin, name=name)
        manager.check_pending()
    except pluggy.PluginValidationError:
        if manager.is_registered(plugin):
            manager.unregister(plugin)
        raise


def _instance(plugin: Any, name: str) -> Any:
    if inspect.isclass(plugin):
        raise ConfigError(
            f'plugin "{name}" is the class {plugin.__qualname__}, not an instance of it; '
            "name an instance or a module"
        )
    return plugin
