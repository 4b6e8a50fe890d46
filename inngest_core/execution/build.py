"""
What each kind of step asks of the server: its opts, checked before anything is sent.

What a server could not read makes a run hang or fail far away from its cause, so
it is refused here, naming the step's method and the argument.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from ..errors import ConfigError
from ..wire.time import SECOND, format_duration, format_instant, instant_ms, to_ms
from .reply import dump

CONFLICTS = ("fail", "replace")
"""What becomes of a second run that waits for the same signal, or of the first."""

INFER = "step.ai.infer"
WRAP = "step.ai.wrap"
FETCH = "step.fetch"
SEND_SIGNAL = "step.sendSignal"


class Secret(str):
    """A text that goes out as it is, and of which no repr shows anything."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'***'"


def sleep_opts(duration: int | datetime.timedelta | str) -> dict[str, Any]:
    """
    The opts of a sleep.

    Shorter than a second becomes one second: the server drops what is below.
    """
    return {"duration": format_duration(max(to_ms(duration, "step.sleep"), SECOND))}


def is_too_short(duration: int | datetime.timedelta | str) -> bool:
    """Whether ``sleep_opts`` makes a sleep longer than it was asked to be."""
    return to_ms(duration, "step.sleep") < SECOND


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
        "event": require_text(event, "step.wait_for_event event"),
        "timeout": format_duration(to_ms(timeout, "step.wait_for_event timeout")),
    }
    if if_exp is not None:
        opts["if"] = if_exp
    return opts


def signal_opts(
    signal: str, timeout: int | datetime.timedelta | str, on_conflict: str
) -> dict[str, Any]:
    """The opts of a wait for a signal."""
    if on_conflict not in CONFLICTS:
        raise ConfigError(
            f'step.wait_for_signal on_conflict: expected "fail" or "replace", got {on_conflict!r}'
        )
    return {
        "signal": require_text(signal, "step.wait_for_signal signal"),
        "timeout": format_duration(to_ms(timeout, "step.wait_for_signal timeout")),
        "conflict": on_conflict,
    }


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


def defer_opts(function_id: str, data: Mapping[str, object] | None) -> dict[str, Any]:
    """The opts of a deferral."""
    return {"fn_slug": function_id, "input": json_copy(data or {}, "step.defer data")}


def fetch_opts(
    url: str, method: str, headers: Mapping[str, str] | None, body: object
) -> dict[str, Any]:
    """The opts of a fetch. A dict or list as body goes out as JSON, and says so."""
    opts: dict[str, Any] = {
        "type": FETCH,
        "url": require_url(url, FETCH + " url"),
        "method": _method(method),
    }
    sent = checked_headers(headers or {}, FETCH + " headers")
    if isinstance(body, (dict, list)):
        body = json_text(body, FETCH + " body")
        if not any(name.lower() == "content-type" for name in sent):
            sent["Content-Type"] = "application/json"
    if not isinstance(body, (str, type(None))):
        raise ConfigError(
            f"{FETCH} body: expected text, or a dict or list to send as JSON, "
            f"got {type(body).__name__}"
        )
    if sent:
        opts["headers"] = sent
    if body is not None:
        opts["body"] = body
    return opts


def infer_opts(
    *, url: str, headers: Mapping[str, str], auth_key: str, dialect: str, body: dict[str, Any]
) -> dict[str, Any]:
    """The opts of a request to a model; the server adds the key by the dialect."""
    return {
        "type": INFER,
        "url": require_url(url, INFER + " adapter.url_infer()"),
        "headers": checked_headers(headers, INFER + " adapter.headers()"),
        "auth_key": _key(auth_key),
        "format": require_text(dialect, INFER + " adapter.format()"),
        "body": body,
    }


# ---- arguments


def require_text(value: object, where: str) -> str:
    """*value*, a text that is not empty."""
    if not isinstance(value, str):
        raise ConfigError(f"{where}: expected text, got {type(value).__name__}")
    if not value:
        raise ConfigError(f"{where}: it is empty; give it a name")
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{where}: it is no Unicode text, got {value!r}") from None
    return value


def require_url(value: object, where: str) -> str:
    """*value*, an address that a server can reach. It is not shown: it may hold a key."""
    text = require_text(value, where)
    try:
        parts = urlsplit(text)
        complete = parts.scheme in ("http", "https") and bool(parts.hostname)
    except ValueError:
        complete = False
    if not complete:
        raise ConfigError(f"{where}: expected a whole address, such as https://api.example/orders")
    return text


def checked_headers(headers: object, where: str) -> dict[str, str]:
    """Headers, names and values checked. No repr shows a value: it may be a key."""
    if not isinstance(headers, Mapping):
        raise ConfigError(f"{where}: expected a dict, got {type(headers).__name__}")
    for name, value in headers.items():
        if not isinstance(name, str):
            raise ConfigError(f"{where}: names must be text, got {type(name).__name__}")
        if not isinstance(value, str):
            raise ConfigError(f"{where}: {name} must be text, got {type(value).__name__}")
    return {name: Secret(value) for name, value in headers.items()}


def json_text(value: object, where: str) -> str:
    """The JSON of *value*; ConfigError if it is none."""
    try:
        return dump(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigError(f"{where}: it is not JSON: {error}") from None


def json_copy(value: object, where: str) -> dict[str, Any]:
    """A copy of a JSON object, down to its leaves; ConfigError if it is none."""
    if not isinstance(value, Mapping):
        raise ConfigError(f"{where}: expected a dict, got {type(value).__name__}")
    copy: dict[str, Any] = json.loads(json_text(dict(value), where))
    return copy


def _method(method: object) -> str:
    if not isinstance(method, str) or not (method.isascii() and method.isalpha()):
        raise ConfigError(
            f'{FETCH} method: expected the name of a method, such as "POST", got {method!r}'
        )
    return method.upper()


def _key(auth_key: object) -> Secret:
    if not isinstance(auth_key, str) or not auth_key:
        found = "an empty text" if auth_key == "" else type(auth_key).__name__
        raise ConfigError(
            f"{INFER} adapter.auth_key(): expected the provider's API key, got {found}; "
            "is the environment variable set from which it is read?"
        )
    return Secret(auth_key)
