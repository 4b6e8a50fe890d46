"""What holds for a function that is triggered in memory, blocking or not."""

from __future__ import annotations

import asyncio
import datetime
import inspect
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

import pydantic
import pytest

import inngest_core as inngest
from inngest_contrib.testing import mocked, runs

NO_ID = "0" * 26
EVENT = inngest.Event(name="shop/ordered", data={"n": 1})
TRIGGER = inngest.TriggerEvent(event="shop/ordered")
NO_JSON: Any = {"a": {1}}


class Order(pydantic.BaseModel):
    number: int
    placed: datetime.datetime


ORDER = Order(number=7, placed=datetime.datetime(2030, 1, 1))
COMPLETED, FAILED = mocked.Status.COMPLETED, mocked.Status.FAILED


def function_of(handler: Callable[[Any], Any], **options: Any) -> inngest.Function[Any]:
    """A function of a client that could send nothing: it is in cloud mode without keys."""
    client = inngest.Inngest(app_id="shop", is_production=True)
    return client.create_function(**{"fn_id": "f", "trigger": TRIGGER, **options})(handler)


def run(
    handler: Callable[[Any], Any], stubs: dict[str, object] | None = None, **options: Any
) -> mocked.Result:
    client = mocked.Inngest(app_id="test")
    return mocked.trigger(function_of(handler, **options), EVENT, client, step_stubs=stubs)


Both = Callable[[Callable[[Any], Any]], Callable[[Any], Any]]


class Awaiting:
    """Steps of a blocking function whose results may be awaited, for code written once."""

    def __init__(self, step: Any) -> None:
        self._step = step

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._step, name)

        async def call(*args: Any, **options: Any) -> Any:
            result = method(*args, **options)
            return await result if inspect.isawaitable(result) else result

        return call


@pytest.fixture(params=["def", "async"])
def either(request: pytest.FixtureRequest) -> Both:
    """Make code that awaits its steps a handler of one kind."""

    def make(code: Callable[[Any], Any]) -> Callable[[Any], Any]:
        if request.param == "async":
            return code

        def handler(ctx: inngest.ContextSync) -> Any:
            ctx.step = Awaiting(ctx.step)  # type: ignore[assignment]  # it stands in
            coroutine = code(ctx)
            try:
                coroutine.send(None)
            except StopIteration as ended:
                return ended.value
            finally:
                coroutine.close()
            raise AssertionError("a blocking step does not wait")

        return handler

    return make


def counted(results: list[Any]) -> tuple[Callable[[], Any], list[int]]:
    """A callable that gives or raises one after another, and how often it was called."""
    calls: list[int] = []

    def call() -> Any:
        calls.append(len(calls))
        result = results[min(len(calls), len(results)) - 1]
        if isinstance(result, Exception):
            raise result
        return result

    return call, calls


# ---- outcomes


def test_a_function_without_steps_completes(either: Both) -> None:
    async def code(ctx: Any) -> Any:
        return ctx.event.data["n"]

    assert run(either(code)) == mocked.Result(None, 1, COMPLETED)


def test_the_statuses_have_the_names_of_the_server() -> None:
    assert [status.value for status in mocked.Status] == ["Completed", "Failed"]


@pytest.mark.parametrize("value", [("a", "b"), ORDER, {1: 2}, None])
def test_the_output_is_what_was_returned(either: Both, value: Any) -> None:
    async def code(ctx: Any) -> Any:
        return value

    if isinstance(value, Order):
        code.__annotations__["return"] = Order
    assert run(either(code), output_type=type(value) if value is ORDER else object) == (
        mocked.Result(None, value, COMPLETED)
    )


def test_an_output_that_is_not_json_fails_as_it_would_on_a_server(either: Both) -> None:
    async def code(ctx: Any) -> Any:
        return object()

    result = run(either(code))
    assert result.status is FAILED
    assert isinstance(result.error, inngest.InngestError)
    assert result.error.name == "OutputUnserializableError"


def test_the_error_is_the_one_that_was_raised(either: Both) -> None:
    error = ValueError("bad value")

    async def code(ctx: Any) -> Any:
        raise error

    result = run(either(code), retries=0)
    assert result == mocked.Result(error, None, FAILED)


# ---- steps


def test_each_step_runs_once(either: Both) -> None:
    (one, ones), (two, twos) = counted([1]), counted([(2, 3)])

    async def code(ctx: Any) -> Any:
        return [await ctx.step.run("a", one), await ctx.step.run("b", two)]

    result = run(either(code))
    assert result.output == [1, [2, 3]]
    assert (ones, twos) == ([0], [0])


def test_a_repeated_id_is_a_step_of_its_own_each_time(either: Both) -> None:
    call, calls = counted([1, 2, 3])

    async def code(ctx: Any) -> Any:
        return [await ctx.step.run("a", call) for _ in range(3)]

    assert run(either(code)).output == [1, 2, 3]
    assert len(calls) == 3


def test_sleeps_pass(either: Both) -> None:
    async def code(ctx: Any) -> Any:
        await ctx.step.sleep("a", datetime.timedelta(days=30))
        await ctx.step.sleep_until("b", datetime.datetime(2100, 1, 1))
        return "hi"

    assert run(either(code)).output == "hi"


def test_events_are_sent_nowhere(either: Both) -> None:
    async def code(ctx: Any) -> Any:
        return await ctx.step.send_event("a", [inngest.Event(name="b"), inngest.Event(name="c")])

    assert run(either(code)).output == [NO_ID, NO_ID]


def test_the_client_sends_nowhere() -> None:
    client = mocked.Inngest(app_id="test")
    assert client.send_sync(EVENT) == [NO_ID]
    assert asyncio.run(client.send([EVENT, EVENT])) == [NO_ID, NO_ID]


def test_a_real_client_in_the_body_stays_real(either: Both) -> None:
    real = inngest.Inngest(app_id="shop", is_production=True)

    async def code(ctx: Any) -> Any:
        return real.send_sync(EVENT)

    result = run(either(code), retries=0)
    assert isinstance(result.error, inngest.EventKeyUnspecifiedError)


@pytest.mark.parametrize("mode", list(inngest.ParallelMode))
def test_groups_of_async_functions(mode: inngest.ParallelMode) -> None:
    order: list[str] = []

    async def branch(ctx: inngest.Context, name: str) -> str:
        await ctx.step.run(f"{name}1", order.append, f"{name}1")
        await ctx.step.run(f"{name}2", order.append, f"{name}2")
        return name

    async def code(ctx: inngest.Context) -> Any:
        return await ctx.group.parallel(
            (lambda: branch(ctx, "a"), lambda: branch(ctx, "b")), parallel_mode=mode
        )

    assert run(code).output == ("a", "b")
    assert sorted(order) == ["a1", "a2", "b1", "b2"]


@pytest.mark.parametrize("mode", list(inngest.ParallelMode))
def test_groups_of_blocking_functions(mode: inngest.ParallelMode) -> None:
    order: list[str] = []

    def done(name: str) -> str:
        order.append(name)
        return name

    def code(ctx: inngest.ContextSync) -> Any:
        steps = ["a", "b"]
        branches = tuple(lambda n=n: ctx.step.run(n, done, n) for n in steps)
        return ctx.group.parallel(branches, parallel_mode=mode)

    assert run(code).output == ("a", "b")
    assert sorted(order) == ["a", "b"]


def test_plain_gather_is_a_group_too() -> None:
    async def code(ctx: inngest.Context) -> Any:
        a, b = await asyncio.gather(
            ctx.step.run("a", lambda: 1), ctx.step.wait_for_event("b", event="x", timeout=1000)
        )
        return a, b

    assert run(code, {"b": mocked.Timeout}).output == (1, None)


# ---- failures


def test_a_step_is_tried_again_at_once_and_attempts_are_its_own(either: Both) -> None:
    (one, ones), (two, twos) = counted([ValueError("no"), 1]), counted([ValueError("no")] * 2 + [2])
    attempts = []

    async def code(ctx: Any) -> Any:
        attempts.append(ctx.attempt)
        return [await ctx.step.run("a", one), await ctx.step.run("b", two)]

    assert run(either(code), retries=2).output == [1, 2]
    assert (len(ones), len(twos)) == (2, 3)
    assert max(attempts) == 2


def test_a_step_that_fails_for_good_is_a_step_error(either: Both) -> None:
    call, calls = counted([ValueError("oh no")])

    async def code(ctx: Any) -> Any:
        await ctx.step.run("a", call)

    result = run(either(code), retries=3)
    assert (result.status, result.output) == (FAILED, None)
    assert isinstance(result.error, inngest.StepError)
    assert (str(result.error), result.error.name) == ("oh no", "ValueError")
    assert len(calls) == 4


def test_five_attempts_are_made_unless_told_otherwise(either: Both) -> None:
    call, calls = counted([ValueError("no")])

    async def code(ctx: Any) -> Any:
        call()

    assert run(either(code)).status is FAILED
    assert len(calls) == 5


def test_a_function_that_fails_is_tried_again(either: Both) -> None:
    call, calls = counted([ValueError("no"), inngest.RetryAfterError("later", 60_000), "hi"])

    async def code(ctx: Any) -> Any:
        return [ctx.attempt, call()]

    assert run(either(code)).output == [2, "hi"]
    assert len(calls) == 3


@pytest.mark.parametrize("inside", [True, False])
def test_what_is_not_retriable_is_not_tried_again(either: Both, inside: bool) -> None:
    call, calls = counted([inngest.NonRetriableError("never")])

    async def code(ctx: Any) -> Any:
        return await ctx.step.run("a", call) if inside else call()

    result = run(either(code))
    assert (result.status, str(result.error), len(calls)) == (FAILED, "never", 1)


def test_a_caught_step_error_is_no_failure(either: Both) -> None:
    call, _ = counted([ValueError("no")])

    async def code(ctx: Any) -> Any:
        try:
            await ctx.step.run("a", call)
        except inngest.StepError as error:
            return error.message

    assert run(either(code), retries=0).output == "no"


def test_the_failure_handler_is_not_run(either: Both) -> None:
    def on_failure(ctx: inngest.ContextSync) -> None:
        raise AssertionError("it was run")

    async def code(ctx: Any) -> Any:
        raise ValueError("no")

    assert str(run(either(code), retries=0, on_failure=on_failure).error) == "no"


# ---- stubs


@pytest.mark.parametrize(
    ("stub", "found"),
    [
        (inngest.Event(name="c/d", data={"foo": 1}), {"foo": 1}),
        (mocked.Timeout, None),
        (None, None),
        (lambda opts: inngest.Event(name=opts["event"]), {}),
    ],
)
def test_a_wait_ends_with_the_event_of_its_stub(either: Both, stub: Any, found: Any) -> None:
    async def code(ctx: Any) -> Any:
        event = await ctx.step.wait_for_event("w", event="c/d", timeout=1000)
        return event and event.data

    assert run(either(code), {"w": stub}).output == found


@pytest.mark.parametrize(
    ("stub", "found"),
    [
        ({"n": 1}, {"n": 1}),
        (inngest.Signal("s", [1]), [1]),
        (mocked.Timeout, None),
    ],
)
def test_a_wait_ends_with_the_signal_of_its_stub(either: Both, stub: Any, found: Any) -> None:
    async def code(ctx: Any) -> Any:
        signal = await ctx.step.wait_for_signal("w", signal="s", timeout=1000)
        return signal and signal.data

    assert run(either(code), {"w": stub}).output == found


def test_an_invoke_ends_with_the_value_of_its_stub(either: Both) -> None:
    async def code(ctx: Any) -> Any:
        data = {"n": 2}
        return await ctx.step.invoke_by_id("i", app_id="foo", function_id="bar", data=data)

    assert run(either(code), {"i": "hi"}).output == "hi"
    doubled = run(either(code), {"i": lambda opts: opts["payload"]["data"]["n"] * 2})
    assert doubled.output == 4


@pytest.mark.parametrize(
    ("stub", "name"),
    [(mocked.Timeout, "InngestInvokeTimeoutError"), (ValueError("no"), "ValueError")],
)
def test_an_invoke_can_fail(either: Both, stub: Any, name: str) -> None:
    async def code(ctx: Any) -> Any:
        try:
            await ctx.step.invoke_by_id("i", function_id="bar")
        except inngest.StepError as error:
            return error.name

    assert run(either(code), {"i": stub}).output == name


def test_a_fetch_ends_with_the_response_of_its_stub(either: Both) -> None:
    async def code(ctx: Any) -> Any:
        response = await ctx.step.fetch("f", "https://shop.example/prices")
        return [response.status, response.json()]

    response = inngest.FetchResponse(200, {}, "[1]", "https://shop.example/prices")
    assert run(either(code), {"f": response}).output == [200, [1]]


def test_a_stub_stands_in_for_a_step_that_would_execute(either: Both) -> None:
    call, calls = counted(["real"])

    async def code(ctx: Any) -> Any:
        order = await ctx.step.run("order", call, output_type=Order)
        sent = await ctx.step.send_event("send", EVENT)
        return [order, sent]

    result = run(either(code), {"order": ORDER, "send": ["id"]}, output_type=list[Any])
    assert result.output == [ORDER, ["id"]]
    assert calls == []


@pytest.mark.parametrize("stub", [ValueError("no"), lambda opts: 1 / 0])
def test_a_stub_can_let_a_step_fail(either: Both, stub: Any) -> None:
    async def code(ctx: Any) -> Any:
        await ctx.step.run("a", lambda: 1)

    result = run(either(code), {"a": stub})
    assert isinstance(result.error, inngest.StepError)
    assert result.error.name in ("ValueError", "ZeroDivisionError")


@pytest.mark.parametrize(
    ("step", "says"),
    [
        (lambda s: s.wait_for_event("s", event="c/d", timeout=1000), "waits for an event"),
        (lambda s: s.wait_for_signal("s", signal="x", timeout=1000), "waits for a signal"),
        (lambda s: s.invoke_by_id("s", function_id="g"), "invokes another function"),
        (lambda s: s.fetch("s", "https://shop.example"), "make a request"),
    ],
)
def test_a_step_that_needs_a_server_needs_a_stub(either: Both, step: Any, says: str) -> None:
    async def code(ctx: Any) -> Any:
        await step(ctx.step)

    with pytest.raises(mocked.UnstubbedStepError, match=says) as raised:
        run(either(code), {"other": 1})
    assert raised.value.step_id == "s"
    assert 'step_stubs={"s": ' in str(raised.value)


async def later(opts: Any) -> None: ...


@pytest.mark.parametrize(
    ("stubs", "text"),
    [
        ({"a": object()}, 'step_stubs["a"]: a step\'s result is JSON'),
        ({"a": mocked.Timeout}, 'step_stubs["a"]: mocked.Timeout stands for a wait or an invoke'),
        ({"a": later}, 'step_stubs["a"]: a callable must be a plain function'),
        ({"a": 1, "w": 1}, 'step_stubs["w"]: a wait for an event ends with an Event'),
    ],
)
def test_a_stub_that_cannot_be_is_refused_by_name(stubs: Any, text: str) -> None:
    def code(ctx: inngest.ContextSync) -> None:
        ctx.step.run("a", lambda: 1)
        ctx.step.wait_for_event("w", event="c/d", timeout=1000)

    with pytest.raises(TypeError) as raised:
        run(code, stubs)
    assert text in str(raised.value)


# ---- around it


def test_it_can_be_called_on_a_running_loop(either: Both) -> None:
    async def code(ctx: Any) -> Any:
        return await ctx.step.run("a", lambda: "hi")

    async def test() -> Any:
        return run(either(code)).output

    assert asyncio.run(test()) == "hi"


def test_all_async_functions_share_one_loop_in_one_thread() -> None:
    loops = []

    async def code(ctx: inngest.Context) -> None:
        loops.append((asyncio.get_running_loop(), threading.get_ident()))

    for _ in range(5):
        run(code)
    assert len(set(loops)) == 1
    assert [thread.name for thread in threading.enumerate()].count("inngest-tests") == 1


def test_context_variables_of_the_test_are_seen(either: Both) -> None:
    variable = ContextVar("variable", default="unset")

    async def code(ctx: Any) -> Any:
        return variable.get()

    variable.set("set")
    assert run(either(code)).output == "set"


def test_a_trigger_inside_an_async_function_is_refused_and_does_not_hang() -> None:
    async def inner(ctx: inngest.Context) -> None: ...

    async def code(ctx: inngest.Context) -> None:
        run(inner)

    with pytest.raises(RuntimeError, match="triggers another one"):
        raise run(code, retries=0).error or AssertionError


def test_a_function_that_exits_has_failed(either: Both) -> None:
    async def code(ctx: Any) -> Any:
        raise SystemExit(3)

    assert run(either(code), retries=0).status is FAILED
    assert run(either(code), retries=0).status is FAILED


def test_a_batch_has_several_events(either: Both) -> None:
    async def code(ctx: Any) -> Any:
        return [event.data for event in ctx.events]

    events = [inngest.Event(name="a", data={"n": n}) for n in range(3)]
    result = mocked.trigger(function_of(either(code)), events, mocked.Inngest(app_id="test"))
    assert result.output == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_middleware_is_that_of_the_mocked_client_and_of_the_function(either: Both) -> None:
    seen = []

    class Watch(inngest.MiddlewareSync):
        def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            seen.append(type(self).__name__)

    class Own(Watch): ...

    async def code(ctx: Any) -> Any: ...

    client = mocked.Inngest(app_id="test", middleware=[Watch])
    mocked.trigger(function_of(either(code), middleware=[Own]), EVENT, client)
    assert seen == ["Watch", "Own"]


@pytest.mark.parametrize("step", [True, False])
def test_a_run_that_never_ends_is_ended(
    either: Both, step: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runs, "MOST_STEPS", 20)

    async def code(ctx: Any) -> Any:
        while True:
            await ctx.step.run("again", lambda: 1) if step else await ctx.step.sleep("again", 1000)

    with pytest.raises(runs.EndlessRunError, match=r'more than 20 steps.*"again"'):
        run(either(code))


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"event": []}, ValueError, "at least one event"),
        ({"event": {"name": "a"}}, TypeError, "expected an inngest_core.Event, got dict"),
        ({"event": inngest.Event(name="a", data=NO_JSON)}, ValueError, '"a": its data is not'),
        ({"client": inngest.Inngest(app_id="a")}, TypeError, "another client would send"),
        ({"fn": len}, TypeError, "fn: expected what create_function returned"),
    ],
)
def test_what_cannot_be_triggered_is_refused(arguments: Any, error: Any, text: str) -> None:
    client = mocked.Inngest(app_id="test")
    whole = {"fn": function_of(lambda ctx: 1), "event": EVENT, "client": client, **arguments}
    with pytest.raises(error, match=text):
        mocked.trigger(**whole)
