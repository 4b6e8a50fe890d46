"""When a pause ends: what a duration or an instant in an op's options means."""

from __future__ import annotations

from inngest_contrib.devserver.engine.limits import MAX_PAUSE
from inngest_core.wire.time import parse_duration, parse_instant


def read_end(wish: str, now: int) -> int | None:
    """The instant meant, in ms; nothing, or the past, means now. None if it cannot be read."""
    if not wish:
        return now
    try:
        return _after(now, wish)
    except ValueError:
        pass
    try:
        return max(now, parse_instant(wish))
    except (ValueError, OverflowError):
        return None


def _after(now: int, wish: str) -> int:
    negative = wish.startswith("-")
    try:
        length = parse_duration(wish.removeprefix("-"))
    except OverflowError:
        # Digits beyond all measure: too long, however long.
        length = 2 * MAX_PAUSE
    return now if negative else now + length
