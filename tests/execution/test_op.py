"""
Ops as they go out, memos as they come back.
"""

from __future__ import annotations

from typing import Any

import pytest

from inngest_core import StepError
from inngest_core.execution.op import Op, memo_data, memo_event
from inngest_core.wire.names import Opcode


def test_an_op_carries_either_data_or_an_error() -> None:
    op = Op("hash", "a", 1, Opcode.STEP_RUN, "a", data={"x": 1})
    common = {
        "displayName": "a",
        "id": "hash",
        "name": "a",
        "op": "StepRun",
        "opts": None,
        "userland": {"id": "a", "index": 1},
    }
    assert op.to_wire() == {**common, "data": {"x": 1}}
    op.error = {"name": "E"}
    assert op.to_wire() == {**common, "error": {"name": "E"}}


@pytest.mark.parametrize(
    ("memo", "data"),
    [
        ({"data": 1}, 1),
        ({"data": None}, None),
        ({"data": {"data": 1, "name": "n"}}, {"data": 1, "name": "n"}),
        ({"data": {"error": "not an error"}}, {"error": "not an error"}),
        ({"data": 1, "error": None}, 1),
        (None, None),
        ("legacy", "legacy"),
    ],
)
def test_a_memo_holds_data(memo: Any, data: Any) -> None:
    assert memo_data(memo, "a") == data


@pytest.mark.parametrize(
    ("error", "fields"),
    [
        ({"message": "m", "name": "n", "stack": "s"}, ("m", "n", "s")),
        ({"message": "m"}, ("m", "Error", None)),
        ({}, ("", "Error", None)),
        ("text", ("text", "Error", None)),
        ({"message": None, "name": None, "noRetry": True}, ("", "Error", None)),
        ({"message": [1], "name": 2, "stack": {"a": 3}}, ("[1]", "2", None)),
    ],
)
def test_or_an_error_in_whatever_shape(error: Any, fields: tuple[Any, ...]) -> None:
    with pytest.raises(StepError) as info:
        memo_data({"error": error}, "a")
    assert (info.value.message, info.value.name, info.value.stack) == fields
    assert info.value.__cause__ is None
    assert info.value.step_id == "a"
    assert not info.value.retriable


def test_a_wait_holds_the_event_as_it_is() -> None:
    event = {"data": {"error": "x"}, "id": "e", "name": "n", "ts": 1}
    assert memo_event(event, "a") == event
    assert memo_event(None, "a") is None
    with pytest.raises(StepError):
        memo_event({"error": {"message": "m"}}, "a")
