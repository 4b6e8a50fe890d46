"""Canonical JSON: the fast path writes the very bytes of RFC 8785."""

from __future__ import annotations

import json

import jcs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inngest_core.wire.canonical import canonical

numbers = st.integers(-(2**53) + 1, 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)
scalars = st.none() | st.booleans() | numbers | st.text()
values = st.recursive(
    scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(values)
@settings(max_examples=400, deadline=None)
def test_every_value_has_the_bytes_that_jcs_gives_it(value: object) -> None:
    try:
        expected = jcs.canonicalize(value)
    except UnicodeEncodeError:
        with pytest.raises(ValueError):
            canonical(value)
        return
    assert canonical(value) == expected


@given(values)
@settings(max_examples=100, deadline=None)
def test_canonical_bytes_are_canonical_already(value: object) -> None:
    try:
        once = canonical(value)
    except ValueError:
        return
    assert canonical(json.loads(once)) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{ "b": [1, 2], "a": 1.0 }', '{"a":1,"b":[1,2]}'),
        ("1e21", "1e+21"),
        ("-0.0", "0"),
        ("0.00001", "0.00001"),
        ("0.00005", "0.00005"),
        ("0.000001", "0.000001"),
        ("1e-7", "1e-7"),
        ("0.0001", "0.0001"),
        ("100000000000000000000", "100000000000000000000"),
        ('"\\u0001\\n\\u007f/"', '"\\u0001\\n\x7f/"'),
        ('{"\\ufb33":1,"\\ud83d\\ude00":2}', '{"\U0001f600":2,"\ufb33":1}'),
    ],
)
def test_known_texts(text: str, expected: str) -> None:
    assert canonical(json.loads(text)).decode() == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("-inf")]])
def test_what_json_cannot_say_has_no_canonical_form(value: object) -> None:
    with pytest.raises(ValueError):
        canonical(value)


def test_an_integer_beyond_doubles_is_a_value_error_too() -> None:
    with pytest.raises(ValueError):
        canonical([10**400])
