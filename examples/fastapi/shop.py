"""
The business of the shop: plain functions and one table of states, with no word of Inngest.

The outside world (a bank, a carrier) is played here, with its bad days: a card that has expired
is refused, and the carrier for Norway and Sweden is busy twice before it takes a parcel.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from decimal import Decimal

from examples.fastapi.orders import Order

WEIGHTS = {"pot": 900, "kettle": 1100, "grinder": 1400, "beans": 500, "cups": 1200}
EUROPEAN_UNION = {
    "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IT",
    "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK",
}  # fmt: skip
CARRIERS = {"NO": "Fjordpost", "SE": "Fjordpost", "JP": "Tsubame", "KR": "Tsubame", "TW": "Tsubame"}

states: dict[str, str] = {}
"""What the shop tells a customer about each order."""


class CardRefused(Exception):
    """The bank will not pay, and asking again will not help."""


class CarrierBusy(Exception):
    """The carrier takes no parcel now; a second later it may."""


def note(order_id: str, state: str) -> str:
    """Change what the customer sees."""
    states[order_id] = state
    return state


def reserve(order: Order) -> int:
    """Set the articles aside and return how many."""
    note(order.order_id, "reserved")
    return sum(item.quantity for item in order.items)


def release(order: Order) -> int:
    """Put the articles back and return how many."""
    return sum(item.quantity for item in order.items)


def zone_of(order: Order) -> str:
    """Return the zone that the parcel goes to."""
    return "union" if order.country in EUROPEAN_UNION else "abroad"


def confirm(order: Order) -> str:
    """Thank the customer for the order, and return where to."""
    return f"mail to {order.email}"


def charge(order: Order) -> str:
    """Take the money and return the bank's receipt. Raises CardRefused."""
    if order.card_expired:
        raise CardRefused(f"card of {order.order_id} expired in {order.card_expiry}")
    return f"R{order.order_id[2:]}-{order.currency}"


def weigh(order: Order) -> int:
    """Return the weight of the parcel in grams."""
    return 150 + sum(item.quantity * weight_of(item.name) for item in order.items)


def weight_of(article: str) -> int:
    """Return the weight of one piece in grams."""
    known = (grams for word, grams in WEIGHTS.items() if word in article.lower())
    return next(known, 300)


def customs_form(order: Order, zone: str) -> str | None:
    """Return the number of the customs form, if the parcel needs one."""
    return None if zone == "union" else f"CN23-{order.order_id[2:]}"


def book_carrier(order: Order, grams: int, attempt: int) -> str:
    """Book a parcel and return its tracking number. Raises CarrierBusy."""
    carrier = CARRIERS.get(order.country, "Postwagen")
    if carrier == "Fjordpost" and attempt < 2:
        raise CarrierBusy(f"{carrier} took no parcel (try {attempt + 1})")
    return f"{carrier}-{order.order_id[2:]}-{grams}g"


def revenue(orders: list[Order]) -> dict[str, str]:
    """Add up orders per currency."""
    sums: defaultdict[str, Decimal] = defaultdict(Decimal)
    for order in orders:
        sums[order.currency] += order.total
    return {currency: str(total) for currency, total in sorted(sums.items())}


def best_article(orders: list[Order]) -> str:
    """Return the article of which most pieces were ordered."""
    pieces: Counter[str] = Counter()
    for order in orders:
        for item in order.items:
            pieces[item.name] += item.quantity
    return pieces.most_common(1)[0][0]
