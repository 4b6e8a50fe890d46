"""The real servers, and how each is told which app to serve on which port."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from inngest_contrib.testing.conformance.live import LiveConformance

ROOT = Path(__file__).resolve().parents[3]
APPS = "tests.contrib.live_servers"


class _Served(LiveConformance):
    app: str
    folder = str(ROOT)


class OnUvicorn(_Served):
    """uvicorn, in one process."""

    def command(self, port: int) -> Sequence[str]:
        where = f"{APPS}.{self.app}:app"
        address = ["--host", "127.0.0.1", "--port", str(port)]
        return [sys.executable, "-m", "uvicorn", where, *address, "--log-level", "warning"]


class OnGunicorn(_Served):
    """gunicorn, which makes the app once and then forks."""

    preloads = True

    def command(self, port: int) -> Sequence[str]:
        where = f"{APPS}.{self.app}:app"
        workers = ["--preload", "--workers", "2", "--threads", "4", "--keep-alive", "1"]
        return [sys.executable, "-m", "gunicorn", where, "--bind", f"127.0.0.1:{port}", *workers]


class OnWaitress(_Served):
    """waitress, in one process with several threads."""

    def command(self, port: int) -> Sequence[str]:
        where = f"{APPS}.{self.app}:app"
        return [sys.executable, "-m", "waitress", f"--listen=127.0.0.1:{port}", where]


class OnTornado(_Served):
    """Tornado's own server."""

    app = "tornado_app"

    def command(self, port: int) -> Sequence[str]:
        return [sys.executable, "-m", f"{APPS}.{self.app}", str(port)]
