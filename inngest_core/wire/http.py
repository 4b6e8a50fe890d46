"""Requests and replies as bytes, in both directions: ours to answer, and ours to send."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field


@dataclass(slots=True)
class CommRequest:
    """
    A request from the Inngest server, as an adapter hands it over.

    headers: lower-case names. query: the first value of each parameter.
    url: as the client wrote it, for the address we register. raw: the
    framework's own request, shown to middleware.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    query: Mapping[str, str]
    body: bytes
    raw: object = None


@dataclass(slots=True)
class CommResponse:
    """The reply that an adapter sends. With *stream*, its chunks take the place of *body*."""

    status: int
    headers: dict[str, str]
    body: bytes
    stream: AsyncIterator[bytes] | None = None


@dataclass(slots=True)
class HttpRequest:
    """A request that we send. timeout: seconds."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    timeout: float = 30.0


@dataclass(slots=True)
class HttpResponse:
    """The reply to a request that we sent. headers: lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes
