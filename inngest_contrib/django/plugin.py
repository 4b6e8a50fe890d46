"""What the plugin system is told of this adapter, and what clients of a project get by it."""

from __future__ import annotations

from typing import Any

from inngest_core import __version__, hookimpl
from inngest_core.plugin.types import Framework

NAME = "inngest_contrib.django.plugin"
"""Where this is, for ``Inngest(plugins=[...])``."""


@hookimpl
def inngest_framework() -> Framework:
    """Describe the adapter."""
    return Framework(name="django", version=__version__, serve="inngest_contrib.django:serve")


@hookimpl
def inngest_middleware() -> list[Any]:
    """Signals and connections, around everything else."""
    from .calls import CallMiddleware

    return [CallMiddleware]
