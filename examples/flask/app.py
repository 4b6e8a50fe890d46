"""
The box office: an app factory, two routes, and the blueprint that serves the functions.

`flask --app examples.flask.app run` runs it, and so does `python -m examples.flask.app`, where
PORT says on which port; `flask --app examples.flask.app inngest --help` lists the commands.
"""

from __future__ import annotations

import os
import uuid
from typing import Any

from flask import Flask, current_app, request
from werkzeug.serving import make_server

import inngest_core as inngest
from inngest_contrib.flask import inngest_blueprint


def create_app() -> Flask:
    """Put the app together. The blueprint finds the client by its path."""
    app = Flask(__name__)
    app.config["INNGEST_CLIENT"] = "examples.flask.jobs.client"
    app.register_blueprint(inngest_blueprint)
    app.add_url_rule("/orders", view_func=order, methods=["POST"])
    app.add_url_rule("/orders/<name>/pay", view_func=pay, methods=["POST"])
    return app


def order() -> Any:
    """Take an order of seats."""
    name = uuid.uuid4().hex
    event = send("tickets/ordered", {**request.get_json(), "order": name})
    return {"order": name, "event": event}, 202


def pay(name: str) -> Any:
    """Take note that the money is there."""
    return {"event": send("tickets/paid", {"order": name})}, 202


def send(name: str, data: dict[str, Any]) -> str:
    """Send one event through the app's client; its id."""
    client: inngest.Inngest = current_app.extensions["inngest"]
    (event_id,) = client.send_sync(inngest.Event(name=name, data=data))
    return event_id


def main() -> None:
    """Serve until the process is interrupted."""
    port = int(os.environ.get("PORT", "5000"))
    server = make_server("127.0.0.1", port, create_app(), threaded=True)
    print(f"http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
