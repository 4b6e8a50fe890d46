"""JSON in and out: canonical where it can be, and never an exception for what an app sends."""

from __future__ import annotations

from typing import Any

import pytest

from inngest_contrib.devserver.engine import text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"b": 1, "a": [1.0, 1e21, -0.0]}, b'{"a":[1,1e+21,0],"b":1}'),
        ("ü\u2028", '"ü\u2028"'.encode()),
        (None, b"null"),
    ],
)
def test_writing_is_canonical(value: Any, written: bytes) -> None:
    assert text.write(value) == written


@pytest.mark.parametrize("value", ["\ud800", {"\ud800": 1}, 10**400, [10**400]])
def test_what_has_no_canonical_form_is_written_all_the_same(value: Any) -> None:
    assert text.read(text.write(value)) is not None


@pytest.mark.parametrize(
    "bad",
    [
        b"NaN",
        b"[Infinity]",
        b"[1e999]",
        b"[-1e400]",
        b"9" * 400 + b".5",
        b"{",
        b"",
        b"[" * 100_000,
        b"\xff",
    ],
)
def test_what_is_no_json_is_a_value_error(bad: bytes) -> None:
    with pytest.raises(ValueError):
        text.read(bad)


def test_lone_surrogates_are_replaced_and_pairs_are_kept() -> None:
    assert text.read(rb'{"\ud800":"a\udfffb \ud83d\ude00"}') == {"\ufffd": "a\ufffdb 😀"}
    assert text.clean("a\ud800") == "a\ufffd"
    assert text.clean("ü") == "ü"


@pytest.mark.parametrize("key", ["abc1", "", "a b", 'q"', "ü"])
def test_a_key_is_a_json_string_and_a_colon(key: str) -> None:
    assert text.read(b"{" + text.write_key(key) + b"1}") == {key: 1}
