"""JSON as bytes: what goes into call bodies is written once, canonically, and then only joined."""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn

from inngest_core.wire.canonical import canonical


def write(value: object) -> bytes:
    """Canonical JSON. Text that is not Unicode (a lone surrogate) is written with escapes."""
    try:
        return canonical(value)
    except ValueError:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def read(text: bytes | str) -> Any:
    """The value of a JSON text; ValueError if it is none, or goes beyond JSON (NaN, 1e999)."""
    try:
        if isinstance(text, bytes):
            text = text.decode(json.detect_encoding(text), "surrogatepass")
        value = _decode(text)
        return _clean_deep(value) if _may_hold_surrogates(text) else value
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def clean(text: str) -> str:
    """The text with lone surrogates replaced, as the real server does: the store takes none."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _may_hold_surrogates(text: str) -> bool:
    return "\\ud" in text.lower()


def _clean_deep(value: Any) -> Any:
    return json.loads(clean(json.dumps(value, ensure_ascii=False)))


def write_key(key: str) -> bytes:
    """A member's start: the key in quotes, and the colon."""
    return b'"%b":' % key.encode() if key.isalnum() and key.isascii() else write(key) + b":"


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")


def _finite(digits: str) -> float:
    """The number; not one that a double cannot hold, which would be written as Infinity."""
    value = float(digits)
    if math.isinf(value):
        raise ValueError(f"the number {digits} is too large")
    return value


_decode = json.JSONDecoder(parse_constant=_refuse, parse_float=_finite).decode
"""Kept, since json.loads with options makes a decoder at each call."""
