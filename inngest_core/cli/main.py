"""The entry point of `inngest-core`."""

from __future__ import annotations

from .group import build


def main() -> None:
    """Run the command with the words of the process; it ends with the command's status."""
    build()()
