"""What a stranger may add: the hooks, their types, and how plugins are found."""

from .types import hookimpl

__all__ = ["hookimpl"]
