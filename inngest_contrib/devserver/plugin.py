"""What the embedded server adds to the command line."""

from __future__ import annotations

from typing import Any

from inngest_core.plugin.types import hookimpl


@hookimpl
def inngest_commands(group: Any) -> None:
    """Add `dev`."""
    from inngest_contrib.devserver.command import dev

    group.add_command(dev)
