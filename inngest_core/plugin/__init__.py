"""What a stranger may add: the hooks, their types, and how plugins are found."""

from .types import API_VERSION, Framework, hookimpl

__all__ = ["API_VERSION", "Framework", "hookimpl"]
