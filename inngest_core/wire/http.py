"""Requests and replies as bytes, in both directions: ours to answer, and ours to send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl


@dataclass(slots=True)
class CommRequest:
    """
    A request from the Inngest server, as an adapter hands it over.

    headers: lower-case names. query: the first value of each parameter.
    url: as the client wrote it, for the address we register. raw: the
    framework's own request, shown to middleware. report: where the server is in this
    process, takes the body of a checkpoint, in place of a request, and gives back an
    HttpResponse or an awaitable of it.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    raw: object = None
    report: Callable[[bytes], Any] | None = None


@dataclass(slots=True)
class CommResponse:
    """
    The reply that an adapter sends.

    headers: lower-case names; a content-length among them, of a reply to HEAD, is not that
    of *body*. With *stream*, its chunks take the place of *body*.
    """

    status: int
    headers: dict[str, str]
    body: bytes
    stream: AsyncIterator[bytes] | None = None


@dataclass(slots=True, repr=False)
class HttpRequest:
    """A request that we send. timeout: seconds."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout: float = 30.0

    @property
    def origin(self) -> str:
        """Scheme and host: all that may be shown, since a path may hold the event key."""
        return "/".join(self.url.split("/", 3)[:3])

    def __repr__(self) -> str:
        return f"<HttpRequest {self.method} {self.origin}>"


@dataclass(slots=True)
class HttpResponse:
    """The reply to a request that we sent. headers: lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def first_values(query: str) -> dict[str, str]:
    """The first value of each parameter of a query, as adapters hand them over."""
    if "%" in query or "+" in query:
        return dict(reversed(parse_qsl(query, keep_blank_values=True)))
    found: dict[str, str] = {}
    for part in query.split("&") if query else ():
        name, _, value = part.partition("=")
        if part:
            found.setdefault(name, value)
    return found
