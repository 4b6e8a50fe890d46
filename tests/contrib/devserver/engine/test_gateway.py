"""Requests that the server makes for functions: what goes out, what is stored, what is hidden."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from inngest_contrib.devserver.engine.commands import (
    CancelRun,
    Fetched,
    FetchFailed,
    Replied,
    Settings,
)
from inngest_contrib.devserver.engine.gateway import sign_in
from inngest_contrib.devserver.engine.hiding import HIDDEN, hide_in_url, hide_secrets
from inngest_contrib.devserver.engine.limits import MAX_STEP_OUTPUT
from inngest_contrib.devserver.store import Store
from tests.contrib.devserver.engine.desk import Desk, function, hashed, op, plan, run_op

URL = "http://elsewhere/x"
ASK = op("Gateway", "ask", url=URL)
INFER = op(
    "AIGateway",
    "infer",
    url="http://model/v1",
    format="openai-chat",
    auth_key="sk-1",
    body={"a": 1},
)


@pytest.fixture
def desk() -> Desk:
    """A function with one retry has been called, and nothing is answered yet."""
    desk = Desk(settings=Settings(retry_interval=1000))
    desk.sync(function(retries=1))
    desk.send("f")
    return desk


@pytest.fixture
def stored() -> Iterator[Desk]:
    store = Store(None)
    desk = Desk(settings=Settings(retry_interval=1000), store=store)
    desk.sync(function(retries=2))
    desk.send("f")
    yield desk
    store.close()


def memo(desk: Desk, step: str) -> Any:
    return json.loads(desk.run.steps[hashed(step)].memo or b"0")


def fail(desk: Desk, error: str = "Unable to reach it", *, final: bool = False) -> None:
    desk.do(FetchFailed(desk.fetches.pop(0).fetch_id, error, final))


def test_a_fetch_is_made_and_its_response_is_the_memo(desk: Desk) -> None:
    desk.answer(op("Gateway", "ask", url=URL, method="put", headers={"X-A": "1"}, body="hé"))
    (fetch,) = desk.fetches
    assert (fetch.method, fetch.url, fetch.headers) == ("PUT", URL, {"x-a": "1"})
    assert fetch.body == "hé".encode()
    assert desk.open == []
    desk.fetched(404, b"no \xff", content_type="text/plain", x_demo="1")
    assert memo(desk, "ask") == {
        "data": {
            "url": URL,
            "status_code": 404,
            "headers": {"Content-Type": "text/plain", "X-Demo": "1"},
            "body": "no \ufffd",
        }
    }
    assert desk.take().body["ctx"]["attempt"] == 0


def test_without_a_method_it_is_post_and_without_a_body_there_is_none(desk: Desk) -> None:
    desk.answer(ASK)
    assert (desk.fetches[0].method, desk.fetches[0].body) == ("POST", None)


def test_headers_that_came_twice_are_joined(desk: Desk) -> None:
    desk.answer(ASK)
    fetch = desk.fetches.pop()
    desk.do(Fetched(fetch.fetch_id, URL, 200, [("vary", "a"), ("Vary", "b")], b""))
    assert memo(desk, "ask")["data"]["headers"] == {"Vary": "a,b"}


def test_what_no_longer_fits_the_body_is_left_out_of_the_headers(desk: Desk) -> None:
    desk.answer(ASK)
    desk.fetched(200, b"long", content_encoding="gzip", content_length="3")
    assert memo(desk, "ask")["data"]["headers"] == {}


def test_a_failure_is_tried_again_by_asking_the_function_again(desk: Desk) -> None:
    desk.answer(ASK)
    fail(desk)
    assert desk.open == []
    desk.wait(1000)
    assert desk.open[0].attempt == 1
    desk.answer(ASK)
    fail(desk)
    assert memo(desk, "ask") == {
        "error": {
            "name": "GatewayError",
            "message": "Error making gateway request: Unable to reach it",
        }
    }
    assert desk.take().attempt == 0


def test_what_is_no_use_to_try_again_is_not(desk: Desk) -> None:
    desk.answer(ASK)
    fail(desk, "the URL cannot be read", final=True)
    assert "cannot be read" in memo(desk, "ask")["error"]["message"]


def test_an_answer_beyond_the_limit_is_an_error(desk: Desk) -> None:
    desk.answer(ASK)
    desk.fetched(200, b"x" * MAX_STEP_OUTPUT)
    assert "larger than a step may return" in memo(desk, "ask")["error"]["message"]


def test_a_model_is_asked_with_its_key(desk: Desk) -> None:
    desk.answer(INFER)
    (fetch,) = desk.fetches
    assert fetch.headers == {"content-type": "application/json", "authorization": "Bearer sk-1"}
    assert fetch.body == b'{"a":1}'
    desk.fetched(200, {"said": "hi"})
    assert memo(desk, "infer") == {"data": {"said": "hi"}}


def test_a_provider_that_refuses_is_asked_again_and_then_quoted(desk: Desk) -> None:
    desk.answer(INFER)
    desk.fetched(429, {"error": "slow down"}, retry_after="7")
    desk.wait(6999)
    assert desk.open == []
    desk.wait(1)
    desk.answer(INFER)
    desk.fetched(400, b"oh no")
    assert memo(desk, "infer") == {
        "error": {
            "name": "AIGatewayError",
            "message": "Error making AI request: unsuccessful status code: 400",
            "stack": "oh no",
        }
    }


def test_an_answer_of_a_model_that_is_not_json_is_an_error(desk: Desk) -> None:
    desk.answer(INFER)
    desk.fetched(200, b"<html>")
    desk.wait(1000)
    desk.answer(INFER)
    desk.fetched(200, b"<html>")
    assert "not JSON" in memo(desk, "infer")["error"]["message"]


def test_an_error_too_large_to_quote_is_told_without_the_quote(desk: Desk) -> None:
    for _ in range(2):
        desk.answer(INFER)
        desk.fetched(500, b"x" * MAX_STEP_OUTPUT)
        desk.wait(1000)
    assert memo(desk, "infer")["error"].keys() == {"name", "message"}


@pytest.mark.parametrize(
    ("format", "url", "headers"),
    [
        ("anthropic", "http://m/v1", {"x-api-key": "k/1"}),
        ("bedrock", "http://m/v1", {"authorization": "k/1"}),
        ("openai-chat", "http://m/v1", {"authorization": "Bearer k/1"}),
        ("", "http://m/v1", {"authorization": "Bearer k/1"}),
        ("gemini", "http://m/v1?key=k%2F1", {}),
    ],
)
def test_each_provider_has_its_way_to_be_told_who_asks(
    format: str, url: str, headers: dict[str, str]
) -> None:
    assert sign_in("http://m/v1", format=format, key="k/1") == (url, headers)


def test_a_key_is_put_into_a_url_once() -> None:
    assert sign_in("http://m/?key=k", format="gemini", key="k")[0] == "http://m/?key=k"
    assert sign_in("http://m/?alt=sse", format="gemini", key="k")[0] == "http://m/?alt=sse&key=k"
    assert sign_in("http://m/v1#top", format="gemini", key="k")[0] == "http://m/v1?key=k#top"


def test_without_a_key_nobody_is_named() -> None:
    assert sign_in("http://m/v1", format="gemini", key="") == ("http://m/v1", {})


def test_headers_of_the_function_come_after_those_of_the_provider(desk: Desk) -> None:
    desk.answer(
        op("AIGateway", "i", url="http://m/", auth_key="k", headers={"Authorization": "own"})
    )
    assert desk.fetches[0].headers["authorization"] == "own"


def test_no_secret_is_stored_or_shown(stored: Desk) -> None:
    secret = "sk-very-secret"
    stored.answer(
        op(
            "AIGateway",
            "i",
            url=f"http://me:{secret}@m/v1?key={secret}&alt=sse",
            auth_key=secret,
            format="gemini",
            headers={"X-Api-Key": secret, "x-plain": "seen"},
        )
    )
    assert secret not in repr(stored.fetches)
    step = stored.run.steps[hashed("i")]
    assert json.loads(step.opts or b"") == {
        "url": f"http://{HIDDEN}@m/v1?key={HIDDEN}&alt=sse",
        "auth_key": HIDDEN,
        "format": "gemini",
        "headers": {"X-Api-Key": HIDDEN, "x-plain": "seen"},
    }
    assert stored.store is not None
    dump = "\n".join(stored.store.reader.iterdump())
    assert secret not in dump
    assert secret.encode().hex() not in dump.lower()


def test_a_reply_that_did_not_come_from_an_sdk_is_quoted_without_its_keys(stored: Desk) -> None:
    call = stored.take()
    stored.do(Replied(call.effect.job_id, 206, {}, json.dumps([INFER]).encode()))
    assert stored.store is not None
    dump = "\n".join(stored.store.reader.iterdump())
    assert b"AIGateway".hex() in dump.lower()
    assert b"sk-1".hex() not in dump.lower()


def test_hiding_leaves_the_rest_as_it_is() -> None:
    assert hide_secrets({"url": URL, "body": "x"}) == {"url": URL, "body": "x"}
    assert hide_in_url("http://[broken?key=1") == HIDDEN


@pytest.mark.parametrize(
    "opts",
    [
        {},
        {"url": 3},
        {"url": URL, "headers": ["x"]},
        {"url": URL, "headers": {"a": 1}},
        {"url": URL, "body": {"a": 1}},
        {"url": URL, "method": 1},
    ],
)
def test_options_that_cannot_be_read_fail_the_run_with_the_reason(
    desk: Desk, opts: dict[str, Any]
) -> None:
    desk.answer(op("Gateway", "ask", **opts))
    assert desk.status() == ["FAILED"]
    assert b"InngestErrBadOp" in (desk.run.output or b"")
    assert desk.fetches == []


def test_a_key_of_a_wrong_type_is_refused_without_showing_it(desk: Desk) -> None:
    desk.answer(op("AIGateway", "i", url=URL, auth_key=["sk-1"]))
    assert desk.status() == ["FAILED"]
    assert b"sk-1" not in (desk.run.output or b"")


def test_the_function_is_called_once_when_all_of_a_batch_has_ended(desk: Desk) -> None:
    desk.answer(ASK, op("Gateway", "other", url=URL), *plan("local"))
    desk.reply(desk.take(step="local"), 206, [run_op("local")])
    desk.fetched(200)
    assert desk.open == []
    desk.fetched(200)
    assert len(desk.open[0].body["steps"]) == 3


def test_in_a_race_the_function_is_asked_while_a_request_is_under_way(desk: Desk) -> None:
    race = [
        op("Gateway", "slow", url=URL, parallelMode="race"),
        op("Sleep", "nap", duration="1s", parallelMode="race"),
    ]
    desk.answer(*race)
    desk.wait(1000)
    assert list(desk.open[0].body["steps"]) == [hashed("nap")]
    desk.answer(race[0])
    assert len(desk.fetches) == 1
    assert desk.open == []
    desk.fetched(200)
    assert len(desk.take().body["steps"]) == 2


def test_of_two_failed_requests_of_a_batch_the_function_is_asked_once(desk: Desk) -> None:
    batch = [ASK, op("Gateway", "other", url=URL)]
    desk.answer(*batch)
    fail(desk)
    fail(desk)
    desk.wait(1000)
    assert [call.attempt for call in desk.open] == [1]
    desk.answer(*batch)
    desk.fetched(200)
    desk.fetched(200)
    assert len(desk.take().body["steps"]) == 2


def test_the_answer_for_a_run_that_was_cancelled_is_dropped(desk: Desk) -> None:
    desk.answer(ASK)
    desk.do(CancelRun(desk.run.id))
    desk.fetched(200)
    assert desk.status() == ["CANCELLED"]
    assert desk.run.steps[hashed("ask")].status == "CANCELLED"


def test_a_request_survives_a_restart_by_being_asked_for_again(stored: Desk) -> None:
    stored.answer(ASK)
    fail(stored)
    stored.wait(1000)
    stored.answer(ASK)
    stored.restart()
    assert stored.fetches == []
    assert stored.open[0].attempt == 1
    stored.answer(ASK)
    stored.fetched(200)
    stored.reply(stored.take(), 200, "done")
    assert stored.runs.popitem()[1].status == "COMPLETED"
    stored.restart()
    assert stored.open == []


def test_two_requests_of_one_call_survive_a_restart_with_one_call(stored: Desk) -> None:
    stored.answer(ASK, op("Gateway", "other", url=URL))
    stored.restart()
    assert len(stored.open) == 1
    stored.answer(ASK, op("Gateway", "other", url=URL))
    stored.fetched(200)
    assert stored.open == []
    stored.fetched(200)
    assert len(stored.take().body["steps"]) == 2


# --- concurrency: a request is part of the call that asked for it ----------------------------


@pytest.fixture
def narrow() -> Desk:
    """A function of which one call at a time may be made, and two runs of it."""
    desk = Desk(settings=Settings(retry_interval=1000))
    desk.sync(function(retries=1, concurrency=[{"limit": 1}]))
    desk.send("f")
    desk.send("f")
    return desk


def runs_called(desk: Desk) -> list[str]:
    return [call.body["ctx"]["run_id"] for call in desk.open]


def test_a_request_keeps_the_place_of_its_call(narrow: Desk) -> None:
    first, second = narrow.runs
    narrow.answer(ASK)
    assert narrow.open == []
    narrow.fetched(200)
    assert len(narrow.open) == 1
    narrow.reply(narrow.take(), 200)
    assert len(narrow.open) == 1
    assert {run.status.value for run in narrow.runs.values()} == {"COMPLETED", "RUNNING"}
    assert {first, second} == set(narrow.runs)


def test_all_requests_of_a_call_keep_one_place(narrow: Desk) -> None:
    narrow.answer(ASK, op("Gateway", "other", url=URL))
    narrow.fetched(200)
    assert narrow.open == []
    narrow.fetched(200)
    assert len(narrow.open) == 1


def test_while_a_failed_request_waits_others_may_be_called(narrow: Desk) -> None:
    first, second = narrow.runs
    narrow.answer(ASK)
    fail(narrow)
    assert runs_called(narrow) == [second]
    narrow.reply(narrow.take(), 200)
    narrow.wait(1000)
    assert runs_called(narrow) == [first]


def test_a_cancelled_run_keeps_the_place_until_its_request_has_ended(narrow: Desk) -> None:
    first, second = narrow.runs
    narrow.answer(ASK)
    narrow.do(CancelRun(first))
    assert narrow.open == []
    narrow.fetched(200)
    assert runs_called(narrow) == [second]
    narrow.reply(narrow.take(), 200)
    assert narrow.engine.state.control.lanes == {}
