"""
The hooks. Each is asked when a client is built, never during a request.

A hook without a test of its name in tests/plugin/test_hooks.py fails the tests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pluggy

from ..env import Config
from .types import (
    PROJECT,
    AsyncTransport,
    BlockingTransport,
    Cipher,
    Framework,
    Serializer,
    WebSocketTransport,
)

hookspec = pluggy.HookspecMarker(PROJECT)


@hookspec
def inngest_configure(config: Config) -> None:
    """Check your options, ``config.options("<your name>")``; raise ConfigError if one is wrong."""


@hookspec
def inngest_framework() -> Framework | None:
    """Describe an adapter."""


@hookspec(firstresult=True)
def inngest_transport(
    config: Config, kind: str
) -> BlockingTransport | AsyncTransport | WebSocketTransport | None:
    """What carries our requests; kind is ``"blocking"``, ``"async"`` or ``"websocket"``."""


@hookspec(firstresult=True)
def inngest_serializer(config: Config) -> Serializer | None:
    """What turns values into JSON values and back."""


@hookspec
def inngest_cipher(config: Config) -> Cipher | None:
    """What hides values from the server: the first encrypts, each decrypts what bears its name."""


@hookspec
def inngest_middleware(config: Config) -> Sequence[Any] | None:
    """Middleware classes, factories or instances; the first is the outermost."""


@hookspec
def inngest_commands(group: Any) -> None:
    """Add subcommands to the click group of ``inngest-core``."""


@hookspec
def inngest_close(config: Config) -> None:
    """Give back what you opened; the client is being closed."""
