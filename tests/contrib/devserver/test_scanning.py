"""Looking for apps at the usual ports: what is found, what is left alone."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import httpx
import pytest
from click.testing import CliRunner

import inngest_core as inngest
from inngest_contrib.devserver import scanning
from inngest_contrib.devserver.command import dev
from inngest_contrib.devserver.instance import free_port
from tests.contrib.devserver.live import Call, Reply, StandIn, eventually, running, stand_in
from tests.contrib.devserver.test_end_to_end import on_flask

KEY = "0123456789abcdef0123456789abcdef"
OTHER = Reply(200, {"hello": "world"})


def port_of(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port


def shop(url: str, *, signing_key: str | None = None) -> inngest.Inngest:
    client = inngest.Inngest(
        app_id="found",
        is_production=signing_key is not None,
        api_base_url=url,
        event_api_base_url=url,
        signing_key=signing_key,
    )

    @client.create_function(fn_id="f", trigger=inngest.TriggerEvent(event="found/f"))
    def function(ctx: inngest.ContextSync) -> None:
        pass

    return client


@pytest.mark.parametrize("key", [None, KEY])
def test_an_app_is_found_and_asked_to_register(
    key: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    keys = {} if key is None else {"signing_key": key, "event_keys": ("e",)}
    with on_flask(shop(f"http://127.0.0.1:{port}", signing_key=key)) as url:
        monkeypatch.setattr(scanning, "PORTS", (port, free_port(), port_of(url)))
        with running(port=port, scan=True, **keys) as server:
            server.http.headers["authorization"] = f"Bearer {KEY}"
            eventually(lambda: server.functions("found") == ["f"], what="the sync")


def test_what_is_no_app_is_only_read(app: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    asked: list[Call] = []

    def note(call: Call) -> Reply:
        read.append(f"{call.method} {call.path}")
        return OTHER

    def register(call: Call) -> Reply:
        asked.append(call)
        return OTHER

    app.answer, app.on_put = note, register
    monkeypatch.setattr(scanning, "PORTS", (port_of(app.url),))
    with running(scan=True):
        eventually(lambda: len(read) >= 8, what="a second look")
    assert read[:4] == [f"GET {path}" for path in scanning.PATHS]
    assert asked == []


@pytest.mark.parametrize(
    "answer",
    [
        Reply(404, {"function_count": 1}),
        Reply(200, ["function_count"]),
        Reply(200, raw=b"[" * 60_000),
        Reply(200, raw=b"x" * 200_000),
        Reply(301, {}, {"location": "http://127.0.0.1:1/api/inngest"}),
    ],
)
def test_an_odd_answer_is_no_app(answer: Reply, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def reply(call: Call) -> Reply:
        read.append(call.method)
        return answer

    with stand_in(reply) as found:
        monkeypatch.setattr(scanning, "PORTS", (port_of(found.url),))
        with running(scan=True) as server:
            eventually(lambda: len(read) >= 5, what="a second look")
            assert server.get("/v2/apps").get("data") is None
    assert set(read) == {"GET"}


def test_a_known_app_is_not_looked_for(app: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []

    def note(call: Call) -> Reply:
        read.append(call.method)
        return Reply(200, {"function_count": 1})

    app.answer = note
    monkeypatch.setattr(scanning, "PORTS", (port_of(app.url),))
    asked: list[Call] = []

    def register(call: Call) -> Reply:
        asked.append(call)
        return OTHER

    app.on_put = register
    with running(scan=True, urls=(app.url,)):
        eventually(lambda: len(asked) >= 3, what="polls")
    assert read == []


def test_without_being_asked_it_does_not_look(
    app: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []

    def note(call: Call) -> Reply:
        read.append(call.method)
        return OTHER

    app.answer = note
    monkeypatch.setattr(scanning, "PORTS", (port_of(app.url),))
    with running() as server:
        deadline = time.monotonic() + 1
        while time.monotonic() < deadline:
            assert (
                httpx.get(f"{server.url}/dev", trust_env=False).json()["startOpts"]["autodiscover"]
                is False
            )
    assert read == []


def test_the_command_has_the_option() -> None:
    assert "--scan" in CliRunner().invoke(dev, ["--help"]).output
