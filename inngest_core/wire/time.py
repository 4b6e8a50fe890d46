"""Durations and instants as the server reads and writes them."""

from __future__ import annotations

import datetime
import re

from ..errors import ConfigError

SECOND = 1000
_UNITS = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": SECOND, "ms": 1}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ms|w|d|h|m|s)")
_MAX_DIGITS = 32


def parse_duration(text: str) -> int:
    """Milliseconds of a text such as ``"1w2d3h4m5s6ms"``; ValueError if it is none."""
    total = 0.0
    end = 0
    for part in _PART.finditer(text):
        if part.start() != end or len(part[1]) > _MAX_DIGITS:
            break
        total += float(part[1]) * _UNITS[part[2]]
        end = part.end()
    if not text or end != len(text):
        raise ValueError(f'"{text}" is not a duration; write it like "1h30m", "45s" or "500ms"')
    return round(total)


def format_duration(ms: int, units: str = "w d h m s ms") -> str:
    """Write milliseconds with the given units, largest first: ``90500`` is ``"1m30s500ms"``."""
    parts = []
    for unit in units.split():
        count, ms = divmod(ms, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def to_ms(value: int | datetime.timedelta | str, field: str = "duration") -> int:
    """
    Milliseconds of what a user may write as a duration.

    Raises ConfigError naming *field* for text that is no duration, a negative
    value, or another type.
    """
    ms = _measure(value, field)
    if ms < 0:
        raise ConfigError(f"{field}: a duration cannot be negative, got {value!r}")
    return ms


def _measure(value: object, field: str) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, datetime.timedelta):
        return round(value / datetime.timedelta(milliseconds=1))
    if isinstance(value, str):
        try:
            return parse_duration(value)
        except ValueError as error:
            raise ConfigError(f"{field}: {error}") from None
    raise ConfigError(
        f"{field}: expected milliseconds as int, a timedelta, or text such as "
        f'"1h30m"; got {type(value).__name__}'
    )


def format_instant(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, of Unix milliseconds."""
    moment = datetime.datetime.fromtimestamp(ms // 1000, datetime.timezone.utc)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{ms % 1000:03d}Z"


def parse_instant(text: str) -> int:
    """Unix milliseconds of an RFC 3339 text; ValueError if it is none."""
    # Python 3.10 reads neither a Z nor fractions other than three or six digits.
    match = re.fullmatch(r"(.{10})[Tt ](.{8})(\.\d+)?([Zz]|[+-]\d\d:\d\d)", text)
    if match is None:
        raise ValueError(f'"{text}" is not an RFC 3339 instant')
    zone = "+00:00" if match[4] in "Zz" else match[4]
    moment = datetime.datetime.fromisoformat(f"{match[1]}T{match[2]}{zone}")
    fraction = float(match[3] or 0)
    return round(moment.timestamp() * 1000 + fraction * 1000)


def instant_ms(moment: datetime.datetime) -> int:
    """Unix milliseconds of a datetime. A naive one is local time, as ``timestamp()`` has it."""
    return round(moment.timestamp() * 1000)
