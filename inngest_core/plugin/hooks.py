"""
The hooks of one manager, asked one plugin after another.

Law: every answer and every failure is known by the plugin that it came from.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pluggy

from ..errors import ConfigError
from . import specs
from .types import PROJECT

Tell = Callable[[str], None]


class HookFailed(ConfigError):
    """A plugin raised what no plugin should, or answered with what the hook cannot use."""

    def __init__(self, plugin: str, hook: str, why: str) -> None:
        super().__init__(f'plugin "{plugin}" failed in {hook}: {why}')
        self.plugin = plugin
        self.hook = hook


def new_manager() -> pluggy.PluginManager:
    """A manager that knows our hooks and no plugin."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(specs)
    return manager


class Hooks:
    """
    Asks the hooks, in the order that pluggy gives the plugins.

    tell: is told who answered what, by its type only, for an answer may hold a key.
    """

    def __init__(self, manager: pluggy.PluginManager, tell: Tell | None = None) -> None:
        self._manager = manager
        self._tell = tell

    def each(self, hook: str, **arguments: Any) -> Iterator[tuple[str, Any]]:
        """Every plugin's name with its answer, where it has one."""
        for one in self.implementations(hook):
            answer = self._ask(one, hook, arguments)
            if answer is not None:
                yield one.plugin_name, answer

    def all(self, hook: str, **arguments: Any) -> list[Any]:
        """Every answer."""
        return [answer for _, answer in self.each(hook, **arguments)]

    def first(self, hook: str, **arguments: Any) -> Any:
        """The first answer; None if there is none. Nobody is asked after it."""
        return next((answer for _, answer in self.each(hook, **arguments)), None)

    def implementations(self, hook: str) -> list[pluggy.HookImpl]:
        """Who is asked, in order."""
        caller: pluggy.HookCaller = getattr(self._manager.hook, hook)
        # pluggy lists the one that it asks first last.
        return caller.get_hookimpls()[::-1]

    def _ask(self, one: pluggy.HookImpl, hook: str, arguments: dict[str, Any]) -> Any:
        try:
            answer = call(one, arguments)
        except ConfigError as error:
            self._trace(one, hook, error)
            raise
        except Exception as error:
            self._trace(one, hook, error)
            why = f"{type(error).__name__}: {error}"
            raise HookFailed(one.plugin_name, hook, why) from error
        self._trace(one, hook, answer)
        return answer

    def _trace(self, one: pluggy.HookImpl, hook: str, answer: Any) -> None:
        if self._tell is not None:
            self._tell(f"{hook}: {one.plugin_name} -> {_kind(answer)}")


def call(one: pluggy.HookImpl, arguments: dict[str, Any]) -> Any:
    """Call an implementation with those of the arguments that it takes."""
    positional = [arguments[name] for name in one.argnames]
    named = {name: arguments[name] for name in one.kwargnames if name in arguments}
    return one.function(*positional, **named)


def _kind(answer: Any) -> str:
    if answer is None:
        return "nothing"
    if isinstance(answer, BaseException):
        return f"raised {type(answer).__name__}"
    if isinstance(answer, (list, tuple)):
        return f"[{', '.join(map(_kind, answer))}]"
    if isinstance(answer, type):
        return answer.__name__
    return type(answer).__name__
