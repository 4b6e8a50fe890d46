"""Durations and instants, as users write them and as the server reads them."""

from __future__ import annotations

import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inngest_core.errors import ConfigError
from inngest_core.wire.time import (
    format_duration,
    format_instant,
    instant_ms,
    parse_duration,
    parse_instant,
    to_ms,
)

UTC = datetime.timezone.utc


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1s", 1000),
        ("500ms", 500),
        ("1h30m", 5_400_000),
        ("1w2d3h4m5s6ms", 788_645_006),
        ("1.5h", 5_400_000),
        ("0s", 0),
        ("90m", 5_400_000),
    ],
)
def test_a_duration_in_words_is_so_many_milliseconds(text: str, ms: int) -> None:
    assert parse_duration(text) == ms
    assert to_ms(text) == ms


@pytest.mark.parametrize(
    "text", ["", "5", "x", "1x", "1h 30m", "-5s", "5 s", "1hh", "h", "1,5h", "9" * 400 + "h"]
)
def test_any_other_text_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration; write it like"):
        parse_duration(text)
    with pytest.raises(ConfigError, match=r"^timeout: "):
        to_ms(text, "timeout")


@given(st.integers(0, 10**13))
def test_a_duration_that_is_written_reads_the_same(ms: int) -> None:
    assert parse_duration(format_duration(ms)) == ms


@pytest.mark.parametrize(
    ("ms", "units", "text"),
    [
        (90_500, "w d h m s ms", "1m30s500ms"),
        (691_200_000, "w d h m s ms", "1w1d"),
        (691_200_000, "h m s", "192h"),
        (0, "h m s", "0s"),
    ],
)
def test_durations_are_written_largest_unit_first(ms: int, units: str, text: str) -> None:
    assert format_duration(ms, units) == text


@pytest.mark.parametrize(
    ("value", "ms"),
    [
        (1500, 1500),
        (datetime.timedelta(minutes=1, milliseconds=5), 60_005),
        (datetime.timedelta(microseconds=1600), 2),
        ("2m", 120_000),
    ],
)
def test_int_timedelta_and_text_are_durations(value: Any, ms: int) -> None:
    assert to_ms(value) == ms


@pytest.mark.parametrize("value", [-1, datetime.timedelta(seconds=-1)])
def test_a_negative_duration_is_refused_by_field(value: Any) -> None:
    with pytest.raises(ConfigError, match=r"^period: a duration cannot be negative"):
        to_ms(value, "period")


@pytest.mark.parametrize("value", [None, True, 1.5, [], datetime.datetime(2026, 1, 1)])
def test_another_type_is_refused_by_field_and_type(value: Any) -> None:
    with pytest.raises(ConfigError, match=rf"^period: .*got {type(value).__name__}$"):
        to_ms(value, "period")


@given(st.integers(0, 253402300799999))
def test_an_instant_that_is_written_reads_the_same(ms: int) -> None:
    assert parse_instant(format_instant(ms)) == ms


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-11-22T11:13:50.436Z", 1795346030436),
        ("2026-11-22T12:13:50.436+01:00", 1795346030436),
        ("2026-11-22 11:13:50z", 1795346030000),
        ("2026-11-22T11:13:50.4361234Z", 1795346030436),
    ],
)
def test_instants_are_read_in_every_form_of_the_rfc(text: str, ms: int) -> None:
    assert parse_instant(text) == ms


@pytest.mark.parametrize("text", ["", "soon", "2026-11-22", "2026-13-22T11:13:50Z", "1h"])
def test_what_is_no_instant_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError):
        parse_instant(text)


def test_a_naive_datetime_is_local_time() -> None:
    moment = datetime.datetime(2026, 7, 1, 12)
    assert instant_ms(moment) == instant_ms(moment.astimezone(UTC))
