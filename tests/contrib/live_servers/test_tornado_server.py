"""A Tornado app on Tornado's own server."""

from __future__ import annotations

import pytest

from .servers import OnTornado


class TestTornado(OnTornado):
    """Without streaming."""


@pytest.mark.slow
class TestTornadoStreaming(OnTornado):
    """With it."""

    streams = True
