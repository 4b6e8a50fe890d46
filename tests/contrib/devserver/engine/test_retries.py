"""When a failed attempt is tried again."""

from __future__ import annotations

import pytest

from inngest_contrib.devserver.engine.commands import Settings
from inngest_contrib.devserver.engine.limits import DAY, SECOND
from inngest_contrib.devserver.engine.retries import next_try
from inngest_contrib.devserver.engine.turn import Turn
from tests.contrib.devserver.engine.desk import START, Desk

TABLE = [15, 30, 60, 120, 300, 600, 1200, 2400, 3600, 7200, 7200, 7200]


def turn(settings: Settings | None = None) -> Turn:
    return Desk(settings or Settings()).engine.begin(START)


@pytest.mark.parametrize(("attempt", "base"), list(enumerate(TABLE)))
def test_the_table_and_up_to_thirty_seconds(attempt: int, base: int) -> None:
    moment = turn()
    for _ in range(50):
        delay = next_try(moment, attempt, None) - START
        assert base * SECOND <= delay <= (base + 30) * SECOND


@pytest.mark.parametrize("attempt", [0, 3, 20])
def test_a_fixed_interval(attempt: int) -> None:
    assert next_try(turn(Settings(retry_interval=1000)), attempt, None) == START + 1000


@pytest.mark.parametrize(
    ("wish", "delay"),
    [
        ("5", 5_000),
        ("2027-01-15T08:00:07Z", 7_000),
        ("2027-01-15T08:00:07.250Z", 7_250),
        ("Fri, 15 Jan 2027 08:00:07 GMT", 7_000),
        ("2020-01-01T00:00:00Z", 1_000),
        ("999999999999", DAY),
        ("9" * 5000, DAY),
        ("007", 7_000),
        ("2099-01-01T00:00:00Z", DAY),
    ],
)
def test_the_wish_of_the_app_goes_first(wish: str, delay: int) -> None:
    assert next_try(turn(Settings(retry_interval=1000)), 0, wish) == START + delay


@pytest.mark.parametrize("wish", ["0", "00", "soon", "", "-5", "²", "Sun, 99 Nov 2026", "1e3"])
def test_no_wish_or_one_that_cannot_be_read(wish: str) -> None:
    assert next_try(turn(Settings(retry_interval=1234)), 0, wish) == START + 1234
