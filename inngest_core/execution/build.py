"""What each kind of pausing step asks of the server."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

from ..errors import ConfigError
from ..wire.time import SECOND, format_duration, format_instant, instant_ms, to_ms


def sleep_opts(duration: int | datetime.timedelta | str) -> dict[str, Any]:
    """
    The opts of a sleep.

    Shorter than a second becomes one second: the server drops what is below.
    """
    return {"duration": format_duration(max(to_ms(duration, "step.sleep"), SECOND))}


def sleep_until_opts(until: datetime.datetime) -> dict[str, Any]:
    """The opts of a sleep until an instant; a naive datetime is local time."""
    if not isinstance(until, datetime.datetime):
        raise ConfigError(f"step.sleep_until: expected a datetime, got {type(until).__name__}")
    return {"duration": format_instant(instant_ms(until))}


def wait_opts(
    event: str, if_exp: str | None, timeout: int | datetime.timedelta | str
) -> dict[str, Any]:
    """The opts of a wait for an event."""
    opts: dict[str, Any] = {
        "event": event,
        "timeout": format_duration(to_ms(timeout, "step.wait_for_event timeout")),
    }
    if if_exp is not None:
        opts["if"] = if_exp
    return opts


def invoke_opts(
    function_id: str,
    data: Mapping[str, object] | None,
    v: str | None,
    timeout: int | datetime.timedelta | str | None,
) -> dict[str, Any]:
    """The opts of an invoke. The payload is never empty: without one a run would hang."""
    payload: dict[str, Any] = {"data": dict(data or {})}
    if v is not None:
        payload["v"] = v
    opts: dict[str, Any] = {"function_id": function_id, "payload": payload}
    if timeout is not None:
        opts["timeout"] = format_duration(to_ms(timeout, "step.invoke timeout"))
    return opts
