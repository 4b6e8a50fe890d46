"""WSGI apps on the servers that people use."""

from __future__ import annotations

import pytest

from .servers import OnGunicorn, OnWaitress


class TestFlaskOnWaitress(OnWaitress):
    app = "flask_app"


class TestFlaskOnGunicorn(OnGunicorn):
    app = "flask_app"


@pytest.mark.slow
class TestWSGIOnWaitress(OnWaitress):
    app = "wsgi_app"


@pytest.mark.slow
class TestWSGIOnGunicorn(OnGunicorn):
    app = "wsgi_app"
