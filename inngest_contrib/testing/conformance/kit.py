"""The kit: all claims about adapters, as one class of tests to derive from."""

from __future__ import annotations

from .hooks import Hooks
from .loads import Loads
from .places import Places
from .replies import Replies
from .streams import Streams


class Conformance(Replies, Places, Hooks, Loads, Streams):
    """
    The tests of every adapter.

    Derive from it, name ``framework``, and write ``serve``, ``ask`` and ``is_raw_request``;
    the rest of Adapter has defaults.
    """
