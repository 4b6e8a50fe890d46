"""Steps that the server does: signals that are waited for, requests that are made."""

from __future__ import annotations

import asyncio
import datetime
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from inngest_core import Context, ContextSync, FetchResponse, Signal, StepError
from tests.support import Counts, Run, data, endpoint, new_client, on_loop, ops, post

URL = "https://api.example/orders/7"
FETCHED = data({"url": URL, "headers": {"X-A": "1"}, "body": '{"n": 7}', "status_code": 201})


def both(use: Callable[[Any], Any]) -> list[Callable[[Any], Any]]:
    """A blocking and an async function that return what *use* makes of their steps."""

    async def awaiting(ctx: Context) -> Any:
        return show(await use(ctx.step))

    def blocking(ctx: ContextSync) -> Any:
        return show(use(ctx.step))

    return [blocking, awaiting]


def show(found: Any) -> Any:
    """What a step returned, as JSON that tells its type."""
    if isinstance(found, Signal):
        return ["signal", found.signal, found.data]
    if isinstance(found, FetchResponse):
        return [found.status, found.headers, found.json()]
    return found


def answers(use: Callable[[Any], Any], *args: Any) -> Any:
    """The reply to one call, status and JSON: the same in both kinds of functions."""
    found = []
    for handler in both(use):
        with on_loop(endpoint(handler)) as answer:
            response = answer(post(*args))
        document = json.loads(response.body)
        if response.status >= 400:
            document.pop("stack")
        found.append((response.status, document))
    assert found[0] == found[1]
    return found[0]


def refused(use: Callable[[Any], Any]) -> str:
    """The message with which a call is refused for good."""
    status, document = answers(use)
    assert (status, document["name"]) == (500, "ConfigError")
    message: str = document["message"]
    return message


# ---- signals


def wait(step: Any, **options: Any) -> Any:
    return step.wait_for_signal("wait", **{"signal": "order/7", "timeout": "1h", **options})


def test_the_server_is_told_what_to_wait_for() -> None:
    status, (op,) = answers(wait)
    assert status == 206
    assert (op["op"], op["displayName"]) == ("WaitForSignal", "wait")
    assert op["opts"] == {"signal": "order/7", "timeout": "1h", "conflict": "fail"}


def test_a_wait_may_take_a_signal_over_from_another_run() -> None:
    _, (op,) = answers(lambda step: wait(step, on_conflict="replace"))
    assert op["opts"]["conflict"] == "replace"


@pytest.mark.parametrize("value", [{"by": "ada"}, None, 0, ""])
def test_a_signal_comes_with_its_data(value: Any) -> None:
    memo = data({"signal": "order/7", "data": value})
    assert answers(wait, {"wait": memo}) == (200, ["signal", "order/7", value])


def test_a_timeout_is_none() -> None:
    assert answers(wait, {"wait": None}) == (200, None)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"signal": ""}, "step.wait_for_signal signal: it is empty; give it a name"),
        ({"signal": None}, "step.wait_for_signal signal: expected text, got NoneType"),
        ({"timeout": -1}, "step.wait_for_signal timeout: a duration cannot be negative"),
        ({"on_conflict": "win"}, 'on_conflict: expected "fail" or "replace", got \'win\''),
    ],
)
def test_a_wait_that_would_hang_is_refused(options: Any, text: str) -> None:
    assert text in refused(lambda step: wait(step, **options))


# ---- requests


def test_the_server_is_asked_to_make_a_request() -> None:
    status, (op,) = answers(lambda step: step.fetch("get", URL))
    assert status == 206
    assert (op["op"], op["displayName"]) == ("Gateway", "get")
    assert op["opts"] == {"type": "step.fetch", "url": URL, "method": "GET"}


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        ({"method": "post"}, {"method": "POST"}),
        ({"headers": {"X-A": "1"}}, {"headers": {"X-A": "1"}}),
        ({"body": ""}, {"body": ""}),
        ({"body": "n=1", "headers": {"A": "b"}}, {"body": "n=1", "headers": {"A": "b"}}),
        (
            {"body": {"é": [1]}},
            {"body": '{"é":[1]}', "headers": {"Content-Type": "application/json"}},
        ),
        ({"body": []}, {"body": "[]", "headers": {"Content-Type": "application/json"}}),
        (
            {"body": {}, "headers": {"content-type": "text/x"}},
            {"body": "{}", "headers": {"content-type": "text/x"}},
        ),
    ],
)
def test_a_request_has_what_was_given(options: Any, sent: Any) -> None:
    _, (op,) = answers(lambda step: step.fetch("get", URL, **options))
    assert op["opts"] == {"type": "step.fetch", "url": URL, "method": "GET", **sent}


@pytest.mark.parametrize("status", [201, 404, 500])
def test_the_response_comes_back_whatever_its_status(status: int) -> None:
    memo = data({**FETCHED["data"], "status_code": status})
    found = answers(lambda step: step.fetch("get", URL), {"get": memo})
    assert found == (200, [status, {"x-a": "1"}, {"n": 7}])


def test_an_address_that_cannot_be_reached_is_a_step_error() -> None:
    memo = {"error": {"name": "GatewayError", "message": "Error making gateway request: refused"}}

    def handler(ctx: ContextSync) -> str:
        with pytest.raises(StepError) as raised:
            ctx.step.fetch("get", URL)
        return raised.value.name

    with on_loop(endpoint(handler)) as answer:
        assert json.loads(answer(post({"get": memo})).body) == "GatewayError"


@pytest.mark.parametrize(
    ("url", "options", "text"),
    [
        ("", {}, "step.fetch url: it is empty"),
        ("/orders", {}, "step.fetch url: expected a whole address, such as https://api.example"),
        ("ftp://h/x", {}, "step.fetch url: expected a whole address"),
        ("https://", {}, "step.fetch url: expected a whole address"),
        (5, {}, "step.fetch url: expected text, got int"),
        (URL, {"method": ""}, "step.fetch method: expected the name of a method"),
        (URL, {"method": "GET x"}, "got 'GET x'"),
        (URL, {"headers": {"a": 1}}, "step.fetch headers: a must be text, got int"),
        (URL, {"headers": {1: "a"}}, "step.fetch headers: names must be text, got int"),
        (URL, {"headers": "a: b"}, "step.fetch headers: expected a dict, got str"),
        (URL, {"body": b"x"}, "step.fetch body: expected text, or a dict or list to send as JSON"),
        (URL, {"body": {"a": {1}}}, "step.fetch body: it is not JSON"),
    ],
)
def test_a_request_that_cannot_be_made_is_refused(url: Any, options: Any, text: str) -> None:
    assert text in refused(lambda step: step.fetch("get", url, **options))


def test_a_key_in_an_address_or_a_header_is_not_shown() -> None:
    for message in (
        refused(lambda step: step.fetch("get", "example?key=secret")),
        refused(lambda step: step.fetch("get", URL, headers={"authorization": b"secret"})),
    ):
        assert "secret" not in message


# ---- sleeps that are too short


def lines(use: Callable[[Any], Any], *args: Any) -> list[list[str]]:
    """What is logged in one call: by a blocking and by an async function."""
    found: list[list[str]] = []
    for handler in both(use):
        logger = logging.Logger("mine")
        kept = Kept()
        logger.addHandler(kept)
        with on_loop(endpoint(handler, client=new_client(logger=logger))) as answer:
            assert answer(post(*args)).status < 300
        found.append([record.getMessage() for record in kept.records])
    return found


class Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.mark.parametrize(
    ("duration", "shown"),
    [
        (300, "300ms"),
        ("0.5s", "0.5s"),
        (datetime.timedelta(milliseconds=20), "20ms"),
        (0, "0ms"),
    ],
)
def test_a_sleep_that_is_rounded_up_says_so(duration: Any, shown: str) -> None:
    line = (
        f'step.sleep "nap": {shown} is shorter than a second, and servers drop such sleeps; '
        "it becomes one second"
    )
    assert lines(lambda step: step.sleep("nap", duration)) == [[line], [line]]


def test_a_sleep_of_a_second_says_nothing() -> None:
    assert lines(lambda step: step.sleep("nap", "1s")) == [[], []]


def test_one_that_is_over_says_nothing_again() -> None:
    assert lines(lambda step: step.sleep("nap", 300), {"nap": None}) == [[], []]


def test_many_in_one_call_say_so_once() -> None:
    kept = Kept()
    logger = logging.Logger("mine")
    logger.addHandler(kept)

    async def handler(ctx: Context) -> None:
        await asyncio.gather(*(ctx.step.sleep(f"nap {n}", 300) for n in range(3)))

    with on_loop(endpoint(handler, client=new_client(logger=logger))) as answer:
        Run(answer).play()
    assert len(kept.records) == 1


# ---- together


def test_what_the_server_does_goes_on_beside_what_runs_here() -> None:
    counts = Counts()

    async def handler(ctx: Context) -> Any:
        found = await asyncio.gather(
            ctx.step.fetch("get", URL),
            ctx.step.run("run", counts.doing("run")),
            wait(ctx.step),
        )
        return [show(one) for one in found]

    with on_loop(endpoint(handler)) as answer:
        planned = ops(answer(post()))
        table = {"get": FETCHED, "wait": data({"signal": "order/7", "data": 1})}
        run = Run(answer, table=table).play()
    assert planned == [("Gateway", "get"), ("StepPlanned", "run"), ("WaitForSignal", "wait")]
    assert run.result == [[201, {"x-a": "1"}, {"n": 7}], "run", ["signal", "order/7", 1]]
    assert counts == {"run": 1}


def test_a_repeated_id_is_another_step() -> None:
    def handler(ctx: ContextSync) -> Any:
        return [ctx.step.fetch("get", URL).status for _ in range(3)]

    with on_loop(endpoint(handler)) as answer:
        run = Run(answer, table={"get": FETCHED}).play()
    assert run.result == [201, 201, 201]
    assert len(run.stack) == 3
