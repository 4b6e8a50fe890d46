"""What the objects of both packages hold and say, without a server."""

from __future__ import annotations

import asyncio
import datetime
import importlib
import logging
from collections.abc import Callable
from typing import Any, Optional

import pydantic
import pytest

from .differences import expected_of
from .kits import KITS, Kit


class User(pydantic.BaseModel):
    """A model of a user's own."""

    name: str


def new_client(kit: Kit, **options: Any) -> Any:
    return kit.inngest.Inngest(**{"app_id": "shop", "is_production": False, **options})


def told_of(error: Exception, *names: str) -> list[Any]:
    return [getattr(error, name) for name in names]


def a_client(kit: Kit) -> Any:
    logger = logging.getLogger("shop")
    client = new_client(
        kit, app_version="1", env="branch", event_key="e", signing_key="s", logger=logger
    )
    return [
        client.app_id,
        client.app_version,
        client.env,
        client.event_key,
        client.signing_key,
        client.signing_key_fallback,
        client.is_production,
        client.api_origin,
        client.event_api_origin,
        client.logger is logger,
        client.middleware,
    ]


def a_client_in_cloud_mode(kit: Kit) -> Any:
    client = new_client(kit, is_production=True)
    return [client.is_production, client.api_origin, client.event_api_origin, client.signing_key]


def another_logger(kit: Kit) -> Any:
    client, logger = new_client(kit), logging.getLogger("other")
    client.set_logger(logger)
    return client.logger is logger


def a_function(kit: Kit) -> Any:
    create = new_client(kit).create_function(
        fn_id="fn",
        name="A name",
        trigger=kit.inngest.TriggerEvent(event="a"),
        on_failure=lambda ctx: None,
    )
    function = create(lambda ctx: None)
    return [
        function.id,
        function.local_id,
        function.name,
        function.is_handler_async,
        function.is_on_failure_handler_async,
        function.on_failure_fn_id,
    ]


def a_function_without_a_failure_handler(kit: Kit) -> Any:
    create = new_client(kit).create_function(
        fn_id="fn", trigger=kit.inngest.TriggerEvent(event="a")
    )

    async def handler(ctx: Any) -> None: ...

    function = create(handler)
    return [
        function.name,
        function.is_handler_async,
        function.is_on_failure_handler_async,
        function.on_failure_fn_id,
    ]


def a_function_is_a_generic_type(kit: Kit) -> Any:
    return str(kit.inngest.Function[int]).rpartition(".")[2]


def errors(kit: Kit) -> Any:
    inngest = kit.inngest
    return [
        told_of(inngest.NonRetriableError("m"), "message", "name"),
        told_of(inngest.RetryAfterError("m", 1000), "message", "name"),
        told_of(inngest.StepError("m", "n", "s"), "message", "name", "stack"),
        str(inngest.NonRetriableError("m")),
        str(inngest.StepError("m", "n", None)),
        [
            issubclass(one, Exception)
            for one in (inngest.NonRetriableError, inngest.RetryAfterError, inngest.StepError)
        ],
    ]


def the_stack_of_an_error(kit: Kit) -> Any:
    try:
        raise kit.inngest.NonRetriableError("m")
    except kit.inngest.NonRetriableError as error:
        return error.stack.splitlines()[0]


def an_event(kit: Kit) -> Any:
    event = kit.inngest.Event(name="a", data={"n": 1})
    event.data = {"n": 2}
    return [event.name, event.data, event.id, event.ts, event == event.model_copy()]


def an_event_with_more(kit: Kit) -> Any:
    return kit.inngest.Event(name="a", unknown=1, data=None).data


def an_event_with_other_data(kit: Kit) -> Any:
    with pytest.raises(pydantic.ValidationError):
        kit.inngest.Event(name="a", data=[1])
    with pytest.raises(pydantic.ValidationError):
        kit.inngest.Event(data={})


def enums(kit: Kit) -> Any:
    inngest = kit.inngest
    return [
        inngest.ParallelMode.RACE.value,
        inngest.ParallelMode.WAIT.value,
        inngest.Streaming.FORCE.value,
        inngest.Streaming.DISABLE.value,
    ]


def a_result(kit: Kit) -> Any:
    new = kit.inngest.TransformOutputResult
    result = new(error=None, output=1, step=None)
    return [result.has_output(), result == new(error=None, output=1, step=None)]


def a_sent_result(kit: Kit) -> Any:
    result = kit.inngest.SendEventsResult(ids=["a"])
    return [result.ids, result.error, kit.inngest.SendEventsResult().ids]


def a_serializer(kit: Kit) -> Any:
    serializer = kit.inngest.PydanticSerializer()
    plain = serializer.serialize(User(name="Ada"), User)
    many = serializer.serialize([User(name="Ada")], list[User])
    return [
        plain,
        serializer.deserialize(plain, User) == User(name="Ada"),
        many,
        serializer.deserialize(many, list[User]) == [User(name="Ada")],
        serializer.deserialize(None, Optional[User]),  # noqa: UP045  # as users write it
    ]


def a_step_context_outside_of_a_run(kit: Kit) -> Any:
    with pytest.raises(LookupError):
        kit.experimental.get_step_context()


def a_step_context_that_is_set_twice(kit: Kit) -> Any:
    experimental, step = kit.experimental, object()
    with experimental.set_step_context(step):
        assert experimental.get_step_context() is step
        again = experimental.set_step_context(step)
        with pytest.raises(Exception, match="Step context already set"):
            again.__enter__()


def a_decorated_step_outside_of_a_run(kit: Kit) -> Any:
    @kit.experimental.step("double")  # type: ignore[untyped-decorator]  # either package's
    def double(n: int) -> int:
        return n * 2

    @kit.experimental.step("treble")  # type: ignore[untyped-decorator]  # either package's
    async def treble(n: int) -> int:
        return n * 3

    return [double(2), asyncio.run(treble(2))]


def an_unfit_option(kit: Kit) -> Any:
    inngest = kit.inngest
    with pytest.raises(Exception, match="mode"):
        inngest.Singleton(mode="nonsense")
    with pytest.raises(Exception, match="limit"):
        inngest.Concurrency(limit="many")


def an_option_that_is_none(kit: Kit) -> Any:
    try:
        kit.inngest.Cancel(event="a", bogus=1)
    except Exception as error:
        return str(error)


def a_failure_handler_of_another_kind(kit: Kit) -> Any:
    async def on_failure(ctx: Any) -> None: ...

    create = new_client(kit).create_function(
        fn_id="fn", trigger=kit.inngest.TriggerEvent(event="a"), on_failure=on_failure
    )
    try:
        return create(lambda ctx: None).is_on_failure_handler_async
    except Exception as error:
        return type(error).__name__


def awaiting_middleware_of_a_blocking_function(kit: Kit) -> Any:
    base: Any = kit.inngest.Middleware

    class Awaiting(base):  # type: ignore[misc]  # either package's
        async def before_response(self) -> None: ...

    create = new_client(kit).create_function(
        fn_id="fn", trigger=kit.inngest.TriggerEvent(event="a"), middleware=[Awaiting]
    )
    try:
        create(lambda ctx: None)
    except Exception as error:
        return type(error).__name__


def durations(kit: Kit) -> Any:
    inngest = kit.inngest
    hour = datetime.timedelta(hours=1)
    return [inngest.Timeouts(start=1000).start, inngest.Timeouts(finish=hour).finish == hour]


def adapter_of(kit: Kit, provider: str, **options: Any) -> Any:
    module = importlib.import_module(f"{kit.module('experimental.ai').__name__}.{provider}")
    return module.Adapter(auth_key="k", model="m", **options)


def adapters_of_models(kit: Kit) -> Any:
    found = {}
    for name in ("anthropic", "deepseek", "grok", "openai"):
        adapter = adapter_of(kit, name)
        found[name] = [adapter.format(), adapter.url_infer(), adapter.headers()]
    return found


def an_adapter_with_more(kit: Kit) -> Any:
    headers = {"X-Mine": "1"}
    adapter = adapter_of(kit, "openai", base_url="https://x.test/v9/", headers=headers)
    return [adapter.auth_key(), adapter.url_infer(), adapter.headers()]


def an_adapter_fills_in_the_model(kit: Kit) -> Any:
    adapter = adapter_of(kit, "anthropic")
    without, other = {"a": 1}, {"model": "other"}
    adapter.on_call(without)
    adapter.on_call(other)
    return [without, other]


def the_address_of_gemini(kit: Kit) -> Any:
    adapter = adapter_of(kit, "gemini", base_url="https://x.test/v1beta")
    return [adapter.format(), adapter.url_infer()]


CLAIMS: dict[Callable[[Kit], Any], Any] = {
    a_client: [
        "shop",
        "1",
        "branch",
        "e",
        "s",
        None,
        False,
        "http://127.0.0.1:8288/",
        "http://127.0.0.1:8288/",
        True,
        [],
    ],
    a_client_in_cloud_mode: [True, "https://api.inngest.com/", "https://inn.gs/", None],
    another_logger: True,
    a_function: ["shop-fn", "fn", "A name", False, False, "shop-fn-failure"],
    a_function_without_a_failure_handler: ["fn", True, None, None],
    a_function_is_a_generic_type: "Function[int]",
    errors: [
        ["m", "NonRetriableError"],
        ["m", "RetryAfterError"],
        ["m", "n", "s"],
        "m",
        "m",
        [True, True, True],
    ],
    the_stack_of_an_error: "Traceback (most recent call last):",
    an_event: ["a", {"n": 2}, "", 0, True],
    an_event_with_more: {},
    an_event_with_other_data: None,
    enums: ["race", "wait", "force", "disable"],
    a_result: [True, True],
    a_sent_result: [["a"], None, []],
    a_serializer: [{"name": "Ada"}, True, [{"name": "Ada"}], True, None],
    a_step_context_outside_of_a_run: None,
    a_step_context_that_is_set_twice: None,
    a_decorated_step_outside_of_a_run: [4, 6],
    an_unfit_option: None,
    an_option_that_is_none: "Cancel.bogus: Extra inputs are not permitted",
    a_failure_handler_of_another_kind: True,
    awaiting_middleware_of_a_blocking_function: "ConfigError",
    durations: [1000, True],
    adapters_of_models: {
        "anthropic": [
            "anthropic",
            "https://api.anthropic.com/v1/messages",
            {"anthropic-version": "2023-06-01"},
        ],
        "deepseek": ["openai-chat", "https://api.deepseek.com/v1/chat/completions", {}],
        "grok": ["openai-chat", "https://api.x.ai/v1/chat/completions", {}],
        "openai": ["openai-chat", "https://api.openai.com/v1/chat/completions", {}],
    },
    an_adapter_with_more: ["k", "https://x.test/v9/chat/completions", {"X-Mine": "1"}],
    an_adapter_fills_in_the_model: [{"a": 1, "model": "m"}, {"model": "other"}],
    the_address_of_gemini: ["gemini", "https://x.test/v1beta/models/m:generateContent"],
}


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.__name__)
def test_an_object_is_as_it_was(kit: Kit, claim: Callable[[Kit], Any]) -> None:
    wanted = expected_of(kit, claim.__name__, {"told": CLAIMS[claim]})
    assert {"told": claim(kit)} == wanted
