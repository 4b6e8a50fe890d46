"""
Which plugins a client has: those that it was given, those that are installed, and ours.

Law: an installed plugin that fails is reported and left out, unless somebody has asked for it:
by its name in INNGEST_LOAD_PLUGINS or `plugins=`, by giving it options, or by the strict mode.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
import logging
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from types import ModuleType
from typing import Any

import pluggy

from ..env import Config, option_name
from ..errors import ConfigError
from ..version import VERSION
from .hooks import HookFailed, Hooks, new_manager
from .types import API_VERSION, OLDEST_API_VERSION, PROJECT

_log = logging.getLogger("inngest")

API_ATTRIBUTE = "inngest_plugin_api"
NEVER_ALONE = "inngest_cipher"
"""Without this plugin's answer, what it was to hide would be shown: its failure always stops."""


@dataclass(frozen=True, slots=True)
class Found:
    """An installed plugin. problem: why it is not in use; None if it is."""

    point: metadata.EntryPoint
    problem: str | None = None

    @property
    def name(self) -> str:
        return self.point.name

    @property
    def origin(self) -> str:
        """Its distribution and that one's version."""
        dist = self.point.dist
        return f"{dist.name} {dist.version}" if dist else "an unknown distribution"


class Loaded:
    """The plugins of one client: their manager, its hooks, and what became of each installed."""

    def __init__(self, config: Config) -> None:
        tell = _write if config.trace_plugins else None
        self.config = config
        self.manager = new_manager()
        self.hooks = Hooks(self.manager, tell)
        self.installed: dict[str, Found] = {}
        self._named: set[str] = set(config.load_plugins or ())
        self._tell = tell

    def leave_out(self, failed: HookFailed) -> None:
        """Go on without a plugin whose hook failed; raises if somebody has asked for it."""
        found = self.installed.get(failed.plugin)
        if found is None or failed.hook == NEVER_ALONE:
            raise failed
        self._report(found.point, failed)
        self.manager.unregister(name=failed.plugin)

    # ---- finding

    def add_given(self, plugins: Sequence[Any], points: dict[str, metadata.EntryPoint]) -> None:
        """Register what the client was given; the first is to be asked first."""
        self._named.update(name for name in plugins if isinstance(name, str) and name in points)
        for plugin in reversed(plugins):
            if isinstance(plugin, str) and plugin in points:
                if not self.manager.has_plugin(plugin):
                    self._add_installed(points[plugin])
            else:
                self._add_given(_imported(plugin) if isinstance(plugin, str) else plugin)

    def _add_given(self, plugin: Any) -> None:
        name = name_of(plugin)
        known = self.manager.get_name(plugin)
        if known is not None:
            # An installed one, or one that is given twice: it stands where it is given first.
            self.manager.unregister(plugin)
            self._named.add(known)
        try:
            register(self.manager, plugin, known or self._free(name))
        except pluggy.PluginValidationError as error:
            raise ConfigError(f'plugins: "{name}" is not a plugin of ours: {error}') from error

    def add_installed(self, points: Iterable[metadata.EntryPoint]) -> None:
        """Register the wanted ones; the first is to be asked first."""
        for point in reversed(list(points)):
            if problem := why_unwanted(self.config, point.name):
                self.installed[point.name] = Found(point, problem)
                self._trace(self.installed[point.name])
            else:
                self._add_installed(point)

    def _add_installed(self, point: metadata.EntryPoint) -> None:
        found = self.installed[point.name] = Found(point)
        try:
            register(self.manager, point.load(), point.name)
        except (Exception, SystemExit) as error:
            self._report(point, error)
        else:
            self._trace(found)

    def _report(self, point: metadata.EntryPoint, error: BaseException) -> None:
        """Tell that an installed plugin fails; raises if somebody has asked for it."""
        why = f"{type(error).__name__}: {error}" if _says_little(error) else str(error)
        found = self.installed[point.name] = Found(point, f"broken: {why}")
        self._trace(found)
        message = (
            f'plugin "{point.name}" of {found.origin} could not be loaded: {why}. '
            f"Repair or uninstall it, or set INNGEST_DISABLE_PLUGINS={point.name}"
        )
        if self._asked_for(point.name):
            raise ConfigError(message) from error
        _log.warning("%s", message)

    def _trace(self, found: Found) -> None:
        if self._tell is not None:
            self._tell(f"{found.name}, of {found.origin}: {found.problem or 'loaded'}")

    def _asked_for(self, name: str) -> bool:
        return self.config.strict_plugins or name in self._named or bool(self.config.options(name))

    def _free(self, name: str) -> str:
        count = 1
        while self.manager.has_plugin(numbered := name if count == 1 else f"{name}#{count}"):
            count += 1
        return numbered


def load(config: Config, given: Sequence[Any], builtins: Sequence[str]) -> Loaded:
    """
    Every plugin of a client.

    The given ones are asked first, in their order, then the installed ones by name,
    then our builtins.
    """
    points = installed()
    _require_installed(config, points)
    if not given:
        _require_somebody(config, points)
    loaded = Loaded(config)
    # pluggy asks the last one registered first.
    for name in reversed(builtins):
        loaded.manager.register(importlib.import_module(name), name=name)
    named = {name for name in given if isinstance(name, str)}
    loaded.add_installed(point for point in points if point.name not in named)
    loaded.add_given(given, {point.name: point for point in points})
    return loaded


def installed(group: str = PROJECT) -> list[metadata.EntryPoint]:
    """The entry points of a group, by name: the order of installation does not matter."""
    # Not by the distribution's name: its metadata would have to be read for that.
    return sorted(metadata.entry_points(group=group), key=lambda one: (one.name, one.value))


def register(manager: pluggy.PluginManager, plugin: Any, name: str) -> None:
    """
    Register one plugin; where one of its hooks is none of ours, take all of it out again.

    Raises ConfigError and PluginValidationError.
    """
    if inspect.isclass(plugin):
        raise ConfigError(
            f'plugin "{name}" is the class {plugin.__qualname__}, not an instance of it; '
            "name an instance or a module"
        )
    _require_api(plugin, name)
    try:
        manager.register(plugin, name=name)
        manager.check_pending()
        _require_no_wrapper(manager, plugin)
    except pluggy.PluginValidationError:
        if manager.is_registered(plugin):
            manager.unregister(plugin)
        raise


def why_unwanted(config: Config, name: str) -> str | None:
    """Which variable keeps an installed plugin out; None if it is wanted."""
    if name in config.disable_plugins:
        return "left out by INNGEST_DISABLE_PLUGINS"
    if config.load_plugins is not None and name not in config.load_plugins:
        return "left out by INNGEST_LOAD_PLUGINS"
    return None


def name_of(plugin: Any) -> str:
    """What a plugin without an entry point is called."""
    if isinstance(plugin, ModuleType):
        return plugin.__name__
    return getattr(plugin, "__qualname__", type(plugin).__qualname__)


# ---- what is refused


def _require_installed(config: Config, points: list[metadata.EntryPoint]) -> None:
    names = [point.name for point in points]
    for name in config.load_plugins or ():
        if name not in names:
            raise ConfigError(
                f'INNGEST_LOAD_PLUGINS: "{name}" is not installed; installed are: '
                f"{', '.join(names) or 'none'}"
            )


def _require_somebody(config: Config, points: list[metadata.EntryPoint]) -> None:
    """Refuse options that nobody will read: what they ask for, such as encryption, would lack."""
    names = {option_name(name): name for name in (p.name for p in points)}
    known = {*names, *map(option_name, config.disable_plugins)}
    for plugin in sorted(config.plugin_options.keys() - known):
        near = difflib.get_close_matches(plugin, names, 1)
        hint = f'did you mean "{names[near[0]]}"?' if near else "is its distribution missing?"
        raise ConfigError(
            f'options: there are some for "{plugin}", and no such plugin is installed; {hint} '
            f"Install it, take the options away, or set INNGEST_DISABLE_PLUGINS={plugin}"
        )


def _require_api(plugin: Any, name: str) -> None:
    wanted = getattr(plugin, API_ATTRIBUTE, OLDEST_API_VERSION)
    if not isinstance(wanted, int):
        kind = type(wanted).__name__
        raise ConfigError(f'plugin "{name}": {API_ATTRIBUTE} is a number, and not {kind}')
    if wanted > API_VERSION:
        raise ConfigError(
            f'plugin "{name}" needs the plugin API {wanted}, and inngest-core {VERSION} has '
            f"{API_VERSION}; upgrade inngest-core"
        )
    if wanted < OLDEST_API_VERSION:
        raise ConfigError(
            f'plugin "{name}" is for the plugin API {wanted}, and inngest-core {VERSION} has '
            f"{OLDEST_API_VERSION} to {API_VERSION}; upgrade the plugin"
        )


def _require_no_wrapper(manager: pluggy.PluginManager, plugin: Any) -> None:
    for caller in manager.get_hookcallers(plugin) or ():
        for one in caller.get_hookimpls():
            if one.plugin is plugin and (one.wrapper or one.hookwrapper):
                why = f"{caller.name} cannot be wrapped; offer a middleware instead"
                raise pluggy.PluginValidationError(plugin, why)


def _imported(path: str) -> Any:
    module, _, attribute = path.partition(":")
    try:
        loaded = importlib.import_module(module)
        return getattr(loaded, attribute) if attribute else loaded
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f'plugins: "{path}" cannot be imported: {error}') from error


def _says_little(error: BaseException) -> bool:
    """Whether the message is of use only beside the kind of error."""
    ours = (ConfigError, pluggy.PluginValidationError, ImportError)
    return not (isinstance(error, ours) and str(error))


def _write(line: str) -> None:
    print(f"inngest plugins: {line}", file=sys.stderr)
