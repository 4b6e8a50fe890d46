"""
What every order must come to, known from its line in the CSV before anything has run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from examples.fastapi.orders import Order
from examples.fastapi.watch import Run

BUSY_TWICE = ("NO", "SE")


@dataclass(frozen=True, slots=True, order=True)
class Outcome:
    """How one run ends: `state` is what it says of the order, `tries` the most that a step took."""

    order_id: str
    function: str
    status: str
    state: str = ""
    tries: int = 1


def expected_runs(orders: Iterable[Order]) -> list[Outcome]:
    """Name every run of an import, sorted."""
    found = [Outcome("", "day-report", "COMPLETED")]
    for order in orders:
        found += expected_of(order)
    return sorted(found)


def expected_of(order: Order) -> list[Outcome]:
    """Name the runs of one order."""
    me = order.order_id
    label = Outcome(me, "make-label", "COMPLETED", tries=3 if order.country in BUSY_TWICE else 1)
    shipped = Outcome(me, "fulfil-order", "COMPLETED", "shipped")
    if order.cancelled_at:
        return [Outcome(me, "fulfil-order", "CANCELLED")]
    if order.payment == "transfer":
        return [Outcome(me, "fulfil-order", "COMPLETED", "on hold")]
    if order.payment == "invoice":
        return [shipped, label]
    if order.card_expired:
        return [
            Outcome(me, "fulfil-order", "COMPLETED", "refused"),
            Outcome(me, "take-payment", "FAILED"),
            Outcome(me, "take-payment-failure", "COMPLETED"),
        ]
    return [shipped, Outcome(me, "take-payment", "COMPLETED"), label]


def outcome_of(run: Run) -> Outcome:
    """Name how a run did end."""
    state = run.output.get("state", "") if isinstance(run.output, dict) else ""
    return Outcome(run.order_id, run.function, run.status, str(state), run.tries)


def deviations(orders: Iterable[Order], runs: Sequence[Run]) -> list[str]:
    """Say, a line each, what is missing and what should not be there."""
    missing = expected_runs(orders)
    surplus = []
    for outcome in sorted(outcome_of(run) for run in runs):
        if outcome in missing:
            missing.remove(outcome)
        else:
            surplus.append(outcome)
    return [f"expected {say(one)}" for one in missing] + [
        f"but found {say(one)}" for one in surplus
    ]


def say(outcome: Outcome) -> str:
    """Put an outcome into words."""
    order = f" of {outcome.order_id}" if outcome.order_id else ""
    state = f" ({outcome.state})" if outcome.state else ""
    tries = f" after {outcome.tries} tries" if outcome.tries > 1 else ""
    return f"{outcome.function}{order}: {outcome.status}{state}{tries}"
