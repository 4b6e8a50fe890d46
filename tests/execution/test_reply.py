"""
Outcomes as the bytes and headers of replies.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from inngest_core import NonRetriableError, RetryAfterError, StepError
from inngest_core.errors import OutputUnserializableError
from inngest_core.execution.op import Op
from inngest_core.execution.reply import error_reply, ops_reply, value_reply
from inngest_core.wire.names import Opcode

MOMENT = datetime.datetime(2030, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)


@pytest.mark.parametrize(
    ("value", "body"),
    [
        (None, b"null"),
        ({"b": 1, "a": (1, 2)}, b'{"b":1,"a":[1,2]}'),
        ("é", '"é"'.encode()),
        ("\ud800", b'"\\ud800"'),
        ({"\udfff": "😀"}, '{"\\udfff":"😀"}'.encode()),
    ],
)
def test_a_value_is_compact_json_without_a_newline(value: Any, body: bytes) -> None:
    reply = value_reply(value)
    assert (reply.status, reply.body) == (200, body)
    assert reply.headers == {"content-type": "application/json"}


def too_deep() -> Any:
    value: list[Any] = []
    for _ in range(100_000):
        value = [value]
    return value


def in_a_circle() -> Any:
    value: list[Any] = []
    value.append(value)
    return value


@pytest.mark.parametrize("make", [object, too_deep, in_a_circle, lambda: float("nan")])
def test_what_is_not_json_raises_naming_the_step_and_keeping_the_reason(make: Any) -> None:
    with pytest.raises(OutputUnserializableError, match=r"^returned") as info:
        value_reply(make())
    assert info.value.__cause__ is not None
    good = Op("1", "good", None, Opcode.STEP_RUN, "good", data=1)
    bad = Op("2", "bad", None, Opcode.STEP_RUN, "bad", data=make())
    with pytest.raises(OutputUnserializableError, match=r'^"bad" returned unserializable data$'):
        ops_reply([good, bad], {})


@pytest.mark.parametrize(
    ("error", "code", "headers"),
    [
        (ValueError("x"), "unknown", {"x-inngest-no-retry": "false"}),
        (NonRetriableError("x"), "non_retriable_error", {"x-inngest-no-retry": "true"}),
        (
            RetryAfterError("x", MOMENT),
            "retry_after_error",
            {"retry-after": "2030-01-02T03:04:05.000Z", "x-inngest-no-retry": "false"},
        ),
        (StepError("x", "E", None), "step_errored", {"x-inngest-no-retry": "true"}),
        (
            StepError("x", "NonRetriableError", None),
            "non_retriable_error",
            {"x-inngest-no-retry": "true"},
        ),
    ],
)
def test_an_error_says_in_headers_whether_and_when_it_is_tried_again(
    error: Exception, code: str, headers: dict[str, str]
) -> None:
    reply = error_reply(error)
    assert reply.status == 500
    assert json.loads(reply.body)["code"] == code
    assert reply.headers == {"content-type": "application/json", **headers}


def test_the_name_is_the_class_of_the_users_own_error() -> None:
    class Declined(NonRetriableError):
        pass

    body = json.loads(error_reply(Declined("no")).body)
    assert (body["name"], body["code"]) == ("Declined", "non_retriable_error")
