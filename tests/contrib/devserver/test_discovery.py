"""Finding apps: asked until they answer, told once, never the end of the server."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

from inngest_contrib.devserver.instance import free_port
from tests.contrib.devserver.live import (
    Call,
    Reply,
    Running,
    StandIn,
    eventually,
    running,
)


def syncing(app: StandIn, server: Running, name: str) -> None:
    """Let a stand-in register one function whenever it is asked to."""

    def put(call: Call) -> Reply:
        response = app.register(server, name, app.function(name, "f"))
        return Reply(response.status_code, response.json())

    app.on_put = put


def noting(asked: list[Call], reply: Reply) -> Callable[[Call], Reply]:
    """Answer always the same, and note who asked."""

    def put(call: Call) -> Reply:
        asked.append(call)
        return reply

    return put


def told(caplog: pytest.LogCaptureFixture, text: str) -> list[str]:
    return [record.getMessage() for record in caplog.records if text in record.getMessage()]


def test_an_app_is_asked_to_register_as_the_server_does_it(app: StandIn) -> None:
    asked: list[Call] = []
    with running(urls=(app.url,)) as server:

        def put(call: Call) -> Reply:
            asked.append(call)
            return Reply(200, app.register(server, "found", app.function("found", "f")).json())

        app.on_put = put
        eventually(lambda: server.functions("found") == ["f"])
        assert server.run("found/f", {"n": 1})["output"] == {"n": 1}
    assert asked[0].json == {"url": app.url}
    assert asked[0].headers["x-inngest-server-kind"] == "dev"
    assert asked[0].headers["content-type"] == "application/json"


def test_an_app_is_polled_and_a_change_is_taken_over(app: StandIn) -> None:
    names = ["f"]
    with running(urls=(app.url,)) as server:

        def put(call: Call) -> Reply:
            functions = [app.function("poll", name) for name in names]
            return Reply(200, app.register(server, "poll", *functions).json())

        app.on_put = put
        eventually(lambda: server.functions("poll") == ["f"])
        names.append("g")
        eventually(lambda: server.functions("poll") == ["f", "g"])


def test_an_app_that_registered_itself_is_polled_too(app: StandIn) -> None:
    with running() as server:
        asked: list[Call] = []
        app.on_put = noting(asked, Reply(200, {}))
        app.register(server, "self", app.function("self", "f"))
        eventually(lambda: asked)


def test_without_polling_an_app_is_asked_until_it_answers(app: StandIn) -> None:
    with running(urls=(app.url,), poll=False) as server:
        asked: list[Call] = []
        answers = iter([Reply(500, {"message": "starting"})])

        def put(call: Call) -> Reply:
            asked.append(call)
            refusal = next(answers, None)
            if refusal:
                return refusal
            return Reply(200, app.register(server, "np", app.function("np", "f")).json())

        app.on_put = put
        eventually(lambda: server.functions("np") == ["f"])
        count = len(asked)
        assert count >= 2
        with pytest.raises(AssertionError):
            eventually(lambda: len(asked) > count, seconds=1)


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply(404, None), "no Inngest endpoint at this path (404)"),
        (Reply(500, {"message": "no key"}), "it refused to sync (500): no key"),
        (Reply(500, {"message": "no reply from http://x:1"}), "Start it with INNGEST_DEV=http://"),
        (Reply(400, {"error": "nope"}), "it refused to sync (400): nope"),
        (Reply(500, raw=b""), "it gave no reason"),
        (Reply(500, raw=b"<html>\n oh </html>"), "it refused to sync (500): <html> oh </html>"),
        (
            Reply(400, raw=b"<!DOCTYPE html><style>x</style><title>No &amp; no\n</title><p>long"),
            "it refused to sync (400): No & no (",
        ),
        (Reply(200, raw=b"\n<!doctype html><p>Welcome"), "a web page is there, and no Inngest"),
        (Reply(307, None, {"location": "/x"}), "it redirects (307)"),
        (Reply(200, {"message": "ok"}), "registered with another server"),
    ],
)
def test_what_is_wrong_with_an_app_is_told_once(
    app: StandIn, caplog: pytest.LogCaptureFixture, reply: Reply, text: str
) -> None:
    asked: list[Call] = []
    app.on_put = noting(asked, reply)
    with caplog.at_level(logging.INFO), running(urls=(app.url,), poll_interval=0.1) as server:
        eventually(lambda: len(asked) >= 3)
        assert server.get("/health")
    assert len(told(caplog, "App at")) == 1
    assert text in told(caplog, app.url)[0]


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("http://127.0.0.1:{port}/api/inngest", "nobody answers there"),
        ("http://no.such.host.invalid/api/inngest", "nobody answers there"),
        ("not a url", "not an address that can be asked"),
        ("ftp://127.0.0.1/x", "not an address that can be asked"),
        ("http://", "not an address that can be asked"),
        ("http://[", "not an address that can be asked"),
    ],
)
def test_a_broken_address_is_told_and_the_server_goes_on(
    app: StandIn, caplog: pytest.LogCaptureFixture, url: str, text: str
) -> None:
    broken = url.format(port=free_port())
    with caplog.at_level(logging.INFO), running(urls=(broken, app.url)) as server:
        syncing(app, server, "beside")
        eventually(lambda: server.functions("beside") == ["f"])
        eventually(lambda: told(caplog, broken), what="a word about the broken address")
        assert server.run("beside/f", {"n": 1})["status"] == "COMPLETED"
    assert text in told(caplog, broken)[0]


def test_an_app_that_comes_back_is_told(app: StandIn, caplog: pytest.LogCaptureFixture) -> None:
    broken: list[Any] = [True]
    with caplog.at_level(logging.INFO), running(urls=(app.url,), poll_interval=0.1) as server:

        def put(call: Call) -> Reply:
            if broken:
                return Reply(500, {"message": "down"})
            return Reply(200, app.register(server, "back", app.function("back", "f")).json())

        app.on_put = put
        eventually(lambda: told(caplog, "down"))
        broken.clear()
        eventually(lambda: told(caplog, "answers again"))
        assert server.functions("back") == ["f"]
        assert "error" not in server.get("/v2/apps/back")["data"]["latestSync"]
