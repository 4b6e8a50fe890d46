"""Middleware in a call: in which order, how often, and what each may change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import inngest_core as inngest
from inngest_core import ConfigError, Context, ContextSync, Middleware, MiddlewareSync, TriggerEvent
from inngest_core.errors import MiddlewareError
from inngest_core.flow.pipeline import EMPTY, assemble
from inngest_core.wire.ids import hash_step

from .wiring import Server, ask, call_of, client_of, document, request_of, served

TRIGGER = TriggerEvent(event="a/b")
Log = list[Any]


def recording(log: Log, name: str = "") -> type[MiddlewareSync]:
    """A middleware that writes down every hook."""

    class Recording(MiddlewareSync):
        def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            log.append(f"{name}transform_input")

        def before_execution(self) -> None:
            log.append(f"{name}before_execution")

        def after_execution(self) -> None:
            log.append(f"{name}after_execution")

        def transform_output(self, result: Any) -> None:
            log.append(f"{name}transform_output")

        def before_response(self) -> None:
            log.append(f"{name}before_response")

        def before_send_events(self, events: Any) -> None:
            log.append(f"{name}before_send_events")

        def after_send_events(self, result: Any) -> None:
            log.append(f"{name}after_send_events")

    return Recording


def awaiting(log: Log, name: str = "") -> type[Middleware]:
    """The same with async methods."""
    plain = recording(log, name)

    def wrap(hook: Callable[..., Any]) -> Any:
        async def method(*args: Any) -> None:
            await asyncio.sleep(0)
            hook(*args)

        return method

    hooks = {key: wrap(value) for key, value in vars(plain).items() if not key.startswith("_")}
    return type("Awaiting", (Middleware,), hooks)


def play(
    handler: Any, middleware: list[Any], *, server: Server | None = None, **call: Any
) -> tuple[inngest.CommResponse, inngest.Inngest]:
    client = client_of(server, middleware=middleware)
    client.create_function(fn_id="f", trigger=TRIGGER)(handler)
    return ask(client, call_of("shop-f", **call)), client


def body(ctx: ContextSync) -> str:
    return "done"


async def abody(ctx: Context) -> str:
    return "done"


ORDER = ["transform_input", "before_execution", "after_execution", "transform_output"]


# ---- order


@pytest.mark.parametrize(
    ("handler", "make"), [(body, recording), (abody, recording), (abody, awaiting)]
)
def test_the_hooks_of_a_call_have_their_order(handler: Any, make: Any) -> None:
    log: Log = []
    response, _ = play(handler, [make(log)])
    assert response.status == 200
    assert log == [*ORDER, "before_response"]


def test_sending_is_between_before_and_after_execution() -> None:
    log: Log = []

    def handler(ctx: ContextSync) -> None:
        ctx.step.send_event("send", inngest.Event(name="x"))

    response, _ = play(handler, [recording(log)])
    assert response.status == 206
    assert log == [
        "transform_input",
        "before_execution",
        "before_send_events",
        "after_send_events",
        "after_execution",
        "transform_output",
        "before_response",
    ]


@pytest.mark.parametrize(
    ("handler", "make"), [(body, recording), (abody, recording), (abody, awaiting)]
)
def test_after_hooks_run_in_reverse_order_of_registration(handler: Any, make: Any) -> None:
    log: Log = []
    play(handler, [make(log, "1 "), make(log, "2 ")])
    assert log == [
        "1 transform_input",
        "2 transform_input",
        "1 before_execution",
        "2 before_execution",
        "2 after_execution",
        "1 after_execution",
        "2 transform_output",
        "1 transform_output",
        "1 before_response",
        "2 before_response",
    ]


def test_after_send_events_is_reversed_too() -> None:
    log: Log = []
    client = client_of(middleware=[recording(log, "1 "), recording(log, "2 ")])
    client.send_sync(inngest.Event(name="a"))
    assert log == [
        "1 before_send_events",
        "2 before_send_events",
        "2 after_send_events",
        "1 after_send_events",
    ]


def test_the_middleware_of_the_client_is_outside_that_of_the_function() -> None:
    log: Log = []
    client = client_of(middleware=[recording(log, "client ")])
    client.create_function(fn_id="f", trigger=TRIGGER, middleware=[recording(log, "function ")])(
        body
    )
    ask(client, call_of("shop-f"))
    assert log[:2] == ["client transform_input", "function transform_input"]
    assert log[-3:-2] == ["client transform_output"]


def test_a_method_that_is_not_overridden_is_not_in_the_chain() -> None:
    class Silent(Middleware):
        pass

    class Partial(MiddlewareSync):
        def before_response(self) -> None: ...

    pipeline = assemble([Silent, Partial, Silent(client_of(), None)], None, None)
    assert len(pipeline.before_response) == 1
    assert pipeline.transform_input == pipeline.before_execution == ()
    assert assemble([], None, None) is EMPTY


# ---- before_execution


def memos(*names: str) -> dict[str, Any]:
    return {hash_step(name): {"data": name} for name in names}


@pytest.mark.parametrize("is_async", [False, True])
def test_before_execution_runs_when_the_last_memo_is_consumed(is_async: bool) -> None:
    log: Log = []

    def handler(ctx: ContextSync) -> None:
        for name in "abc":
            log.append(ctx.step.run(name, lambda: "new"))

    async def ahandler(ctx: Context) -> None:
        for name in "abc":
            log.append(await ctx.step.run(name, lambda: "new"))

    class Watching(MiddlewareSync):
        def before_execution(self) -> None:
            log.append("before_execution")

        def after_memoization(self) -> None:
            log.append("after_memoization")

    play(ahandler if is_async else handler, [Watching], steps=memos("a", "b"))
    assert log == ["a", "after_memoization", "before_execution", "b"]


def test_it_runs_once_even_if_a_memo_is_never_asked_for() -> None:
    log: Log = []
    play(body, [recording(log)], steps=memos("gone"))
    assert log.count("before_execution") == 1


# ---- transform_output


def outputs(handler: Any, **call: Any) -> list[Any]:
    seen: list[Any] = []

    class Watching(MiddlewareSync):
        def transform_output(self, result: inngest.TransformOutputResult) -> None:
            seen.append((result.step, result.has_output(), result.output, result.error))

    play(handler, [Watching], **call)
    return seen


def test_a_result_has_an_output_even_if_it_is_none() -> None:
    assert outputs(lambda ctx: None) == [(None, True, None, None)]


def test_an_executed_step_has_its_id_op_and_no_opts() -> None:
    ((step, has_output, output, error),) = outputs(lambda ctx: ctx.step.run("a", lambda: 7))
    assert step == inngest.TransformOutputStepInfo("a", inngest.Opcode.STEP_RUN, None)
    assert (has_output, output, error) == (True, 7, None)


def fail() -> None:
    raise ValueError("bad value")


def test_the_error_of_a_step_and_of_a_function_is_an_error_without_output() -> None:
    ((step, has_output, _, error),) = outputs(lambda ctx: ctx.step.run("a", fail))
    assert (step.id, step.op, has_output) == ("a", inngest.Opcode.STEP_ERROR, False)
    assert isinstance(error, ValueError)
    ((step, has_output, _, error),) = outputs(lambda ctx: fail())
    assert (step, has_output) == (None, False)
    assert isinstance(error, ValueError)


def test_a_pause_has_neither() -> None:
    ((step, has_output, _, error),) = outputs(lambda ctx: ctx.step.sleep("nap", "1m"))
    assert (step.op, has_output, error) == (inngest.Opcode.SLEEP, False, None)


def test_planned_steps_are_not_seen() -> None:
    def handler(ctx: ContextSync) -> None:
        ctx.group.parallel(
            (lambda: ctx.step.run("a", lambda: 1), lambda: ctx.step.run("b", lambda: 1))
        )

    assert outputs(handler) == []


def test_output_and_error_may_be_replaced() -> None:
    class Changing(MiddlewareSync):
        def transform_output(self, result: inngest.TransformOutputResult) -> None:
            if result.has_output():
                result.output = {"was": result.output}
            elif result.error is not None:
                result.error = inngest.NonRetriableError("replaced")

    response, _ = play(body, [Changing])
    assert document(response) == {"was": "done"}
    response, _ = play(lambda ctx: ctx.step.run("a", lambda: 1), [Changing])
    assert document(response)[0]["data"] == {"was": 1}
    response, _ = play(lambda ctx: fail(), [Changing])
    assert document(response)["code"] == "non_retriable_error"
    assert response.headers["x-inngest-no-retry"] == "true"


def test_the_opts_of_an_invoke_are_what_is_sent() -> None:
    class Changing(MiddlewareSync):
        def transform_output(self, result: inngest.TransformOutputResult) -> None:
            assert result.step is not None
            assert result.step.opts is not None
            result.step.opts["payload"]["data"]["added"] = 1

    def handler(ctx: ContextSync) -> None:
        ctx.step.invoke_by_id("i", function_id="g", data={"x": 1})

    response, _ = play(handler, [Changing])
    assert document(response)[0]["opts"]["payload"] == {"data": {"x": 1, "added": 1}}


# ---- transform_input


def test_context_events_and_memos_may_be_changed() -> None:
    class Changing(MiddlewareSync):
        def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            ctx.event.data = {"changed": True}
            ctx.attempt = 7
            for memo in steps.values():
                memo.data = memo.data.upper()

    def handler(ctx: ContextSync) -> Any:
        return [ctx.event.data, ctx.attempt, ctx.step.run("a", lambda: "new")]

    response, _ = play(handler, [Changing], steps=memos("a"))
    assert document(response) == [{"changed": True}, 7, "A"]


def test_a_memo_may_be_taken_out_and_its_step_runs_again() -> None:
    class Forgetting(MiddlewareSync):
        def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            assert steps.size == 1
            assert steps.pop(hash_step("a")).data == "a"
            assert steps.size == 0

    response, _ = play(lambda ctx: ctx.step.run("a", lambda: "new"), [Forgetting], steps=memos("a"))
    assert (response.status, document(response)[0]["data"]) == (206, "new")


def test_the_function_is_handed_over() -> None:
    seen: list[Any] = []

    class Watching(MiddlewareSync):
        def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            seen.append((function.id, function.local_id, ctx.run_id))

    play(body, [Watching])
    assert seen == [("shop-f", "f", "01M81CV4SR9WGEDKMNJWE4XNQ5")]


# ---- classes, factories, instances


def test_a_class_and_a_factory_make_one_instance_a_request() -> None:
    made: list[Any] = []

    class Counting(MiddlewareSync):
        def __init__(self, client: Any, raw_request: object) -> None:
            super().__init__(client, raw_request)
            made.append((client, raw_request))

    client = client_of(middleware=[Counting, lambda client, raw: Counting(client, raw)])
    client.create_function(fn_id="f", trigger=TRIGGER)(body)
    request = call_of("shop-f")
    request.raw = "the framework's"
    for _ in range(2):
        ask(client, request)
    assert made == [(client, "the framework's")] * 4


def test_an_instance_is_used_as_it_is() -> None:
    log: Log = []
    client = client_of()
    instance = recording(log)(client, None)
    client.add_middleware(instance)
    client.create_function(fn_id="f", trigger=TRIGGER)(body)
    for _ in range(2):
        ask(client, call_of("shop-f"))
    assert len(log) == 10


def test_a_step_that_sends_uses_the_instances_of_the_call() -> None:
    seen: list[Any] = []

    class Watching(MiddlewareSync):
        def before_execution(self) -> None:
            seen.append(self)

        def before_send_events(self, events: Any) -> None:
            seen.append(self)

    play(lambda ctx: ctx.step.send_event("s", inngest.Event(name="x")), [Watching])
    assert len(seen) == 2
    assert seen[0] is seen[1]


def test_a_send_of_the_client_makes_new_ones_without_a_request() -> None:
    seen: list[Any] = []

    class Watching(MiddlewareSync):
        def before_send_events(self, events: Any) -> None:
            seen.append(self.raw_request)

    client_of(middleware=[Watching]).send_sync(inngest.Event(name="a"))
    assert seen == [None]


def test_middleware_that_cannot_be_made_is_named() -> None:
    class Picky(MiddlewareSync):
        def __init__(self, client: Any, raw_request: object) -> None:
            raise RuntimeError("no")

    response, _ = play(body, [Picky])
    assert response.status == 500
    assert "Picky could not be made: no" in document(response)["message"]


# ---- async middleware and blocking functions


@pytest.mark.parametrize("as_instance", [False, True])
def test_async_middleware_on_a_blocking_function_is_refused_at_registration(
    as_instance: bool,
) -> None:
    client = client_of()
    kind = awaiting([])
    client.add_middleware(kind(client, None) if as_instance else kind)
    with pytest.raises(ConfigError, match=r"(?s)shop-f.*is async, but the function is blocking"):
        client.create_function(fn_id="f", trigger=TRIGGER)(body)
    client.create_function(fn_id="g", trigger=TRIGGER)(abody)
    assert [function.local_id for function in client.functions] == ["g"]


def test_so_it_is_on_the_function_itself_and_on_its_failure_handler() -> None:
    client = client_of()
    with pytest.raises(ConfigError, match="is async, but the function is blocking"):
        client.create_function(fn_id="f", trigger=TRIGGER, middleware=[awaiting([])])(body)
    with pytest.raises(ConfigError, match="is async, but the failure handler is blocking"):
        client.create_function(
            fn_id="f", trigger=TRIGGER, middleware=[awaiting([])], on_failure=body
        )(abody)


def test_and_when_it_is_added_later() -> None:
    client = client_of()
    client.create_function(fn_id="f", trigger=TRIGGER)(body)
    with pytest.raises(ConfigError, match=r"shop-f.*is async"):
        client.add_middleware(awaiting([]))
    assert client.middleware == []


def test_that_of_a_factory_is_refused_at_the_first_call_by_name() -> None:
    kind = awaiting([])
    response, _ = play(body, [lambda client, raw: kind(client, raw)])
    assert response.status == 500
    assert document(response)["code"] == "middleware_failed"
    assert "is async, but the function or send is blocking" in document(response)["message"]


def test_an_async_middleware_that_overrides_nothing_does_no_harm() -> None:
    class Silent(Middleware):
        pass

    assert play(body, [Silent])[0].status == 200


def test_middleware_added_later_acts_on_later_calls() -> None:
    log: Log = []
    client = client_of()
    client.create_function(fn_id="f", trigger=TRIGGER)(body)
    door = served(client)
    door.answer_sync(call_of("shop-f"))
    client.add_middleware(recording(log))
    door.answer_sync(call_of("shop-f"))
    assert log == [*ORDER, "before_response"]


def test_only_calls_have_middleware() -> None:
    log: Log = []
    client = client_of(middleware=[recording(log)])
    ask(client, request_of("GET"))
    ask(client, call_of("shop-nope"))
    assert log == []


def test_after_execution_runs_even_if_a_before_hook_failed() -> None:
    log: Log = []

    class Failing(MiddlewareSync):
        def before_execution(self) -> None:
            raise RuntimeError("boom")

    response, _ = play(body, [recording(log), Failing])
    assert response.status == 500
    assert log == ["transform_input", "before_execution", "after_execution"]


def test_a_factory_that_makes_no_middleware_is_named() -> None:
    def make_nothing(client: Any, raw_request: object) -> None: ...

    with pytest.raises(MiddlewareError, match=r"make_nothing made a NoneType"):
        assemble([make_nothing], None, None)
