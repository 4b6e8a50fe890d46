"""Canonical JSON (RFC 8785), fast where the standard library already writes it."""

from __future__ import annotations

import json
import math
from typing import Any

_SAFE_INT = 2**53
# Below it Python writes an exponent, and the canonical form does not yet.
_SAFE_FLOAT = 1e-4

_dump = json.JSONEncoder(
    ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
).encode


def canonical(value: object) -> bytes:
    """The canonical bytes of a JSON value; ValueError if it has none."""
    if _plain(value):
        return _dump(value).encode()
    import jcs

    try:
        encoded: bytes = jcs.canonicalize(value)
    except OverflowError as error:
        raise ValueError(f"a number has no canonical form: {error}") from None
    return encoded


def _plain(value: Any) -> bool:
    """Whether a sorted compact dump of *value* equals its canonical form."""
    kind = type(value)
    if kind is str or value is None or kind is bool:
        return True
    if kind is int:
        return bool(-_SAFE_INT <= value <= _SAFE_INT)
    if kind is float:
        return _plain_float(value)
    if kind is list:
        return all(map(_plain, value))
    if kind is dict:
        return all(k.isascii() for k in value) and all(map(_plain, value.values()))
    return False


def _plain_float(value: float) -> bool:
    return math.isfinite(value) and not value.is_integer() and abs(value) >= _SAFE_FLOAT
