"""
Memos as the records that steps return.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from inngest_core import StepError
from inngest_core.errors import StepUnexpectedError
from inngest_core.execution.records import FetchResponse, Signal, memo_response, memo_signal

RECORDED = {
    "data": {
        "url": "http://127.0.0.1:18802/target",
        "headers": {"Content-Type": "application/json", "X-Demo": "1, 2"},
        "body": '{"m": "GET"}',
        "status_code": 201,
    }
}


@pytest.mark.parametrize(
    ("memo", "signal"),
    [
        ({"data": {"signal": "s", "data": {"by": "ada"}}}, Signal("s", {"by": "ada"})),
        ({"data": {"signal": "s", "data": None}}, Signal("s", None)),
        ({"data": {"signal": "s"}}, Signal("s", None)),
        ({"data": None}, None),
        (None, None),
    ],
)
def test_a_signal_is_told_from_a_timeout_whatever_it_carries(memo: Any, signal: Any) -> None:
    assert memo_signal(memo, "a") == signal


def test_a_response_has_its_status_headers_and_body() -> None:
    response = memo_response(RECORDED, "a")
    assert response.status == 201
    assert response.ok
    assert response.url == "http://127.0.0.1:18802/target"
    assert response.headers == {"content-type": "application/json", "x-demo": "1, 2"}
    assert response.body == '{"m": "GET"}'
    assert response.json() == {"m": "GET"}


@pytest.mark.parametrize(("status", "ok"), [(199, False), (200, True), (299, True), (300, False)])
def test_a_response_is_ok_below_300(status: int, ok: bool) -> None:
    assert FetchResponse(status, {}, "", "").ok is ok


@pytest.mark.parametrize("missing", [{}, {"headers": None, "body": None, "url": None}])
def test_what_a_server_leaves_out_is_empty(missing: Any) -> None:
    assert memo_response({"data": {"status_code": 204, **missing}}, "a") == FetchResponse(
        204, {}, "", ""
    )


def test_a_body_that_is_not_json_is_a_value_error_that_names_the_status() -> None:
    with pytest.raises(ValueError, match="whose status is 502, is not JSON: Expecting value"):
        FetchResponse(502, {}, "<html>", "").json()


def test_a_response_is_frozen_and_shows_nothing_that_may_be_secret() -> None:
    response = FetchResponse(200, {"set-cookie": "secret"}, "secret", "http://h?key=secret")
    assert repr(response) == "FetchResponse(status=200)"
    with pytest.raises(dataclasses.FrozenInstanceError):
        response.status = 500  # type: ignore[misc]


def test_a_failed_step_raises() -> None:
    memo = {"error": {"name": "GatewayError", "message": "Error making gateway request: x"}}
    for read in (memo_response, memo_signal):
        with pytest.raises(StepError, match="Error making gateway request") as raised:
            read(memo, "fetch it")
        assert raised.value.name == "GatewayError"
        assert raised.value.step_id == "fetch it"


@pytest.mark.parametrize("memo", [{"data": 5}, {"data": {}}, {"data": {"status_code": "x"}}])
def test_the_memo_of_another_kind_of_step_is_named(memo: Any) -> None:
    with pytest.raises(
        StepUnexpectedError, match='memo of step "s" has no status_code, of type int'
    ):
        memo_response(memo, "s")
    with pytest.raises(StepUnexpectedError, match='memo of step "s" has no signal, of type str'):
        memo_signal(memo, "s")
