"""
What happens to an order: the shop's Inngest functions, from the event to the parcel.

`fulfil-order` is the story; the others are its parts. Every step is an ordinary function of
shop.py, and what it returned is remembered, whatever happens to this process in between.
"""

from __future__ import annotations

import asyncio
import datetime
import os
from typing import Any

import inngest_core as inngest
from examples.fastapi import shop
from examples.fastapi.orders import Order

# Where the server is, and whether it is a development one, is read from the environment.
client = inngest.Inngest(app_id="shop")

COOLING_OFF = datetime.timedelta(seconds=3)
BANK_DELAY = datetime.timedelta(seconds=1)
CARRIER_DELAY = datetime.timedelta(seconds=1)
CARD_PATIENCE = datetime.timedelta(seconds=30)
# A shop gives its customers days to transfer the money; the demo cannot.
TRANSFER_PATIENCE = datetime.timedelta(seconds=float(os.environ.get("SHOP_PATIENCE", "2")))

SAME_ORDER = "async.data.order_id == event.data.order_id"


@client.create_function(
    fn_id="fulfil-order",
    trigger=inngest.TriggerEvent(event="shop/order.placed"),
    cancel=[inngest.Cancel(event="shop/order.cancelled", if_exp=SAME_ORDER)],
)
async def fulfil_order(ctx: inngest.Context) -> dict[str, Any]:
    """Take an order from the event to the parcel, or to where it ends."""
    order = Order.model_validate(ctx.event.data)
    _, zone, _ = await asyncio.gather(
        ctx.step.run("reserve articles", shop.reserve, order),
        ctx.step.run("find zone", shop.zone_of, order),
        ctx.step.run("confirm order", shop.confirm, order),
    )
    state = await settle(ctx, order)
    if state != "paid":
        await ctx.step.run("release articles", shop.release, order)
        await ctx.step.run("tell the customer", shop.note, order.order_id, state)
        return {"state": state}
    parcel = {"order": order.model_dump(mode="json"), "zone": zone}
    tracking = await ctx.step.invoke("make label", function=make_label, data=parcel)
    await ctx.step.run("tell the customer", shop.note, order.order_id, "shipped")
    return {"state": "shipped", "tracking": tracking}


async def settle(ctx: inngest.Context, order: Order) -> str:
    """Wait until the money is there, or is not to be expected; return the order's state."""
    if order.payment == "invoice":
        await ctx.step.sleep("cooling-off period", COOLING_OFF)
        return "paid"
    if order.payment == "card":
        request = inngest.Event(name="shop/payment.requested", data=order.model_dump(mode="json"))
        await ctx.step.send_event("ask for payment", request)
    payment = await ctx.step.wait_for_event(
        "wait for payment",
        event="shop/payment.settled",
        if_exp=SAME_ORDER,
        timeout=CARD_PATIENCE if order.payment == "card" else TRANSFER_PATIENCE,
    )
    if payment is None:
        return "on hold"
    return "paid" if payment.data["paid"] else "refused"


def payment_refused(ctx: inngest.ContextSync) -> str:
    """Tell the waiting order that its payment will not come."""
    failed_with: Any = ctx.event.data["event"]
    order = Order.model_validate(failed_with["data"])
    ctx.step.send_event("settle the order", settled(order, paid=False))
    return order.order_id


@client.create_function(
    fn_id="take-payment",
    trigger=inngest.TriggerEvent(event="shop/payment.requested"),
    on_failure=payment_refused,
)
def take_payment(ctx: inngest.ContextSync) -> str:
    """Charge a card and tell the waiting order."""
    order = Order.model_validate(ctx.event.data)
    ctx.step.sleep("give the bank a moment", BANK_DELAY)
    receipt = ctx.step.run("charge card", charge, order)
    ctx.step.send_event("settle the order", settled(order, paid=True))
    return receipt


def charge(order: Order) -> str:
    """Charge the card; a refusal is final."""
    try:
        return shop.charge(order)
    except shop.CardRefused as refusal:
        raise inngest.NonRetriableError(str(refusal), quiet=True) from refusal


def settled(order: Order, *, paid: bool) -> inngest.Event:
    """Build the event that an order waits for."""
    return inngest.Event(
        name="shop/payment.settled", data={"order_id": order.order_id, "paid": paid}
    )


@client.create_function(
    fn_id="make-label",
    trigger=inngest.TriggerEvent(event="shop/label.wanted"),
)
def make_label(ctx: inngest.ContextSync) -> str:
    """Weigh the parcel, declare it and book a carrier; return the tracking number."""
    order, zone = Order.model_validate(ctx.event.data["order"]), str(ctx.event.data["zone"])
    grams, _customs = ctx.group.parallel(
        (
            lambda: ctx.step.run("weigh parcel", shop.weigh, order),
            lambda: ctx.step.run("customs form", shop.customs_form, order, zone),
        )
    )
    return ctx.step.run("book carrier", book_carrier, order, grams, ctx.attempt)


def book_carrier(order: Order, grams: int, attempt: int) -> str:
    """Book a carrier; one that is busy is asked again a little later."""
    try:
        return shop.book_carrier(order, grams, attempt)
    except shop.CarrierBusy as busy:
        raise inngest.RetryAfterError(str(busy), CARRIER_DELAY, quiet=True) from busy


@client.create_function(
    fn_id="day-report",
    trigger=inngest.TriggerEvent(event="shop/orders.imported"),
)
def day_report(ctx: inngest.ContextSync) -> dict[str, Any]:
    """Add up an import, one step after the other."""
    raw: Any = ctx.event.data["orders"]
    orders = [Order.model_validate(order) for order in raw]
    revenue = ctx.step.run("add up revenue", shop.revenue, orders)
    best = ctx.step.run("find best article", shop.best_article, orders)
    return {"orders": len(orders), "best": best, "revenue": revenue}


FUNCTIONS: list[inngest.Function[Any]] = [fulfil_order, take_payment, make_label, day_report]
