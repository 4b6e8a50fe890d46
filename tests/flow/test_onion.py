"""Wrappers: what they see, what they may replace, and what becomes of their failures."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
from collections.abc import AsyncGenerator, Callable, Generator, Iterator
from typing import Any

import pytest

import inngest_core as inngest
from inngest_core import (
    ConfigError,
    Context,
    ContextSync,
    Err,
    Middleware,
    MiddlewareSync,
    Ok,
    Outcome,
    Paused,
    StepInfo,
    TriggerEvent,
)
from inngest_core.errors import MiddlewareError
from inngest_core.wire.ids import hash_step

from .wiring import Server, ask, call_of, client_of, document, reply, served

TRIGGER = TriggerEvent(event="a/b")
Log = list[Any]
Wrap = Callable[[str, tuple[Any, ...]], Any]


def plain(wrap: Wrap) -> type[MiddlewareSync]:
    """A middleware whose three wrappers are ``wrap(name, args)``, a generator."""

    class Plain(MiddlewareSync):
        def wrap_call(self, *args: Any) -> Any:
            return (yield from wrap("call", args))

        def wrap_step(self, *args: Any) -> Any:
            return (yield from wrap("step", args))

        def wrap_send(self, *args: Any) -> Any:
            return (yield from wrap("send", args))

    return Plain


def awaiting(wrap: Wrap) -> type[Middleware]:
    """The same with async generators, which await before and behind their yield."""

    async def drive(name: str, args: tuple[Any, ...]) -> AsyncGenerator[None, Any]:
        generator = wrap(name, args)
        next(generator)
        await asyncio.sleep(0)
        outcome = yield
        await asyncio.sleep(0)
        with contextlib.suppress(StopIteration):
            generator.send(outcome)

    class Awaiting(Middleware):
        async def wrap_call(self, *args: Any) -> AsyncGenerator[None, Any]:
            async with contextlib.aclosing(drive("call", args)) as driven:
                await anext(driven)
                outcome = yield
                await finish(driven, outcome)

        async def wrap_step(self, *args: Any) -> AsyncGenerator[None, Any]:
            async with contextlib.aclosing(drive("step", args)) as driven:
                await anext(driven)
                outcome = yield
                await finish(driven, outcome)

        async def wrap_send(self, *args: Any) -> AsyncGenerator[None, Any]:
            async with contextlib.aclosing(drive("send", args)) as driven:
                await anext(driven)
                outcome = yield
                await finish(driven, outcome)

    return Awaiting


async def finish(driven: AsyncGenerator[None, Any], outcome: Any) -> None:
    with contextlib.suppress(StopAsyncIteration):
        await driven.asend(outcome)


def recording(log: Log, name: str = "") -> Wrap:
    def wrap(what: str, args: tuple[Any, ...]) -> Iterator[Any]:
        log.append(f"{name}>{what}")
        outcome = yield
        log.append(f"{name}<{what} {type(outcome).__name__}")

    return wrap


def play(handler: Any, middleware: list[Any], **call: Any) -> inngest.CommResponse:
    client = client_of(middleware=middleware)
    client.create_function(fn_id="f", trigger=TRIGGER)(handler)
    return ask(client, call_of("shop-f", **call))


def stepping(ctx: ContextSync) -> Any:
    return ctx.step.run("a", lambda: 1)


async def astepping(ctx: Context) -> Any:
    return await ctx.step.run("a", lambda: 1)


CELLS = [(stepping, plain), (astepping, plain), (astepping, awaiting)]
MEMO = {hash_step("a"): {"data": 1}}


# ---- what they surround, and in which order


@pytest.mark.parametrize(("handler", "kind"), CELLS)
def test_a_step_is_inside_its_call_which_is_then_paused(handler: Any, kind: Any) -> None:
    log: Log = []
    response = play(handler, [kind(recording(log))])
    assert response.status == 206
    assert log == [">call", ">step", "<step Ok", "<call Paused"]


@pytest.mark.parametrize(("handler", "kind"), CELLS)
def test_a_step_that_is_remembered_is_not_wrapped(handler: Any, kind: Any) -> None:
    log: Log = []
    response = play(handler, [kind(recording(log))], steps=MEMO)
    assert document(response) == 1
    assert log == [">call", "<call Ok"]


@pytest.mark.parametrize(("handler", "kind"), CELLS)
def test_the_first_is_the_outermost(handler: Any, kind: Any) -> None:
    log: Log = []
    play(handler, [kind(recording(log, "1")), kind(recording(log, "2"))], steps=MEMO)
    assert log == ["1>call", "2>call", "2<call Ok", "1<call Ok"]


def test_a_call_is_wrapped_around_its_hooks_and_not_around_its_output() -> None:
    log: Log = []

    class Watching(MiddlewareSync):
        def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            log.append("transform_input")

        def after_execution(self) -> None:
            log.append("after_execution")

        def transform_output(self, result: Any) -> None:
            log.append("transform_output")

        def wrap_call(self, ctx: Any, function: Any) -> Any:
            log.append((ctx.run_id, function.local_id))
            yield
            log.append("<call")

    play(lambda ctx: "done", [Watching])
    run = ("01M81CV4SR9WGEDKMNJWE4XNQ5", "f")
    assert log == [run, "transform_input", "after_execution", "<call", "transform_output"]


def test_a_step_is_described() -> None:
    seen: list[StepInfo] = []

    class Watching(MiddlewareSync):
        def wrap_step(self, step: StepInfo) -> Any:
            seen.append(step)
            return (yield)

    play(lambda ctx: [ctx.step.run("a", int) for _ in "12"], [Watching], steps=MEMO)
    assert seen == [StepInfo("a", hash_step("a:1"), 1, inngest.Opcode.STEP_RUN)]


def test_planned_steps_and_pauses_are_not_wrapped() -> None:
    log: Log = []

    def parallel(ctx: ContextSync) -> None:
        ctx.group.parallel(
            (lambda: ctx.step.run("a", lambda: 1), lambda: ctx.step.sleep("nap", "1m"))
        )

    play(parallel, [plain(recording(log))])
    assert log == [">call", "<call Paused"]


def test_a_send_is_wrapped_inside_a_step_and_outside_a_run() -> None:
    log: Log = []
    handler = lambda ctx: ctx.step.send_event("s", inngest.Event(name="x"))  # noqa: E731
    play(handler, [plain(recording(log))])
    assert log == [">call", ">step", ">send", "<send Ok", "<step Ok", "<call Paused"]
    log.clear()
    client = client_of(middleware=[plain(recording(log))])
    assert client.send_sync(inngest.Event(name="x")) == ["id-1"]
    assert log == [">send", "<send Ok"]


def test_an_async_send_is_wrapped_by_async_generators() -> None:
    log: Log = []
    client = client_of(middleware=[awaiting(recording(log))])
    assert asyncio.run(client.send(inngest.Event(name="x"))) == ["id-1"]
    assert log == [">send", "<send Ok"]


def test_a_failed_send_is_an_err() -> None:
    seen: Log = []

    class Watching(MiddlewareSync):
        def wrap_send(self, events: list[inngest.Event]) -> Any:
            seen.append([event.name for event in events])
            seen.append((yield))

    client = client_of(Server([reply(400, {"error": "no", "ids": []})]), middleware=[Watching])
    with pytest.raises(inngest.SendEventsError) as raised:
        client.send_sync(inngest.Event(name="x"))
    assert seen[0] == ["x"]
    assert seen[1].error is raised.value


# ---- outcomes


def test_the_value_of_a_call_is_what_the_function_returned_unchanged() -> None:
    seen: Log = []

    def watch(what: str, args: tuple[Any, ...]) -> Iterator[Any]:
        seen.append((yield))

    play(lambda ctx: (1, 2), [plain(watch)])
    assert seen == [Ok((1, 2))]


def fail(*_: object) -> None:
    raise ValueError("bad value")


@pytest.mark.parametrize("inner", [False, True])
def test_unwrapping_an_error_keeps_it_the_outcome(inner: bool) -> None:
    rolled_back: Log = []

    @contextlib.contextmanager
    def atomic() -> Iterator[None]:
        try:
            yield
        except ValueError as error:
            rolled_back.append(error)
            raise

    def wrap(what: str, args: tuple[Any, ...]) -> Generator[None, Outcome[Any], None]:
        with atomic():
            (yield).unwrap()

    handler = (lambda ctx: ctx.step.run("a", fail)) if inner else fail
    response = play(handler, [plain(wrap)])
    (error,) = rolled_back
    if inner:
        (op,) = document(response)
        assert (op["op"], op["error"]["message"]) == ("StepError", "bad value")
    else:
        assert document(response)["message"] == "bad value"
    assert str(error) == "bad value"


def test_even_a_stop_iteration_stays_what_it_is() -> None:
    def stop(*_: object) -> None:
        raise StopIteration("enough")

    def wrap(what: str, args: tuple[Any, ...]) -> Generator[None, Outcome[Any], None]:
        (yield).unwrap()

    (op,) = document(play(lambda ctx: ctx.step.run("a", stop), [plain(wrap)]))
    assert (op["error"]["name"], op["error"]["message"]) == ("StopIteration", "enough")


def test_a_returned_outcome_replaces_that_of_a_step() -> None:
    def wrap(what: str, args: tuple[Any, ...]) -> Generator[None, Outcome[Any], Any]:
        outcome = yield
        return Ok("instead") if what == "step" else outcome

    assert document(play(stepping, [plain(wrap)]))[0]["data"] == "instead"
    (op,) = document(play(lambda ctx: ctx.step.run("a", fail), [plain(wrap)]))
    assert (op["op"], op["data"]) == ("StepRun", "instead")


def test_a_returned_outcome_replaces_that_of_a_function_and_is_seen_further_out() -> None:
    seen: Log = []

    def outer(what: str, args: tuple[Any, ...]) -> Generator[None, Outcome[Any], None]:
        seen.append((yield))

    def inner(what: str, args: tuple[Any, ...]) -> Generator[None, Outcome[Any], Any]:
        yield
        return Err(inngest.NonRetriableError("replaced"))

    response = play(lambda ctx: 1, [plain(outer), plain(inner)])
    assert document(response)["code"] == "non_retriable_error"
    assert [type(outcome) for outcome in seen] == [Err]


@pytest.mark.parametrize(("handler", "kind"), CELLS)
def test_a_value_may_be_changed_in_place(handler: Any, kind: Any) -> None:
    def wrap(what: str, args: tuple[Any, ...]) -> Generator[None, Any, None]:
        outcome = yield
        if what == "step":
            outcome.value = 7

    assert document(play(handler, [kind(wrap)]))[0]["data"] == 7


def test_a_replaced_send_is_what_the_caller_gets() -> None:
    def wrap(what: str, args: tuple[Any, ...]) -> Generator[None, Outcome[Any], Any]:
        yield
        return Ok(["mine"])

    assert client_of(middleware=[plain(wrap)]).send_sync(inngest.Event(name="x")) == ["mine"]


# ---- broken wrappers


def ends_early(*_: object) -> Iterator[None]:
    yield from ()


def yields_twice(*_: object) -> Iterator[None]:
    yield
    yield


def raises_before(*_: object) -> Iterator[None]:
    fail()
    yield


def raises_behind(*_: object) -> Iterator[None]:
    yield
    fail()


def returns_rubbish(*_: object) -> Generator[None, Any, Any]:
    yield
    return 5


BROKEN = [
    (ends_early, "ended without a yield"),
    (yields_twice, "yielded a second time"),
    (raises_before, "bad value"),
    (raises_behind, "bad value"),
    (returns_rubbish, "returned a int; only Ok and Err are outcomes"),
]


@pytest.mark.parametrize(("wrap", "message"), BROKEN)
@pytest.mark.parametrize("what", ["call", "step"])
@pytest.mark.parametrize("handler", [stepping, astepping])
def test_a_broken_wrapper_fails_the_call_and_is_named(
    handler: Any, what: str, wrap: Any, message: str
) -> None:
    ends: Log = []

    class Broken(MiddlewareSync):
        def after_execution(self) -> None:
            ends.append("after_execution")

    class Outer(MiddlewareSync):
        def wrap_call(self, ctx: Any, function: Any) -> Any:
            ends.append((yield))

    setattr(Broken, f"wrap_{what}", wrap)
    response = play(handler, [Outer, Broken], steps=MEMO if what == "call" else None)
    assert response.status == 500
    assert response.headers["x-inngest-no-retry"] == "false"
    body = document(response)
    assert body["name"] == "MiddlewareError"
    assert f"middleware {wrap.__qualname__} failed: " in body["message"]
    assert message in body["message"]
    assert type(ends[-1]) is not Ok
    assert isinstance(ends[-1].error, MiddlewareError)
    if what == "step":
        assert ends[0] == "after_execution"


def test_what_is_no_generator_is_refused() -> None:
    class Forgetful(MiddlewareSync):
        def wrap_step(self, step: StepInfo) -> Any:
            return None

    body = document(play(stepping, [Forgetful]))
    assert "Forgetful.wrap_step failed: it is no generator" in body["message"]


def test_a_paused_call_has_no_outcome_to_replace() -> None:
    class Eager(MiddlewareSync):
        def wrap_call(self, ctx: Any, function: Any) -> Any:
            yield
            return Ok("early")

    assert "only paused" in document(play(stepping, [Eager]))["message"]


def test_the_function_cannot_catch_the_failure_of_a_wrapper() -> None:
    class Broken(MiddlewareSync):
        wrap_step = raises_behind

    def handler(ctx: ContextSync) -> str:
        try:
            ctx.step.run("a", lambda: 1)
        except Exception:
            return "caught"
        return "went on"

    assert document(play(handler, [Broken]))["name"] == "MiddlewareError"


@pytest.mark.parametrize("name", ["wrap_call", "wrap_step", "wrap_send"])
def test_an_async_wrapper_is_refused_where_a_function_is_blocking(name: str) -> None:
    async def wrapper(*_: object) -> AsyncGenerator[None, Any]:
        yield

    kind = type("Awaits", (Middleware,), {name: wrapper})
    client = client_of(middleware=[kind])
    with pytest.raises(ConfigError, match="is async, but the function is blocking"):
        client.create_function(fn_id="f", trigger=TRIGGER)(stepping)
    factory = client_of(middleware=[lambda client, raw: kind(client, raw)])
    with pytest.raises(ConfigError, match="is async"):
        kind_of_send(factory, name)


def kind_of_send(client: inngest.Inngest, name: str) -> None:
    """Meet an async wrapper of a factory where nothing can await it."""
    if name == "wrap_send":
        try:
            client.send_sync(inngest.Event(name="x"))
        except MiddlewareError as error:
            raise ConfigError(str(error)) from None
    client.create_function(fn_id="f", trigger=TRIGGER)(stepping)
    raise ConfigError(document(ask(client, call_of("shop-f")))["message"])


# ---- tasks, threads and cancellation


seen_by_code: contextvars.ContextVar[str] = contextvars.ContextVar("seen_by_code", default="no")


@pytest.mark.parametrize("kind", [plain, awaiting])
def test_context_variables_reach_the_code(kind: Any) -> None:
    def wrap(what: str, args: tuple[Any, ...]) -> Iterator[Any]:
        token = seen_by_code.set(what)
        yield
        seen_by_code.reset(token)

    def handler(ctx: ContextSync) -> Any:
        return [seen_by_code.get(), ctx.step.run("a", seen_by_code.get)]

    async def ahandler(ctx: Context) -> Any:
        return [seen_by_code.get(), await ctx.step.run("a", seen_by_code.get)]

    chosen = ahandler if kind is awaiting else handler
    assert document(play(chosen, [plain(wrap)]))[0]["data"] == "step"
    assert document(play(chosen, [plain(wrap)], steps=MEMO)) == ["call", 1]


def test_a_cancellation_is_shown_as_an_err_and_goes_on() -> None:
    seen: Log = []

    class Watching(Middleware):
        async def wrap_call(self, ctx: Any, function: Any) -> AsyncGenerator[None, Any]:
            outcome = yield
            await asyncio.sleep(0)
            seen.append(type(outcome.error))

    started = asyncio.Event()

    async def handler(ctx: Context) -> None:
        started.set()
        await asyncio.sleep(60)

    client = client_of(middleware=[Watching])
    client.create_function(fn_id="f", trigger=TRIGGER)(handler)

    async def disconnect() -> None:
        task = asyncio.create_task(served(client).answer(call_of("shop-f")))
        await started.wait()
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(disconnect())
    assert seen == [asyncio.CancelledError]


def test_a_nested_step_is_an_err_of_the_call() -> None:
    seen: Log = []

    class Watching(MiddlewareSync):
        def wrap_call(self, ctx: Any, function: Any) -> Any:
            seen.append((yield))

    play(lambda ctx: ctx.step.run("a", lambda: ctx.step.run("b", lambda: 1)), [Watching])
    assert str(seen[0].error) == "Nested steps are not supported."


def test_the_wrappers_of_plugins_are_outside_those_of_clients_and_functions() -> None:
    log: Log = []

    class Plugin:
        @inngest.hookimpl
        def inngest_middleware(self) -> Any:
            return [plain(recording(log, "plugin "))]

    client = client_of(plugins=[Plugin()], middleware=[plain(recording(log, "client "))])
    inner = [plain(recording(log, "function "))]
    client.create_function(fn_id="f", trigger=TRIGGER, middleware=inner)(lambda ctx: 1)
    ask(client, call_of("shop-f"))
    assert log[:3] == ["plugin >call", "client >call", "function >call"]
    assert log[3:] == ["function <call Ok", "client <call Ok", "plugin <call Ok"]


def test_a_paused_call_unwraps_to_nothing() -> None:
    seen: Log = []

    class Atomic(MiddlewareSync):
        def wrap_call(self, ctx: Any, function: Any) -> Any:
            outcome = yield
            outcome.unwrap()
            seen.append(outcome)

    assert play(stepping, [Atomic]).status == 206
    assert seen == [Paused()]
