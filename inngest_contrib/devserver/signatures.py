"""
Signatures of a server with a key: on what it sends to apps, and on what they answer.

Law: what a signed app says is believed only if it signed that. A reply that does not come from an
SDK needs none: it is none that the engine would believe.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping

from inngest_contrib.devserver.engine.commands import Replied
from inngest_core import InngestError
from inngest_core.wire.names import Header
from inngest_core.wire.signing import sign, verify

_STREAMED = 201
_BAD = "InvalidReplySignature: the app's reply was not accepted, because "
_UNSIGNED = (
    "it is not signed. Run the app in cloud mode (INNGEST_DEV=0) with this server's signing key"
)
_SPACES = " \t\r\n"


class Signer:
    """Signs and verifies, where there is a key."""

    def __init__(self, key: str | None) -> None:
        self._key = key

    def headers(self, given: Mapping[str, str], body: bytes) -> dict[str, str]:
        """The headers of a request, with the signature over its very bytes."""
        headers = dict(given)
        if self._key is not None:
            headers[Header.SIGNATURE] = sign(self._key, body, int(time.time()))
        return headers

    def problem(self, reply: Replied) -> str | None:
        """Say why a reply is not to be believed; None where it is."""
        if self._key is None or Header.SDK not in reply.headers:
            return None
        header, body = _signed_part(reply)
        if not header:
            return _BAD + _UNSIGNED
        try:
            self._verify(header, body)
        except InngestError as error:
            return f"{_BAD}{error}"
        return None

    def _verify(self, header: str, body: bytes) -> None:
        assert self._key is not None
        try:
            verify(header, body, [self._key], time.time())
        except InngestError:
            # The Go SDK leaves the line break at the end out of what it signs.
            if not body.endswith(b"\n"):
                raise
            verify(header, body[:-1], [self._key], time.time())


def _signed_part(reply: Replied) -> tuple[str | None, bytes]:
    """The signature of a reply and what it is over; a streamed one has both inside."""
    if reply.status != _STREAMED:
        return reply.headers.get(Header.SIGNATURE), reply.body
    members = _members(reply.body.decode("utf-8", "replace"))
    headers, body = json.loads(members.get("headers", "null")), members.get("body", "")
    if body.startswith('"'):
        body = json.loads(body)
    return _signature_in(headers), body.encode("utf-8", "replace")


def _signature_in(headers: object) -> str | None:
    found = headers.items() if isinstance(headers, dict) else ()
    named = {str(name).lower(): value for name, value in found}
    value = named.get(Header.SIGNATURE)
    return value if isinstance(value, str) else None


def _members(text: str) -> dict[str, str]:
    """The members of an object, each as the text it is written in; none of what is no object."""
    decoder, members, at = json.JSONDecoder(), {}, _skip(text, 0)
    try:
        while text[at] in "{,":
            name, at = decoder.raw_decode(text, _skip(text, at + 1))
            start = _skip(text, _skip(text, at) + 1)
            _, at = decoder.raw_decode(text, start)
            members[str(name)] = text[start:at]
            at = _skip(text, at)
    except (ValueError, IndexError, RecursionError):
        return {}
    return members


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACES:
        at += 1
    return at
