"""When a pause ends: what a duration or an instant in an op's options means."""

from __future__ import annotations

from inngest_core.wire.time import parse_duration, parse_instant


def read_end(wish: str, now: int) -> int | None:
    """The instant meant, in ms; nothing, or the past, means now. None if it cannot be read."""
    if not wish:
        return now
    try:
        length = parse_duration(wish.removeprefix("-"))
        return now if wish.startswith("-") else now + length
    except ValueError:
        pass
    try:
        return max(now, parse_instant(wish))
    except (ValueError, OverflowError):
        return None
