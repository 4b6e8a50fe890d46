"""Functions that are found by their module's name."""

from __future__ import annotations

from typing import Any

import inngest_core as inngest
from inngest_contrib.django import client


@client.create_function(fn_id="found", trigger=inngest.TriggerEvent(event="shop/found"))
def found(ctx: inngest.ContextSync) -> Any:
    from .models import Order

    return Order.objects.count()


@client.create_function(fn_id="afound", trigger=inngest.TriggerEvent(event="shop/found"))
async def afound(ctx: inngest.Context) -> Any:
    from .models import Order

    return await Order.objects.acount()
