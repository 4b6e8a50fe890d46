"""Sending events: checked and dumped once, retried under one seed, nothing lost silently."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import pydantic

from ..errors import (
    EventInvalidError,
    EventKeyUnspecifiedError,
    SendEventsError,
    TransportError,
)
from ..wire.event import Event, event_record
from ..wire.http import HttpRequest, HttpResponse
from ..wire.ids import ENTROPY_BYTES, advanced, format_seed, seeded_ulid
from ..wire.model import Model
from ..wire.names import MAX_EVENT_BYTES, MAX_EVENTS_PER_REQUEST, Header
from .cipher import Sealer
from .effect import Flow, Send
from .onion import outcome_of, surround
from .persist import ATTEMPTS, persistently
from .pipeline import MiddlewareManager, each
from .site import Home, sdk_headers

Sessions = Mapping[str, object] | None

_BRACKETS = 2

_dump = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode


class SendEventsResult(Model):
    """What became of a send: the ids of the events, and the error if there was one."""

    error: str | None = None
    ids: list[str] = pydantic.Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class EventSeed:
    """
    Makes the ids of a send, before it or as often as it is repeated.

    ms: Unix milliseconds. entropy: ten bytes. What is sent twice under one seed
    arrives once.
    """

    ms: int
    entropy: bytes

    @classmethod
    def new(cls, ms: int | None = None) -> EventSeed:
        """A seed that nobody has used; of now unless a time is given."""
        return cls(round(time.time() * 1000) if ms is None else ms, os.urandom(ENTROPY_BYTES))

    def ids(self, count: int) -> list[str]:
        """The ids that the server gives to *count* events, in their order."""
        return [seeded_ulid(self.ms, self.entropy, index) for index in range(count)]

    def after(self, count: int) -> EventSeed:
        """The seed of the events behind the first *count*."""
        return EventSeed(self.ms, advanced(self.entropy, count))

    def __str__(self) -> str:
        return format_seed(self.ms, self.entropy)


def as_list(events: Event | Sequence[Event]) -> list[Event]:
    """*events* as a list; EventInvalidError for what is no event."""
    if isinstance(events, Event):
        return _checked([events])
    # What of these can be iterated over has parts that are no events either.
    if isinstance(events, (dict, str, bytes)) or not isinstance(events, Iterable):
        raise EventInvalidError(
            f"events: expected an Event or a list of them, got {type(events).__name__}"
        )
    return _checked(list(events))


def _checked(found: list[Event]) -> list[Event]:
    for index, event in enumerate(found):
        if not isinstance(event, Event):
            raise EventInvalidError(
                f"events[{index}]: expected an Event, got {type(event).__name__}"
            )
    return found


def send_events(
    home: Home,
    events: Event | Sequence[Event],
    hooks: MiddlewareManager,
    sessions: Sessions = None,
    seed: EventSeed | None = None,
) -> Flow[list[str]]:
    """
    Send events and return their ids. sessions: of the run that sends them.
    seed: makes the ids; None for a new one.

    Raises EventKeyUnspecifiedError, EventInvalidError before anything is sent,
    and SendEventsError, with the ids of those that were accepted.
    """
    batch = as_list(events)
    if home.config.sending_key is None:
        raise EventKeyUnspecifiedError()
    chosen = seed or EventSeed.new(round(home.clock() * 1000))
    sending = outcome_of(_send(home, batch, hooks, sessions, chosen))
    outcome = yield from surround(hooks.wrap_send, (batch,), sending)
    return cast("list[str]", outcome.unwrap())


def _send(
    home: Home,
    batch: list[Event],
    hooks: MiddlewareManager,
    sessions: Sessions,
    seed: EventSeed,
) -> Flow[list[str]]:
    yield from each(hooks.before_send_events, batch)
    headers = sdk_headers(home.config)
    yield from each(hooks.before_send_request, headers)
    result = SendEventsResult()
    cause: BaseException | None = None
    try:
        for body, before in _bodies(home, _checked(batch), sessions):
            result.ids += yield from _post(home, body, headers, seed.after(before))
    except SendEventsError as error:
        result = SendEventsResult(error=str(error), ids=result.ids + error.ids)
        cause = error.__cause__
    yield from each(hooks.after_send_events, result)
    if result.error is not None:
        raise SendEventsError(result.error, result.ids) from cause
    return result.ids


def _bodies(home: Home, events: list[Event], sessions: Sessions) -> Iterator[tuple[bytes, int]]:
    """
    The bodies to post, each with the number of events before it.

    Everything is dumped before the first one leaves.
    """
    now = round(home.clock() * 1000)
    records = [event_record(event, now, sessions) for event in events]
    dumped = [_dumped(record, index, home.sealer) for index, record in enumerate(records)]
    bodies: list[tuple[bytes, int]] = []
    pending: list[bytes] = []
    before = 0
    size = _BRACKETS
    for event in dumped:
        if pending and (
            len(pending) == MAX_EVENTS_PER_REQUEST or size + len(event) > MAX_EVENT_BYTES
        ):
            bodies.append((b"[" + b",".join(pending) + b"]", before))
            before += len(pending)
            pending, size = [], _BRACKETS
        pending.append(event)
        size += len(event) + 1
    if pending:
        bodies.append((b"[" + b",".join(pending) + b"]", before))
    return iter(bodies)


def _dumped(record: dict[str, Any], index: int, sealer: Sealer | None) -> bytes:
    name = record["name"]
    if not name:
        raise EventInvalidError(f"events[{index}].name: an event needs a name")
    try:
        if sealer is not None:
            record["data"] = sealer.seal_data(record["data"])
        body = _dump(record).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise EventInvalidError(
            f'events[{index}] "{name}": its data is not JSON: {error}'
        ) from None
    if len(body) >= MAX_EVENT_BYTES:
        raise EventInvalidError(
            f'events[{index}] "{name}" has {len(body)} bytes; the server accepts '
            f"fewer than {MAX_EVENT_BYTES}. Keep large data elsewhere and send its address"
        )
    return body


def _post(home: Home, body: bytes, base: dict[str, str], seed: EventSeed) -> Flow[list[str]]:
    """Post one list of events until it is accepted, or refused for good."""
    config = home.config
    headers = {**base, Header.EVENT_ID_SEED: str(seed)}
    url = f"{config.event_origin}/e/{quote(config.sending_key or '', safe='')}"
    request = HttpRequest("POST", url, headers, body, config.request_timeout)
    try:
        response = yield from persistently(lambda: _once(request))
    except TransportError as error:
        raise SendEventsError(f"sending failed after {ATTEMPTS} attempts: {error}") from error
    return _accepted(response)


def _once(request: HttpRequest) -> Flow[HttpResponse]:
    response: HttpResponse = yield Send(request)
    return response


def _accepted(response: HttpResponse) -> list[str]:
    """The ids in a reply; SendEventsError with those in it if it is a refusal."""
    doc = _document(response)
    listed = doc.get("ids")
    ids = [found for found in listed if _is_id(found)] if isinstance(listed, list) else []
    if response.status == 200 and not doc.get("error"):
        if not isinstance(listed, list):
            raise SendEventsError(
                "the reply has status 200, but is not that of an event API: it lists no ids. "
                "Check the event API's address"
            )
        return ids
    reason = doc.get("error") or f"status {response.status}"
    raise SendEventsError(f"the server refused the events: {reason}", ids)


def _is_id(found: object) -> bool:
    return isinstance(found, str) and bool(found)


def _document(response: HttpResponse) -> dict[str, Any]:
    try:
        doc = json.loads(response.body)
    except (ValueError, RecursionError):
        return {}
    return doc if isinstance(doc, dict) else {}
