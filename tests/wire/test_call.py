"""The body of a call: what is read, and every way in which it is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inngest_core.errors import BodyError, QueryError
from inngest_core.wire.call import parse_call, parse_events, parse_steps

QUERY = {"fnId": "app-fn", "stepId": "step"}
EVENT = {"data": {"name": "Ada"}, "id": "01M8", "name": "plain/main", "ts": 1, "user": {}}
CTX = {
    "attempt": 0,
    "disable_immediate_execution": False,
    "env": "",
    "fn_id": "3fb99263-83df-5fa5-b9bd-c1b658ecc15b",
    "generation_id": 1,
    "job_id": "1wwsj5o7c2l9o",
    "max_attempts": 5,
    "qi_id": "MXd3c2o1bzdjMmw5bzo6ZGVmYXVsdA==",
    "request_id": "01M81CV4TBQVD83NXPEPBGMCB3",
    "run_id": "01M81CV4SR9WGEDKMNJWE4XNQ5",
    "stack": {"current": 0, "stack": []},
    "step_id": "step",
    "use_api": False,
}
CALL = {
    "ctx": CTX,
    "defers": {},
    "event": EVENT,
    "events": [EVENT],
    "steps": {},
    "use_api": False,
    "version": -1,
}


def body(**changes: Any) -> bytes:
    return json.dumps({**CALL, **changes}).encode()


def context(**changes: Any) -> bytes:
    return body(ctx={**CTX, **changes})


def test_deferrals_are_read_and_may_be_absent() -> None:
    known = {"7cfd": {"abortable": True}}
    assert parse_call(body(defers=known), QUERY).defers == known
    assert parse_call(without("defers"), QUERY).defers == {}
    assert parse_call(body(defers=None), QUERY).defers == {}
    with pytest.raises(BodyError, match=r"body\.defers must be of type dict, got list"):
        parse_call(body(defers=[]), QUERY)


def without(*names: str) -> bytes:
    return json.dumps({k: v for k, v in CALL.items() if k not in names}).encode()


def test_a_call_is_read() -> None:
    call = parse_call(body(), QUERY)
    assert call.function_id == "app-fn"
    assert call.target is None
    assert (call.run_id, call.attempt, call.max_attempts) == (CTX["run_id"], 0, 5)
    assert (call.event, call.events, call.steps, call.stack) == (EVENT, [EVENT], {}, [])
    assert (call.plan_only, call.use_api, call.last_attempt) == (False, False, False)


def test_keys_that_older_servers_do_not_send_may_be_absent() -> None:
    call = parse_call(json.dumps({"ctx": {"run_id": "r"}, "event": EVENT}).encode(), QUERY)
    assert (call.attempt, call.max_attempts, call.job_id, call.request_id) == (0, None, None, None)
    assert call.stack == []
    assert not call.last_attempt


def test_null_is_absent() -> None:
    doc = json.loads(context(stack=None, attempt=None, generation_id=None, job_id=None))
    call = parse_call(json.dumps({**doc, "steps": None, "defers": None}).encode(), QUERY)
    assert (call.attempt, call.generation_id, call.steps) == (0, None, {})


def test_a_step_in_the_query_is_the_target() -> None:
    assert parse_call(body(), {**QUERY, "stepId": "86f7"}).target == "86f7"
    assert parse_call(body(), {"fnId": "f"}).target is None
    assert parse_call(body(), {"fnId": "f", "stepId": ""}).target is None


def test_the_last_attempt_is_known() -> None:
    assert parse_call(context(attempt=4), QUERY).last_attempt
    assert not parse_call(context(attempt=3), QUERY).last_attempt


@pytest.mark.parametrize("where", [context(use_api=True), body(use_api=True)])
def test_either_use_api_counts(where: bytes) -> None:
    assert parse_call(where, QUERY).use_api


@pytest.mark.parametrize("query", [{}, {"fnId": ""}, {"stepId": "step"}])
def test_a_query_without_a_function_is_refused(query: dict[str, str]) -> None:
    with pytest.raises(QueryError, match="fnId"):
        parse_call(body(), query)


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"nope",
        b"\xff",
        b'{"a":NaN}',
        b"[" * 100_000,
        b'{"ctx":' * 10_000,
        b'{"a":1}{"b":2}',
    ],
)
def test_what_is_not_json_is_refused(text: bytes) -> None:
    with pytest.raises(BodyError, match="the body is not JSON"):
        parse_call(text, QUERY)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (b"null", "body must be an object, got NoneType"),
        (b"[]", "body must be an object, got list"),
        (b'"x"', "body must be an object, got str"),
        (without("ctx"), "body.ctx is missing"),
        (without("event", "events"), "body.event is missing"),
        (body(ctx=[]), "body.ctx must be of type dict, got list"),
        (body(steps=[]), "body.steps must be of type dict, got list"),
        (body(event="x"), "body.event must be of type dict, got str"),
        (body(events={}), "body.events must be of type list, got dict"),
        (body(events=[1]), r"events\[0\] must be of type dict, got int"),
        (context(run_id=None), "ctx.run_id is missing"),
        (context(run_id=1), "ctx.run_id must be of type str, got int"),
        (context(attempt="0"), "ctx.attempt must be of type int, got str"),
        (context(attempt=True), "ctx.attempt must be of type int, got bool"),
        (context(max_attempts=1.5), "ctx.max_attempts must be of type int, got float"),
        (context(stack=[]), "ctx.stack must be of type dict, got list"),
        (context(stack={"stack": "x"}), "ctx.stack.stack must be of type list, got str"),
        (context(stack={"stack": [1]}), r"ctx.stack.stack\[0\] must be of type str, got int"),
        (context(use_api=1), "ctx.use_api must be of type bool, got int"),
        (context(disable_immediate_execution="no"), "disable_immediate_execution must be of"),
    ],
)
def test_a_field_of_the_wrong_type_or_missing_is_named(text: bytes, complaint: str) -> None:
    with pytest.raises(BodyError, match=complaint):
        parse_call(text, QUERY)


def test_what_the_server_kept_back_is_read_and_checked() -> None:
    assert parse_steps(b'{"a":{"data":1}}') == {"a": {"data": 1}}
    assert parse_events(b'[{"name":"a"}]') == [{"name": "a"}]
    with pytest.raises(BodyError, match="steps must be an object, got list"):
        parse_steps(b"[]")
    with pytest.raises(BodyError, match="events must be an array, got dict"):
        parse_events(b"{}")
    with pytest.raises(BodyError, match=r"events\[1\] must be of type dict, got int"):
        parse_events(b"[{},1]")
