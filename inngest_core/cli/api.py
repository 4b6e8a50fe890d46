"""
The server's REST API, as the commands ask it.

Cloud and the servers for development answer the same requests; with a signing key they are signed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from ..errors import SigningKeyMissingError, TransportError
from ..flow.effect import Flow, Send
from ..flow.fetch import fetch
from ..wire.http import HttpRequest, HttpResponse
from .failure import Failure

if TYPE_CHECKING:
    from ..client import Inngest

COMPLETED = "COMPLETED"
ENDED = frozenset({COMPLETED, "FAILED", "CANCELLED"})


class Refused(Failure):
    """The server refused what was asked of it. status: of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Api:
    """The REST API of a client's server."""

    def __init__(self, client: Inngest) -> None:
        self._client = client
        self.origin = client.config.api_origin

    def get(self, what: str, path: str, query: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The object at a path of `/v2`. what: is asked for, for the message if it is refused."""
        return record_of(self._ask(what, "GET", _with_query(path, query or {})))

    def records(
        self, what: str, path: str, query: Mapping[str, Any] | None = None
    ) -> Sequence[dict[str, Any]]:
        """The objects in the list at a path of `/v2`."""
        return _records_of(self._ask(what, "GET", _with_query(path, query or {})))

    def post(self, what: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The object that a path of `/v2` answers to a body."""
        return record_of(self._ask(what, "POST", path, json.dumps(body or {}).encode()))

    def reply(self, method: str, path: str, body: bytes = b"") -> HttpResponse:
        """The reply, whatever its status; Failure if there is none."""
        return self._perform(fetch(self._client.engine.home, method, path, body), self.origin)

    def send(self, request: HttpRequest) -> HttpResponse:
        """The reply to a request to anybody; Failure if there is none."""
        return self._perform(_one(request), request.origin)

    def _ask(self, what: str, method: str, path: str, body: bytes = b"") -> HttpResponse:
        if self._client.is_production and not self._client.config.signing_keys:
            raise SigningKeyMissingError()
        response = self.reply(method, f"/v2{path}", body)
        if not 200 <= response.status < 300:
            raise Refused(self._refusal(what, response), response.status)
        return response

    def _refusal(self, what: str, response: HttpResponse) -> str:
        advice = {
            401: "check the signing key, INNGEST_SIGNING_KEY",
            403: "check the signing key, INNGEST_SIGNING_KEY",
            501: "this server cannot do this; use another one",
        }.get(response.status)
        said = reason(response) or "it gave no reason"
        text = f"{what}: {self.origin} refused with status {response.status}: {said}"
        return f"{text}; {advice}" if advice else text

    def _perform(self, flow: Flow[HttpResponse], origin: str) -> HttpResponse:
        try:
            return self._client.engine.run(flow)
        except TransportError as error:
            raise Failure(f"{error}; {remedy(self._client, origin)}") from error


def remedy(client: Inngest, origin: str) -> str:
    """What to do where there is no reply from *origin*."""
    config = client.config
    if client.is_production or origin not in (config.api_origin, config.event_origin):
        return f"is {origin} the right address, and is something listening there?"
    return (
        "start a server with `inngest-core dev`, or say where it is, such as "
        "INNGEST_DEV=http://127.0.0.1:8288"
    )


def _one(request: HttpRequest) -> Flow[HttpResponse]:
    response: HttpResponse = yield Send(request)
    return response


def segment(text: str) -> str:
    """A text as one part of a path."""
    return quote(text, safe="")


def _with_query(path: str, query: Mapping[str, Any]) -> str:
    pairs = {name: value for name, value in query.items() if value not in (None, (), [])}
    return f"{path}?{urlencode(pairs, doseq=True)}" if pairs else path


def record_of(response: HttpResponse) -> dict[str, Any]:
    """The object that a reply holds; Failure if it holds none."""
    found = _data(response)
    if not isinstance(found, dict):
        raise _strange(response)
    return found


def _records_of(response: HttpResponse) -> Sequence[dict[str, Any]]:
    # An empty list is left out.
    found = _data(response) or []
    if not (isinstance(found, list) and all(isinstance(one, dict) for one in found)):
        raise _strange(response)
    return found


def _data(response: HttpResponse) -> Any:
    try:
        document = json.loads(response.body)
    except ValueError as error:
        raise _strange(response) from error
    if not isinstance(document, dict):
        raise _strange(response)
    return document.get("data")


def _strange(response: HttpResponse) -> Failure:
    return Failure(
        f"what answered with status {response.status} does not speak as an Inngest server; check "
        "the address of the API, INNGEST_API_BASE_URL or INNGEST_DEV"
    )


def within(record: Mapping[str, Any], *keys: str) -> Any:
    """The value under *keys*, one inside the other; None if there is none."""
    found: Any = record
    for key in keys:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def reason(response: HttpResponse) -> str | None:
    """What a reply gives as the reason of its refusal, in one line."""
    try:
        document = json.loads(response.body)
    except ValueError:
        document = response.body.decode(errors="replace")
    return _reason(document)


def _reason(document: Any) -> str | None:
    if isinstance(document, dict):
        errors = document.get("errors") or [{}]
        first = errors[0] if isinstance(errors, list) and isinstance(errors[0], dict) else {}
        document = first.get("message") or document.get("error") or document.get("message")
    return " ".join(str(document).split())[:200] if document else None
