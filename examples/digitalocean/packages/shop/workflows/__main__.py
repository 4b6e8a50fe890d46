"""The function that the platform runs: its `main` serves the functions of the shop."""

from __future__ import annotations

import asyncio
import datetime
from typing import Any

import inngest_core as inngest
from inngest_contrib.digitalocean import serve

client = inngest.Inngest(app_id="shop")


@client.create_function(fn_id="receipt", trigger=inngest.TriggerEvent(event="shop/order.placed"))
def receipt(ctx: inngest.ContextSync) -> Any:
    """Write the receipt of an order, once it can no longer be changed."""
    placed: Any = ctx.event.data
    total = ctx.step.run("add up", add_up, placed["lines"])
    # Nothing runs meanwhile, and nothing is paid for.
    ctx.step.sleep("let it settle", datetime.timedelta(seconds=1))
    return ctx.step.run("write receipt", write_receipt, placed["order"], total)


@client.create_function(fn_id="thank", trigger=inngest.TriggerEvent(event="shop/order.placed"))
async def thank(ctx: inngest.Context) -> Any:
    """Thank the customer in both ways at the same time."""
    order: Any = ctx.event.data["order"]
    return await asyncio.gather(
        ctx.step.run("mail", send, "mail", order), ctx.step.run("message", send, "message", order)
    )


def add_up(lines: list[Any]) -> int:
    """Add up the lines of an order, in cents."""
    return sum(line["cents"] * line["count"] for line in lines)


def write_receipt(order: str, total: int) -> str:
    """Return the text of a receipt."""
    return f"{order}: {total / 100:.2f}"


async def send(way: str, order: str) -> str:
    """Say thank you."""
    return f"{way} about {order}"


main = serve(client)
