"""
When a cron schedule fires.

A schedule has five fields, in UTC unless it begins with `TZ=Area/City ` or `CRON_TZ=Area/City `.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

_PREFIXES = ("TZ=", "CRON_TZ=")
_FIELDS = 5
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


class CronError(ValueError):
    """A schedule cannot be read, or never fires. The text is the server's."""


def problem(cron: str) -> str | None:
    """Return why a schedule cannot be used, in the server's words, or None."""
    try:
        next_tick(cron, 0)
    except CronError as error:
        return str(error)
    return None


def next_tick(cron: str, after: int) -> int:
    """Return the first tick after an instant; both in unix milliseconds. Raise CronError."""
    zone, fields = _read(cron)
    moment = (_EPOCH + timedelta(milliseconds=after)).astimezone(zone)
    tick = next(_ticks(cron, fields, moment), None)
    if tick is None:
        raise _invalid(cron)
    return (tick.astimezone(timezone.utc) - _EPOCH) // timedelta(milliseconds=1)


@functools.lru_cache(maxsize=256)
def _read(cron: str) -> tuple[tzinfo, str]:
    """Split a schedule into its time zone and its five fields."""
    first, _, rest = cron.partition(" ")
    prefix = next((prefix for prefix in _PREFIXES if first.startswith(prefix)), None)
    if prefix is None:
        return timezone.utc, _five_fields(cron, cron)
    try:
        return ZoneInfo(first.removeprefix(prefix)), _five_fields(cron, rest)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise _invalid(cron) from error


def _five_fields(cron: str, fields: str) -> str:
    # cronsim would also take six fields, with seconds; the server does not.
    if len(fields.split()) != _FIELDS:
        raise _invalid(cron)
    return fields


def _ticks(cron: str, fields: str, after: datetime) -> Iterator[datetime]:
    try:
        return CronSim(fields, after)
    except CronSimError as error:
        raise _invalid(cron) from error


def _invalid(cron: str) -> CronError:
    return CronError(f"'{cron}' isn't a valid cron schedule")
