"""Requests as values: what a query says."""

from __future__ import annotations

from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inngest_core.comm import first_values


@pytest.mark.parametrize(
    ("query", "values"),
    [
        ("", {}),
        ("fnId=shop-f&stepId=step", {"fnId": "shop-f", "stepId": "step"}),
        ("a=1&a=2", {"a": "1"}),
        ("a&b=&=c&&", {"a": "", "b": "", "": "c"}),
        ("a=1=2", {"a": "1=2"}),
        ("a%20b=c%2Fd&e+f=g+h", {"a b": "c/d", "e f": "g h"}),
        ("probe=\xff", {"probe": "\xff"}),
    ],
)
def test_the_first_value_of_each_parameter_counts(query: str, values: dict[str, str]) -> None:
    assert first_values(query) == values


@given(st.text("ab=&+%2F;é", max_size=20))
def test_a_query_says_what_the_standard_library_reads(query: str) -> None:
    expected: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        expected.setdefault(name, value)
    assert first_values(query) == expected
