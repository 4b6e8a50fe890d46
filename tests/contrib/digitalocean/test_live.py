"""The simulated platform and the embedded server, talking over sockets, without keys and with."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from werkzeug.serving import make_server

import inngest_core as inngest
from inngest_contrib.devserver import DevServer
from inngest_contrib.digitalocean import serve
from inngest_contrib.digitalocean.simulator import FULL_PATH, DigitalOceanSimulator
from inngest_contrib.testing.conformance import KEY

KEYS: dict[str, dict[str, Any]] = {
    "open": {},
    "with keys": {"signing_key": KEY.rpartition("-")[2], "event_keys": ["eventkey"]},
}


@contextmanager
def platform(client: inngest.Inngest) -> Iterator[str]:
    """Run the function of a client for a block; give its address."""
    app = DigitalOceanSimulator(serve(client)).app
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}{FULL_PATH}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.parametrize("keys", KEYS)
def test_every_kind_of_result_arrives(keys: str, monkeypatch: pytest.MonkeyPatch) -> None:
    results: dict[str, Any] = {"text": "done", "null": None, "object": {"a": 1}, "array": [1, "ü"]}
    with DevServer(poll=False, **KEYS[keys]) as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        client = inngest.Inngest(app_id="shop")
        trigger = inngest.TriggerEvent(event="shop/wanted")

        def blocking(value: Any) -> Any:
            return lambda ctx: ctx.step.run("give", lambda: value)

        async def pair(ctx: inngest.Context) -> Any:
            steps = (ctx.step.run(name, str.upper, name) for name in ("a", "b"))
            return await asyncio.gather(*steps)

        for name, value in results.items():
            client.create_function(fn_id=name, trigger=trigger)(blocking(value))
        client.create_function(fn_id="pair", trigger=trigger)(pair)
        with platform(client) as address:
            assert httpx.put(address, trust_env=False).status_code == 200
            (event_id,) = client.send_sync(inngest.Event(name="shop/wanted"))
            runs = ended_runs(server, client, event_id, len(results) + 1)
        client.close()
    assert [run["status"] for run in runs] == ["COMPLETED"] * len(runs)
    found = sorted(str(_plain(run.get("output"))) for run in runs)
    assert found == sorted(map(str, [*results.values(), ["A", "B"]]))


def ended_runs(
    server: DevServer, client: inngest.Inngest, event_id: str, count: int
) -> list[dict[str, Any]]:
    headers = {"authorization": f"Bearer {client.signing_key}"} if client.signing_key else {}
    url = f"{server.url}/v2/events/{event_id}/runs?includeOutput=true"
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        reply = httpx.get(url, headers=headers, trust_env=False)
        found: list[dict[str, Any]] = reply.json().get("data", [])
        if sum(run["status"] in ("COMPLETED", "FAILED") for run in found) == count:
            return found
        time.sleep(0.02)
    raise AssertionError("the runs have not ended")


def _plain(output: Any) -> Any:
    """A result without the object that the server puts around what is none."""
    return output["data"] if isinstance(output, dict) and set(output) == {"data"} else output
