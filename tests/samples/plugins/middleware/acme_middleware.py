"""A middleware that marks the events of every call. Option: mark."""

from __future__ import annotations

from typing import Any

from inngest_core import MiddlewareSync, hookimpl


class Marking(MiddlewareSync):
    mark: Any = None

    def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
        ctx.event.data = {**ctx.event.data, "mark": self.mark}


@hookimpl
def inngest_middleware(config: Any) -> list[Any]:
    mark = config.options("acme-middleware").get("mark")
    return [] if mark is None else [type("Marking", (Marking,), {"mark": mark})]
