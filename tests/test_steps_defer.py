"""Deferrals: told with the next reply, once; taken back; in the way of nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from inngest_core import (
    Context,
    ContextSync,
    Inngest,
    MiddlewareSync,
    Opcode,
    TransformOutputResult,
    TriggerEvent,
)
from inngest_core.wire.ids import hash_step
from tests.support import Counts, Run, data, endpoint, giving, new_client, on_loop, ops, post

REFUND = "app-refund"
DEFERRED = TriggerEvent(
    event="inngest/deferred.schedule", expression=f"event.data._inngest.fn_slug == '{REFUND}'"
)
KNOWN = {"abortable": True}
ABORTED = {"abortable": False}


def both(body: Callable[[Any], Any]) -> list[Callable[[Any], Any]]:
    """A blocking and an async function; *body* yields what a step method returns."""

    def blocking(ctx: ContextSync) -> Any:
        return drive(body(ctx.step))

    async def awaiting(ctx: Context) -> Any:
        work = body(ctx.step)
        value: Any = None
        try:
            while True:
                value = await work.send(value)
        except StopIteration as end:
            return end.value

    return [blocking, awaiting]


def drive(work: Any) -> Any:
    value: Any = None
    try:
        while True:
            value = work.send(value)
    except StopIteration as end:
        return end.value


def answers(body: Callable[[Any], Any], *args: Any, **options: Any) -> Any:
    """The reply to one call, status and JSON: the same in both kinds of functions."""
    middleware = options.pop("middleware", ())
    found = []
    for handler in both(body):
        client = new_client(middleware=list(middleware))
        with on_loop(endpoint(handler, client=client)) as answer:
            response = answer(post(*args, **options))
        document = json.loads(response.body)
        if response.status >= 400:
            document.pop("stack", None)
        found.append((response.status, document))
    assert found[0] == found[1]
    return found[0]


def runs(body: Callable[[Any], Any], **options: Any) -> list[Run]:
    """One run of each kind of function, played to its end."""
    played = []
    for handler in both(body):
        with on_loop(endpoint(handler)) as answer:
            played.append(Run(answer, **options).play())
    assert [call.ops for call in played[0].calls] == [call.ops for call in played[1].calls]
    return played


def defer(step: Any, name: str = "d", **options: Any) -> Any:
    return step.defer(name, **{"function_id": "refund", "data": {"n": 1}, **options})


# ---- going along


def test_a_deferral_goes_out_in_front_of_the_next_step() -> None:
    def body(step: Any) -> Any:
        yield defer(step)
        return (yield step.run("a", giving(1)))

    status, (first, second) = answers(body)
    assert status == 206
    assert (first["op"], first["id"], first["displayName"]) == ("DeferAdd", hash_step("d"), "d")
    assert first["opts"] == {"fn_slug": REFUND, "input": {"n": 1}}
    assert (second["op"], second["data"]) == ("StepRun", 1)


def test_with_the_end_of_the_function_where_no_step_comes() -> None:
    def body(step: Any) -> Any:
        yield defer(step)
        return {"all": [1]}

    status, (first, end) = answers(body)
    assert status == 206
    assert first["op"] == "DeferAdd"
    assert (end["op"], end["data"]) == ("RunComplete", {"all": [1]})
    assert end["id"] == "0737c22d3bfae812339732d14d8c7dbd6dc4e09c"


def test_what_the_server_knows_is_not_told_again() -> None:
    def body(step: Any) -> Any:
        yield defer(step)
        yield step.run("a", giving(1))
        return "done"

    assert answers(body, {"a": data(1)}, defers={"d": KNOWN}) == (200, "done")
    for run in runs(body):
        assert run.result == "done"
        assert [call.ops for call in run.calls] == [[("DeferAdd", "d"), ("StepRun", "a")], []]
        assert run.started == [(REFUND, {"n": 1})]


def test_many_go_out_in_the_order_of_the_code() -> None:
    def body(step: Any) -> Any:
        for _ in range(3):
            yield defer(step)
        yield step.sleep("nap", "1h")

    _, found = answers(body)
    assert [op["op"] for op in found] == ["DeferAdd"] * 3 + ["Sleep"]
    assert [op["id"] for op in found[:3]] == [hash_step(raw) for raw in ("d", "d:1", "d:2")]
    assert [op["userland"]["index"] for op in found[:3]] == [None, 1, 2]


def test_a_step_of_the_same_id_is_told_apart() -> None:
    def body(step: Any) -> Any:
        yield defer(step, "x")
        yield step.run("x", giving(1))

    _, found = answers(body)
    assert [op["id"] for op in found] == [hash_step("x"), hash_step("x:1")]


def test_one_goes_with_a_step_that_fails() -> None:
    def fail() -> None:
        raise ValueError("no")

    def body(step: Any) -> Any:
        yield defer(step)
        yield step.run("a", fail)

    _, found = answers(body)
    assert [op["op"] for op in found] == ["DeferAdd", "StepError"]


def test_an_error_of_the_function_is_the_reply_and_the_next_attempt_defers_again() -> None:
    def body(step: Any) -> Any:
        yield defer(step)
        raise ValueError("no")

    status, document = answers(body)
    assert (status, document["name"]) == (500, "ValueError")


def test_parallel_steps_take_it_along_once() -> None:
    counts = Counts()

    async def branch(ctx: Context, name: str) -> Any:
        await ctx.step.defer(f"d {name}", function_id="refund")
        first = await ctx.step.run(f"{name}1", counts.doing(f"{name}1"))
        return [first, await ctx.step.run(f"{name}2", counts.doing(f"{name}2"))]

    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(branch(ctx, "a"), branch(ctx, "b"))

    with on_loop(endpoint(handler)) as answer:
        run = Run(answer).play()
    assert run.result == [["a1", "a2"], ["b1", "b2"]]
    assert counts.doubled == {}
    assert run.calls[0].ops == [
        ("DeferAdd", "d a"),
        ("DeferAdd", "d b"),
        ("StepPlanned", "a1"),
        ("StepPlanned", "b1"),
    ]
    assert len(run.started) == 2


def test_a_group_of_a_blocking_function_takes_it_along() -> None:
    def handler(ctx: ContextSync) -> Any:
        def one() -> Any:
            ctx.step.defer("d", function_id="refund")
            return ctx.step.run("a", giving(1))

        return ctx.group.parallel((one, lambda: ctx.step.run("b", giving(2))))

    with on_loop(endpoint(handler)) as answer:
        assert ops(answer(post())) == [
            ("DeferAdd", "d"),
            ("StepPlanned", "a"),
            ("StepPlanned", "b"),
        ]
        run = Run(answer).play()
    assert run.result == [1, 2]
    assert len(run.started) == 1


def test_a_branch_that_was_left_defers_nothing_more() -> None:
    def handler(ctx: ContextSync) -> Any:
        def one() -> Any:
            try:
                return ctx.step.run("a", giving(1))
            finally:
                ctx.step.defer("late", function_id="refund")

        return ctx.group.parallel((one, lambda: ctx.step.run("b", giving(2))))

    with on_loop(endpoint(handler)) as answer:
        assert ops(answer(post())) == [("StepPlanned", "a"), ("StepPlanned", "b")]


def test_after_the_decision_nothing_is_deferred() -> None:
    async def handler(ctx: Context) -> None:
        try:
            await ctx.step.sleep("nap", "1h")
        finally:
            await ctx.step.defer("late", function_id="refund")

    def blocking(ctx: ContextSync) -> None:
        try:
            ctx.step.sleep("nap", "1h")
        finally:
            ctx.step.defer("late", function_id="refund")

    for function in (handler, blocking):
        with on_loop(endpoint(function)) as answer:
            assert ops(answer(post())) == [("Sleep", "nap")]


def test_inside_a_step_it_is_a_nested_step() -> None:
    def handler(ctx: ContextSync) -> Any:
        return ctx.step.run("outer", lambda: ctx.step.defer("d", function_id="refund"))

    async def nested(ctx: Context) -> Any:
        async def outer() -> None:
            await ctx.step.defer("d", function_id="refund")

        return await ctx.step.run("outer", outer)

    for function in (handler, nested):
        with on_loop(endpoint(function)) as answer:
            response = answer(post())
        assert json.loads(response.body)["message"] == "Nested steps are not supported."


# ---- taking back


def test_a_deferral_is_taken_back_once() -> None:
    def body(step: Any) -> Any:
        deferred = yield defer(step)
        yield step.run("a", giving(1))
        deferred.abort()
        deferred.abort()
        yield step.run("b", giving(2))
        yield step.run("c", giving(3))
        return "done"

    for run in runs(body):
        assert run.result == "done"
        assert [call.ops for call in run.calls] == [
            [("DeferAdd", "d"), ("StepRun", "a")],
            [("DeferAbort", "d"), ("StepRun", "b")],
            [("StepRun", "c")],
            [],
        ]
        assert run.started == []


def test_the_abort_names_its_target_and_has_an_id_of_its_own() -> None:
    def body(step: Any) -> Any:
        deferred = yield defer(step)
        deferred.abort()
        return 1

    _, (abort, end) = answers(body, defers={"d": KNOWN})
    assert (abort["op"], abort["opts"]) == ("DeferAbort", {"target_hashed_id": hash_step("d")})
    assert abort["id"] != hash_step("d")
    assert end["op"] == "RunComplete"
    assert answers(body, defers={"d": ABORTED}) == (200, 1)


def test_what_the_server_does_not_know_yet_is_never_told() -> None:
    def body(step: Any) -> Any:
        kept = yield defer(step, "kept")
        deferred = yield defer(step)
        deferred.abort()
        assert (repr(kept), repr(deferred)) == ("<Deferred kept>", "<Deferred d>")
        return (yield step.run("a", giving(1)))

    for run in runs(body):
        assert run.calls[0].ops == [("DeferAdd", "kept"), ("StepRun", "a")]
        assert run.started == [(REFUND, {"n": 1})]


@pytest.mark.parametrize("known", [None, True, {}, [], "x"])
def test_a_server_that_says_less_is_told_nothing(known: Any) -> None:
    def body(step: Any) -> Any:
        deferred = yield defer(step)
        deferred.abort()
        return 1

    assert answers(body, defers={"d": known})[0] in (200, 206)


# ---- middleware


def test_middleware_sees_deferrals_and_may_change_their_input() -> None:
    seen: list[Any] = []

    class Watching(MiddlewareSync):
        def transform_output(self, result: TransformOutputResult) -> None:
            step = result.step
            seen.append((step and step.op, result.error and str(result.error), result.has_output()))
            if step is not None and step.op is Opcode.DEFER_ADD and step.opts is not None:
                step.opts["input"] = {"sealed": True}

    def fail() -> None:
        raise ValueError("no")

    def failing(step: Any) -> Any:
        yield defer(step)
        yield step.run("a", fail)

    def ending(step: Any) -> Any:
        yield defer(step)
        return 1

    for body in (failing, ending):
        _, found = answers(body, middleware=[Watching])
        assert found[0]["opts"]["input"] == {"sealed": True}
    assert seen == [
        *[(Opcode.DEFER_ADD, None, False), (Opcode.STEP_ERROR, "no", False)] * 2,
        *[(None, None, True), (Opcode.DEFER_ADD, None, False)] * 2,
    ]


def test_a_result_that_is_not_json_fails_as_without_a_deferral() -> None:
    def body(step: Any) -> Any:
        yield defer(step)
        return {1}

    status, document = answers(body)
    assert (status, document["message"]) == (500, "returned unserializable data")


# ---- which function


def client_with(trigger: Any) -> tuple[Inngest, Any]:
    client = new_client()
    return client, client.create_function(fn_id="refund", trigger=trigger)(lambda ctx: None)


def test_a_function_of_the_same_app_is_named_by_its_object() -> None:
    client, refund = client_with([TriggerEvent(event="a/b"), DEFERRED])

    def handler(ctx: ContextSync) -> None:
        ctx.step.defer("d", function=refund)

    with on_loop(endpoint(handler, client=client)) as answer:
        (op, _) = json.loads(answer(post()).body)
    assert op["opts"] == {"fn_slug": REFUND, "input": {}}


def test_one_of_another_app_by_its_ids() -> None:
    def body(step: Any) -> Any:
        yield defer(step, app_id="bank")

    _, (op, _) = answers(body)
    assert op["opts"]["fn_slug"] == "bank-refund"


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"function_id": None}, 'step.defer "d": give either function or function_id'),
        ({"function": 5}, 'step.defer "d": give either function or function_id'),
        ({"function": 5, "function_id": None}, "function must be a Function made by create_"),
        ({"function_id": ""}, "step.defer function_id: it is empty"),
        ({"data": [1]}, "step.defer data: expected a dict, got list"),
        ({"data": {"a": {1}}}, "step.defer data: it is not JSON"),
    ],
)
def test_what_cannot_be_deferred_is_refused(options: Any, text: str) -> None:
    def body(step: Any) -> Any:
        yield defer(step, **options)

    status, document = answers(body)
    assert (status, document["name"]) == (500, "ConfigError")
    assert text in document["message"]


def test_a_function_that_would_never_start_is_refused_with_the_trigger_it_lacks() -> None:
    client, refund = client_with(TriggerEvent(event="a/b"))

    def handler(ctx: ContextSync) -> None:
        ctx.step.defer("d", function=refund)

    with on_loop(endpoint(handler, client=client)) as answer:
        message = json.loads(answer(post()).body)["message"]
    assert "app-refund does not ask to be deferred; add TriggerEvent(" in message
    assert repr(DEFERRED.expression).strip("'\"").replace("\\", "") in message
