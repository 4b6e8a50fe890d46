"""The ``inngest-core`` command. Subcommands come from plugins through ``inngest_commands``."""

from .main import main

__all__ = ["main"]
