"""When a failed attempt is tried again: the app's wish, a fixed interval, or the backoff table."""

from __future__ import annotations

from email.utils import parsedate_to_datetime

from inngest_contrib.devserver.engine.limits import DAY, HOUR, MINUTE, SECOND
from inngest_contrib.devserver.engine.turn import Turn
from inngest_core.wire.time import instant_ms, parse_instant

_BACKOFF = (
    15 * SECOND,
    30 * SECOND,
    1 * MINUTE,
    2 * MINUTE,
    5 * MINUTE,
    10 * MINUTE,
    20 * MINUTE,
    40 * MINUTE,
    1 * HOUR,
    2 * HOUR,
)
_SPREAD = 30 * SECOND


def next_try(turn: Turn, attempt: int, wish: str | None) -> int:
    """When to try again after the zero-based `attempt`; `wish` is the text of `Retry-After`."""
    asked = _read_wish(wish, turn.now)
    if asked is not None:
        return min(max(asked, turn.now + SECOND), turn.now + DAY)
    if turn.settings.retry_interval is not None:
        return turn.now + turn.settings.retry_interval
    base = _BACKOFF[min(attempt, len(_BACKOFF) - 1)]
    return turn.now + base + turn.ids.spread(_SPREAD)


def _read_wish(wish: str | None, now: int) -> int | None:
    if not wish:
        return None
    if wish.isdecimal():
        digits = wish.lstrip("0")
        # "0" means no wish at all, as on the real server; nine digits are beyond the limit.
        return now + int(digits[:9]) * SECOND if digits else None
    for read in (parse_instant, _read_http_date):
        try:
            return read(wish)
        except ValueError:
            continue
    return None


def _read_http_date(wish: str) -> int:
    try:
        return instant_ms(parsedate_to_datetime(wish))
    except (TypeError, IndexError, OverflowError) as error:
        # Some Python versions let these out for text that is no date.
        raise ValueError(str(error)) from error
