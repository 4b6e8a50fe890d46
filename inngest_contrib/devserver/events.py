"""
Events as they are sent: read, checked, and refused in the server's own words.

A list is taken element by element: what stands before a bad element is accepted.
Law: pure. Bytes in, `NewEvent` records and an error text out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json

from inngest_contrib.devserver.engine.commands import NewEvent
from inngest_contrib.devserver.engine.text import read as read_strictly
from inngest_core.wire.ids import parse_seed, seeded_ulid
from inngest_core.wire.names import MAX_EVENT_BYTES, MAX_EVENTS_PER_REQUEST

RESERVED_PREFIX = "inngest/"
MAX_SESSIONS = 5
YEAR_1980 = 315_532_800_000
YEAR_2100 = 4_102_444_800_000
NOT_AN_EVENT = "Request body must contain an event object or an array of event objects"

_VAST_NUMBER = re.compile(rb"[eE]\+?[0-9]{3}|[0-9]{200}")
"""A number that a double may not hold. The fast parser would make it infinite."""
_HALF_CHARACTER = re.compile(rb"\\u[dD][89a-fA-F]")
_OBJECT = "map[string]interface {}"


class EventRefused(ValueError):
    """An event cannot be accepted. The text is the server's."""


@dataclass(slots=True)
class Batch:
    """What a request holds: the events to accept, and what stopped the reading, if anything did."""

    events: list[NewEvent] = field(default_factory=list)
    error: str | None = None


def read_batch(body: bytes, seed: str | None = None) -> Batch:
    """Read the body of an event request: one event, a list of them, or nothing at all.

    `seed` is the header that makes ids repeatable; a malformed one counts as none.
    """
    batch = Batch()
    try:
        for index, raw in enumerate(_elements(body)):
            if index >= MAX_EVENTS_PER_REQUEST:
                raise EventRefused(
                    f"Cannot have more than {MAX_EVENTS_PER_REQUEST} events in a batch"
                )
            _check_size(raw, len(body))
            batch.events.append(read_event(raw, internal_id=_seeded_id(seed, index)))
    except EventRefused as refused:
        batch.error = str(refused)
    return batch


def read_event(raw: Any, *, internal_id: str = "") -> NewEvent:
    """Check one event. Raise EventRefused."""
    if raw is None:
        raw = {}
    if not isinstance(raw, dict):
        raise EventRefused(NOT_AN_EVENT)
    return NewEvent(
        name=_name(_text(raw, "name") or ""),
        data=_data(raw),
        id=_text(raw, "id") or "",
        ts=_timestamp(raw),
        v=_text(raw, "v"),
        user=_object(raw, "user"),
        meta=_meta(raw),
        internal_id=internal_id,
    )


def read_json(body: bytes) -> Any:
    """Parse JSON text. Raise EventRefused; neither NaN nor Infinity nor 1e999 is JSON."""
    try:
        try:
            value = from_json(body, allow_inf_nan=False)
        except ValueError:
            if not _HALF_CHARACTER.search(body):
                raise
            value = from_json(_repair_text(body), allow_inf_nan=False)
        if _VAST_NUMBER.search(body):
            read_strictly(body)
        return value
    except (ValueError, RecursionError) as error:
        raise EventRefused(_syntax_error(body, str(error))) from error


def _repair_text(body: bytes) -> str:
    """Replace halves of characters, which JavaScript may send, as the server does."""
    text = json.dumps(json.loads(body), ensure_ascii=False)
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _elements(body: bytes) -> Sequence[Any]:
    if not body.strip():
        return ()
    document = read_json(body)
    if isinstance(document, list):
        return document
    if not isinstance(document, dict):
        raise EventRefused(NOT_AN_EVENT)
    return (document,)


def _syntax_error(body: bytes, message: str) -> str:
    if not message.startswith("EOF"):
        return f"invalid JSON: {message}"
    return "EOF" if body.lstrip()[:1] == b"[" else "unexpected end of JSON input"


def _check_size(raw: Any, body_size: int) -> None:
    # Only a body this large can hold an event this large: nearly all are never measured.
    if body_size < MAX_EVENT_BYTES:
        return
    text = json.dumps(raw, ensure_ascii=False, separators=(",", ":"))
    size = len(text.encode("utf-8", "surrogatepass"))
    if size >= MAX_EVENT_BYTES:
        raise EventRefused(
            f"Event is over the max size: Max {MAX_EVENT_BYTES} bytes / Size {size} bytes"
        )


def _seeded_id(seed: str | None, index: int) -> str:
    parsed = parse_seed(seed) if seed else None
    return seeded_ulid(*parsed, index) if parsed else ""


def _name(name: str) -> str:
    if not name:
        raise EventRefused("event name is empty")
    if name[: len(RESERVED_PREFIX)].lower() == RESERVED_PREFIX:
        raise EventRefused(f"event name is reserved for internal use: {name}")
    return name


def _data(raw: Mapping[str, Any]) -> Mapping[str, Any]:
    data = _object(raw, "data") or {}
    if "_inngest" in data:
        return {key: value for key, value in data.items() if key != "_inngest"}
    return data


def _timestamp(raw: Mapping[str, Any]) -> int:
    value = raw.get("ts")
    if value is None or (value == 0 and type(value) is int):
        return 0
    if type(value) is not int:
        shown = f" {value}" if isinstance(value, float) else ""
        raise EventRefused(_mismatch(value, "ts", "int64", shown))
    if value < YEAR_1980:
        raise EventRefused("timestamp is before Jan 1, 1980")
    if value > YEAR_2100:
        raise EventRefused("timestamp is after Jan 1, 2100")
    return value


def _meta(raw: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Read the sessions of an event: those given win over those that came along with a run."""
    meta = _object(raw, "meta")
    if not meta:
        return None
    sessions = {**_sessions(meta, "propagated_sessions"), **_sessions(meta, "sessions")}
    if len(sessions) > MAX_SESSIONS:
        raise EventRefused(f"event sessions can include at most {MAX_SESSIONS} entries")
    known = {key: value for key, value in sessions.items() if value is not None}
    return {"sessions": known} if known else None


def _sessions(meta: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    sessions = _object(meta, key, within="meta.") or {}
    for name, value in sessions.items():
        if isinstance(value, bool) or not isinstance(value, (str, int, float, type(None))):
            raise EventRefused(f'event session "{name}" must be a string, number, or null')
        if value == "":
            raise EventRefused(f'event session "{name}" cannot have an empty ID')
    return sessions


def _text(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    if value is None or isinstance(value, str):
        return value
    raise EventRefused(_mismatch(value, key, "string"))


def _object(raw: Mapping[str, Any], key: str, *, within: str = "") -> dict[str, Any] | None:
    value = raw.get(key)
    if value is None or isinstance(value, dict):
        return value
    raise EventRefused(_mismatch(value, within + key, _OBJECT))


def _mismatch(value: Any, key: str, wanted: str, shown: str = "") -> str:
    found = kind(value) + shown
    return f"json: cannot unmarshal {found} into Go struct field raw.{key} of type {wanted}"


def kind(value: Any) -> str:
    """Name the JSON type of a value the way the server's parser does."""
    names = {bool: "bool", int: "number", float: "number", str: "string", list: "array"}
    return names.get(type(value), "object")
