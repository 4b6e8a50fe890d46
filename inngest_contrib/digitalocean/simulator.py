"""
The platform in front of a ``main``, as a Flask app: for development and tests.

It treats events and responses as DigitalOcean does with ``web: raw``.
"""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Request, Response, request

from .adapter import Main

NAMESPACE = "fn-00000000"
FUNCTION_NAME = f"/{NAMESPACE}/default/fake-name"
FULL_PATH = f"/api/v1/web{FUNCTION_NAME}"
"""The path of the simulated function; what follows it is the event's path."""

TIMEOUT_MS = 30_000
_METHODS = ("DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE")
_NOT_BASE64 = "Response type in header did not match generated content type."


def _new_id() -> str:
    return uuid.uuid4().hex


@dataclass
class Context:
    """What the platform tells a function of its surroundings. deadline: Unix milliseconds."""

    api_host: str
    activation_id: str = field(default_factory=_new_id)
    api_key: str = ""
    deadline: int = field(default_factory=lambda: int(time.time() * 1000) + TIMEOUT_MS)
    function_name: str = FUNCTION_NAME
    function_version: str = "0.0.1"
    namespace: str = NAMESPACE
    request_id: str = field(default_factory=_new_id)

    def get_remaining_time_in_millis(self) -> int:
        """How long the call may still take."""
        return max(0, self.deadline - int(time.time() * 1000))


class DigitalOceanSimulator:
    """
    Serves a ``main``.

    app: a Flask app that calls it for requests to ``/`` and to FULL_PATH and below.
    """

    def __init__(self, main: Main) -> None:
        self.app = Flask("digitalocean", static_folder=None)

        def call(rest: str = "") -> Response:
            returned = main(_event(request, rest), Context(request.host_url.rstrip("/")))
            return _response(returned)

        for rule in ("/", FULL_PATH, f"{FULL_PATH}/", f"{FULL_PATH}/<path:rest>"):
            self.app.add_url_rule(
                rule, "call", call, methods=_METHODS, provide_automatic_options=False
            )


def _event(received: Request, rest: str) -> dict[str, Any]:
    """The raw web event of a request: a body that is no text is in base64."""
    data = received.get_data()
    try:
        body, is_base64 = data.decode(), False
    except UnicodeDecodeError:
        body, is_base64 = base64.b64encode(data).decode(), True
    http = {
        "body": body,
        "headers": {name.lower(): value for name, value in received.headers.items()},
        "isBase64Encoded": is_base64,
        "method": received.method,
        "path": f"/{rest}" if rest else "",
        "queryString": received.query_string.decode("latin-1"),
    }
    return {"http": http}


def _response(returned: Mapping[str, Any]) -> Response:
    body, headers = returned.get("body"), dict(returned.get("headers") or {})
    if body is None or body == "":
        # Not of no bytes: the reply to a HEAD has the length of another one.
        return Response(None, returned.get("statusCode", 204), headers)
    try:
        sent = _sent(body, headers)
    except ValueError:
        error = json.dumps({"error": _NOT_BASE64})
        return Response(error, 400, {"content-type": "application/json"})
    return Response(sent, returned.get("statusCode", 200), headers)


def _sent(body: Any, headers: dict[str, str]) -> bytes:
    """The bytes of a body: JSON values are written, text beside a JSON type is base64."""
    names = {name.lower(): value for name, value in headers.items()}
    if not isinstance(body, str):
        if "content-type" not in names:
            headers["content-type"] = "application/json"
        return json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
    if names.get("content-type", "").partition(";")[0].strip().endswith(("/json", "+json")):
        return base64.b64decode(body, validate=True)
    return body.encode()
