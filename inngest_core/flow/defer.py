"""The story of a deferral: it is told with the next reply, and the function goes on at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .effect import Flow, Leave
from .running import Running
from .step import inside_step


def defer_flow(running: Running, step_id: str, new_opts: Callable[[], dict[str, Any]]) -> Flow[str]:
    """The hash under which the server knows a deferral. new_opts: asked where it does not yet."""
    machine = running.machine
    if inside_step.get():
        machine.nested()
    if machine.decided or machine.leaving:
        yield Leave()
    op = machine.deferral(step_id)
    if not machine.knows_deferral(op.id):
        op.opts = new_opts()
        machine.take_along(op)
    return op.id
