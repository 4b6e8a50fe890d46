"""Who may speak to the server: names in the Host header, pages of other sites."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from starlette.responses import Response

from inngest_contrib.devserver.api.guard import Guard


def ask(
    method: str = "GET", *, headers: dict[str, str] | None = None, **options: Any
) -> tuple[int, dict[str, str], bytes]:
    """Send one request through a guard; return status, headers and body."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    given = {"host": "127.0.0.1:8288", **(headers or {})}
    scope = {
        "type": "http",
        "method": method,
        "path": "/e/key",
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
    }
    guard = Guard(Response("through"), **options)
    asyncio.run(guard(scope, receive, send))
    start, body = sent[0], b"".join(message.get("body", b"") for message in sent[1:])
    return start["status"], {k.decode(): v.decode() for k, v in start["headers"]}, body


@pytest.mark.parametrize(
    "host",
    [
        "localhost:8288",
        "LOCALHOST",
        "127.0.0.1",
        "[::1]:8288",
        "192.168.1.5:8288",
        "shop.localhost:8288",
        "host.docker.internal:8288",
        "",
    ],
)
def test_names_of_this_machine_are_answered(host: str) -> None:
    assert ask(headers={"host": host})[0] == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "evil:8288", "[bad"])
def test_foreign_names_are_refused_with_the_remedy(host: str) -> None:
    status, _, body = ask(headers={"host": host})
    assert status == 403
    assert "--allow-host" in json.loads(body)["error"]


def test_a_name_can_be_allowed() -> None:
    assert ask(headers={"host": "box.test:8288"}, allowed_hosts=["Box.test"])[0] == 200
    origin = {"origin": "https://box.test"}
    assert ask("POST", headers=origin, allowed_hosts=["box.test"])[0] == 200


def test_a_server_for_more_than_this_machine_answers_to_any_name() -> None:
    assert ask(headers={"host": "inngest.internal"}, any_host=True)[0] == 200
    same = {"host": "inngest.internal", "origin": "http://inngest.internal"}
    assert ask("POST", headers=same, any_host=True)[0] == 200
    other = {"host": "inngest.internal", "origin": "http://evil.example"}
    assert ask("POST", headers=other, any_host=True)[0] == 403


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:3000", "http://127.0.0.1:8000", "http://[::1]:3000", "http://a.localhost"],
)
def test_pages_of_this_machine_may_write_and_read(origin: str) -> None:
    status, headers, _ = ask("POST", headers={"origin": origin})
    assert status == 200
    assert headers["access-control-allow-origin"] == origin


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://8.8.8.8", "null", "http://localhost.evil.example"]
)
def test_pages_of_other_sites_may_not_write(origin: str) -> None:
    status, headers, _ = ask("POST", headers={"origin": origin})
    assert status == 403
    assert "access-control-allow-origin" not in headers
    status, headers, _ = ask("GET", headers={"origin": origin})
    assert status == 200
    assert "access-control-allow-origin" not in headers


def test_a_preflight_is_answered_with_the_origin() -> None:
    asked = {
        "origin": "http://localhost:3000",
        "access-control-request-method": "POST",
        "access-control-request-headers": "content-type",
    }
    status, headers, body = ask("OPTIONS", headers=asked)
    assert (status, body) == (200, b"")
    assert headers["access-control-allow-origin"] == "http://localhost:3000"
    assert headers["access-control-allow-methods"] == "POST"
    assert headers["access-control-allow-headers"] == "content-type"


def test_every_answer_is_marked_also_a_refusal() -> None:
    for headers in ({}, {"host": "evil.example"}):
        marked = ask(headers=headers)[1]
        assert (marked["x-inngest-server-kind"], marked["vary"]) == ("dev", "Origin")


def greet(headers: dict[str, str]) -> list[Any]:
    """Open a websocket through a guard; return what came back."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def through(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    raw = [(name.encode(), value.encode()) for name, value in headers.items()]
    scope = {"type": "websocket", "path": "/", "headers": raw}
    asyncio.run(Guard(through)(scope, receive, send))
    return [message["type"] for message in sent]


def test_a_websocket_is_for_pages_of_this_machine_alone() -> None:
    own = {"host": "localhost:8288"}
    assert greet(own) == ["websocket.accept"]
    assert greet({**own, "origin": "http://localhost:3000"}) == ["websocket.accept"]
    assert greet({**own, "origin": "https://evil.example"}) == ["websocket.close"]
    assert greet({"host": "evil.example"}) == ["websocket.close"]
