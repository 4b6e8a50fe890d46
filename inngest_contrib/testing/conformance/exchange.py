"""Requests as the Inngest server makes them, and what comes back: plain values."""

from __future__ import annotations

import dataclasses
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from inngest_core.wire.signing import sign

PATH = "/api/inngest"
APP_ID = "shop"
KEY = "signkey-test-0123456789abcdef0123456789abcdef"
FALLBACK = "signkey-test-fedcba9876543210fedcba9876543210"
EVENT_KEY = "demo-event-key"

EVENT: dict[str, Any] = {"data": {"n": 1}, "id": "e", "name": "a/b", "ts": 1}
CALL: dict[str, Any] = {
    "ctx": {"attempt": 0, "run_id": "r", "stack": {"current": 0, "stack": []}},
    "event": EVENT,
    "events": [EVENT],
    "steps": {},
}
"""The body of a first call."""


@dataclass(frozen=True)
class Asked:
    """
    A request, for a client of the framework to make.

    path: begins with a slash, as it is sent. query: without its question mark, as it
    is sent. headers: names in any case. The host is the client's own unless named here.
    """

    method: str = "POST"
    path: str = PATH
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def target(self) -> str:
        """Path and query, as the first line of a request has them."""
        return f"{self.path}?{self.query}" if self.query else self.path


@dataclass(frozen=True)
class Answered:
    """What came back. headers: lower-case names. body: of a stream, all its chunks as one."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def call(function: str, doc: Any = CALL, *, step: str = "step", **more: Any) -> Asked:
    """
    Make a call of one of the kit's functions.

    doc: bytes go as they are. step: the one that may execute; "step" is any. more: other
    fields of Asked.
    """
    body = doc if isinstance(doc, bytes) else json.dumps(doc).encode()
    return Asked(query=f"fnId={APP_ID}-{function}&stepId={step}", body=body, **more)


def changed(**ctx: Any) -> dict[str, Any]:
    """The body of a call with another context."""
    return {**CALL, "ctx": {**CALL["ctx"], **ctx}}


def signed(asked: Asked, key: str = KEY, *, age: int = 0) -> Asked:
    """Sign a request as the server does. age: seconds since then, negative in the future."""
    signature = sign(key, asked.body, int(time.time()) - age)
    return dataclasses.replace(asked, headers={**asked.headers, "x-inngest-signature": signature})
