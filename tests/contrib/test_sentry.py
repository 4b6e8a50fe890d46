"""What reaches Sentry of a call: read from the envelopes that its own transport is handed."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sentry_sdk
from sentry_sdk.envelope import Envelope
from sentry_sdk.integrations.asgi import SentryAsgiMiddleware
from sentry_sdk.integrations.dedupe import DedupeIntegration
from sentry_sdk.integrations.logging import LoggingIntegration
from sentry_sdk.transport import Transport

from inngest_contrib.asgi import InngestApp
from inngest_contrib.sentry import SentryMiddleware
from inngest_contrib.testing.conformance import Asked
from inngest_contrib.testing.conformance.asgi import ask
from inngest_core import (
    ConfigError,
    Context,
    ContextSync,
    MiddlewareSync,
    NonRetriableError,
    RetryAfterError,
    StepError,
)

from ..support import RUN_ID, Run, data, endpoint, giving, new_client, on_loop, post

Handler = Callable[[Any], Any]


class Envelopes(Transport):
    """Keeps what would be sent."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[tuple[str, dict[str, Any]]] = []
        self.flushed_in: list[int] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        for item in envelope.items:
            if item.type in ("event", "transaction"):
                self.items.append((item.type, json.loads(item.get_bytes())))

    def flush(self, timeout: float, callback: Any = None) -> None:
        self.flushed_in.append(threading.get_ident())

    def kill(self) -> None:
        """Nothing was opened."""

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [body for kind, body in self.items if kind == "event"]

    @property
    def transactions(self) -> list[dict[str, Any]]:
        return [body for kind, body in self.items if kind == "transaction"]

    @property
    def said(self) -> list[str]:
        """Type and text of each error, the outermost of its causes."""
        found = [body["exception"]["values"][-1] for body in self.errors]
        return [f"{one['type']}: {one['value']}" for one in found]


def install(transport: Envelopes, **options: Any) -> None:
    integrations = [LoggingIntegration(), DedupeIntegration()]
    client = sentry_sdk.Client(
        dsn="https://key@sentry.example/1",
        transport=transport,
        integrations=integrations,
        default_integrations=False,
        auto_enabling_integrations=False,
        traces_sample_rate=1.0,
        **options,
    )
    sentry_sdk.get_global_scope().set_client(client)


@pytest.fixture
def sentry() -> Iterator[Envelopes]:
    transport = Envelopes()
    with sentry_sdk.isolation_scope():
        install(transport)
        yield transport
        sentry_sdk.get_global_scope().set_client(None)


def play(handler: Handler, *, middleware: Any = SentryMiddleware, **options: Any) -> Run:
    """One run to its end, on a loop if the function is async."""
    attempts = options.setdefault("retries", 0) + 1
    door = endpoint(handler, client=new_client(middleware=[middleware]), **options)
    if not inspect.iscoroutinefunction(handler):
        return Run(door.answer_sync, max_attempts=attempts).play()
    with on_loop(door) as answer:
        return Run(answer, max_attempts=attempts).play()


def boom(text: str = "bad value") -> None:
    raise ValueError(text)


def failing(ctx: ContextSync) -> None:
    boom()


async def afailing(ctx: Context) -> None:
    await asyncio.sleep(0)
    boom()


def failing_step(ctx: ContextSync) -> None:
    ctx.step.run("before", giving(1))
    ctx.step.run("break", boom)


async def afailing_step(ctx: Context) -> None:
    await ctx.step.run("before", giving(1))
    await ctx.step.run("break", boom)


async def abreaking_together(ctx: Context) -> None:
    await asyncio.gather(ctx.step.run("break", boom), ctx.step.run("other", giving(1)))


# ---- errors


@pytest.mark.parametrize("handler", [failing, afailing])
def test_an_error_of_a_function_is_reported_once_with_what_was_called(
    handler: Handler, sentry: Envelopes
) -> None:
    play(handler)
    assert sentry.said == ["ValueError: bad value"]
    (error,) = sentry.errors
    assert error["tags"] == {
        "inngest.attempt": "0",
        "inngest.client.id": "app",
        "inngest.event.name": "test/event",
        "inngest.function.id": "app-fn",
        "inngest.function.name": "fn",
        "inngest.run.id": RUN_ID,
    }
    assert error["transaction"] == "app-fn"
    (raised,) = error["exception"]["values"]
    assert raised["mechanism"] == {"type": "inngest", "handled": False}
    assert raised["stacktrace"]["frames"][-1]["function"] == "boom"


@pytest.mark.parametrize("handler", [failing_step, afailing_step, abreaking_together])
def test_an_error_of_a_step_is_reported_when_it_is_raised_and_not_when_it_is_remembered(
    handler: Handler, sentry: Envelopes
) -> None:
    run = play(handler)
    assert run.error is not None
    assert run.error["name"] == "ValueError"
    assert sentry.said == ["ValueError: bad value"]
    (error,) = sentry.errors
    assert error["tags"]["inngest.step.id"] == "break"
    assert error["tags"]["inngest.run.id"] == RUN_ID


def test_the_other_ways_to_serve_a_function_report_the_same(sentry: Envelopes) -> None:
    client = new_client(middleware=[SentryMiddleware])
    door = endpoint(afailing, client=client, retries=0)
    door.answer_sync(post(max_attempts=1))
    client.close()
    client = new_client(middleware=[SentryMiddleware])
    with on_loop(endpoint(failing, client=client, retries=0)) as answer:
        answer(post(max_attempts=1))
    client.close()
    assert sentry.said == ["ValueError: bad value"] * 2
    assert [error["tags"]["inngest.run.id"] for error in sentry.errors] == [RUN_ID] * 2


@pytest.mark.parametrize("handler", [failing, failing_step, afailing, afailing_step])
def test_every_attempt_is_reported_or_only_the_last(handler: Handler, sentry: Envelopes) -> None:
    play(handler, retries=2)
    assert [error["tags"]["inngest.attempt"] for error in sentry.errors] == ["0", "1", "2"]
    sentry.items.clear()
    play(handler, retries=2, middleware=SentryMiddleware.factory(only_last_attempt=True))
    assert [error["tags"]["inngest.attempt"] for error in sentry.errors] == ["2"]


def test_without_a_number_of_retries_the_fifth_attempt_is_the_last(sentry: Envelopes) -> None:
    client = new_client(middleware=[SentryMiddleware.factory(only_last_attempt=True)])
    door = endpoint(failing, client=client)
    for attempt in range(5):
        door.answer_sync(post(attempt=attempt))
    assert [error["tags"]["inngest.attempt"] for error in sentry.errors] == ["4"]


def raising(error: BaseException) -> tuple[Handler, Handler]:
    """A function, and one with a step, that raise *error*."""

    def throw() -> None:
        raise error

    return lambda ctx: throw(), lambda ctx: ctx.step.run("a", throw)


@pytest.mark.parametrize("handler", raising(NonRetriableError("never")))
def test_an_error_that_is_not_tried_again_is_the_last(handler: Handler, sentry: Envelopes) -> None:
    play(handler, retries=3, middleware=SentryMiddleware.factory(only_last_attempt=True))
    assert sentry.said == ["NonRetriableError: never"]


@pytest.mark.parametrize("error", [NonRetriableError("x", True), RetryAfterError("x", 1, True)])
def test_quiet_errors_are_not_reported(error: Exception, sentry: Envelopes) -> None:
    for handler in raising(error):
        play(handler)
    assert sentry.errors == []


@pytest.mark.parametrize("handler", raising(RetryAfterError("busy", 1000)))
def test_a_wish_for_a_later_attempt_is_no_error_until_there_is_none(
    handler: Handler, sentry: Envelopes
) -> None:
    play(handler, retries=2)
    assert sentry.said == ["RetryAfterError: busy"]
    assert sentry.errors[0]["tags"]["inngest.attempt"] == "2"


def test_one_object_that_is_raised_in_two_calls_is_reported_twice(sentry: Envelopes) -> None:
    handler, _ = raising(ValueError("the same"))
    for one in (handler, failing, handler):
        play(one)
    assert sentry.said == ["ValueError: the same", "ValueError: bad value", "ValueError: the same"]


@pytest.mark.parametrize("handler", raising(SystemExit(3)))
def test_code_that_wants_to_leave_the_process_has_failed(
    handler: Handler, sentry: Envelopes
) -> None:
    play(handler)
    assert sentry.said == ["SystemExit: 3"]


def test_a_call_that_is_cancelled_has_not_failed(sentry: Envelopes) -> None:
    async def disconnect() -> None:
        started = asyncio.Event()

        async def handler(ctx: Context) -> None:
            started.set()
            await asyncio.Event().wait()

        door = endpoint(handler, client=new_client(middleware=[SentryMiddleware]))
        call = asyncio.create_task(door.answer(post()))
        await started.wait()
        call.cancel()
        await asyncio.wait([call])

    asyncio.run(disconnect())
    assert sentry.errors == []
    assert sentry.transactions[0]["contexts"]["trace"]["status"] == "cancelled"


def test_pauses_and_caught_step_errors_are_not_reported_again(sentry: Envelopes) -> None:
    def handler(ctx: ContextSync) -> str:
        ctx.step.sleep("nap", "1s")
        try:
            ctx.step.run("break", boom)
        except StepError:
            ctx.step.sleep("recover", "1s")
        return "done"

    assert play(handler).result == "done"
    assert sentry.said == ["ValueError: bad value"]


def test_an_error_made_of_a_step_error_is_news(sentry: Envelopes) -> None:
    def handler(ctx: ContextSync) -> None:
        try:
            ctx.step.run("break", boom)
        except StepError as error:
            raise LookupError("no such order") from error

    play(handler)
    assert sentry.said == ["ValueError: bad value", "LookupError: no such order"]


def test_a_step_error_that_no_code_has_raised_is_reported(sentry: Envelopes) -> None:
    timed_out = {"error": {"name": "InngestInvokeTimeoutError", "message": "too slow"}}
    client = new_client(middleware=[SentryMiddleware])
    door = endpoint(
        lambda ctx: ctx.step.invoke_by_id("inv", function_id="other"), client=client, retries=0
    )
    door.answer_sync(post({"inv": timed_out}))
    assert sentry.said == ["StepError: too slow"]


def test_a_value_that_is_no_json_is_reported_once(sentry: Envelopes) -> None:
    def unset(obj: object, typ: object) -> object:
        raise TypeError("odd")

    class Odd:
        serialize = deserialize = staticmethod(unset)

    client = new_client(middleware=[SentryMiddleware], serializer=Odd())
    door = endpoint(
        lambda ctx: ctx.step.run("a", giving(1), output_type=int), client=client, retries=0
    )
    door.answer_sync(post())
    assert sentry.said == ['OutputUnserializableError: "a" returned unserializable data']


def test_middleware_behind_it_that_fails_is_reported(sentry: Envelopes) -> None:
    class Broken(MiddlewareSync):
        def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            raise RuntimeError("no")

    client = new_client(middleware=[SentryMiddleware, Broken])
    endpoint(lambda ctx: 1, client=client).answer_sync(post())
    assert len(sentry.said) == 1
    assert sentry.said[0].startswith("MiddlewareError: middleware ")


def test_a_failure_handler_is_named_as_the_function_it_is(sentry: Envelopes) -> None:
    client = new_client(middleware=[SentryMiddleware])
    door = endpoint(lambda ctx: 1, client=client, on_failure=failing)
    request = post(fn_id="app-fn-failure", max_attempts=1)
    body = json.loads(request.body)
    event = {"name": "inngest/function.failed", "data": {"function_id": "app-fn"}}
    body["event"], body["events"] = event, [event]
    request.body = json.dumps(body).encode()
    door.answer_sync(request)
    (error,) = sentry.errors
    assert error["tags"]["inngest.function.id"] == "app-fn-failure"


# ---- logging


def test_what_users_log_is_reported_with_the_call(sentry: Envelopes) -> None:
    def handler(ctx: ContextSync) -> str:
        try:
            boom("known")
        except ValueError:
            logging.getLogger("shop").exception("went wrong")
        ctx.logger.error("odd")
        return "done"

    play(handler)
    assert [error["logger"] for error in sentry.errors] == ["shop", "inngest"]
    assert {error["tags"]["inngest.run.id"] for error in sentry.errors} == {RUN_ID}


def test_without_the_middleware_the_log_line_alone_is_reported(sentry: Envelopes) -> None:
    endpoint(failing, client=new_client()).answer_sync(post())
    (error,) = sentry.errors
    assert error["logger"] == "inngest"
    assert "tags" not in error


# ---- scopes


def test_calls_at_the_same_time_do_not_see_each_other(sentry: Envelopes) -> None:
    async def handler(ctx: Context) -> None:
        sentry_sdk.set_tag("order", str(ctx.attempt))
        await asyncio.sleep(0)
        raise ValueError(str(ctx.attempt))

    client = new_client(middleware=[SentryMiddleware])
    door = endpoint(handler, client=client)

    async def both() -> None:
        await asyncio.gather(*(door.answer(post(attempt=n)) for n in range(3)))

    asyncio.run(both())
    seen = [(e["tags"]["order"], e["tags"]["inngest.attempt"]) for e in sentry.errors]
    assert sorted(seen) == [("0", "0"), ("1", "1"), ("2", "2")]
    assert sorted(sentry.said) == [f"ValueError: {n}" for n in range(3)]


@pytest.mark.parametrize("handler", [failing, failing_step, afailing, lambda ctx: None])
def test_nothing_of_a_call_is_left_behind(handler: Handler, sentry: Envelopes) -> None:
    play(handler)
    sentry.items.clear()
    sentry_sdk.capture_message("after")
    (error,) = sentry.errors
    assert "tags" not in error
    assert "transaction" not in error


# ---- transactions


def test_a_call_is_a_transaction_and_an_executed_step_a_span(sentry: Envelopes) -> None:
    def handler(ctx: ContextSync) -> Any:
        return ctx.step.run("a", giving(1)) + ctx.step.run("b", giving(2))

    assert play(handler).result == 3
    found = [
        (one["transaction"], [(span["op"], span["description"]) for span in one["spans"]])
        for one in sentry.transactions
    ]
    assert found == [
        ("app-fn", [("inngest.step", "a")]),
        ("app-fn", [("inngest.step", "b")]),
        ("app-fn", []),
    ]
    trace = sentry.transactions[0]["contexts"]["trace"]
    assert (trace["op"], trace["status"]) == ("queue.task.inngest", "ok")


@pytest.mark.parametrize("handler", [failing_step, afailing_step])
def test_an_error_points_to_its_span(handler: Handler, sentry: Envelopes) -> None:
    play(handler)
    failed = next(one for one in sentry.transactions if one["spans"][-1]["description"] == "break")
    span = failed["spans"][-1]
    # Older versions have it among the tags.
    assert {**span["tags"], **span}["status"] == "internal_error"
    assert sentry.errors[0]["contexts"]["trace"]["span_id"] == span["span_id"]


def test_it_belongs_to_the_trace_of_the_request(sentry: Envelopes) -> None:
    door = endpoint(lambda ctx: 1, client=new_client(middleware=[SentryMiddleware]))
    with sentry_sdk.start_transaction(op="http.server", name="POST /api/inngest") as request:
        door.answer_sync(post())
    inner, outer = sentry.transactions
    assert inner["contexts"]["trace"]["trace_id"] == request.trace_id
    assert inner["contexts"]["trace"]["parent_span_id"] == request.span_id
    assert outer["transaction"] == "POST /api/inngest"


def test_behind_sentrys_own_middleware_a_call_keeps_its_name(sentry: Envelopes) -> None:
    async def handler(ctx: Context) -> None:
        boom()

    door = endpoint(handler, client=new_client(middleware=[SentryMiddleware]))
    request = post()
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    asked = Asked("POST", "/api/inngest", query=query, body=request.body)
    assert ask(SentryAsgiMiddleware(InngestApp(door)), asked).status == 500
    assert sentry.said == ["ValueError: bad value"]
    assert sentry.errors[0]["transaction"] == "app-fn"
    inner, outer = sentry.transactions
    assert inner["transaction"] == "app-fn"
    assert outer["contexts"]["trace"]["trace_id"] == inner["contexts"]["trace"]["trace_id"]


def test_without_one_each_call_has_a_trace_of_its_own(sentry: Envelopes) -> None:
    play(lambda ctx: ctx.step.run("a", giving(1)))
    first, second = (one["contexts"]["trace"]["trace_id"] for one in sentry.transactions)
    assert first != second


# ---- before the reply


@pytest.mark.parametrize("handler", [failing, afailing])
def test_it_waits_for_sentry_if_told_to_but_never_on_a_loop(
    handler: Handler, sentry: Envelopes
) -> None:
    play(handler)
    assert sentry.flushed_in == []
    play(handler, middleware=SentryMiddleware.factory(flush_timeout=2))
    (thread,) = sentry.flushed_in
    assert (thread == threading.get_ident()) is (handler is failing)


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_wait_of_no_time_is_refused(timeout: float) -> None:
    with pytest.raises(ConfigError, match="flush_timeout: expected seconds"):
        SentryMiddleware.factory(flush_timeout=timeout)


# ---- without Sentry


@pytest.mark.parametrize("handler", [failing, failing_step, afailing_step])
def test_without_sentry_nothing_happens(handler: Handler) -> None:
    assert not sentry_sdk.is_initialized()
    run = play(handler, middleware=SentryMiddleware.factory(flush_timeout=2))
    assert run.error is not None
    assert run.error["message"] == "bad value"


def test_an_instance_may_serve_all_calls(sentry: Envelopes) -> None:
    client = new_client()
    client.add_middleware(SentryMiddleware(client, None))
    endpoint(failing, client=client).answer_sync(post({"gone": data(1)}))
    assert sentry.said == ["ValueError: bad value"]
