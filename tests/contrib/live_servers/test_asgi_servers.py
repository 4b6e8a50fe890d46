"""ASGI apps on the servers that people use."""

from __future__ import annotations

import pytest

from .servers import OnUvicorn


class TestFastAPIOnUvicorn(OnUvicorn):
    app = "fastapi_app"


class TestFastAPIStreamingOnUvicorn(OnUvicorn):
    app = "fastapi_app"
    streams = True


@pytest.mark.slow
class TestASGIOnUvicorn(OnUvicorn):
    app = "asgi_app"
