"""
How often: one per interval, and a burst (GCRA, the generic cell rate algorithm).

A meter is one instant, the time by which all that it let through would have come if it had come
evenly. It is stored, and forgotten as soon as that instant has passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inngest_contrib.devserver.engine.control import Meter
from inngest_contrib.devserver.engine.options import Rate

if TYPE_CHECKING:
    from inngest_contrib.devserver.engine.turn import Turn

IDEMPOTENCY = "idempotency"
RATE_LIMIT = "rate"
THROTTLE = "throttle"


def opens_at(turn: Turn, kind: str, function_id: str, bucket: str, rate: Rate) -> int:
    """The time in ms from which the next one may pass; not after now: at once."""
    meter = turn.state.control.meters.get((function_id, kind, bucket))
    return 0 if meter is None else _ceil(meter.even_at - rate.burst * rate.interval)


def take(turn: Turn, kind: str, function_id: str, bucket: str, rate: Rate) -> None:
    """Count one that passes now."""
    meter = turn.state.control.meters.get((function_id, kind, bucket))
    if meter is None:
        meter = Meter(function_id, kind, bucket, turn.now * 1000)
        turn.state.control.meters[function_id, kind, bucket] = meter
        turn.timers.add(turn.now + _ceil(rate.interval), meter)
    meter.even_at = max(meter.even_at, turn.now * 1000) + rate.interval
    turn.changes.keep(meter)


def due(turn: Turn, meter: Meter) -> None:
    """Forget a meter that has nothing more to say; look at it later if it has."""
    if _ceil(meter.even_at) > turn.now:
        watch(turn, meter)
        return
    del turn.state.control.meters[meter.function_id, meter.kind, meter.bucket]
    turn.changes.drop(meter)


def watch(turn: Turn, meter: Meter) -> None:
    """Look at a meter when it will have nothing more to say, as far as one can tell now."""
    turn.timers.add(_ceil(meter.even_at), meter)


def _ceil(microseconds: int) -> int:
    return -(-microseconds // 1000)
