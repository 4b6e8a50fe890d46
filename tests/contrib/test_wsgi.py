"""The bare WSGI app, by the conformance kit and by what is its own."""

from __future__ import annotations

import io
from typing import Any
from wsgiref.validate import validator

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix

import inngest_core as inngest
from inngest_contrib.testing.conformance import (
    Answered,
    Asked,
    RecordedServer,
    WSGIConformance,
    call,
    dev_client,
    functions,
)
from inngest_contrib.testing.conformance.wsgi import ask, asked_with, environ_of
from inngest_contrib.wsgi import read_body, serve, to_request


class Paths:
    """A router as small as can be."""

    def __init__(self, path: str, app: Any) -> None:
        self.path = path
        self.app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        assert environ["PATH_INFO"].strip("/") == self.path.strip("/")
        return self.app(environ, start_response)


class TestWSGI(WSGIConformance):
    framework = "wsgi"

    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        path = options.get("serve_path") or client.config.serve_path or "/api/inngest"
        return Paths(path, serve(client, functions, **options))

    def is_raw_request(self, raw: object) -> bool:
        return isinstance(raw, dict) and "wsgi.input" in raw

    def behind_proxy(self, app: Any) -> Any:
        return ProxyFix(app, x_proto=1)

    def mounted(self, app: Any, prefix: str) -> Any:
        def outer(environ: dict[str, Any], start_response: Any) -> Any:
            below = environ["PATH_INFO"].removeprefix(prefix)
            return app({**environ, "SCRIPT_NAME": prefix, "PATH_INFO": below}, start_response)

        return outer


def app_of(**arguments: Any) -> Any:
    client = dev_client(**arguments)
    functions(client)
    return serve(client)


@pytest.mark.parametrize("asked", [call("plain"), call("astep"), Asked("GET"), Asked("HEAD")])
def test_the_app_keeps_the_rules_of_wsgi(asked: Asked) -> None:
    checked = environ_of(asked)
    del checked["HTTP_HOST"]
    checked.setdefault("CONTENT_TYPE", "application/json")
    assert asked_with(validator(app_of()), checked).status in (200, 206)


class Chunked:
    """The input of a server that ends the stream itself, a piece at a time."""

    def __init__(self, body: bytes) -> None:
        self._body = io.BytesIO(body)
        self.read_bytes = 0

    def read(self, size: int) -> bytes:
        part = self._body.read(min(size, 10))
        self.read_bytes += len(part)
        return part


def chunked(body: bytes, *, ends: bool) -> dict[str, Any]:
    environ = environ_of(call("plain", body))
    del environ["CONTENT_LENGTH"]
    return {**environ, "wsgi.input": Chunked(body), "wsgi.input_terminated": ends}


def test_a_body_without_a_length_is_read_where_the_server_ends_it() -> None:
    assert asked_with(app_of(), chunked(call("plain").body, ends=True)).status == 200


def test_a_body_without_a_length_and_without_an_end_is_not_waited_for() -> None:
    environ = chunked(call("plain").body, ends=False)
    assert asked_with(app_of(), environ).status == 400
    assert environ["wsgi.input"].read_bytes == 0


def test_a_body_is_read_only_until_it_is_too_large() -> None:
    environ = chunked(b" " * 1000, ends=True)
    assert len(read_body(environ, 100)) == 101
    assert environ["wsgi.input"].read_bytes == 101


def test_a_body_that_ends_before_its_length_is_refused() -> None:
    environ = {**environ_of(call("plain")), "CONTENT_LENGTH": "100000"}
    environ["wsgi.input"] = io.BytesIO(b'{"ctx":')
    assert asked_with(app_of(), environ).status == 400


def test_without_a_host_the_address_is_that_of_the_server() -> None:
    environ = environ_of(Asked("PUT"))
    del environ["HTTP_HOST"]
    assert to_request(environ, b"", None).url == "http://testserver:80/api/inngest"


def test_a_path_beyond_ascii_is_read_as_utf8() -> None:
    environ = environ_of(Asked("PUT", path="/jöbs".encode().decode("latin-1")))
    assert to_request(environ, b"", None).url == "http://testserver/jöbs"


def test_every_path_is_served() -> None:
    server = RecordedServer()
    app = app_of(server=server)
    assert ask(app, Asked("PUT", path="/any/where")).status == 200
    assert server.bodies[0]["url"] == "http://testserver/any/where"


def test_async_functions_share_one_loop() -> None:
    loops: list[object] = []
    client = dev_client()

    async def handler(ctx: inngest.Context) -> None:
        import asyncio

        loops.append(asyncio.get_running_loop())

    client.create_function(fn_id="loop", trigger=inngest.TriggerEvent(event="a/b"))(handler)
    app = serve(client)
    replies: list[Answered] = [ask(app, call("loop")) for _ in range(3)]
    assert [one.status for one in replies] == [200] * 3
    assert len(set(map(id, loops))) == 1
    client.close()
