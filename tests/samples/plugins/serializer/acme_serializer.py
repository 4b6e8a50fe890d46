"""A serializer that knows prices, which no other does. Option: on."""

from __future__ import annotations

from typing import Any

from inngest_core import PydanticSerializer, hookimpl


class Price:
    """An amount in cents."""

    def __init__(self, cents: int) -> None:
        self.cents = cents


class PriceSerializer(PydanticSerializer):
    def serialize(self, obj: Any, typ: object) -> object:
        return {"cents": obj.cents} if typ is Price else super().serialize(obj, typ)

    def deserialize(self, obj: Any, typ: object) -> object:
        return Price(obj["cents"]) if typ is Price else super().deserialize(obj, typ)


@hookimpl
def inngest_serializer(config: Any) -> Any:
    return PriceSerializer() if config.options("acme-serializer").get("on") else None
