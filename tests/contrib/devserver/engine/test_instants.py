"""When a pause ends: durations, instants, the past, and what is neither."""

from __future__ import annotations

import pytest

from inngest_contrib.devserver.engine.instants import read_end
from inngest_contrib.devserver.engine.limits import MAX_PAUSE

NOW = 1_795_343_356_572


@pytest.mark.parametrize(
    ("wish", "end"),
    [
        ("", NOW),
        ("1m30s", NOW + 90_000),
        ("1w2d3h4m5s6ms", NOW + 788_645_006),
        ("-5s", NOW),
        ("0s", NOW),
        ("2026-11-22T10:30:15Z", 1_795_343_415_000),
        ("2026-11-22T11:30:15.250+01:00", 1_795_343_415_250),
        ("2020-01-01T00:00:00Z", NOW),
        ("soon", None),
        ("5", None),
        ("2026-13-40T99:00:00Z", None),
    ],
)
def test_ends(wish: str, end: int | None) -> None:
    assert read_end(wish, NOW) == end


def test_many_digits_are_too_long_and_endless_ones_cannot_be_read() -> None:
    assert (read_end("9" * 30 + "w", NOW) or 0) > NOW + MAX_PAUSE
    assert read_end("9" * 400 + "w", NOW) is None
