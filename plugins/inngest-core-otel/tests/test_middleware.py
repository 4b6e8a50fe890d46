"""Spans of calls, steps and sends: their names, parents, attributes and ends."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from inngest_core import ConfigError, Context, ContextSync, Event, NonRetriableError
from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode

from inngest_core_otel import OpenTelemetryMiddleware

from .spans import (
    HEADERS,
    PARENT,
    RUN,
    TRACE,
    Sent,
    Tracing,
    attributes,
    call,
    client_of,
    door,
)

TRACER = "inside"
HERE = Path(__file__).parents[1]


@pytest.fixture
def tracing() -> Tracing:
    return Tracing()


def inside(tracing: Tracing, name: str) -> None:
    """A span as the user's own code makes it."""
    tracing.provider.get_tracer(TRACER).start_span(name).end()


def family(tracing: Tracing, name: str) -> tuple[int, int | None]:
    """The trace and the parent of a span."""
    span = tracing.named(name)
    return span.context.trace_id, span.parent.span_id if span.parent else None


def id_of(tracing: Tracing, name: str) -> int:
    return int(tracing.named(name).context.span_id)


# ---- calls and steps


def two(ctx: ContextSync) -> Any:
    return [ctx.step.run(name, str) for name in "ab"]


async def atwo(ctx: Context) -> Any:
    return [await ctx.step.run(name, str) for name in "ab"]


@pytest.mark.parametrize("handler", [two, atwo], ids=["sync", "async"])
def test_a_call_and_the_step_that_executes_in_it_have_spans(tracing: Tracing, handler: Any) -> None:
    endpoint = door(client_of(tracing), handler)
    endpoint.answer_sync(call(steps={"a": {"data": 1}}, headers=HEADERS))
    assert tracing.names == ["b", "shop-f"]
    assert family(tracing, "shop-f") == (TRACE, PARENT)
    assert family(tracing, "b") == (TRACE, id_of(tracing, "shop-f"))
    assert tracing.named("shop-f").context.trace_state["inngest@fn"].startswith("9b5d385f")


@pytest.mark.parametrize("handler", [two, atwo], ids=["sync", "async"])
def test_from_a_loop_they_are_the_same(tracing: Tracing, handler: Any) -> None:
    endpoint = door(client_of(tracing), handler)
    asyncio.run(endpoint.answer(call(headers=HEADERS)))
    assert tracing.names == ["a", "shop-f"]
    assert family(tracing, "a") == (TRACE, id_of(tracing, "shop-f"))


def test_a_call_and_a_step_say_what_they_are(tracing: Tracing) -> None:
    door(client_of(tracing), lambda ctx: ctx.step.run("b", str)).answer_sync(call())
    one, step = tracing.named("shop-f"), tracing.named("b")
    assert (one.kind, step.kind) == (SpanKind.CONSUMER, SpanKind.INTERNAL)
    assert attributes(one) == {
        "messaging.system": "inngest",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "a/b",
        "messaging.message.id": "e1",
        "faas.trigger": "pubsub",
        "faas.invocation_id": "01REQUEST",
        "inngest.app.id": "shop",
        "inngest.function.id": "shop-f",
        "inngest.run.id": RUN,
        "inngest.attempt": 2,
        "inngest.outcome": "paused",
    }
    assert attributes(step) == {
        "inngest.step.id": "b",
        "inngest.step.hashed_id": "e9d71f5ee7c92d6dc9e92ffdad17b8bd49418f98",
        "inngest.step.op": "StepRun",
        "inngest.outcome": "ok",
    }
    assert one.instrumentation_scope is not None
    assert one.instrumentation_scope.name == "inngest_core_otel"
    assert (one.status.status_code, step.status.status_code) == (StatusCode.UNSET, StatusCode.UNSET)


def test_a_batch_and_a_timer_say_so(tracing: Tracing) -> None:
    endpoint = door(client_of(tracing), lambda ctx: 1)
    endpoint.answer_sync(call(events=[{"name": "a/b", "data": {}, "id": "e1"}] * 3))
    endpoint.answer_sync(call(events=[{"name": "inngest/scheduled.timer", "data": {}}]))
    batch, timer = map(attributes, tracing.spans)
    assert batch["messaging.batch.message_count"] == 3
    assert "messaging.message.id" not in batch
    assert (timer["faas.trigger"], timer["inngest.outcome"]) == ("timer", "ok")


def test_a_failure_handler_has_a_name_of_its_own(tracing: Tracing) -> None:
    endpoint = door(client_of(tracing), print, on_failure=lambda ctx: None)
    event = {"name": "inngest/function.failed", "data": {"function_id": "shop-f"}}
    endpoint.answer_sync(call(events=[event], fn_id="shop-f-failure"))
    assert tracing.names == ["shop-f-failure"]


def test_what_is_remembered_or_planned_or_waited_for_has_no_span(tracing: Tracing) -> None:
    async def handler(ctx: Context) -> None:
        await ctx.step.run("a", str)
        await asyncio.gather(ctx.step.run("b", str), ctx.step.sleep("c", 1000))

    door(client_of(tracing), handler).answer_sync(call(steps={"a": {"data": 1}}))
    assert tracing.names == ["shop-f"]


def test_a_repeated_step_says_which_it_is(tracing: Tracing) -> None:
    endpoint = door(client_of(tracing), lambda ctx: [ctx.step.run("a", str) for _ in range(2)])
    endpoint.answer_sync(call(steps={"a": {"data": 1}}))
    assert attributes(tracing.named("a"))["inngest.step.index"] == 1


# ---- how they end


def fail() -> None:
    raise LookupError("no such order")


def test_an_error_is_recorded_where_it_was_raised(tracing: Tracing) -> None:
    door(client_of(tracing), lambda ctx: ctx.step.run("a", fail)).answer_sync(call())
    step, one = tracing.named("a"), tracing.named("shop-f")
    assert step.status.status_code is StatusCode.ERROR
    assert step.status.description == "LookupError: no such order"
    assert attributes(step)["error.type"] == "LookupError"
    (event,) = step.events
    assert event.name == "exception"
    assert (event.attributes or {})["exception.message"] == "no such order"
    assert "in fail" in str((event.attributes or {})["exception.stacktrace"])
    assert (attributes(one)["inngest.outcome"], one.events) == ("paused", ())


@pytest.mark.parametrize("error", [LookupError("x"), NonRetriableError("x")])
def test_an_error_of_the_function_is_recorded_at_the_call(tracing: Tracing, error: Any) -> None:
    def handler(ctx: ContextSync) -> None:
        raise error

    door(client_of(tracing), handler).answer_sync(call())
    one = tracing.named("shop-f")
    assert one.status.description == f"{type(error).__name__}: x"
    assert len(one.events) == 1


@pytest.mark.parametrize("handler", [lambda ctx: ctx.step.sleep("s", 1000), two])
def test_a_pause_is_no_error(tracing: Tracing, handler: Any) -> None:
    door(client_of(tracing), handler).answer_sync(call())
    one = tracing.named("shop-f")
    assert one.status.status_code is StatusCode.UNSET
    assert (attributes(one)["inngest.outcome"], one.events) == ("paused", ())


def test_a_call_that_is_cancelled_ends_its_spans(tracing: Tracing) -> None:
    async def play() -> None:
        reached = asyncio.Event()

        async def forever() -> None:
            reached.set()
            await asyncio.Event().wait()

        async def handler(ctx: Context) -> None:
            await ctx.step.run("a", forever)

        task = asyncio.ensure_future(door(client_of(tracing), handler).answer(call()))
        await reached.wait()
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(play())
    assert tracing.names == ["a", "shop-f"]
    for span in tracing.spans:
        assert (attributes(span)["inngest.outcome"], span.events) == ("cancelled", ())


def test_no_span_holds_data(tracing: Tracing) -> None:
    def handler(ctx: ContextSync) -> Any:
        return ctx.step.run("a", lambda: ctx.event.data)

    door(client_of(tracing), handler).answer_sync(call())
    assert not any("s3cret" in span.to_json() for span in tracing.spans)


# ---- contexts


def test_what_code_makes_is_inside_of_its_step(tracing: Tracing) -> None:
    def work() -> None:
        inside(tracing, "query")

    def handler(ctx: ContextSync) -> None:
        inside(tracing, "plain")
        ctx.step.run("a", work)

    door(client_of(tracing), handler).answer_sync(call())
    assert family(tracing, "plain")[1] == id_of(tracing, "shop-f")
    assert family(tracing, "query")[1] == id_of(tracing, "a")


def test_in_a_thread_of_the_loop_too(tracing: Tracing) -> None:
    async def work() -> None:
        await asyncio.to_thread(inside, tracing, "query")

    async def handler(ctx: Context) -> None:
        await asyncio.create_task(ctx.step.run("a", work))

    asyncio.run(door(client_of(tracing), handler).answer(call()))
    assert family(tracing, "query")[1] == id_of(tracing, "a")
    assert family(tracing, "a")[1] == id_of(tracing, "shop-f")


def test_a_step_in_a_thread_that_knows_no_context_is_inside_of_its_call(tracing: Tracing) -> None:
    def handler(ctx: ContextSync) -> None:
        def work() -> None:
            try:
                ctx.step.run("a", str)
            except BaseException:
                return  # The call is left in the function's own thread.

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    door(client_of(tracing), handler).answer_sync(call())
    assert family(tracing, "a")[1] == id_of(tracing, "shop-f")


def test_calls_at_the_same_time_are_kept_apart(tracing: Tracing) -> None:
    async def handler(ctx: Context) -> None:
        async def work() -> None:
            await asyncio.sleep(0)
            inside(tracing, f"inside {ctx.headers['traceparent'][3:35]}")

        await ctx.step.run("a", work)

    async def play() -> None:
        endpoint = door(client_of(tracing), handler)
        traces = [{"traceparent": f"00-{n:032x}-{n:016x}-01"} for n in range(1, 9)]
        await asyncio.gather(*(endpoint.answer(call(headers=one)) for one in traces))

    asyncio.run(play())
    assert len(tracing.spans) == 24
    for span in tracing.spans:
        if span.name.startswith("inside"):
            assert span.name == f"inside {span.context.trace_id:032x}"


def test_a_span_of_the_framework_is_the_parent_where_there_is_one(tracing: Tracing) -> None:
    endpoint = door(client_of(tracing), two)
    with tracing.provider.get_tracer(TRACER).start_as_current_span("POST /api/inngest"):
        endpoint.answer_sync(call(headers=HEADERS))
    assert family(tracing, "shop-f")[1] == id_of(tracing, "POST /api/inngest")


def test_nothing_is_left_behind(tracing: Tracing) -> None:
    door(client_of(tracing), two).answer_sync(call(headers=HEADERS))
    assert not trace.get_current_span().get_span_context().is_valid


@pytest.mark.parametrize("header", ["", "00-0-0-01", "garbage"])
def test_a_header_that_is_none_begins_a_trace(tracing: Tracing, header: str) -> None:
    door(client_of(tracing), two).answer_sync(call(headers={"traceparent": header}))
    assert tracing.named("shop-f").parent is None


# ---- sends


def test_a_send_has_a_span_and_hands_it_on(tracing: Tracing) -> None:
    sent = Sent()
    client = client_of(tracing, plugins=[sent])
    client.send_sync(Event(name="a/b", id="e7"))
    asyncio.run(client.send([Event(name="a/b"), Event(name="a/c")]))
    assert tracing.names == ["send a/b", "send"]
    one, several = tracing.spans
    assert one.kind is SpanKind.PRODUCER
    assert attributes(one)["messaging.message.id"] == "e7"
    assert attributes(several)["messaging.batch.message_count"] == 2
    for span, request in zip(tracing.spans, sent.requests, strict=True):
        context = span.context
        found = f"00-{context.trace_id:032x}-{context.span_id:016x}-"
        assert request.headers["traceparent"].startswith(found)


def test_a_send_of_a_step_is_inside_of_it_and_keeps_the_state(tracing: Tracing) -> None:
    sent = Sent()
    endpoint = door(
        client_of(tracing, plugins=[sent]),
        lambda ctx: ctx.step.send_event("s", Event(name="a/c")),
    )
    endpoint.answer_sync(call(headers=HEADERS))
    assert family(tracing, "send a/c") == (TRACE, id_of(tracing, "s"))
    assert sent.requests[0].headers["tracestate"] == HEADERS["tracestate"]


def test_a_send_that_fails_says_so(tracing: Tracing) -> None:
    client = client_of(tracing, plugins=[Sent()])
    with pytest.raises(Exception, match="needs a name"):
        client.send_sync(Event(name=""))
    assert tracing.spans[0].status.status_code is StatusCode.ERROR


# ---- without an SDK


def test_without_an_sdk_nothing_is_done() -> None:
    sent = Sent()

    def handler(ctx: ContextSync) -> Any:
        assert not trace.get_current_span().get_span_context().is_valid
        return ctx.step.send_event("s", Event(name="a/c"))

    door(client_of(None, plugins=[sent]), handler).answer_sync(call(headers=HEADERS))
    assert "traceparent" not in sent.requests[0].headers


PROGRAM = """
from opentelemetry import trace
from tests.spans import Tracing, call, client_of, door
tracing = Tracing()
endpoint = door(client_of(None), lambda ctx: ctx.step.run("a", str))
endpoint.answer_sync(call())
print(tracing.names)
trace.set_tracer_provider(tracing.provider)
endpoint.answer_sync(call())
print(tracing.names)
"""


def test_what_is_set_for_the_process_is_used_from_then_on() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=HERE)
    assert done.stdout.splitlines() == ["[]", "['a', 'shop-f']"], done.stderr


def test_the_sdk_is_not_needed() -> None:
    code = (
        "import sys; sys.modules['opentelemetry.sdk'] = None; import inngest_core_otel.plugin as p;"
        "import inngest_core; inngest_core.Inngest(app_id='a', is_production=False, plugins=[p],"
        "options={'otel': {'enabled': True}}).functions"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_what_is_no_provider_is_refused() -> None:
    wrong: Any = "console"
    with pytest.raises(ConfigError, match="tracer_provider: expected one of OpenTelemetry"):
        OpenTelemetryMiddleware.factory(tracer_provider=wrong)
