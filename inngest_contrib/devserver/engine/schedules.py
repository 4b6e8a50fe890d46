"""Cron triggers: when each fires next, and the run that a tick starts."""

from __future__ import annotations

from inngest_contrib.devserver.engine import text
from inngest_contrib.devserver.engine.limits import SECOND
from inngest_contrib.devserver.engine.state import Event, Function, Schedule, Trigger
from inngest_contrib.devserver.engine.turn import Start, Turn
from inngest_core.wire.time import format_instant


def plan(turn: Turn, function: Function) -> None:
    """Set the next ticks of a function in place of those it had; an archived one has none."""
    for key in [key for key in turn.state.schedules if key[0] == function.id]:
        schedule = turn.state.schedules.pop(key)
        if schedule.timer is not None:
            schedule.timer.cancel()
    if function.archived:
        return
    for trigger in function.triggers:
        if trigger.cron:
            _plan_next(turn, function, trigger, turn.now)


def fire(turn: Turn, schedule: Schedule) -> None:
    """A tick is due. Ticks that were missed while the server was down are not made up for."""
    _plan_next(turn, schedule.function, schedule.trigger, max(schedule.scheduled_at, turn.now))
    turn.starts.append(
        Start(schedule.function, _tick_event(turn, schedule), cron=schedule.trigger.cron)
    )


def _plan_next(turn: Turn, function: Function, trigger: Trigger, after: int) -> None:
    at = turn.next_tick(trigger.cron, after)
    fire_at = at + (turn.ids.spread(trigger.jitter) if trigger.jitter else 0)
    schedule = Schedule(function, trigger, at, fire_at)
    turn.state.schedules[function.id, trigger.cron] = schedule
    schedule.timer = turn.timers.add(fire_at, schedule)


def _tick_event(turn: Turn, schedule: Schedule) -> Event:
    instant = _to_seconds(schedule.scheduled_at)
    data = {
        "cron": schedule.trigger.cron,
        "scheduledAt": instant,
        "fireAt": _to_seconds(schedule.fire_at),
    }
    return Event(
        id=turn.ids.ulid(turn.now),
        external_id=instant,
        name="inngest/scheduled.timer",
        ts=schedule.fire_at,
        received_at=turn.now,
        data=text.write(data),
    )


def _to_seconds(ms: int) -> str:
    return format_instant(ms - ms % SECOND).replace(".000Z", "Z")
