"""
The DigitalOcean adapter: a ``main`` that is handed web events as they came, ``web: raw``.

Async functions run on the client's one background loop, which lives as long as the instance.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from inngest_core import CommHandler, Function, Inngest
from inngest_core.comm import CommRequest, CommResponse

FRAMEWORK = "digitalocean"
REMEDY = "set `web: raw` for the function in project.yml, and call it over HTTP"

Main = Callable[[Mapping[str, Any], Any], dict[str, Any]]
"""What the platform calls, with an event and a context."""


def serve(
    client: Inngest,
    functions: Sequence[Function[Any]] | None = None,
    *,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
) -> Main:
    """
    Make the ``main`` of a DigitalOcean Function that serves functions.

    functions: None serves everything created on the client. public_path: the path
    as the Inngest server sees it, where a proxy or an app's route rewrites it. Raises
    SigningKeyMissingError in cloud mode without a key.
    """
    handler = CommHandler(
        client=client,
        framework=FRAMEWORK,
        functions=functions,
        enable_unauthed_sync=enable_unauthed_sync,
        public_path=public_path,
        serve_origin=serve_origin,
        serve_path=serve_path,
    )
    handler.require_key()

    def main(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
        try:
            request = to_request(event, context)
        except ValueError as error:
            return _refused(str(error))
        return from_response(handler.answer_sync(request))

    return main


def to_request(event: Mapping[str, Any], context: Any) -> CommRequest:
    """What the core reads of a web event; ValueError if it is none, or was parsed before."""
    http = event.get("http")
    if not isinstance(http, Mapping):
        raise ValueError(f'the event has no "http": {REMEDY}')
    for name, kind in (("method", str), ("headers", Mapping)):
        if not isinstance(http.get(name), kind):
            raise ValueError(f'event.http has no "{name}": {REMEDY}')
    if http.get("queryString") is None and http.get("body") is None:
        raise ValueError(f'event.http has neither "queryString" nor "body": {REMEDY}')
    headers = {name.lower(): str(value) for name, value in http["headers"].items()}
    return CommRequest(
        method=http["method"].upper(),
        url=_url(context, headers, http),
        headers=headers,
        query=_query(http.get("queryString"), event),
        body=_body(http),
        raw={"context": context, "event": event},
    )


def _url(context: Any, headers: Mapping[str, str], http: Mapping[str, Any]) -> str:
    """The function's address. The event has only what follows the function's name in the path."""
    host, name = (getattr(context, key, None) for key in ("api_host", "function_name"))
    if not host or not name:
        return f"https://{headers.get('host', '')}{http.get('path') or '/'}"
    parts = name.strip("/").split("/")
    if len(parts) == 2:
        # Outside of packages: the name has no package, the address has.
        parts.insert(1, "default")
    return f"{host.rstrip('/')}/api/v1/web/{'/'.join(parts)}"


def _query(query: Any, event: Mapping[str, Any]) -> dict[str, str]:
    """The first value of each parameter, of a text or parsed; without either those of the event."""
    if isinstance(query, str):
        return dict(reversed(parse_qsl(query, keep_blank_values=True)))
    parsed = query if isinstance(query, Mapping) else event
    first = {name: one[0] if isinstance(one, list) and one else one for name, one in parsed.items()}
    return {name: value for name, value in first.items() if isinstance(value, str)}


def _body(http: Mapping[str, Any]) -> bytes:
    body = http.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise ValueError(f"event.http.body must be text, got {type(body).__name__}: {REMEDY}")
    if not http.get("isBase64Encoded"):
        return body.encode()
    try:
        return base64.b64decode(body, validate=True)
    except ValueError as error:
        raise ValueError(f"event.http.body should be base64 and is not: {error}") from error


def from_response(response: CommResponse) -> dict[str, Any]:
    """What the platform makes an HTTP response of."""
    body = _sent(response)
    return {"body": body, "headers": response.headers, "statusCode": response.status}


def _sent(response: CommResponse) -> Any:
    """
    The body, so that it arrives.

    The platform writes objects and arrays anew, which no signature survives, takes a text beside
    a JSON type for base64, and drops null; base64 arrives byte by byte.
    """
    if not response.body:
        return None
    if "x-inngest-signature" not in response.headers:
        value = json.loads(response.body)
        if isinstance(value, (dict, list)):
            return value
    return base64.b64encode(response.body).decode()


def _refused(message: str) -> dict[str, Any]:
    """The reply to an event that is no request."""
    body = {"code": "body_invalid", "message": message, "name": "BodyError"}
    return {"body": body, "headers": {"content-type": "application/json"}, "statusCode": 400}
