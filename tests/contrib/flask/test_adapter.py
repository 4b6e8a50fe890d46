"""The Flask adapter, by the conformance kit and by what is its own."""

from __future__ import annotations

from typing import Any

import flask
import pytest
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import Client

import inngest_core as inngest
from inngest_contrib.flask import serve
from inngest_contrib.testing.conformance import (
    Answered,
    Asked,
    Conformance,
    call,
    dev_client,
    functions,
)


class TestFlask(Conformance):
    framework = "flask"

    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        app = flask.Flask("shop")
        serve(app, client, functions, **options)
        return app

    def ask(self, app: Any, asked: Asked) -> Answered:
        response = Client(app).open(
            asked.path,
            method=asked.method,
            query_string=asked.query,
            headers=list(asked.headers.items()),
            data=asked.body,
        )
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answered(response.status_code, headers, response.data)

    def is_raw_request(self, raw: object) -> bool:
        return isinstance(raw, flask.Request) and raw.path == "/api/inngest"

    def behind_proxy(self, app: Any) -> Any:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_host=1)
        return app

    def mounted(self, app: Any, prefix: str) -> Any:
        return DispatcherMiddleware(flask.Flask("outer"), {prefix: app})


def test_two_clients_live_in_one_app() -> None:
    app = flask.Flask("both")
    one, two = dev_client(), dev_client()
    serve(app, one, functions(one))
    serve(app, two, functions(two), serve_path="/second")
    table = TestFlask()
    for path in ("/api/inngest", "/second"):
        assert table.ask(app, call("plain", path=path)).status == 200


def test_the_limit_of_the_app_is_for_its_own_routes() -> None:
    app = flask.Flask("small")
    app.config["MAX_CONTENT_LENGTH"] = 100
    client = dev_client()
    serve(app, client, functions(client))
    assert TestFlask().ask(app, call("plain")).status == 200


def test_a_body_that_the_app_has_read_before_is_still_there() -> None:
    app = flask.Flask("curious")
    client = dev_client()
    serve(app, client, functions(client))

    @app.before_request
    def look() -> None:
        assert flask.request.get_json()["event"]["name"] == "a/b"

    asked = call("plain", headers={"content-type": "application/json"})
    assert TestFlask().ask(app, asked).status == 200


@pytest.mark.parametrize("path", ["/", "/api/inngest"])
def test_the_trailing_slash_never_redirects(path: str) -> None:
    app = flask.Flask("slash")
    client = dev_client()
    serve(app, client, functions(client), serve_path=path)
    for form in {path, path.rstrip("/") + "/"}:
        assert TestFlask().ask(app, call("plain", path=form)).status == 200


def test_async_functions_share_one_loop() -> None:
    loops = []
    client = dev_client()

    async def handler(ctx: inngest.Context) -> None:
        import asyncio

        loops.append(asyncio.get_running_loop())

    trigger = inngest.TriggerEvent(event="a/b")
    client.create_function(fn_id="loop", trigger=trigger)(handler)
    app = flask.Flask("loops")
    serve(app, client)
    for _ in range(3):
        assert TestFlask().ask(app, call("loop")).status == 200
    assert len(set(map(id, loops))) == 1
    client.close()


def test_bytes_beyond_utf8_in_the_query_are_answered_in_json() -> None:
    app = flask.Flask("odd")
    client = dev_client()
    serve(app, client, functions(client))
    bytes_of = {"QUERY_STRING": "fnId=\xff"}
    response = app.test_client().post("/api/inngest", environ_overrides=bytes_of)
    assert response.status_code == 400
    assert response.json is not None
    assert response.json["code"] == "body_invalid"
