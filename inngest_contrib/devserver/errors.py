"""What ends a server before it runs, and that its user can put right. The messages say how."""

from __future__ import annotations


class CannotListen(Exception):
    """The address cannot be used."""


class AppNotLoaded(Exception):
    """The app that was to run inside the server cannot be loaded or registered."""
