"""The service of the benchmark, on Restate's SDK."""

from __future__ import annotations

from typing import Any

import restate

service = restate.Service("Bench")


def produce() -> dict[str, Any]:
    return {"n": 1, "ok": True}


@service.handler()  # type: ignore[untyped-decorator]
async def steps(ctx: restate.Context, count: int) -> None:
    for n in range(count):
        await ctx.run_typed(f"step-{n}", produce)


app = restate.app([service])
