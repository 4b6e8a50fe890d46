"""
The conformance kit: the tests that every adapter has to pass, for yours as well.

    class TestMine(Conformance):
        framework = "mine"
        def serve(self, client, functions=None, **options): ...
        def ask(self, app, asked): ...
        def is_raw_request(self, raw): ...

Needs pytest and nothing else.
"""

import pytest

_WITH_CLAIMS = ("hooks", "live", "loads", "places", "replies", "streams")
# Before they are imported, so that a claim that fails shows its values.
pytest.register_assert_rewrite(*(f"{__name__}.{module}" for module in _WITH_CLAIMS))

from .asgi import ASGIConformance  # noqa: E402
from .exchange import CALL, EVENT, FALLBACK, KEY, PATH, Answered, Asked, call, signed  # noqa: E402
from .functions import create, functions  # noqa: E402
from .kit import Conformance  # noqa: E402
from .server import RecordedServer, cloud_client, dev_client  # noqa: E402
from .wsgi import WSGIConformance  # noqa: E402

__all__ = [
    "CALL",
    "EVENT",
    "FALLBACK",
    "KEY",
    "PATH",
    "ASGIConformance",
    "Answered",
    "Asked",
    "Conformance",
    "RecordedServer",
    "WSGIConformance",
    "call",
    "cloud_client",
    "create",
    "dev_client",
    "functions",
    "signed",
]
