"""The functions of the box office. They know the client, and nothing of Flask."""

from __future__ import annotations

import asyncio
from typing import Any

import inngest_core as inngest

client = inngest.Inngest(app_id="box-office")

SEATS = {"stalls": 40, "circle": 25, "box": 90}
"""What a seat costs, by where it is."""


@client.create_function(fn_id="sell", trigger=inngest.TriggerEvent(event="tickets/ordered"))
def sell(ctx: inngest.ContextSync) -> Any:
    """Keep the seats, wait for the money, and print the tickets or give the seats back."""
    order: Any = ctx.event.data
    price = ctx.step.run("keep seats", keep, order["seats"])
    paid = ctx.step.wait_for_event(
        "payment",
        event="tickets/paid",
        if_exp="event.data.order == async.data.order",
        timeout=order.get("patience", "15m"),
    )
    if paid is None:
        ctx.step.run("give seats back", give_back, order["seats"])
        return {"sold": False}
    tickets = ctx.step.invoke("print", function=printed, data={"seats": order["seats"]})
    return {"sold": True, "price": price, "tickets": tickets}


@client.create_function(fn_id="print", trigger=inngest.TriggerEvent(event="tickets/print.wanted"))
async def printed(ctx: inngest.Context) -> Any:
    """Print all tickets side by side: an async function, on the client's one background loop."""
    seats: Any = ctx.event.data["seats"]
    return await asyncio.gather(*(ctx.step.run(f"ticket {seat}", ticket, seat) for seat in seats))


def keep(seats: list[str]) -> int:
    """Return what the seats cost together. A seat that there is not is no reason to try again."""
    unknown = [seat for seat in seats if seat not in SEATS]
    if unknown:
        raise inngest.NonRetriableError(f"there is no seat in the {unknown[0]}")
    return sum(SEATS[seat] for seat in seats)


def give_back(seats: list[str]) -> None:
    """Let others have them."""


async def ticket(seat: str) -> str:
    """Return the text of a ticket."""
    return f"one seat, {seat}"
