"""The client: what it was told, what it registers, and what it refuses at definition."""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Any

import pytest

import inngest_core as inngest
from inngest_core import ConfigError, Inngest, TriggerCron, TriggerEvent
from inngest_core.errors import TransportError

from .flow.wiring import EVENT_KEY, FALLBACK, KEY, Server, ask, call_of, client_of, cloud_client

TRIGGER = TriggerEvent(event="a/b")


def handler(ctx: inngest.ContextSync) -> str:
    return "done"


def defined(client: Inngest | None = None, **options: Any) -> inngest.Function[Any]:
    options = {"fn_id": "f", "trigger": TRIGGER, **options}
    function: inngest.Function[Any] = (client or client_of()).create_function(**options)(handler)
    return function


def test_a_client_tells_what_it_was_told() -> None:
    client = cloud_client(
        app_version="7",
        env="branch",
        signing_key_fallback=FALLBACK,
        event_api_base_url="http://e.f",
    )
    assert (client.app_id, client.app_version, client.env) == ("shop", "7", "branch")
    assert client.is_production
    assert (client.api_origin, client.event_api_origin) == (
        "https://api.inngest.com/",
        "http://e.f",
    )
    assert (client.event_key, client.signing_key) == (EVENT_KEY, KEY)
    assert client.signing_key_fallback == FALLBACK


def test_it_needs_no_key_and_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("INNGEST_EVENT_KEY", "INNGEST_SIGNING_KEY", "INNGEST_DEV"):
        monkeypatch.delenv(name, raising=False)
    client = Inngest(app_id="shop")
    assert client.is_production
    assert client.signing_key is None


def test_no_key_is_shown() -> None:
    options = {"x": {"key": "hidden"}}
    client = cloud_client(signing_key_fallback=FALLBACK, options=options, plugins=[object()])
    function = defined(client)
    for shown in (repr(client), repr(client.config), repr(function), str(function.config)):
        for secret in (KEY, FALLBACK, EVENT_KEY, "hidden"):
            assert secret not in shown


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"app_id": ""}, "^app_id: "),
        ({"api_base_url": "nope"}, "^api_base_url: "),
        ({"event_api_base_url": "http://"}, "^event_api_base_url: "),
        ({"request_timeout": "soon"}, "^request_timeout: "),
        ({"request_timeout": -1}, "^request_timeout: "),
        ({"thread_pool_size": 0}, "^thread_pool_size: "),
        ({"is_production": "false"}, "^is_production: expected True, False or None, got str"),
        ({"event_key": 5}, "^event_key: expected text, got int"),
        ({"signing_key": b"secret"}, "^signing_key: expected text, got bytes"),
        ({"env": 1}, "^env: expected text"),
        ({"options": ["x"]}, "^options: expected options by plugin name, got list"),
        ({"middleware": inngest.Middleware}, "^middleware: expected a list, got type"),
        ({"plugins": "a.plugin"}, "^plugins: expected a list, got str"),
        ({"serializer": object()}, "^serializer: expected an object with the methods"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        Inngest(**{"app_id": "shop", **arguments})


def test_an_unknown_argument_is_a_type_error() -> None:
    with pytest.raises(TypeError):
        Inngest(app_id="shop", nope=1)  # type: ignore[call-arg]  # the point


# ---- functions


def test_a_function_is_what_comes_back_and_what_the_client_lists() -> None:
    client = client_of()
    one, two = defined(client), defined(client, fn_id="g", name="Gee")
    assert client.functions == [one, two]
    assert (one.id, one.local_id, one.name) == ("shop-f", "f", "f")
    assert two.name == "Gee"
    assert not one.is_handler_async


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"fn_id": ""}, r"fn_id: "),
        ({"fn_id": 1}, r"fn_id: "),
        ({"retries": 21}, r"retries: .*less than or equal to 20"),
        ({"retries": "4"}, r"retries: "),
        ({"trigger": "a/b"}, r"triggers\.0"),
        ({"trigger": None}, r"triggers\.0"),
        ({"trigger": [TRIGGER, TRIGGER]}, r"duplicate trigger"),
        ({"concurrency": inngest.Concurrency(limit=1)}, r"concurrency: "),
        ({"batch_events": 5}, r"batch_events: "),
        ({"cancel": [TRIGGER]}, r"cancel\.0"),
        ({"on_failure": "handler"}, r"^on_failure: expected a function, got str"),
        ({"idempotency": 1}, r"idempotency: "),
        ({"middleware": inngest.Middleware}, r"^middleware: expected a list, got type"),
    ],
)
def test_a_wrong_option_is_refused_at_definition_naming_the_field(
    options: dict[str, Any], complaint: str
) -> None:
    client = client_of()
    with pytest.raises(ConfigError, match=complaint):
        defined(client, **options)
    assert client.functions == []


@pytest.mark.parametrize("thing", [None, "handler", 5])
def test_a_handler_is_a_function(thing: Any) -> None:
    with pytest.raises(ConfigError, match=r"^handler: expected a function"):
        client_of().create_function(fn_id="f", trigger=TRIGGER)(thing)


def test_a_second_function_of_one_id_is_refused_naming_both_places() -> None:
    client = client_of()
    defined(client)
    with pytest.raises(
        ConfigError, match=r'"shop-f".*test_client\.py:\d+ and .*test_client\.py:\d+'
    ):
        client.create_function(fn_id="f", trigger=TRIGGER)(lambda ctx: None)
    assert len(client.functions) == 1


def test_the_id_of_a_failure_handler_is_taken_too() -> None:
    client = client_of()
    door = inngest.CommHandler(client=client, framework="x")
    defined(client, on_failure=handler)
    with pytest.raises(
        ConfigError, match=r'two functions "shop-f-failure", .*test_client\.py:\d+ a'
    ):
        defined(client, fn_id="f-failure")
    assert [function.local_id for function in client.functions] == ["f"]
    assert door.answer_sync(call_of("shop-f")).status == 200
    other = client_of()
    defined(other, fn_id="f-failure")
    with pytest.raises(ConfigError, match='two functions "shop-f-failure"'):
        defined(other, on_failure=handler)


def test_triggers_are_one_or_many() -> None:
    both = [TRIGGER, TriggerCron(cron="0 0 * * *")]
    assert defined().config.opts.triggers == [TRIGGER]
    assert defined(trigger=both).config.opts.triggers == both
    assert defined(trigger=[]).config.opts.triggers == []


def test_a_function_served_by_hand_is_one_of_ours() -> None:
    with pytest.raises(ConfigError, match="functions: expected what create_function returned"):
        inngest.CommHandler(client=client_of(), framework="x", functions=[handler])  # type: ignore[list-item]  # the point
    function = defined()
    with pytest.raises(ConfigError, match='"shop-f" is served twice'):
        inngest.CommHandler(client=client_of(), framework="x", functions=[function, function])


# ---- logging


def failing(ctx: inngest.ContextSync) -> None:
    ctx.logger.info("seen")
    raise ValueError("bad value")


def test_errors_are_logged_and_quiet_ones_are_not(caplog: pytest.LogCaptureFixture) -> None:
    client = client_of()

    def quiet(ctx: inngest.ContextSync) -> None:
        raise inngest.NonRetriableError("hush", quiet=True)

    client.create_function(fn_id="f", trigger=TRIGGER)(failing)
    client.create_function(fn_id="q", trigger=TRIGGER)(quiet)
    with caplog.at_level(logging.INFO, "inngest"):
        ask(client, call_of("shop-f"))
        ask(client, call_of("shop-q"))
    assert "seen" in caplog.text
    assert "ValueError: bad value" in caplog.text
    assert "hush" not in caplog.text


def test_the_logger_of_a_context_is_the_clients_and_quiet_while_replaying() -> None:
    lines: list[Any] = []

    class Logger:
        name = "mine"

        def info(self, message: str, *args: Any, **kwargs: Any) -> None:
            lines.append((message, args, kwargs))

        def __getattr__(self, name: str) -> Any:
            return lambda *args, **kwargs: None

    def chatty(ctx: inngest.ContextSync) -> str:
        ctx.logger.info("before %s", 1, extra={"a": 1})
        ctx.step.run("a", lambda: 1)
        ctx.logger.info("after")
        return str(ctx.logger.name)

    client = client_of(logger=Logger())
    client.create_function(fn_id="f", trigger=TRIGGER)(chatty)
    memo = {"86f7e437faa5a7fce15d1ddcb9eaeaea377667b8": {"data": 1}}
    assert ask(client, call_of("shop-f", steps=memo)).body == b'"mine"'
    assert lines == [("after", (), {})]
    ask(client, call_of("shop-f"))
    assert lines[1] == ("before %s", (1,), {"extra": {"a": 1}})


def test_another_logger_acts_on_later_calls() -> None:
    class Logger:
        def __init__(self) -> None:
            self.lines: list[str] = []

        def info(self, message: str) -> None:
            self.lines.append(message)

        def __getattr__(self, name: str) -> Any:
            return lambda *args, **kwargs: None

    one, two = Logger(), Logger()
    client = client_of(logger=one)
    client.create_function(fn_id="f", trigger=TRIGGER)(failing)
    ask(client, call_of("shop-f"))
    client.set_logger(two)
    ask(client, call_of("shop-f"))
    assert (one.lines, two.lines) == (["seen"], ["seen"])


# ---- the end


def test_a_closed_client_opens_again() -> None:
    server = Server()
    client = client_of(server)
    for _ in range(2):
        client.send_sync(inngest.Event(name="a"))
        client.close()
    assert server.closed >= 2

    async def send() -> None:
        await client.send(inngest.Event(name="a"))
        await client.aclose()

    asyncio.run(send())
    assert len(server.requests) == 3


def test_a_client_that_did_nothing_can_be_closed() -> None:
    client_of().close()
    asyncio.run(client_of().aclose())


def test_the_request_timeout_is_of_each_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    # Every delay between two attempts is a multiple of it.
    monkeypatch.setattr(random, "uniform", lambda low, high: 0.0)
    server = Server([TransportError("timed out")])
    client = client_of(server, request_timeout="2500ms")
    with pytest.raises(inngest.SendEventsError, match="after 5 attempts: timed out"):
        client.send_sync(inngest.Event(name="a"))
    with pytest.raises(inngest.SendEventsError):
        asyncio.run(client.send(inngest.Event(name="a")))
    assert [request.timeout for request in server.requests] == [2.5] * 10
