"""
Run an app on the embedded server, and tell as JSON what each installed plugin did to it.

The app is served over HTTP by the adapter "acme". What it is told comes from the environment.
"""

from __future__ import annotations

import importlib
import json
import threading
import time
import urllib.request
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import inngest_core as inngest
from inngest_contrib.devserver.instance import DevServer

# By its name: whoever reads this file does not have it.
Price: Any = importlib.import_module("acme_serializer").Price
SECRET = "only-for-our-eyes"
PATIENCE = 30


class Quiet(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None: ...


def probe() -> dict[str, Any]:
    """What was seen, by plugin."""
    seen: dict[str, Any] = {}
    with DevServer(poll=False) as server:
        client = inngest.Inngest(
            app_id="probe",
            is_production=False,
            api_base_url=server.url,
            event_api_base_url=server.url,
        )
        define(client, seen)
        with_app(client, server.url, seen)
    log = Path(client.config.options("acme-transport")["log"])
    seen["transport"] = sorted(set(log.read_text().splitlines())) if log.exists() else []
    return seen


def define(client: inngest.Inngest, seen: dict[str, Any]) -> None:
    """Give the client a function that lets each plugin act."""

    @client.create_function(fn_id="buy", trigger=inngest.TriggerEvent(event="buy"), retries=0)
    def buy(ctx: inngest.ContextSync) -> str:
        seen["middleware"] = ctx.event.data.get("mark")
        seen["secret"] = ctx.step.run("learn", lambda: SECRET)
        price = ctx.step.run("price", lambda: Price(250), output_type=Price)
        seen["serializer"] = getattr(price, "cents", None)
        return "bought"


def with_app(client: inngest.Inngest, server: str, seen: dict[str, Any]) -> None:
    """Serve the app, run its function, and look at what the server was shown."""
    app = inngest.framework("acme").serve(client)
    with make_server("127.0.0.1", 0, app, handler_class=Quiet) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{http.server_port}/api/inngest"
        urllib.request.urlopen(urllib.request.Request(url, method="PUT")).close()
        (event,) = client.send_sync(inngest.Event(name="buy"))
        run = ended(server, event)
        trace = get(f"{server}/v2/runs/{run['id']}/trace?includeOutput=true")
        seen["status"] = run["status"]
        seen["shown"] = SECRET in json.dumps(trace)
        seen["framework"] = get(f"{server}/v2/apps/probe")["latestSync"]["framework"]
        http.shutdown()


def ended(server: str, event: str) -> Any:
    """The run of an event, once it has ended."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        runs = get(f"{server}/v2/events/{event}/runs")
        if runs and runs[0]["status"] in ("COMPLETED", "FAILED"):
            return runs[0]
        time.sleep(0.05)
    raise TimeoutError("the run has not ended")


def get(url: str) -> Any:
    with urllib.request.urlopen(url) as reply:
        return json.load(reply).get("data")


if __name__ == "__main__":
    print(json.dumps(probe()))
