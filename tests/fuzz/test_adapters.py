"""The same through web frameworks: from the bytes of a request to those of a reply."""

from __future__ import annotations

import io
from typing import Any

import pytest
from fastapi import FastAPI
from flask import Flask
from hypothesis import strategies as st
from werkzeug.test import run_wsgi_app

import inngest_contrib.fastapi
import inngest_contrib.flask
import inngest_core as inngest
from inngest_core.wire.signing import sign

from ..flow.wiring import KEY, NOW
from . import damage
from .amounts import fuzzed
from .doors import DOORS, KINDS, NAMED, run, verify

PATH = "/api/inngest"
FLASK, FASTAPI = {}, {}
for _mode, _door in DOORS.items():
    FLASK[_mode] = Flask("fuzz")
    inngest_contrib.flask.serve(FLASK[_mode], _door.client)
    FASTAPI[_mode] = FastAPI()
    inngest_contrib.fastapi.serve(FASTAPI[_mode], _door.client)

modes = pytest.mark.parametrize("mode", list(DOORS))
kinds = pytest.mark.parametrize("kind", KINDS)


@st.composite
def requests(draw: st.DrawFn, methods: st.SearchStrategy[str]) -> dict[str, Any]:
    """The parts of a request as they come over the wire."""
    body = draw(damage.bodies | damage.damaged())
    headers = dict(draw(damage.headers))
    if draw(st.integers(0, 3)):
        headers["x-inngest-signature"] = sign(KEY, body, NOW)
    return {
        "method": draw(st.just("POST") | methods),
        "headers": headers,
        "body": body,
        "slash": draw(st.sampled_from(["", "", "/"])),
    }


numbers = st.integers(0, len(NAMED["def"]) - 1)
any_query = st.none() | damage.query_strings([name for names in NAMED.values() for name in names])


def query_of(kind: str, drawn: bytes | None, number: int) -> bytes:
    """What was drawn, else a good query."""
    return f"fnId={NAMED[kind][number]}&stepId=step".encode() if drawn is None else drawn


def through_flask(app: Flask, asked: dict[str, Any], query: bytes) -> inngest.CommResponse:
    """The reply of a WSGI app."""
    environ = {
        "REQUEST_METHOD": asked["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": PATH + asked["slash"],
        "QUERY_STRING": query.decode("latin-1"),
        "SERVER_NAME": "testserver",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(asked["body"])),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(asked["body"]),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **{_cgi(name): value for name, value in asked["headers"].items()},
    }
    chunks, status, headers = run_wsgi_app(app, environ, buffered=True)
    body = b"".join(chunks)
    named = {name.lower(): value for name, value in headers}
    return inngest.CommResponse(int(status.split()[0]), named, body)


def _cgi(name: str) -> str:
    upper = name.upper().replace("-", "_")
    return upper if upper == "CONTENT_TYPE" else f"HTTP_{upper}"


async def through_asgi(app: Any, asked: dict[str, Any], query: bytes) -> inngest.CommResponse:
    """The reply of an ASGI app."""
    sent: list[Any] = []
    path = PATH + asked["slash"]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": asked["method"],
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "root_path": "",
        "query_string": query,
        "headers": [
            (name.encode(), value.encode("latin-1")) for name, value in asked["headers"].items()
        ],
        "client": ("127.0.0.1", 1),
        "server": ("testserver", 80),
    }

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": asked["body"], "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await app(scope, receive, send)
    start, *bodies = sent
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in start["headers"]}
    whole = b"".join(one.get("body", b"") for one in bodies)
    return inngest.CommResponse(start["status"], headers, whole)


@modes
@kinds
# A method that Flask has never heard of, and a host that is none, end in its router.
@fuzzed(asked=requests(damage.known_methods), query=any_query, number=numbers)
def test_through_flask(
    mode: str, kind: str, asked: dict[str, Any], query: bytes | None, number: int
) -> None:
    drawn = query_of(kind, query, number)
    asked["headers"].pop("host", None)
    response = through_flask(FLASK[mode], asked, drawn)
    verify(DOORS[mode], response, size=len(asked["body"]) + len(drawn) + 64, method=asked["method"])


@modes
@kinds
@fuzzed(asked=requests(damage.methods), query=any_query, number=numbers)
def test_through_fastapi(
    mode: str, kind: str, asked: dict[str, Any], query: bytes | None, number: int
) -> None:
    drawn = query_of(kind, query, number)
    response = run(through_asgi(FASTAPI[mode], asked, drawn))
    verify(DOORS[mode], response, size=len(asked["body"]) + len(drawn) + 64, method=asked["method"])
