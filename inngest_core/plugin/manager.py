"""
Folding what the plugins of a client answer into plain values.

Each client has a manager of its own. No hook is asked during a request: that
costs a microsecond even without an implementation.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ..env import Config
from ..errors import ConfigError
from .finding import Loaded, load
from .hooks import HookFailed, Hooks, call
from .types import AsyncTransport, BlockingTransport, Cipher, Serializer, WebSocketTransport

_log = logging.getLogger("inngest")


@dataclass(frozen=True, slots=True)
class Plugins:
    """What the plugins of one client have answered."""

    loaded: Loaded
    serializer: Serializer
    ciphers: tuple[Cipher, ...]
    middleware: tuple[Any, ...]
    blocking_transport: Callable[[], BlockingTransport]
    async_transport: Callable[[], AsyncTransport]
    websocket_transport: Callable[[], WebSocketTransport]
    close: Callable[[], None]


def fold(config: Config, given: Sequence[Any], builtins: Sequence[str]) -> Plugins:
    """
    Load the plugins of a client and ask every hook.

    given: the user's own, objects or dotted paths. builtins: modules of ours. Where an
    installed plugin fails and nobody has asked for it, the others are asked again without it.
    """
    loaded = load(config, given, builtins)
    while True:
        try:
            return _fold(loaded, config)
        except HookFailed as failed:
            loaded.leave_out(failed)


def _fold(loaded: Loaded, config: Config) -> Plugins:
    hooks = loaded.hooks
    hooks.all("inngest_configure", config=config)
    return Plugins(
        loaded=loaded,
        serializer=hooks.first("inngest_serializer", config=config),
        ciphers=tuple(hooks.all("inngest_cipher", config=config)),
        middleware=_middleware(hooks, config),
        blocking_transport=lambda: _transport(hooks, config, "blocking"),
        async_transport=lambda: _transport(hooks, config, "async"),
        websocket_transport=lambda: _transport(hooks, config, "websocket"),
        close=lambda: _close(hooks, config),
    )


def _middleware(hooks: Hooks, config: Config) -> tuple[Any, ...]:
    found: list[Any] = []
    for plugin, many in hooks.each("inngest_middleware", config=config):
        if not isinstance(many, (list, tuple)):
            why = f"expected a list of middleware, got {type(many).__name__}"
            raise HookFailed(plugin, "inngest_middleware", why)
        found.extend(many)
    return tuple(found)


def _transport(hooks: Hooks, config: Config, kind: str) -> Any:
    transport = hooks.first("inngest_transport", config=config, kind=kind)
    if transport is None:
        raise ConfigError(f"no plugin offers a {kind} transport")
    return transport


def _close(hooks: Hooks, config: Config) -> None:
    """Let every plugin give back what it opened, whatever the others do."""
    for one in hooks.implementations("inngest_close"):
        try:
            call(one, {"config": config})
        except Exception as error:
            _log.warning('plugin "%s" failed to close: %r', one.plugin_name, error)
