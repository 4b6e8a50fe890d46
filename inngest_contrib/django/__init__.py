"""
Inngest functions in a Django project.

Importing this package needs no settings, and imports nothing of the others: each
public name is fetched from its module when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .adapter import serve
    from .commit import send_on_commit
    from .project import client

__all__ = ["client", "send_on_commit", "serve"]

_HOMES = {"client": ".project", "send_on_commit": ".commit", "serve": ".adapter"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(_HOMES[name], __name__), name)
    globals()[name] = value
    return value
