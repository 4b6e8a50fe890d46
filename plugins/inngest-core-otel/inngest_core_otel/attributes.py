"""
What spans say of themselves: the semantic conventions for messaging and functions, and our own.

The names stand here, since their package is not stable yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from inngest_core import Context, ContextSync, Event, Function, Inngest, StepInfo
from opentelemetry.util.types import AttributeValue

Attributes = Mapping[str, AttributeValue]

ERROR_TYPE = "error.type"
OUTCOME = "inngest.outcome"

_FAILED = "inngest/function.failed"
_TIMER = "inngest/scheduled.timer"


def of_call(
    client: Inngest, ctx: Context | ContextSync, function: Function[Any]
) -> tuple[str, Attributes]:
    """The name of a call's span, and what is known of the call."""
    name = _function_id(ctx, function)
    found = {
        **_messaging("process", [ctx.event, *ctx.events[1:]]),
        "faas.trigger": "timer" if ctx.event.name == _TIMER else "pubsub",
        "inngest.app.id": client.app_id,
        "inngest.function.id": name,
        "inngest.run.id": ctx.run_id,
        "inngest.attempt": ctx.attempt,
    }
    if ctx.request_id:
        found["faas.invocation_id"] = ctx.request_id
    return name, found


def of_step(step: StepInfo) -> Attributes:
    """What is known of a step that executes."""
    found: dict[str, AttributeValue] = {
        "inngest.step.id": step.id,
        "inngest.step.hashed_id": step.hashed_id,
        "inngest.step.op": step.op.value,
    }
    if step.index is not None:
        found["inngest.step.index"] = step.index
    return found


def of_send(events: list[Event]) -> tuple[str, Attributes]:
    """The name of a send's span, and what is known of the events."""
    names = {event.name for event in events}
    return " ".join(["send", *names]) if len(names) == 1 else "send", _messaging("send", events)


def _messaging(operation: str, events: list[Event]) -> dict[str, AttributeValue]:
    found: dict[str, AttributeValue] = {
        "messaging.system": "inngest",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
    }
    names = {event.name for event in events}
    if len(names) == 1:
        found["messaging.destination.name"] = names.pop()
    if len(events) > 1:
        found["messaging.batch.message_count"] = len(events)
    elif events and events[0].id:
        found["messaging.message.id"] = events[0].id
    return found


def _function_id(ctx: Context | ContextSync, function: Function[Any]) -> str:
    """The id under which it was called: a failure handler has one of its own."""
    failed = ctx.event.name == _FAILED and ctx.event.data.get("function_id") == function.id
    return (function.on_failure_fn_id if failed else None) or function.id
