"""Markers and the JSON behind them."""

from __future__ import annotations

import re

import pytest

from inngest_contrib.remote_state import RemoteStateError
from inngest_contrib.remote_state.driver import (
    NotJSON,
    decode,
    encode,
    field,
    make_marker,
    marked,
    new_key,
    strategy_of,
)
from inngest_core import StepMemos
from inngest_core.plugin.types import Memo


def memo_of(data: object) -> Memo:
    (memo,) = StepMemos({"h": {"data": data}}).values()
    return memo


def test_a_marker_names_its_strategy() -> None:
    marker = make_marker("inngest/s3", bucket="b", key="k")
    assert strategy_of(marker) == "inngest/s3"
    assert marker == {
        "__REMOTE_STATE__": True,
        "__STRATEGY__": "inngest/s3",
        "bucket": "b",
        "key": "k",
    }


@pytest.mark.parametrize(
    "data", [None, 1, "x", [], {}, {"__REMOTE_STATE__": True}, {"__STRATEGY__": "inngest/s3"}]
)
def test_what_lacks_one_of_the_two_keys_is_no_marker(data: object) -> None:
    assert strategy_of(data) is None


def test_only_memos_of_the_strategy_are_picked() -> None:
    steps = StepMemos(
        {
            "one": {"data": make_marker("a")},
            "other": {"data": make_marker("b")},
            "plain": {"data": 1},
            "failed": {"error": {"name": "E"}},
            "slept": None,
        }
    )
    assert [memo.hashed_id for memo in marked(steps, "a")] == ["one"]


def test_a_field_that_is_no_text_is_named() -> None:
    memo = memo_of(make_marker("inngest/s3") | {"key": 7})
    with pytest.raises(RemoteStateError, match=r'step h, inngest/s3: .*"key" as text.*int'):
        field(memo, "key")


def test_keys_are_long_and_no_two_are_the_same() -> None:
    keys = {new_key() for _ in range(50)}
    assert len(keys) == 50
    assert all(re.fullmatch(r"[A-Za-z0-9]{32}", key) for key in keys)


@pytest.mark.parametrize("value", [None, 0, "é \ud800", [1, {"a": 2.5}], 2**70, {"k": None}])
def test_what_is_encoded_comes_back(value: object) -> None:
    assert decode(memo_of(None), encode(value)) == value


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), {(1, 2): 3}])
def test_what_has_no_json_is_refused(value: object) -> None:
    with pytest.raises(NotJSON):
        encode(value)


def test_a_value_that_holds_itself_is_refused() -> None:
    endless: list[object] = []
    endless.append(endless)
    with pytest.raises(NotJSON):
        encode(endless)


@pytest.mark.parametrize("body", [b"", b'{"half":', b"\xff"])
def test_what_is_no_json_any_more_is_damaged(body: bytes) -> None:
    with pytest.raises(RemoteStateError, match=r"step h, inngest/memory: .*damaged"):
        decode(memo_of(make_marker("inngest/memory")), body)
