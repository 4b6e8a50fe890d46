"""``ctx.step.ai``: what the server is asked, what comes back, and what is refused before."""

from __future__ import annotations

import copy
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from inngest_core import (
    Context,
    ContextSync,
    Middleware,
    MiddlewareSync,
    Opcode,
    StepError,
    TransformOutputResult,
)
from inngest_core.ai import anthropic, gemini, openai
from tests.support import Counts, Run, data, endpoint, new_client, on_loop, ops, post

KEY = "sk-very-secret"
ADAPTER = openai.Adapter(auth_key=KEY, model="gpt-x", headers={"x-custom": "1"})
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "hello"}]}
ANSWER = {"choices": [{"message": {"content": "hi"}}], "usage": {"total_tokens": 4}}

Infer = Callable[[Any], Any]


def both(infer: Infer) -> list[Callable[[Any], Any]]:
    """A blocking and an async function that do the same."""

    async def awaiting(ctx: Context) -> Any:
        return await infer(ctx.step)

    def blocking(ctx: ContextSync) -> Any:
        return infer(ctx.step)

    return [blocking, awaiting]


def answers(infer: Infer, *args: Any, **options: Any) -> Any:
    """The reply to one call, status and JSON: the same in both kinds of functions."""
    found = []
    for handler in both(infer):
        client = new_client(**options)
        with on_loop(endpoint(handler, client=client)) as answer:
            response = answer(post(*args))
        found.append((response.status, json.loads(response.body)))
    for status, document in found:
        if status >= 400:
            document.pop("stack")
    assert found[0] == found[1]
    return found[0]


def ask(step: Any, adapter: Any = ADAPTER, body: Any = BODY) -> Any:
    return step.ai.infer("ask", adapter=adapter, body=body)


def test_the_server_is_asked_to_ask_the_model() -> None:
    status, (op,) = answers(ask)
    assert status == 206
    assert (op["op"], op["displayName"]) == ("AIGateway", "ask")
    assert op["opts"] == {
        "type": "step.ai.infer",
        "url": "https://api.openai.com/v1/chat/completions",
        "headers": {"x-custom": "1"},
        "auth_key": KEY,
        "format": "openai-chat",
        "body": {**BODY, "model": "gpt-x"},
    }


@pytest.mark.parametrize(
    "adapter",
    [anthropic.Adapter(auth_key=KEY, model="m"), gemini.Adapter(auth_key=KEY, model="m")],
)
def test_each_provider_gets_its_key_from_the_server_and_only_once(adapter: Any) -> None:
    _, (op,) = answers(lambda step: ask(step, adapter))
    assert json.dumps(op).count(KEY) == 1
    assert op["opts"]["auth_key"] == KEY
    assert op["opts"]["format"] == adapter.format()


def test_the_body_stays_as_it_was_written() -> None:
    body = copy.deepcopy(BODY)
    _, (op,) = answers(lambda step: ask(step, body=body))
    assert body == BODY
    assert op["opts"]["body"]["model"] == "gpt-x"


def test_what_the_model_said_comes_back() -> None:
    assert answers(ask, {"ask": data(ANSWER)}) == (200, ANSWER)


def test_a_run_asks_once() -> None:
    for handler in both(ask):
        with on_loop(endpoint(handler)) as answer:
            run = Run(answer, table={"ask": data(ANSWER)}).play()
        assert run.result == ANSWER
        assert [call.ops for call in run.calls] == [[("AIGateway", "ask")], []]


def test_a_repeated_question_is_another_step() -> None:
    async def handler(ctx: Context) -> Any:
        return [await ask(ctx.step), await ask(ctx.step), await ask(ctx.step)]

    with on_loop(endpoint(handler)) as answer:
        run = Run(answer, table={"ask": data(ANSWER)}).play()
    assert run.result == [ANSWER] * 3


REFUSED = {
    "error": {
        "name": "AIGatewayError",
        "message": "Error making AI request: unsuccessful status code: 400",
        "data": {"error": {"message": "bad model"}},
        "stack": "bad model",
    }
}


def test_a_model_that_refuses_is_a_step_error_under_the_servers_name() -> None:
    caught: list[StepError] = []

    def handler(ctx: ContextSync) -> str:
        with pytest.raises(StepError) as raised:
            ask(ctx.step)
        caught.append(raised.value)
        return "caught"

    with on_loop(endpoint(handler)) as answer:
        assert answer(post({"ask": REFUSED})).status == 200
    assert (caught[0].name, caught[0].stack) == ("AIGatewayError", "bad model")
    assert "unsuccessful status code: 400" in caught[0].message


def test_uncaught_it_ends_the_run() -> None:
    status, document = answers(ask, {"ask": REFUSED})
    assert (status, document["name"]) == (500, "AIGatewayError")


# ---- middleware


def test_middleware_sees_what_is_sent_and_may_change_it_but_reads_no_key() -> None:
    seen: list[Any] = []
    shown: list[str] = []

    class Watching(MiddlewareSync):
        def transform_output(self, result: TransformOutputResult) -> None:
            assert result.step is not None
            assert result.step.opts is not None
            seen.append((result.step.op, result.step.id, result.has_output()))
            shown.append(repr(result))
            result.step.opts["body"]["temperature"] = 0
            result.step.opts["headers"]["x-more"] = "2"

    _, (op,) = answers(ask, middleware=[Watching])
    assert seen == [(Opcode.AI_GATEWAY, "ask", False)] * 2
    assert op["opts"]["body"] == {**BODY, "model": "gpt-x", "temperature": 0}
    assert op["opts"]["headers"] == {"x-custom": "1", "x-more": "2"}
    assert op["opts"]["auth_key"] == KEY
    assert "gpt-x" in shown[0]
    assert KEY not in shown[0]
    assert BODY == {"messages": [{"role": "user", "content": "hello"}]}


# ---- what is refused


class Half:
    def auth_key(self) -> str:
        return KEY


def replaced(**methods: Any) -> Any:
    """The usual adapter, with other results of some methods."""
    adapter = openai.Adapter(auth_key=KEY, model="m")
    for name, value in methods.items():
        setattr(adapter, name, lambda value=value: value)
    return adapter


@pytest.mark.parametrize(
    ("adapter", "text"),
    [
        (Half(), "step.ai.infer adapter: expected one such as inngest_core.ai.openai.Adapter"),
        (openai.Adapter, "adapter: expected one such as"),
        (openai, "got module"),
        (None, "got NoneType"),
        (replaced(auth_key=None), "auth_key(): expected the provider's API key, got NoneType"),
        (replaced(auth_key=""), "got an empty text; is the environment variable set"),
        (replaced(url_infer="/v1"), "url_infer(): expected a whole address"),
        (replaced(url_infer="http://[broken"), "url_infer(): expected a whole address"),
        (replaced(format=""), "format(): it is empty"),
        (replaced(headers={"x-a": 1}), "headers(): x-a must be text, got int"),
        (replaced(headers=[]), "headers(): expected a dict, got list"),
    ],
)
def test_an_adapter_that_lacks_something_is_refused_by_name(adapter: Any, text: str) -> None:
    status, document = answers(lambda step: ask(step, adapter))
    assert (status, document["name"]) == (500, "ConfigError")
    assert text in document["message"]
    assert KEY not in json.dumps(document)


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ([], "step.ai.infer body: expected a dict, got list"),
        ({"a": {1}}, "step.ai.infer body: it is not JSON: "),
        ({"a": float("nan")}, "step.ai.infer body: it is not JSON: "),
    ],
)
def test_a_body_that_is_no_json_object_is_refused(body: Any, text: str) -> None:
    status, document = answers(lambda step: ask(step, body=body))
    assert (status, document["name"]) == (500, "ConfigError")
    assert text in document["message"]


def test_no_line_of_the_log_shows_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    answers(ask)
    answers(ask, {"ask": REFUSED})
    answers(lambda step: ask(step, body={"a": {1}}))
    assert "unsuccessful status code: 400" in caplog.text
    assert "it is not JSON" in caplog.text
    assert KEY not in caplog.text


# ---- wrap


def test_a_wrapped_callable_is_a_run_that_servers_show_as_a_models() -> None:
    status, (op,) = answers(lambda step: step.ai.wrap("think", lambda a, b: a + b, 1, 2))
    assert status == 206
    assert (op["op"], op["data"], op["opts"]) == ("StepRun", 3, {"type": "step.ai.wrap"})


def test_a_plain_run_has_no_opts() -> None:
    _, (op,) = answers(lambda step: step.run("think", lambda: 3))
    assert op["opts"] is None


def test_a_wrapped_callable_runs_once_and_in_parallel_with_others() -> None:
    counts = Counts()

    def handler(ctx: ContextSync) -> Any:
        return ctx.group.parallel(
            (
                lambda: ctx.step.ai.wrap("one", counts.doing("one")),
                lambda: ask(ctx.step),
                lambda: ctx.step.ai.wrap("two", counts.doing("two")),
            )
        )

    with on_loop(endpoint(handler)) as answer:
        planned = ops(answer(post()))
        run = Run(answer, table={"ask": data(ANSWER)}).play()
    assert planned == [("StepPlanned", "one"), ("AIGateway", "ask"), ("StepPlanned", "two")]
    assert run.result == ["one", ANSWER, "two"]
    assert counts == {"one": 1, "two": 1}


def test_an_async_callable_may_be_wrapped_and_its_value_is_typed() -> None:
    async def think() -> set[int]:
        return {1}

    found: list[Any] = []

    async def handler(ctx: Context) -> None:
        found.append(await ctx.step.ai.wrap("think", think))
        found.append(await ctx.step.ai.wrap("last", think))

    with on_loop(endpoint(handler)) as answer:
        Run(answer).play()
    assert found[-2:] == [{1}, {1}]


def test_what_cannot_be_called_is_refused() -> None:
    status, document = answers(lambda step: step.ai.wrap("think", 5))
    assert status == 500
    assert "expected a callable, got int" in document["message"]


def test_a_question_inside_a_step_is_a_nested_step() -> None:
    def handler(ctx: ContextSync) -> Any:
        return ctx.step.run("outer", lambda: ask(ctx.step))

    with on_loop(endpoint(handler)) as answer:
        response = answer(post())
    assert json.loads(response.body)["message"] == "Nested steps are not supported."


def test_async_middleware_watches_as_well() -> None:
    seen: list[Any] = []

    class Async(Middleware):
        async def transform_output(self, result: TransformOutputResult) -> None:
            seen.append(result.step and result.step.op)

    async def handler(ctx: Context) -> Any:
        return await ask(ctx.step)

    with on_loop(endpoint(handler, client=new_client(middleware=[Async]))) as answer:
        answer(post())
        answer(post({"ask": data(ANSWER)}))
    assert seen == [Opcode.AI_GATEWAY, None]
