"""
What a stranger may add: the hooks, their types, and how plugins are found.

The names here are what plugins are written with; docs/plugins.md says how long they stay.
"""

from ..env import Config
from ..errors import SocketClosedError, TransportError
from ..wire.http import HttpRequest, HttpResponse
from .types import (
    API_VERSION,
    AsyncTransport,
    BlockingTransport,
    Cipher,
    Framework,
    Serializer,
    WebSocket,
    WebSocketTransport,
    hookimpl,
)

__all__ = [
    "API_VERSION",
    "AsyncTransport",
    "BlockingTransport",
    "Cipher",
    "Config",
    "Framework",
    "HttpRequest",
    "HttpResponse",
    "Serializer",
    "SocketClosedError",
    "TransportError",
    "WebSocket",
    "WebSocketTransport",
    "hookimpl",
]
