"""
What happens to an order: functions that are found by this module's name.

Async functions use the async ORM, blocking ones the usual one.
"""

from __future__ import annotations

import datetime
from typing import Any

from django.db import transaction

import inngest_core as inngest
from examples.django.shop.models import Order, Payment, Product
from examples.django.shop.orders import LOW, PLACED
from inngest_contrib.django import client

DELIVERY = 20


@transaction.atomic
def put_back(pk: int) -> None:
    """Put what was ordered on the shelf again; a second time changes nothing."""
    waiting = Order.objects.filter(pk=pk, state=Order.State.PLACED)
    if waiting.update(state=Order.State.REFUSED):
        order = Order.objects.select_related("product").get(pk=pk)
        order.product.put_back(order.quantity)


def not_paid(ctx: inngest.ContextSync) -> None:
    """Put everything back: no money will come."""
    failed: Any = ctx.event.data["event"]
    ctx.step.run("put back", put_back, int(failed["data"]["order"]))


@client.create_function(
    fn_id="charge-card",
    trigger=inngest.TriggerEvent(event="shop/charge.wanted"),
    on_failure=not_paid,
)
def charge_card(ctx: inngest.ContextSync) -> str:
    """Charge the card of an order; the receipt."""
    return ctx.step.run("charge", charge, int(str(ctx.event.data["order"])))


@transaction.atomic
def charge(pk: int) -> str:
    """Take the money once, however often this is asked."""
    order = Order.objects.select_related("product").get(pk=pk)
    if order.card.endswith("0000"):
        raise inngest.NonRetriableError(f"the card of {order.customer} is refused", quiet=True)
    amount = order.product.price * order.quantity
    payment, _ = Payment.objects.get_or_create(
        order=order, defaults={"amount": amount, "receipt": f"R-{pk}"}
    )
    Order.objects.filter(pk=pk).update(state=Order.State.PAID)
    return payment.receipt


@client.create_function(fn_id="fulfil-order", trigger=inngest.TriggerEvent(event=PLACED))
async def fulfil_order(ctx: inngest.Context) -> dict[str, Any]:
    """Take the money, then send the parcel."""
    pk = int(str(ctx.event.data["order"]))
    try:
        receipt = await ctx.step.invoke("take the money", function=charge_card, data={"order": pk})
    except inngest.StepError as error:
        return {"order": pk, "state": "refused", "why": error.message}
    await ctx.step.sleep("let the customer think", datetime.timedelta(seconds=1))
    tracking = await ctx.step.run("send the parcel", ship, pk)
    return {"order": pk, "state": "shipped", "tracking": tracking, "receipt": receipt}


async def ship(pk: int) -> str:
    """Send the parcel, and keep its number."""
    tracking = f"DJ-{pk:06d}"
    await Order.objects.filter(pk=pk).aupdate(state=Order.State.SHIPPED, tracking=tracking)
    return tracking


@client.create_function(
    fn_id="restock",
    trigger=inngest.TriggerEvent(event=LOW),
    # However many orders find the shelf nearly empty, one delivery fills it.
    debounce=inngest.Debounce(key="event.data.product", period="2s"),
)
def restock(ctx: inngest.ContextSync) -> int:
    """Order a delivery, and put it on the shelf."""
    pk = int(str(ctx.event.data["product"]))
    return ctx.step.run("unpack the delivery", unpack, pk)


def unpack(pk: int) -> int:
    """Fill the shelf; how many there are then."""
    Product.objects.get(pk=pk).put_back(DELIVERY)
    return Product.objects.get(pk=pk).stock
