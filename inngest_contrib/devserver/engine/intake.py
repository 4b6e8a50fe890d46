"""Events: how each is received, what it cancels, what it wakes, and what it starts."""

from __future__ import annotations

from inngest_contrib.devserver.engine import admission, invocations, pauses, runs, text
from inngest_contrib.devserver.engine.commands import (
    Invoked,
    InvokeFunction,
    NewEvent,
    ReceiveEvents,
)
from inngest_contrib.devserver.engine.state import CancelOn, Event, Run
from inngest_contrib.devserver.engine.triggers import TriggerIndex
from inngest_contrib.devserver.engine.turn import Turn

_NOBODY = {
    "expire": 0,
    "gid": "",
    "name": "",
    "source_app_id": "",
    "source_fn_id": "",
    "source_fn_v": 0,
}
"""Who has invoked a function, where no other function has."""


def receive(turn: Turn, index: TriggerIndex, command: ReceiveEvents) -> list[str]:
    """Take in what was sent. A resend with the same seed changes nothing."""
    return [_receive_one(turn, index, new) for new in command.events]


def _receive_one(turn: Turn, index: TriggerIndex, new: NewEvent) -> str:
    if new.internal_id and not admission.first_seen(turn, "", new.internal_id):
        return new.internal_id
    event = _identify(turn, new)
    take(turn, index, event)
    return event.id


def _identify(turn: Turn, new: NewEvent) -> Event:
    event_id = new.internal_id or turn.ids.ulid(turn.now)
    return Event(
        id=event_id,
        external_id=text.clean(new.id) or event_id,
        name=text.clean(new.name),
        ts=new.ts or turn.now,
        received_at=turn.now,
        data=text.write(new.data),
        user=None if new.user is None else text.write(new.user),
        v=None if new.v is None else text.clean(new.v),
        meta=text.write(new.meta) if new.meta else None,
    )


def take(turn: Turn, index: TriggerIndex, event: Event) -> None:
    """Let an event have its effects: it cancels, it ends waits, it starts runs."""
    turn.changes.keep(event)
    _cancel_runs(turn, index, event)
    pauses.offer(turn, event)
    started: set[str] = set()
    for function, trigger in index.find(event.name):
        if function.id in started:
            continue
        if trigger.expression is None or turn.expressions.matches(trigger.expression, event.value):
            started.add(function.id)
            admission.admit(turn, function, event)


def _cancel_runs(turn: Turn, index: TriggerIndex, event: Event) -> None:
    for function in index.cancelled_by(event.name):
        for run in list(turn.state.running.get(function.id, {}).values()):
            if any(_cancels(turn, event, run, cancel) for cancel in function.cancels):
                runs.cancel(turn, run)


def _cancels(turn: Turn, event: Event, run: Run, cancel: CancelOn) -> bool:
    if cancel.event != event.name or turn.now > run.queued_at + cancel.timeout:
        return False
    if event.ts < run.event.received_at:
        # Something that had happened before, and is told late.
        return False
    if cancel.expression is None:
        return True
    return turn.expressions.matches(cancel.expression, run.event.value, event.value)


def invoke(turn: Turn, command: InvokeFunction) -> Invoked:
    """Run one function because somebody asked for it by name; once for each key."""
    function = turn.state.slugs.get(command.slug)
    if function is None or function.archived or not command.key:
        return _invoke(turn, command)
    known = invocations.find(turn, function.id, command.key)
    if known is not None:
        return known
    invoked = _invoke(turn, command)
    invocations.remember(turn, function.id, command.key, invoked)
    return invoked


def _invoke(turn: Turn, command: InvokeFunction) -> Invoked:
    event_id = turn.ids.ulid(turn.now)
    data = {**command.data, "_inngest": {**_NOBODY, "fn_id": command.slug}}
    user = None if command.user is None else text.write(command.user)
    event = Event(event_id, event_id, runs.INVOKED, turn.now, turn.now, text.write(data), user)
    turn.changes.keep(event)
    function = turn.state.slugs.get(command.slug)
    if function is None or function.archived:
        return Invoked(event_id, None)
    run = admission.admit(turn, function, event)
    return Invoked(event_id, None if run is None else run.id)
