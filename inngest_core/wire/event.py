"""An event as users write it, and as the wire carries it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import pydantic

from ..errors import BodyError
from ..types import JSON
from .model import Model


def _object(value: object) -> object:
    # Only the outermost type is checked here: going through every value of a
    # 3 MB event would cost more than the rest of the call. Sending dumps it all.
    if value is None:
        return {}
    if isinstance(value, dict):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    raise ValueError(f"event data must be an object, got {type(value).__name__}")


if TYPE_CHECKING:
    Data = Mapping[str, JSON]
else:
    # pydantic would build a validator for the recursive JSON type, and never use it.
    Data = Annotated[Any, pydantic.PlainValidator(_object)]


class Event(Model):
    """
    Something that happened, and what may start a function.

    id: deduplicates for 24 hours; empty means none. meta: what belongs to the event and
    is none of its data, such as ``{"sessions": {"order": "7"}}``. ts: Unix milliseconds; 0
    means now. user and v: the sender's user object and schema version.
    """

    model_config = pydantic.ConfigDict(extra="ignore")

    data: Data = pydantic.Field(default_factory=dict)
    id: str = ""
    meta: Data = pydantic.Field(default_factory=dict)
    name: str
    ts: int = 0
    user: Data = pydantic.Field(default_factory=dict)
    v: str | None = None


def read_event(record: object, where: str) -> Event:
    """The event of a call; BodyError naming the field if it is none. where: its place there."""
    try:
        return Event.model_validate(record)
    except pydantic.ValidationError as error:
        from .config import describe

        raise BodyError(describe(where, error)) from None


def event_record(
    event: Event, now: int, sessions: Mapping[str, object] | None = None
) -> dict[str, Any]:
    """
    What is sent for *event*: no empty keys, and *now* (Unix milliseconds) if it has no time.

    sessions: those of the run that sends it; its own win over them.
    """
    record: dict[str, Any] = {"data": event.data, "name": event.name, "ts": event.ts or now}
    if event.id:
        record["id"] = event.id
    if meta := _meta(event, sessions):
        record["meta"] = meta
    if event.user:
        record["user"] = event.user
    if event.v is not None:
        record["v"] = event.v
    return record


def _meta(event: Event, sessions: Mapping[str, object] | None) -> Mapping[str, object]:
    if not sessions or "propagated_sessions" in event.meta:
        return event.meta
    return {**event.meta, "propagated_sessions": dict(sessions)}


def sessions_of(record: Mapping[str, Any]) -> Mapping[str, object] | None:
    """The sessions of an event as a call carries it; None if it has none."""
    meta = record.get("meta")
    sessions = meta.get("sessions") if isinstance(meta, Mapping) else None
    return sessions if isinstance(sessions, Mapping) and sessions else None
