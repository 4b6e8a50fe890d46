"""What ends a server before it runs, and that its user can put right. The messages say how."""

from __future__ import annotations


class CannotListen(Exception):
    """The address cannot be used."""


class AppNotLoaded(Exception):
    """The app that was to run inside the server cannot be loaded or registered."""


class ServerNotStarted(Exception):
    """A server did not come to take requests. The message tells what it wrote."""


class KeysRefused(Exception):
    """The keys of a server have the wrong form, or one of them is missing."""
