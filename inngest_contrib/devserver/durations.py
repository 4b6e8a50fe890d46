"""Durations as the server's language, Go, reads them: no days and weeks; errors in its words."""

from __future__ import annotations

import re

from inngest_core.wire.time import parse_duration

_UNITS = {
    "ns": 1e-6,
    "us": 1e-3,
    "µs": 1e-3,
    "ms": 1.0,
    "s": 1e3,
    "m": 60e3,
    "h": 3600e3,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)([^\d.]*)")


def go_duration(text: str) -> float:
    """Return the milliseconds of a duration such as `1h30m`. Raise ValueError in Go's words."""
    unsigned = text[1:] if text[:1] in ("-", "+") else text
    if unsigned == "0":
        return 0.0
    parts = _PART.findall(unsigned)
    if not parts or "".join(number + unit for number, unit in parts) != unsigned:
        raise ValueError(f'time: invalid duration "{text}"')
    total = sum(_milliseconds(text, number, unit) for number, unit in parts)
    return -total if text[0] == "-" else total


def long_duration(text: str) -> float:
    """Return the milliseconds of a duration that may also have days and weeks."""
    try:
        return parse_duration(text)
    except ValueError as error:
        raise ValueError(f'time: invalid duration "{text}"') from error


def _milliseconds(text: str, number: str, unit: str) -> float:
    if not unit:
        raise ValueError(f'time: missing unit in duration "{text}"')
    if unit not in _UNITS:
        raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
    return float(number) * _UNITS[unit]
