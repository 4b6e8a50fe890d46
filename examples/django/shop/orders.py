"""Placing an order: in the database and as an event, both or neither."""

from __future__ import annotations

from django.db import transaction

import inngest_core as inngest
from examples.django.shop.models import Order, Product
from inngest_contrib.django import client

PLACED = "shop/order.placed"
LOW = "shop/stock.low"
FEW = 3


class OutOfStock(Exception):
    """There is too little on the shelf."""


@transaction.atomic
def place(order: Order) -> Order:
    """Keep an order and send its event, when all of this is committed. Raises OutOfStock."""
    order.save()
    data = {"order": order.pk}
    # The setting SEND_ON_COMMIT: what is undone below is never sent.
    client.send_sync(inngest.Event(name=PLACED, id=f"order-{order.pk}", data=data))
    if not order.product.take(order.quantity):
        raise OutOfStock(f"There are not {order.quantity} of {order.product} on the shelf.")
    left = Product.objects.get(pk=order.product.pk).stock
    if left < FEW:
        client.send_sync(inngest.Event(name=LOW, data={"product": order.product.pk}))
    return order
