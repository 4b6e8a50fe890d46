"""
Orders, as the shop's export writes them: read from CSV, checked, and nothing else.

A line that makes no sense stops the import before any event is sent, so half a file is never
imported.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError, field_validator, model_validator

ORDERS_CSV = Path(__file__).with_name("orders.csv")

ITEM = re.compile(r"(?P<quantity>\d+) x (?P<name>.+) @ (?P<price>\d+(?:\.\d+)?)")


class OrdersError(ValueError):
    """The file cannot be imported as it is; the message names the line and the remedy."""


class Item(BaseModel):
    """One article of an order. The price is per piece."""

    model_config = ConfigDict(frozen=True)

    quantity: int
    name: str
    price: Decimal


class Order(BaseModel):
    """One order. Its JSON form is the data of the event `shop/order.placed`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    order_id: str
    placed_at: datetime
    customer: str
    email: str
    country: str
    currency: str
    total: Decimal
    payment: Literal["card", "invoice", "transfer"]
    card_expiry: str | None
    cancelled_at: datetime | None
    items: tuple[Item, ...]
    note: str

    @field_validator("items", mode="before")
    @classmethod
    def _items_from_text(cls, value: object) -> object:
        return [parse_item(text) for text in value.split("; ")] if isinstance(value, str) else value

    @field_validator("card_expiry", "cancelled_at", mode="before")
    @classmethod
    def _blank_is_none(cls, value: object) -> object:
        return None if value == "" else value

    @model_validator(mode="after")
    def _adds_up(self) -> Order:
        items = sum((item.quantity * item.price for item in self.items), Decimal(0))
        if items != self.total:
            raise ValueError(f"total is {self.total} but the items come to {items}; correct one")
        if (self.payment == "card") != (self.card_expiry is not None):
            raise ValueError("card_expiry belongs to orders paid by card, and to those alone")
        return self

    @property
    def card_expired(self) -> bool:
        """Whether the card was out of date on the day of the order."""
        return self.card_expiry is not None and self.card_expiry < f"{self.placed_at:%Y-%m}"


def parse_item(text: str) -> dict[str, str]:
    """Read `2 x Kettle, 1.7 l @ 49.00`."""
    match = ITEM.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is no item; write it as '2 x Kettle, 1.7 l @ 49.00'")
    return match.groupdict()


def read_orders(path: Path = ORDERS_CSV) -> list[Order]:
    """Read every order of a file, in its order. Raises OrdersError for the first bad line."""
    orders: dict[str, Order] = {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, strict=True)
        for row in rows:
            order = read_order(row, place=f"{path.name}, line {rows.line_num}")
            if order.order_id in orders:
                raise OrdersError(
                    f"{path.name}, line {rows.line_num}: order {order.order_id} is there twice; "
                    "remove one of the two"
                )
            orders[order.order_id] = order
    return list(orders.values())


def read_order(row: Mapping[str | None, object], *, place: str) -> Order:
    """Read one line; `place` is named if it cannot be read."""
    try:
        return Order.model_validate(row)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        reason = f"{field}: {first['msg']}" if field else first["msg"]
        raise OrdersError(f"{place}: {reason}") from error
