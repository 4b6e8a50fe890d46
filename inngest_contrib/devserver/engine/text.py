"""JSON as bytes: what goes into call bodies is written once, canonically, and then only joined."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from inngest_core.wire.canonical import canonical


def write(value: object) -> bytes:
    """Canonical JSON. Text that is not Unicode (a lone surrogate) is written with escapes."""
    try:
        return canonical(value)
    except ValueError:
        return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def read(text: bytes | str) -> Any:
    """The value of a JSON text; ValueError if it is none, or goes beyond JSON (NaN)."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None


def write_key(key: str) -> bytes:
    """A member's start: the key in quotes, and the colon."""
    return b'"%b":' % key.encode() if key.isalnum() and key.isascii() else write(key) + b":"


def _refuse(word: str) -> NoReturn:
    raise ValueError(f"{word} is not JSON")
