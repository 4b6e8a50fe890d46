"""
What a function's registration asks of flow control, read once per sync.

Nothing here can fail: what the real server accepts in silence although it means nothing (a limit
of 0, a duration that is none) is as if it were not there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from inngest_contrib.devserver.durations import go_duration, long_duration
from inngest_contrib.devserver.engine.commands import Json
from inngest_contrib.devserver.engine.limits import DAY

_FOREVER = 100 * 365 * DAY


@dataclass(slots=True, frozen=True)
class Concurrency:
    """At most `limit` calls (or runs) at once for each value of the key within the scope."""

    limit: int
    scope: str = "fn"
    key: str = ""


@dataclass(slots=True, frozen=True)
class Rate:
    """One every `interval` microseconds, and `burst` more at once; for each value of the key."""

    interval: int
    burst: int
    key: str = ""


@dataclass(slots=True, frozen=True)
class Batching:
    """Events are collected: `size` of them, or all that come within `timeout` ms of the first."""

    size: int
    timeout: int
    key: str = ""
    condition: str = ""


@dataclass(slots=True, frozen=True)
class Debouncing:
    """The last event counts, once none has come for `period` ms, `timeout` ms at the latest."""

    period: int
    timeout: int | None = None
    key: str = ""


@dataclass(slots=True, frozen=True)
class Single:
    """One run at a time: a further event is skipped, or cancels the run there is."""

    cancels: bool
    key: str = ""


@dataclass(slots=True, frozen=True)
class Options:
    """All of it. A function that asks for nothing has no options at all."""

    steps: tuple[Concurrency, ...] = ()
    """Limits of calls in progress."""
    runs: tuple[Concurrency, ...] = ()
    """Limits of runs between their first call and their end."""
    idempotency: Rate | None = None
    rate_limit: Rate | None = None
    throttle: Rate | None = None
    batching: Batching | None = None
    debouncing: Debouncing | None = None
    single: Single | None = None
    priority: str = ""

    @property
    def hold_back(self) -> bool:
        """Whether an event may start its run later, or with others."""
        return self.batching is not None or self.debouncing is not None


_NOTHING = Options()


def read_options(config: Mapping[str, Json]) -> Options | None:
    """The options in a registered function object; None if there are none."""
    steps, runs = _read_concurrency(config.get("concurrency"))
    options = Options(
        steps=steps,
        runs=runs,
        idempotency=_read_idempotency(config.get("idempotency")),
        rate_limit=_read_rate_limit(config.get("rateLimit") or {}),
        throttle=_read_throttle(config.get("throttle") or {}),
        batching=_read_batching(config.get("batchEvents") or {}),
        debouncing=_read_debouncing(config.get("debounce") or {}),
        single=_read_single(config.get("singleton")),
        priority=(config.get("priority") or {}).get("run") or "",
    )
    return None if options == _NOTHING else options


_Limits = tuple[Concurrency, ...]


def _read_concurrency(value: Json) -> tuple[_Limits, _Limits]:
    if is_limit(value):
        return _read_limits([value]), ()
    if isinstance(value, dict):
        return _read_limits(value.get("step")), _read_limits(value.get("fn"))
    if isinstance(value, list):
        return _read_limits(value), ()
    return _read_limits([{"limit": value}]), ()


def is_limit(value: Json) -> bool:
    """Whether a concurrency is one limit, which the JavaScript SDK sends without a list."""
    return isinstance(value, dict) and "limit" in value


def _read_limits(entries: Json) -> _Limits:
    return tuple(_read_limit(entry) for entry in entries or () if (entry.get("limit") or 0) > 0)


def _read_limit(entry: Mapping[str, Json]) -> Concurrency:
    scope = (entry.get("scope") or "fn").lower()
    return Concurrency(entry["limit"], scope, entry.get("key") or "")


def _read_idempotency(key: str | None) -> Rate | None:
    return Rate(DAY * 1000, 0, key) if key else None


def _read_rate_limit(value: Mapping[str, Json]) -> Rate | None:
    # A tenth of the limit may come at once, as on the real server: less than 10 let through one.
    return _rate(value, burst=(value.get("limit") or 0) // 10)


def _read_throttle(value: Mapping[str, Json]) -> Rate | None:
    return _rate(value, burst=(value.get("limit") or 0) + max(value.get("burst") or 0, 0) - 1)


def _rate(value: Mapping[str, Json], *, burst: int) -> Rate | None:
    limit, period = value.get("limit") or 0, _milliseconds(value.get("period"))
    if limit <= 0 or not period:
        return None
    return Rate(max(period * 1000 // limit, 1), burst, value.get("key") or "")


def _read_batching(value: Mapping[str, Json]) -> Batching | None:
    size = value.get("maxSize") or 0
    timeout = _milliseconds(value.get("timeout"))
    if size <= 1 or not timeout:
        return None
    return Batching(size, timeout, value.get("key") or "", value.get("if") or "")


def _read_debouncing(value: Mapping[str, Json]) -> Debouncing | None:
    period = _milliseconds(value.get("period"))
    if not period:
        return None
    return Debouncing(period, _milliseconds(value.get("timeout")) or None, value.get("key") or "")


def _read_single(value: Mapping[str, Json] | None) -> Single | None:
    if value is None:
        return None
    return Single((value.get("mode") or "").lower() == "cancel", value.get("key") or "")


def _milliseconds(text: str | None) -> int:
    """The length of a duration in either notation; 0 for what is none."""
    for read in (long_duration, go_duration):
        try:
            return min(max(round(read(text or "")), 0), _FOREVER)
        except (ValueError, OverflowError, IndexError):
            continue
    return 0
