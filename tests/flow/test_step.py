"""
One step: its values, its errors, and what it does not allow.
"""

from __future__ import annotations

import asyncio
import dataclasses
import datetime
import decimal
import enum
import json
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pydantic
import pytest

from inngest_core import (
    Context,
    ContextSync,
    Event,
    NonRetriableError,
    RetryAfterError,
    StepError,
    get_step_context,
    set_step_context,
    step,
)
from tests.support import (
    Counts,
    Run,
    data,
    endpoint,
    giving,
    new_client,
    on_loop,
    ops,
    post,
)


def ask(handler: Callable[[Any], Any], *args: Any, **options: Any) -> Any:
    """The reply to one call of *handler*, async or blocking."""
    with on_loop(endpoint(handler)) as answer:
        return answer(post(*args, **options))


def replay(body: Callable[[Any], Any], memo: Any, serializer: Any = None) -> Any:
    """What a step at the beginning of *body* returns, given its memo: sync, then async."""
    found: list[Any] = []

    def handler_sync(ctx: ContextSync) -> None:
        found.append(body(ctx.step))

    async def handler(ctx: Context) -> None:
        found.append(await body(ctx.step))

    for one in (handler_sync, handler):
        client = new_client(serializer=serializer)
        with on_loop(endpoint(one, client=client)) as answer:
            response = answer(post({"a": memo}))
        assert response.status == 200, response.body
    assert found[0] == found[1]
    assert type(found[0]) is type(found[1])
    return found[0]


def reported(execute: Callable[[], Any], **options: Any) -> Any:
    """The data with which a step that executes *execute* is reported: sync and async."""

    async def handler(ctx: Context) -> Any:
        return await ctx.step.run("a", execute, **options)

    sync = json.loads(ask(lambda ctx: ctx.step.run("a", execute, **options)).body)
    assert sync == json.loads(ask(handler).body)
    return sync[0]["data"]


def failed(error: BaseException, **options: Any) -> tuple[str, dict[str, Any]]:
    """The op of a step that raises *error*: its name and its error."""

    def execute() -> None:
        raise error

    (op,) = json.loads(ask(lambda ctx: ctx.step.run("a", execute), **options).body)
    assert "data" not in op
    return op["op"], op["error"]


# ---- values


class Color(enum.Enum):
    RED = "red"


@dataclasses.dataclass
class Point:
    x: int
    y: int = 0


class Order(pydantic.BaseModel):
    id: uuid.UUID
    total: decimal.Decimal


ID = uuid.UUID(int=7)
NOON = datetime.datetime(2026, 11, 22, 12, tzinfo=datetime.timezone.utc)


def a_point() -> Point:
    return Point(1, 2)


def an_order() -> Order:
    return Order(id=ID, total=decimal.Decimal("1.50"))


def orders() -> list[Order]:
    return [an_order()]


def maybe_point() -> Point | None:
    return None


def points_by_name() -> dict[str, Point]:
    return {"p": Point(1)}


def noon() -> datetime.datetime:
    return NOON


def an_id() -> uuid.UUID:
    return ID


def price() -> decimal.Decimal:
    return decimal.Decimal("1.50")


def color() -> Color:
    return Color.RED


def numbers() -> set[int]:
    return {3}


ANNOTATED: list[Callable[[], Any]] = [
    a_point,
    an_order,
    orders,
    maybe_point,
    points_by_name,
    noon,
    an_id,
    price,
    color,
    numbers,
]


@pytest.mark.parametrize("execute", ANNOTATED, ids=lambda one: one.__name__)
def test_an_annotation_beyond_json_brings_the_same_value_back(execute: Any) -> None:
    sent = reported(execute)
    assert replay(lambda steps: steps.run("a", execute), data(sent)) == execute()


@pytest.mark.parametrize("execute", ANNOTATED, ids=lambda one: one.__name__)
def test_an_async_callable_converts_as_well(execute: Any) -> None:
    async def execute_async() -> Any:
        return execute()

    execute_async.__annotations__["return"] = execute.__annotations__["return"]

    async def handler(ctx: Context) -> Any:
        return await ctx.step.run("a", execute_async)

    assert json.loads(ask(handler).body)[0]["data"] == reported(execute)


def plain_tuple() -> tuple[int, str]:
    return (1, "a")


def unresolvable() -> Nowhere:  # type: ignore[name-defined]  # noqa: F821  # on purpose
    return {"x": 1}


PLAIN: list[tuple[Callable[[], Any], Any]] = [
    (plain_tuple, [1, "a"]),
    (unresolvable, {"x": 1}),
    (lambda: {"x": (1, 2)}, {"x": [1, 2]}),
    (lambda: None, None),
]


@pytest.mark.parametrize(("execute", "sent"), PLAIN)
def test_without_one_a_value_stays_plain_json_and_a_tuple_becomes_a_list(
    execute: Any, sent: Any
) -> None:
    assert reported(execute) == sent
    assert replay(lambda steps: steps.run("a", execute), data(sent)) == sent


def test_output_type_decides_over_the_annotation() -> None:
    def untyped() -> Any:
        return Point(1, 2)

    sent = reported(untyped, output_type=Point)
    assert sent == {"x": 1, "y": 2}
    assert replay(lambda steps: steps.run("a", untyped, output_type=Point), data(sent)) == Point(
        1, 2
    )
    many = replay(lambda steps: steps.run("a", untyped, output_type=list[Point]), data([sent]))
    assert many == [Point(1, 2)]
    assert (
        replay(lambda steps: steps.run("a", untyped, output_type=Point | None), data(None)) is None
    )


def test_a_serializer_of_the_users_is_asked_only_where_output_type_is_given() -> None:
    class Shouting:
        def serialize(self, obj: object, typ: object) -> object:
            return str(obj).upper()

        def deserialize(self, obj: object, typ: object) -> object:
            return f"<{obj}>"

    def typed() -> Color:
        return Color.RED

    assert replay(lambda steps: steps.run("a", typed), data("red"), Shouting()) == "red"
    assert (
        replay(lambda steps: steps.run("a", typed, output_type=str), data("red"), Shouting())
        == "<red>"
    )


def test_a_function_output_converts_by_its_annotation_or_output_type() -> None:
    def handler(ctx: ContextSync) -> Order:
        return an_order()

    async def untyped(ctx: Context) -> Any:
        return an_order()

    expected = {"id": str(ID), "total": "1.50"}
    assert json.loads(ask(handler).body) == expected
    with on_loop(endpoint(untyped, output_type=Order)) as answer:
        assert json.loads(answer(post()).body) == expected


def test_an_invoke_returns_the_output_type_of_the_callee() -> None:
    client = new_client()

    def callee(ctx: ContextSync) -> list[Point]:
        return [Point(1)]

    from tests.support import ANY

    child = client.create_function(fn_id="child", trigger=ANY)(callee)
    memo = data([{"x": 1, "y": 0}])
    assert replay(lambda steps: steps.invoke("a", function=child), memo) == [Point(1)]
    assert replay(lambda steps: steps.invoke_by_id("a", function_id="child"), memo) == [
        {"x": 1, "y": 0}
    ]


class _AsyncObject:
    async def __call__(self) -> str:
        return "called"


def test_an_object_with_an_async_call_is_awaited() -> None:
    async def handler(ctx: Context) -> Any:
        return await ctx.step.run("a", _AsyncObject())

    assert json.loads(ask(handler).body)[0]["data"] == "called"


UNSERIALIZABLE = {
    "code": "output_unserializable",
    "message": '"a" returned unserializable data',
    "name": "OutputUnserializableError",
}


@pytest.mark.parametrize("value", [object(), {1}, b"x", float("inf"), {"deep": [object()]}])
def test_a_step_whose_value_is_not_json_fails_the_run_without_an_op(value: Any) -> None:
    for handler in _both(giving(value)):
        response = ask(handler)
        assert (response.status, json.loads(response.body)) == (500, UNSERIALIZABLE)
        assert response.headers["x-inngest-no-retry"] == "true"


def test_why_a_value_is_not_json_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    for handler in (*_both(giving({"when": NOON})), lambda ctx: NOON):
        caplog.clear()
        ask(handler)
        assert "returned unserializable data" in caplog.text
        assert "Object of type datetime is not JSON serializable" in caplog.text


def test_so_does_one_that_the_serializer_cannot_dump() -> None:
    response = ask(lambda ctx: ctx.step.run("a", object, output_type=object))
    assert json.loads(response.body) == UNSERIALIZABLE


def test_an_async_callable_in_a_blocking_step_counts_as_such() -> None:
    async def execute() -> int:
        return 1

    response = ask(lambda ctx: ctx.step.run("a", execute))
    assert json.loads(response.body) == UNSERIALIZABLE


def _both(execute: Callable[[], Any]) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    async def handler(ctx: Context) -> Any:
        return await ctx.step.run("a", execute)

    return handler, lambda ctx: ctx.step.run("a", execute)


# ---- memos of other steps


def test_a_wait_returns_the_event_or_none() -> None:
    event = {"data": {"n": 1}, "id": "e", "name": "came", "ts": 5}

    def wait(steps: Any) -> Any:
        return steps.wait_for_event("a", event="came", timeout="1h")

    assert replay(wait, event) == Event(name="came", data={"n": 1}, id="e", ts=5)
    assert replay(wait, None) is None


def test_a_sleep_returns_none() -> None:
    assert replay(lambda steps: steps.sleep("a", 1000), None) is None
    assert replay(lambda steps: steps.sleep_until("a", NOON), None) is None


def test_the_ops_of_pausing_steps_say_what_they_wait_for() -> None:
    def asked(body: Callable[[Any], Any]) -> tuple[str, str, Any]:
        (op,) = json.loads(ask(lambda ctx: body(ctx.step)).body)
        return op["op"], op["name"], op["opts"]

    assert asked(lambda steps: steps.sleep("a", 1500)) == ("Sleep", "a", {"duration": "1s500ms"})
    assert asked(lambda steps: steps.sleep("a", 1)) == ("Sleep", "a", {"duration": "1s"})
    assert asked(lambda steps: steps.sleep_until("a", NOON)) == (
        "Sleep",
        "a",
        {"duration": "2026-11-22T12:00:00.000Z"},
    )
    assert asked(lambda steps: steps.wait_for_event("a", event="e", timeout="1h", if_exp="x")) == (
        "WaitForEvent",
        "e",
        {"event": "e", "if": "x", "timeout": "1h"},
    )
    assert asked(lambda steps: steps.invoke_by_id("a", function_id="f", data={"n": 1}, v="2")) == (
        "InvokeFunction",
        "a",
        {"function_id": "app-f", "payload": {"data": {"n": 1}, "v": "2"}},
    )
    assert asked(lambda steps: steps.invoke_by_id("a", app_id="other", function_id="f")) == (
        "InvokeFunction",
        "a",
        {"function_id": "other-f", "payload": {"data": {}}},
    )


# ---- errors of steps


@pytest.mark.parametrize(
    ("error", "options", "name"),
    [
        (ValueError("x"), {}, "StepError"),
        (ValueError("x"), {"attempt": 3}, "StepError"),
        (ValueError("x"), {"attempt": 4}, "StepFailed"),
        (ValueError("x"), {"max_attempts": 1}, "StepFailed"),
        (NonRetriableError("x", quiet=True), {}, "StepFailed"),
        (RetryAfterError("x", 1000, quiet=True), {}, "StepError"),
    ],
)
def test_a_step_that_raised_is_tried_again_until_its_last_attempt(
    error: Exception, options: Any, name: str
) -> None:
    assert failed(error, **options)[0] == name


@pytest.mark.parametrize("quiet", [True, False])
@pytest.mark.parametrize("where", ["function", "step"])
@pytest.mark.parametrize(
    "error",
    [
        lambda quiet: NonRetriableError("hush", quiet=quiet),
        lambda quiet: RetryAfterError("hush", 1000, quiet=quiet),
    ],
)
def test_an_error_is_logged_unless_it_is_quiet(
    error: Any, where: str, quiet: bool, caplog: pytest.LogCaptureFixture
) -> None:
    def fails() -> None:
        raise error(quiet)

    ask(lambda ctx: ctx.step.run("a", fails) if where == "step" else fails())
    assert ("hush" in caplog.text) is not quiet


def test_an_error_has_exactly_code_message_name_and_stack() -> None:
    _, error = failed(ValueError("broken"))
    assert error.keys() == {"code", "message", "name", "stack"}
    assert (error["code"], error["message"], error["name"]) == ("unknown", "broken", "ValueError")


def test_its_stack_has_the_users_frames_and_none_of_ours() -> None:
    def execute() -> None:
        raise ValueError("broken")

    async def handler(ctx: Context) -> None:
        await ctx.step.run("a", execute)

    async def handler_raising(ctx: Context) -> None:
        execute()

    of_step = json.loads(ask(handler).body)[0]["error"]["stack"]
    of_function = json.loads(ask(handler_raising).body)["stack"]
    for stack in (of_step, of_function):
        assert stack.startswith("Traceback (most recent call last):\n")
        assert "in execute" in stack
        assert stack.rstrip().endswith("ValueError: broken")
        assert "inngest_core" not in stack


def test_a_cause_is_added_only_where_the_user_wrote_from() -> None:
    def explicit() -> None:
        try:
            raise KeyError("inner")
        except KeyError as error:
            raise ValueError("outer") from error

    def implicit() -> None:
        try:
            raise KeyError("inner")
        except KeyError:
            raise ValueError("outer")  # noqa: B904  # on purpose

    def error_of(execute: Callable[[], None]) -> Any:
        return json.loads(ask(lambda ctx: ctx.step.run("a", execute)).body)[0]["error"]

    cause = error_of(explicit)["cause"]
    assert (cause["name"], cause["message"]) == ("KeyError", "'inner'")
    assert "cause" not in error_of(implicit)


FAILED = {"error": {"message": "m", "name": "ValueError", "stack": "Traceback: s"}}


def caught(memo: Any, body: Callable[[Any], Any]) -> StepError:
    with pytest.raises(StepError) as info:
        replay_raising(memo, body)
    return info.value


def replay_raising(memo: Any, body: Callable[[Any], Any]) -> None:
    """Raise here what a step raises there."""
    found: list[BaseException] = []

    def handler(ctx: ContextSync) -> None:
        try:
            body(ctx.step)
        except StepError as error:
            found.append(error)

    ask(handler, {"a": memo})
    raise found[0]


def test_a_failed_memo_is_raised_as_step_error_with_name_message_stack_and_cause() -> None:
    memo = {"error": {**FAILED["error"], "cause": {"message": "c", "name": "KeyError"}}}
    error = caught(memo, lambda steps: steps.run("a", giving(1)))
    assert (error.message, error.name, error.stack) == ("m", "ValueError", "Traceback: s")
    assert isinstance(error.__cause__, StepError)
    assert (error.__cause__.message, error.__cause__.name) == ("c", "KeyError")


def test_a_failed_invoke_raises_the_callees_error() -> None:
    timeout = "Timed out waiting for invoked function to complete"
    memo = {
        "error": {
            "error": f"InngestInvokeTimeoutError: {timeout}",
            "message": timeout,
            "name": "InngestInvokeTimeoutError",
        }
    }
    error = caught(memo, lambda steps: steps.invoke_by_id("a", function_id="f"))
    assert (error.message, error.name, error.stack) == (timeout, "InngestInvokeTimeoutError", None)


def test_the_bare_event_of_a_cancelled_invoke_raises_too() -> None:
    memo = {
        "data": {"_inngest": {"status": "Cancelled"}},
        "id": "e",
        "name": "inngest/function.finished",
        "ts": 1,
    }
    error = caught(memo, lambda steps: steps.invoke_by_id("a", function_id="f"))
    assert error.name == "InngestInvokeCancelledError"


@pytest.mark.parametrize(
    ("name", "code"),
    [("ValueError", "step_errored"), ("NonRetriableError", "non_retriable_error")],
)
def test_an_uncaught_step_error_ends_the_run_without_another_attempt(name: str, code: str) -> None:
    memo = {"error": {"message": "m", "name": name, "stack": "Traceback: s"}}
    for handler in _both(giving(1)):
        response = ask(handler, {"a": memo})
        assert response.status == 500
        assert json.loads(response.body) == {
            "code": code,
            "message": "m",
            "name": name,
            "stack": "Traceback: s",
        }
        assert response.headers["x-inngest-no-retry"] == "true"


def test_an_error_that_replaces_a_step_error_becomes_the_runs_own() -> None:
    def handler(ctx: ContextSync) -> None:
        try:
            ctx.step.run("a", giving(1))
        except StepError as error:
            raise RuntimeError("mine") from error

    response = ask(handler, {"a": FAILED})
    body = json.loads(response.body)
    assert (body["code"], body["message"], body["name"]) == ("unknown", "mine", "RuntimeError")
    assert body["cause"]["name"] == "ValueError"
    assert response.headers["x-inngest-no-retry"] == "false"


def test_a_step_that_raises_stop_iteration_is_a_step_that_raised() -> None:
    for handler in _both(lambda: next(iter(()))):
        ((op, step_id),) = ops(ask(handler))
        assert (op, step_id) == ("StepError", "a")


# ---- nested steps


NESTED = "Nested steps are not supported."


def test_a_step_inside_a_step_fails_the_run_at_once() -> None:
    counts = Counts()
    seen: list[str] = []

    async def handler(ctx: Context) -> None:
        async def outer() -> None:
            counts["outer"] += 1
            try:
                await ctx.step.run("inner", counts.doing("inner"))
            except Exception:
                seen.append("caught")

        await ctx.step.run("outer", outer)

    def handler_sync(ctx: ContextSync) -> None:
        def outer() -> None:
            counts["outer"] += 1
            try:
                ctx.step.run("inner", counts.doing("inner"))
            except Exception:
                seen.append("caught")

        ctx.step.run("outer", outer)

    for one in (handler, handler_sync):
        response = ask(one, {"inner": data(1), "x": data(1)})
        assert json.loads(response.body)["message"] == NESTED
        assert response.headers["x-inngest-no-retry"] == "true"
    assert counts == {"outer": 2}
    assert not seen


def test_one_in_a_task_that_the_step_made_is_nested_as_well() -> None:
    async def handler(ctx: Context) -> None:
        async def outer() -> None:
            await asyncio.gather(ctx.step.run("x", giving(1)), ctx.step.sleep("y", 1000))

        await ctx.step.run("outer", outer)

    assert json.loads(ask(handler).body)["message"] == NESTED


def test_one_in_a_thread_that_the_step_started_is_nested_as_well() -> None:
    def handler(ctx: ContextSync) -> None:
        def outer() -> None:
            with ThreadPoolExecutor(1) as threads:
                threads.submit(ctx.step.run, "inner", giving(1)).result()

        ctx.step.run("outer", outer)

    assert json.loads(ask(handler).body)["message"] == NESTED


def test_steps_in_threads_of_a_blocking_function_run_one_a_call() -> None:
    counts = Counts()

    def handler(ctx: ContextSync) -> Any:
        def one(name: str) -> Any:
            return ctx.step.run(name, counts.doing(name))

        with ThreadPoolExecutor(1) as threads:
            return [future.result() for future in [threads.submit(one, name) for name in "abc"]]

    with on_loop(endpoint(handler)) as answer:
        assert Run(answer).play().result == ["a", "b", "c"]
    assert not counts.doubled


def test_a_step_beside_one_that_executes_is_not_nested() -> None:
    async def handler(ctx: Context) -> Any:
        found = asyncio.Event()

        async def waits() -> str:
            await asyncio.wait_for(found.wait(), 5)
            return "ran"

        async def late() -> Any:
            await asyncio.sleep(0.01)
            found.set()
            return await ctx.step.run("b", giving("B"))

        return await asyncio.gather(ctx.step.run("a", waits), late())

    assert ops(ask(handler)) == [("StepRun", "a")]


# ---- the surrounding run


@step("decorated")
def decorated(text: str, *, times: int) -> str:
    return text * times


@step("decorated")
async def decorated_async(text: str, *, times: int) -> str:
    return text * times


def test_a_decorated_function_is_a_step_inside_a_run_and_a_plain_call_outside() -> None:
    async def handler(ctx: Context) -> Any:
        return await decorated_async("x", times=2)

    for one in (lambda ctx: decorated("x", times=2), handler):
        with on_loop(endpoint(one)) as answer:
            run = Run(answer).play()
        assert (run.result, run.completed) == ("xx", ["decorated"])
    assert decorated("x", times=2) == asyncio.run(decorated_async("x", times=2)) == "xx"


def test_the_surrounding_step_is_known_only_inside_a_run() -> None:
    with pytest.raises(LookupError):
        get_step_context()
    assert ask(lambda ctx: get_step_context() is ctx.step).body == b"true"
    with pytest.raises(LookupError):
        get_step_context()


def test_it_cannot_be_set_twice() -> None:
    def handler(ctx: ContextSync) -> None:
        with set_step_context(ctx.step):
            pass

    assert json.loads(ask(handler).body)["message"] == "Step context already set"


# ---- arguments that cannot be meant


def test_what_is_no_callable_is_refused_with_the_remedy() -> None:
    from tests.support import ANY

    child = new_client().create_function(fn_id="child", trigger=ANY)(lambda ctx: None)

    async def work() -> None: ...

    def message(argument: Callable[[], Any]) -> str:
        response = ask(lambda ctx: ctx.step.run("a", argument()))
        assert response.headers["x-inngest-no-retry"] == "true"
        text: str = json.loads(response.body)["message"]
        return text

    assert "use step.invoke" in message(lambda: child)
    assert "expected a callable, got coroutine; pass the callable itself" in message(work)
    assert "expected a callable, got int" in message(lambda: 5)


def test_what_is_no_function_cannot_be_invoked() -> None:
    response = ask(lambda ctx: ctx.step.invoke("a", function=len))
    assert "use step.run" in json.loads(response.body)["message"]


def test_a_stop_iteration_in_a_step_is_reported_as_itself() -> None:
    async def handler(ctx: Context) -> None:
        await ctx.step.run("a", lambda: next(iter([])))

    code, error = failed(StopIteration("end"))
    assert (code, error["name"], error["message"]) == ("StepError", "StopIteration", "end")
    (op,) = json.loads(ask(handler).body)
    assert op["error"]["name"] == "StopIteration"
