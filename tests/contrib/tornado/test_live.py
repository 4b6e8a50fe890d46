"""Tornado's own server and the embedded one, talking over sockets, without keys and with."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from tornado.web import Application

import inngest_core as inngest
from inngest_contrib.devserver import DevServer
from inngest_contrib.testing.conformance import KEY
from inngest_contrib.tornado import serve

from .asking import hosted

ENDED = ("COMPLETED", "FAILED", "CANCELLED")


@pytest.fixture(scope="module", params=["open", "with keys"])
def server(request: pytest.FixtureRequest) -> Iterator[DevServer]:
    keys: dict[str, Any] = (
        {"signing_key": KEY.rpartition("-")[2], "event_keys": ["eventkey"]}
        if request.param == "with keys"
        else {}
    )
    with DevServer(retry_interval=0.1, poll=False, **keys) as running:
        yield running


@pytest.fixture
def client(server: DevServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[inngest.Inngest]:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    client = inngest.Inngest(app_id="shop")
    yield client
    client.close()


def run_of(server: DevServer, client: inngest.Inngest, data: Any, **options: Any) -> dict[str, Any]:
    """Serve what is on the client, send the event of its function, and await the run."""
    app = Application()
    serve(app, client, **options)
    key = client.signing_key
    http = httpx.Client(
        base_url=server.url,
        headers={"authorization": f"Bearer {key}"} if key else {},
        trust_env=False,
    )
    with hosted(app) as origin, http:
        assert httpx.put(f"{origin}/api/inngest", trust_env=False).status_code == 200
        (event_id,) = client.send_sync(inngest.Event(name="shop/wanted", data=data))
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            reply = http.get(f"/v2/events/{event_id}/runs", params={"includeOutput": "true"})
            found = reply.json().get("data", [])
            if found and found[0]["status"] in ENDED:
                return dict(found[0])
            time.sleep(0.02)
    raise AssertionError("the run has not ended")


TRIGGER = inngest.TriggerEvent(event="shop/wanted")
KINDS = pytest.mark.parametrize("kind", ["async", "blocking"])
MODES = pytest.mark.parametrize("mode", list(inngest.Streaming))


def create(client: inngest.Inngest, kind: str, tried: list[int]) -> None:
    """A function with parallel steps, one of which fails at first, and a sleep."""

    def shaky() -> int:
        tried.append(1)
        if len(tried) == 1:
            raise ValueError("not yet")
        return 2

    async def awaiting(ctx: inngest.Context) -> Any:
        pair = await asyncio.gather(ctx.step.run("a", lambda: 1), ctx.step.run("b", shaky))
        await ctx.step.sleep("nap", 1000)
        return {"pair": pair, "n": ctx.event.data["n"]}

    def blocking(ctx: inngest.ContextSync) -> Any:
        pair = ctx.group.parallel(
            (lambda: ctx.step.run("a", lambda: 1), lambda: ctx.step.run("b", shaky))
        )
        ctx.step.sleep("nap", 1000)
        return {"pair": pair, "n": ctx.event.data["n"]}

    handler: Any = awaiting if kind == "async" else blocking
    client.create_function(fn_id="f", trigger=TRIGGER)(handler)


@pytest.mark.slow
@KINDS
@MODES
def test_a_run_goes_through_steps_a_retry_and_a_sleep(
    server: DevServer, client: inngest.Inngest, kind: str, mode: inngest.Streaming
) -> None:
    tried: list[int] = []
    create(client, kind, tried)
    run = run_of(server, client, {"n": "ü"}, streaming=mode)
    assert run["status"] == "COMPLETED"
    assert run["output"] == {"pair": [1, 2], "n": "ü"}
    assert len(tried) == 2


@KINDS
def test_a_large_event_arrives_whole(server: DevServer, client: inngest.Inngest, kind: str) -> None:
    def blocking(ctx: inngest.ContextSync) -> Any:
        text: Any = ctx.event.data["text"]
        return {"length": len(text)}

    async def awaiting(ctx: inngest.Context) -> Any:
        text: Any = ctx.event.data["text"]
        return {"length": len(text)}

    handler: Any = awaiting if kind == "async" else blocking
    client.create_function(fn_id="f", trigger=TRIGGER)(handler)
    run = run_of(server, client, {"text": "x" * 200_000})
    assert run["output"] == {"length": 200_000}
