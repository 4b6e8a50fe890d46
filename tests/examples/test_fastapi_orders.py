"""
The shop's CSV is read as it stands, and a file that makes no sense is refused by line and reason.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from examples.fastapi.orders import Order, OrdersError, read_orders

HEADER = (
    "order_id,placed_at,customer,email,country,currency,total,payment,card_expiry,"
    "cancelled_at,items,note\n"
)
GOOD = (
    "A-1,2026-11-20T08:02:00Z,Ann,a@example.org,DE,EUR,49.00,card,2028-03,,"
    '"1 x Kettle, 1.7 l @ 49.00",\n'
)


def written(tmp_path: Path, *lines: str) -> Path:
    path = tmp_path / "orders.csv"
    path.write_text(HEADER + "".join(lines), encoding="utf-8")
    return path


def test_the_file_that_ships_has_forty_two_orders_with_ids_of_their_own() -> None:
    orders = read_orders()
    assert len(orders) == 42
    assert len({order.order_id for order in orders}) == 42


def test_the_file_that_ships_tells_every_story() -> None:
    orders = read_orders()
    assert {order.payment for order in orders} == {"card", "invoice", "transfer"}
    assert any(order.card_expired for order in orders)
    assert any(order.cancelled_at for order in orders)
    assert any(order.country in ("NO", "SE") for order in orders)


def test_names_keep_their_letters_and_their_commas() -> None:
    customers = {order.customer for order in read_orders()}
    assert {"O'Brien, Máire", "小林 さくら", 'William "Bill" Thornton III'} <= customers


def test_an_item_may_have_a_comma_and_quotes_in_its_name() -> None:
    first = read_orders()[0]
    names = [item.name for item in first.items]
    assert names == ["Moka pot, 6 cups", 'Espresso beans "Notte", 1 kg']
    assert first.items[1].quantity == 2
    assert first.items[1].price == Decimal("21.50")


def test_an_order_survives_the_journey_through_an_event() -> None:
    for order in read_orders():
        assert Order.model_validate(order.model_dump(mode="json")) == order


def test_a_card_is_good_until_the_end_of_its_month() -> None:
    order = read_orders()[0]
    month = f"{order.placed_at:%Y-%m}"
    assert not order.model_copy(update={"card_expiry": month}).card_expired
    assert order.model_copy(update={"card_expiry": "2026-10"}).card_expired


@pytest.mark.parametrize(
    ("changed", "to", "reason"),
    [
        ("49.00,card", "48.00,card", "total is 48.00 but the items come to 49.00"),
        ("1 x Kettle", "a Kettle", "is no item; write it as"),
        ("card,2028-03", "card,", "card_expiry belongs to orders paid by card"),
        ("2026-11-20T08", "yesterday", "placed_at"),
        ("card,2028-03", "shells,2028-03", "payment"),
    ],
)
def test_a_bad_line_is_named_with_its_reason(
    tmp_path: Path, changed: str, to: str, reason: str
) -> None:
    assert changed in GOOD
    path = written(tmp_path, GOOD, GOOD.replace("A-1", "A-2").replace(changed, to))
    with pytest.raises(OrdersError) as raised:
        read_orders(path)
    assert str(raised.value).startswith("orders.csv, line 3: ")
    assert reason in str(raised.value)


def test_an_order_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OrdersError, match=r"line 3: order A-1 is there twice"):
        read_orders(written(tmp_path, GOOD, GOOD))


def test_a_file_without_a_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "orders.csv"
    path.write_text("order_id,customer\nA-1,Ann\n", encoding="utf-8")
    with pytest.raises(OrdersError, match="line 2: placed_at: Field required"):
        read_orders(path)


def test_a_line_with_too_many_cells_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OrdersError, match=r"orders\.csv, line 2"):
        read_orders(written(tmp_path, GOOD.replace("card,2028-03", "card,2028-03,,")))
