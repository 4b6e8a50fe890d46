"""Memos as ``transform_input`` sees them: open to change, whatever their shape."""

from __future__ import annotations

from typing import Any

import pytest

from inngest_core import StepMemos, TransformOutputResult
from inngest_core.types import EmptySentinel

EVENT = {"name": "a/b", "data": {"n": 1}}


def test_values_are_in_order_and_counted() -> None:
    memos = StepMemos({"x": {"data": 1}, "y": {"error": {"name": "E"}}, "z": None})
    assert memos.size == 3
    assert [memo.data for memo in memos.values()] == [1, None, None]
    assert [memo.error for memo in memos.values()] == [None, {"name": "E"}, None]


@pytest.mark.parametrize(
    ("memo", "data", "changed"),
    [
        ({"data": 1}, 1, {"data": 2}),
        ({"data": None}, None, {"data": 2}),
        (None, None, 2),
        (EVENT, EVENT, 2),
    ],
)
def test_data_may_be_changed_in_the_shape_that_the_memo_has(
    memo: Any, data: Any, changed: Any
) -> None:
    raw = {"x": memo}
    (found,) = StepMemos(raw).values()
    assert found.data == data
    found.data = 2
    assert raw == {"x": changed}


def test_an_error_survives_whoever_writes_back_what_he_has_read() -> None:
    raw: dict[str, Any] = {"x": {"error": {"name": "E"}}}
    (found,) = StepMemos(raw).values()
    found.data = found.data
    assert raw == {"x": {"error": {"name": "E"}}}


def test_an_error_may_take_the_place_of_data() -> None:
    raw: dict[str, Any] = {"x": {"data": 1}}
    (found,) = StepMemos(raw).values()
    found.error = {"name": "E", "message": "m"}
    assert raw == {"x": {"error": {"name": "E", "message": "m"}}}
    assert found.data is None


def test_a_memo_tells_of_which_step_it_is() -> None:
    assert [memo.hashed_id for memo in StepMemos({"x": {"data": 1}, "y": None}).values()] == [
        "x",
        "y",
    ]


def test_a_memo_is_taken_out_once() -> None:
    memos = StepMemos({"x": {"data": 1}})
    taken = memos.pop("x")
    assert not isinstance(taken, type)
    assert taken.data == 1
    assert memos.pop("x") is EmptySentinel
    assert memos.size == 0


def test_results_are_compared_by_what_they_hold() -> None:
    one = TransformOutputResult(None, 1, None)
    assert one == TransformOutputResult(None, 1, None)
    assert one.has_output()
    assert not TransformOutputResult(None, EmptySentinel, None).has_output()
