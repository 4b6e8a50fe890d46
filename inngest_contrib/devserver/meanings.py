"""
What the comparisons and the extra functions of the server's CEL dialect mean.

Every value here is a plain Python value: None, bool, int, float, str, bytes, list, dict, datetime,
timedelta. Law: nothing raises. What CEL calls an error (comparing a text with a number, decoding
what is not base64) is null here: null is not a bool, so the expression it stands in is not true.
"""

from __future__ import annotations

import base64
import json
import operator
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any

from inngest_core.wire.time import parse_duration

Function = Callable[..., Any]
MILLISECONDS_FROM = 100_000_000_000
"""From here on `date(number)` counts milliseconds: as seconds it would be the year 5138."""


def table(now: Callable[[], int]) -> dict[str, Function]:
    """List the functions by the names in rewritten expressions. `now` gives unix milliseconds."""
    return {
        "_eq": _equal,
        "_ne": lambda a, b: not _equal(a, b),
        "_eq_known": lambda a, b: a is not None and _equal(a, b),
        "_ne_known": lambda a, b: (a is not None or b is not None) and not _equal(a, b),
        "_lt": lambda a, b: _order(operator.lt, a, b),
        "_le": lambda a, b: _order(operator.le, a, b),
        "_gt": lambda a, b: _order(operator.gt, a, b),
        "_ge": lambda a, b: _order(operator.ge, a, b),
        "_in": _contains,
        "_string": _string,
        "_size": lambda value: len(value) if isinstance(value, (str, bytes, list, dict)) else None,
        "_lowercase": lambda value: value.lower() if isinstance(value, str) else None,
        "_uppercase": lambda value: value.upper() if isinstance(value, str) else None,
        "_b64decode": _b64decode,
        "_json_parse": _json_parse,
        "_date": _date,
        "_now": lambda: _instant(now()),
        "_now_plus": lambda text: _shifted(now(), text, 1),
        "_now_minus": lambda text: _shifted(now(), text, -1),
    }


def as_doubles(value: Any) -> Any:
    """Turn every number of a JSON value into a double, as the server does."""
    if isinstance(value, (bool, str)) or value is None:
        return value
    if isinstance(value, int):
        return _double(value)
    if isinstance(value, list):
        return [as_doubles(item) for item in value]
    if isinstance(value, dict):
        return {key: as_doubles(item) for key, item in value.items()}
    return value


def _double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def _equal(a: Any, b: Any) -> bool:
    """Compare across number types, but never a bool with a number."""
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


def _order(compare: Function, a: Any, b: Any) -> bool | None:
    """Order two values of one kind; null stands before everything."""
    if a is None or b is None:
        return bool(compare(a is not None, b is not None))
    if isinstance(a, bool) != isinstance(b, bool):
        return None
    try:
        return bool(compare(a, b))
    except TypeError:
        return None


def _contains(item: Any, within: Any) -> bool | None:
    if within is None:
        return False
    if not isinstance(within, (list, dict)):
        return None
    return any(_equal(item, other) for other in within)


def _string(value: Any) -> str | None:
    """Write a value as text; a double without a fraction as an integer, as JavaScript does."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e21:
        return str(int(value))
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value) if isinstance(value, (str, int, float)) else None


def _b64decode(value: Any) -> str | None:
    try:
        return base64.b64decode(value, validate=True).decode()
    except (TypeError, ValueError):
        return None


def _json_parse(value: Any) -> Any:
    try:
        return as_doubles(json.loads(value))
    except (TypeError, ValueError, RecursionError):
        return None


def _date(value: Any) -> datetime | None:
    if isinstance(value, datetime):
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return _instant(int(value) if abs(value) >= MILLISECONDS_FROM else int(value * 1000))
    try:
        # Python 3.10 does not know the Z that JSON dates end with.
        read = datetime.fromisoformat(value.replace("Z", "+00:00"))
    except (AttributeError, ValueError):
        return None
    return read if read.tzinfo else read.replace(tzinfo=timezone.utc)


def _instant(milliseconds: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(0, timezone.utc) + timedelta(milliseconds=milliseconds)
    except OverflowError:
        return None


def _shifted(now: int, text: Any, sign: int) -> datetime | None:
    try:
        return _instant(now + sign * parse_duration(text))
    except (TypeError, ValueError):
        return None
