"""
The frameworks on which scenarios are served, each over a real socket.

Another adapter is one function here, a line in ADAPTERS and in WIRE_NAMES, and its module in both
kits.
"""

from __future__ import annotations

import asyncio
import importlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import uvicorn
from fastapi import FastAPI
from flask import Flask
from tornado.web import Application
from werkzeug.serving import make_server

from tests.contrib.devserver.live import eventually
from tests.contrib.tornado.asking import hosted

Serve = Callable[..., Any]
"""The `serve` of a package, for one framework."""


@contextmanager
def fastapi(serve: Serve, client: Any, functions: list[Any], **options: Any) -> Iterator[str]:
    """Serve with FastAPI on uvicorn; give the origin."""
    app = FastAPI()
    serve(app, client, functions, **options)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        eventually(lambda: server.started)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def flask(serve: Serve, client: Any, functions: list[Any], **options: Any) -> Iterator[str]:
    """Serve with Flask on werkzeug; give the origin."""
    app = Flask(__name__)
    serve(app, client, functions, **options)
    with _by_werkzeug(app) as origin:
        yield origin


@contextmanager
def tornado(serve: Serve, client: Any, functions: list[Any], **options: Any) -> Iterator[str]:
    """Serve with Tornado on its own server; give the origin."""
    app = Application()
    serve(app, client, functions, **options)
    with hosted(app) as origin:
        yield origin


@contextmanager
def digitalocean(serve: Serve, client: Any, functions: list[Any], **options: Any) -> Iterator[str]:
    """Serve a `main` with the simulator of its package, whatever path is asked; give the origin."""
    home = importlib.import_module(SIMULATORS[serve.__module__.partition(".")[0]])
    simulated = home.DigitalOceanSimulator(serve(client, functions, **options)).app

    def app(environ: Any, start_response: Any) -> Any:
        return simulated({**environ, "PATH_INFO": home.FULL_PATH}, start_response)

    with _by_werkzeug(app) as origin:
        yield origin


SIMULATORS = {
    "inngest": "inngest.experimental.digital_ocean_simulator",
    "inngest_contrib": "inngest_contrib.digitalocean.simulator",
}


@contextmanager
def _by_werkzeug(app: Any) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


ADAPTERS: dict[str, Callable[..., AbstractContextManager[str]]] = {
    "fastapi": fastapi,
    "flask": flask,
    "tornado": tornado,
    "digitalocean": digitalocean,
}
WIRE_NAMES = {
    "fastapi": "fast_api",
    "flask": "flask",
    "tornado": "tornado",
    "digitalocean": "digitalocean",
}
"""How an adapter calls its framework in what is sent."""
ADDRESS_ENDS = {"digitalocean": "/fake-name"}
"""The end of the address that an adapter registers, where that is not /api/inngest."""
