"""
Which calls a run takes, and what each of them answers.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from inngest_core import (
    Context,
    ContextSync,
    MiddlewareSync,
    NonRetriableError,
    ParallelMode,
    RetryAfterError,
    StepError,
    TransformOutputResult,
)
from inngest_core.execution import machine, standing
from inngest_core.wire.ids import hash_step
from tests.support import (
    RUN_ID,
    Counts,
    Job,
    Run,
    data,
    endpoint,
    giving,
    last,
    new_client,
    on_loop,
    ops,
    post,
)


def play(handler: Callable[[Any], Any], **options: Any) -> Run:
    """A run of *handler*, async or blocking."""
    door = endpoint(handler)
    if not inspect.iscoroutinefunction(handler):
        return Run(door.answer_sync, **options).play()
    with on_loop(door) as answer:
        return Run(answer, **options).play()


def ask(handler: Callable[[Any], Any], *args: Any, **options: Any) -> Any:
    """The reply to one call of *handler*."""
    door = endpoint(handler)
    with on_loop(door) as answer:
        return answer(post(*args, **options))


def answer_of(response: Any) -> Any:
    return json.loads(response.body)


# ---- how many calls


@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_k_sequential_steps_take_k_plus_1_calls(count: int) -> None:
    async def handler(ctx: Context) -> Any:
        return [await ctx.step.run(f"s{n}", giving(n)) for n in range(count)]

    def handler_sync(ctx: ContextSync) -> Any:
        return [ctx.step.run(f"s{n}", giving(n)) for n in range(count)]

    for one in (handler, handler_sync):
        run = play(one)
        assert run.result == list(range(count))
        assert run.trace == ["?"] * (count + 1)


def four_and_one(counts: Counts) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    async def handler(ctx: Context) -> Any:
        found = await ctx.group.parallel(
            (
                lambda: ctx.step.run("a", counts.doing("a")),
                lambda: ctx.step.run("b", counts.doing("b")),
                lambda: ctx.step.invoke_by_id("child", function_id="child"),
                lambda: ctx.step.run("c", counts.doing("c")),
            )
        )
        return [*found, await ctx.step.run("after", counts.doing("after"))]

    def handler_sync(ctx: ContextSync) -> Any:
        found = ctx.group.parallel(
            (
                lambda: ctx.step.run("a", counts.doing("a")),
                lambda: ctx.step.run("b", counts.doing("b")),
                lambda: ctx.step.invoke_by_id("child", function_id="child"),
                lambda: ctx.step.run("c", counts.doing("c")),
            )
        )
        return [*found, ctx.step.run("after", counts.doing("after"))]

    return handler, handler_sync


@pytest.mark.parametrize("which", [0, 1])
def test_four_parallel_steps_one_an_invoke_and_one_after_them_take_6(which: int) -> None:
    counts = Counts()
    run = play(four_and_one(counts)[which], table={"child": data("grown")})
    assert run.result == ["a", "b", "grown", "c", "after"]
    assert run.trace == ["?", "a", "b", "c", "?", "?"]
    assert not counts.doubled


async def two_chains(ctx: Context, mode: ParallelMode) -> list[str]:
    finished: list[str] = []

    async def chain(name: str) -> None:
        await ctx.step.run(f"{name}1", lambda: None)
        await ctx.step.run(f"{name}2", lambda: None)
        finished.append(name)

    await ctx.group.parallel((lambda: chain("a"), lambda: chain("b")), parallel_mode=mode)
    return finished


def two_chains_sync(ctx: ContextSync, mode: ParallelMode) -> list[str]:
    finished: list[str] = []

    def chain(name: str) -> None:
        ctx.step.run(f"{name}1", lambda: None)
        ctx.step.run(f"{name}2", lambda: None)
        finished.append(name)

    ctx.group.parallel((lambda: chain("a"), lambda: chain("b")), parallel_mode=mode)
    return finished


def prefer(name: str) -> Callable[[Sequence[Job]], int]:
    """Discoveries first, then the branch called *name*."""

    def pick(jobs: Sequence[Job]) -> int:
        ranks = [(job.target is not None, not job.name.startswith(name)) for job in jobs]
        return ranks.index(min(ranks))

    return pick


def in_mode(which: Any, mode: ParallelMode) -> Callable[[Any], Any]:
    if which is two_chains:

        async def handler(ctx: Any) -> Any:
            return await two_chains(ctx, mode)

        return handler
    return lambda ctx: two_chains_sync(ctx, mode)


@pytest.mark.parametrize("which", [two_chains, two_chains_sync])
def test_two_chains_of_two_take_7_in_wait_mode(which: Any) -> None:
    run = play(in_mode(which, ParallelMode.WAIT))
    assert run.trace == ["?", "a1", "b1", "?", "a2", "b2", "?"]
    assert run.result == ["a", "b"]


@pytest.mark.parametrize("which", [two_chains, two_chains_sync])
def test_two_chains_of_two_take_9_in_race_mode(which: Any) -> None:
    run = play(in_mode(which, ParallelMode.RACE), pick=prefer("b"))
    assert run.trace == ["?", "b1", "?", "b2", "?", "a1", "?", "a2", "?"]


def test_in_race_mode_the_chain_that_completed_first_finishes_first() -> None:
    run = play(in_mode(two_chains, ParallelMode.RACE), pick=prefer("b"))
    assert run.result == ["b", "a"]


@pytest.mark.parametrize("count", [3, 12])
def test_the_winner_of_a_race_is_the_one_that_the_stack_names(count: int) -> None:
    async def handler(ctx: Context) -> Any:
        with ctx.group.mode(ParallelMode.RACE):
            tasks = [
                asyncio.create_task(ctx.step.run(f"s{n}", giving(n)), name=str(n))
                for n in range(count)
            ]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        winners = [await task for task in done]
        return [winners, await ctx.step.run("after", lambda: "after")]

    run = play(handler, pick=lambda jobs: len(jobs) - 2 if jobs[-1].kind != "discovery" else -1)
    assert run.result == [[int(run.completed[0][1:])], "after"]


def test_plain_asyncio_picks_the_same_winner_also_among_more_than_eight() -> None:
    async def handler(ctx: Context) -> Any:
        tasks = [asyncio.create_task(ctx.step.run(f"s{n}", giving(n))) for n in range(12)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return [await task for task in done]

    run = play(handler, pick=last)
    assert run.completed[0] == "s11"
    assert run.result == [11]


def test_so_does_a_second_race_after_a_long_row() -> None:
    async def handler(ctx: Context) -> Any:
        await asyncio.gather(*(ctx.step.run(f"s{n}", lambda: None) for n in range(12)))
        tasks = [asyncio.create_task(ctx.step.run(f"t{n}", giving(n))) for n in range(3)]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return [await task for task in done]

    assert play(handler, pick=last).result == [2]


def test_as_completed_follows_the_stack() -> None:
    async def handler(ctx: Context) -> Any:
        steps = [ctx.step.run(f"s{n}", giving(n)) for n in range(12)]
        return [await one for one in asyncio.as_completed(steps)]

    run = play(handler, pick=last)
    assert run.result == [int(step_id[1:]) for step_id in run.completed]


def test_a_memo_that_nobody_asks_for_holds_back_nothing_and_each_step_runs_once() -> None:
    counts = Counts()
    orders = iter([("a", "b", "c"), ("a", "b", "c"), ("c", "b"), ("c", "b"), ("b",)])

    async def handler(ctx: Context) -> Any:
        names = next(orders, ("b",))
        return [await ctx.step.run(name, counts.doing(name)) for name in names]

    assert play(handler).result is not None
    assert not counts.doubled


def test_a_step_that_fails_in_a_batch_is_retried_alone() -> None:
    attempts = Counts()

    async def flaky() -> str:
        attempts["flaky"] += 1
        if attempts["flaky"] < 3:
            raise ValueError("not yet")
        return "done"

    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(
            ctx.step.run("a", attempts.doing("a")), ctx.step.run("flaky", flaky)
        )

    run = play(handler)
    assert run.result == ["a", "done"]
    assert attempts == {"a": 1, "flaky": 3}
    assert run.trace == ["?", "a", "flaky", "flaky", "flaky", "?"]


# ---- plan or run


async def _pair(ctx: Context) -> Any:
    return await asyncio.gather(
        ctx.step.run("a", lambda: "A"), ctx.step.sleep("nap", 1000), ctx.step.run("b", lambda: "B")
    )


def test_several_new_steps_are_planned_and_none_is_executed() -> None:
    assert ops(ask(_pair)) == [("StepPlanned", "a"), ("Sleep", "nap"), ("StepPlanned", "b")]


def test_the_last_one_without_a_memo_runs() -> None:
    assert ops(ask(_pair, {"a": data("A"), "nap": None})) == [("StepRun", "b")]


def test_but_not_in_plan_mode() -> None:
    response = ask(_pair, {"a": data("A"), "nap": None}, plan_only=True)
    assert ops(response) == [("StepPlanned", "b")]


def test_every_op_of_a_race_says_so() -> None:
    async def handler(ctx: Context) -> Any:
        with ctx.group.mode(ParallelMode.RACE):
            return await _pair(ctx)

    for memos, target in (({}, None), ({"a": data("A"), "nap": None}, None), ({}, "b")):
        for op in answer_of(ask(handler, memos, target=target)):
            assert op["opts"]["parallelMode"] == "race"


# ---- targeting


def test_a_targeted_step_runs_while_the_others_wait() -> None:
    response = ask(_pair, target="b", plan_only=True)
    assert ops(response) == [("StepRun", "b")]
    assert answer_of(response)[0]["data"] == "B"


def test_a_targeted_step_runs_before_any_memo_is_released() -> None:
    seen: list[str] = []

    async def handler(ctx: Context) -> Any:
        async def chain() -> None:
            await ctx.step.run("a", lambda: None)
            seen.append("a")

        await asyncio.gather(chain(), ctx.step.run("t", lambda: seen.append("t")))

    assert ops(ask(handler, {"a": data(1)}, target="t")) == [("StepRun", "t")]
    assert seen == ["t"]


def test_a_targeted_step_behind_ordinary_waiting_is_still_found() -> None:
    async def handler(ctx: Context) -> Any:
        async def slow() -> Any:
            await asyncio.sleep(0.02)
            return await ctx.step.run("t", lambda: "T")

        return await asyncio.gather(ctx.step.run("a", lambda: "A"), slow())

    assert ops(ask(handler, target="t")) == [("StepRun", "t")]


UNEXPECTED = {
    "code": "step_unexpected",
    "message": 'found step "x" when targeting a different step',
    "name": "StepUnexpectedError",
    "stack": None,
}


def test_another_new_step_in_the_own_task_is_refused_and_not_executed() -> None:
    counts = Counts()

    async def handler(ctx: Context) -> Any:
        return await ctx.step.run("x", counts.doing("x"))

    def handler_sync(ctx: ContextSync) -> Any:
        return ctx.step.run("x", counts.doing("x"))

    for one in (handler, handler_sync):
        response = ask(one, target="t")
        assert (response.status, answer_of(response)) == (500, UNEXPECTED)
        assert response.headers["x-inngest-no-retry"] == "false"
    assert not counts


def test_a_target_outside_a_group_is_refused_for_what_the_group_found() -> None:
    def handler(ctx: ContextSync) -> Any:
        ctx.group.parallel((lambda: ctx.step.run("x", lambda: 1),))
        return ctx.step.run("t", lambda: 1)

    assert answer_of(ask(handler, target="t")) == UNEXPECTED


def test_a_target_inside_a_group_runs_though_others_come_before_it() -> None:
    counts = Counts()

    def handler(ctx: ContextSync) -> Any:
        return ctx.group.parallel(
            (
                lambda: ctx.step.run("a", counts.doing("a")),
                lambda: ctx.group.parallel((lambda: ctx.step.run("t", counts.doing("t")),)),
                lambda: ctx.step.run("b", counts.doing("b")),
            )
        )

    assert ops(ask(handler, target="t")) == [("StepRun", "t")]
    assert counts == {"t": 1}


def test_a_target_that_no_branch_reaches_is_refused_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    soon = standing.Verdict(standing.Ruling.REST, seconds=0.01)
    monkeypatch.setattr(machine, "_STRANDED", soon)

    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(ctx.step.run("x", lambda: 1), ctx.step.run("y", lambda: 1))

    assert answer_of(ask(handler, target="t")) == UNEXPECTED


def test_a_function_that_returns_without_reaching_the_target_is_asked_again() -> None:
    async def handler(ctx: Context) -> str:
        return "done"

    response = ask(handler, target="t")
    assert response.status == 500
    assert answer_of(response)["message"] == (
        "the function ended without reaching the targeted step"
    )
    assert response.headers["x-inngest-no-retry"] == "false"


def test_a_function_that_raises_in_a_targeted_call_fails_with_its_own_error() -> None:
    def handler(ctx: ContextSync) -> None:
        raise ValueError("broken")

    assert answer_of(ask(handler, target="t"))["name"] == "ValueError"


def test_a_rerun_executes_the_target_with_the_edited_input() -> None:
    async def double(text: str, count: int) -> str:
        return text * count

    async def handler(ctx: Context) -> Any:
        await ctx.step.run("a", lambda: 1)
        return await ctx.step.run("t", double, "x", 2)

    def handler_sync(ctx: ContextSync) -> Any:
        ctx.step.run("a", lambda: 1)
        return ctx.step.run("t", lambda text, count: text * count, "x", 2)

    for one in (handler, handler_sync):
        memos = {"a": data(1), "t": {"input": ["y", 3]}}
        response = ask(one, memos, stack=["a"], target="t")
        assert answer_of(response)[0]["data"] == "yyy"


# ---- the function's own end


def _give(value: Any, ctx: ContextSync) -> Any:
    return value


def test_output_of_every_json_kind_arrives_as_it_is() -> None:
    value: list[Any] = [None, 0, "", [], {}, {"a": [1, None, "é"]}, True, 1.5]
    for one in [*value, value]:
        response = ask(functools.partial(_give, one))
        assert (response.status, answer_of(response)) == (200, one)


@pytest.mark.parametrize("value", [object(), {1, 2}, float("nan"), b"bytes"])
def test_output_that_is_not_json_ends_the_run(value: Any) -> None:
    response = ask(lambda ctx: value)
    assert response.status == 500
    assert answer_of(response) == {
        "code": "output_unserializable",
        "message": "returned unserializable data",
        "name": "OutputUnserializableError",
    }
    assert response.headers["x-inngest-no-retry"] == "true"


def test_half_a_surrogate_pair_is_no_reason_to_fail() -> None:
    response = ask(lambda ctx: "\ud800")
    assert (response.status, answer_of(response)) == (200, "\ud800")


def test_not_even_in_the_text_of_an_error() -> None:
    def handler(ctx: ContextSync) -> None:
        raise NonRetriableError("file \udcff is broken")

    response = ask(handler)
    assert answer_of(response)["name"] == "NonRetriableError"
    assert response.headers["x-inngest-no-retry"] == "true"


def test_retry_after_sets_the_time_of_the_next_attempt_in_functions_and_steps() -> None:
    def later() -> None:
        raise RetryAfterError("later", 90_000, quiet=True)

    in_function = ask(lambda ctx: later())
    in_step = ask(lambda ctx: ctx.step.run("a", later))
    for response in (in_function, in_step):
        assert response.headers["retry-after"].endswith("Z")
    assert in_function.headers["x-inngest-no-retry"] == "false"
    assert ops(in_step) == [("StepError", "a")]


def test_an_uncaught_error_is_retried_and_a_non_retriable_one_is_not() -> None:
    tries = Counts()

    async def handler(ctx: Context) -> None:
        tries["f"] += 1
        raise ValueError("broken") if tries["f"] < 3 else NonRetriableError("enough")

    run = play(handler)
    assert run.error is not None
    assert (tries["f"], run.error["message"], run.error["code"]) == (
        3,
        "enough",
        "non_retriable_error",
    )


def test_after_an_error_of_the_users_a_finally_block_may_use_steps() -> None:
    async def handler(ctx: Context) -> None:
        try:
            raise NonRetriableError("x", quiet=True)
        finally:
            await ctx.step.run("cleanup", giving(1))

    def handler_sync(ctx: ContextSync) -> None:
        try:
            raise NonRetriableError("x", quiet=True)
        finally:
            ctx.step.run("cleanup", giving(1))

    for one in (handler, handler_sync):
        run = play(one)
        assert run.completed == ["cleanup"]
        assert run.error is not None
        assert run.error["message"] == "x"


def test_a_failed_batch_may_be_compensated_by_further_steps() -> None:
    counts = Counts()

    async def handler(ctx: Context) -> Any:
        failing = counts.doing("b", NonRetriableError("no", quiet=True))
        try:
            return await asyncio.gather(
                ctx.step.run("a", counts.doing("a")), ctx.step.run("b", failing)
            )
        except StepError:
            return await asyncio.gather(
                ctx.step.run("undo", counts.doing("undo")), ctx.step.sleep("nap", 1000)
            )

    run = play(handler)
    assert run.result == ["undo", None]
    assert counts == {"a": 1, "b": 1, "undo": 1}


def test_a_repeated_id_shows_as_separate_steps_under_one_name_in_order() -> None:
    def handler(ctx: ContextSync) -> Any:
        return [ctx.step.run("again", giving(n)) for n in range(3)]

    def shown(*memos: str) -> Any:
        (op,) = answer_of(ask(handler, {name: data(0) for name in memos}))
        return op["displayName"], op["name"], op["userland"], op["id"]

    assert [shown(), shown("again"), shown("again", "again:1")] == [
        ("again", "again", {"id": "again", "index": None}, hash_step("again")),
        ("again", "again", {"id": "again", "index": 1}, hash_step("again:1")),
        ("again", "again", {"id": "again", "index": 2}, hash_step("again:2")),
    ]


@pytest.mark.parametrize("mode", [None, *ParallelMode])
def test_an_awaited_group_is_a_tuple_in_the_order_of_its_callables_of_several_steps_each(
    mode: ParallelMode | None,
) -> None:
    async def handler(ctx: Context) -> Any:
        async def chain(name: str) -> list[Any]:
            return [await ctx.step.run(f"{name}{n}", giving(f"{name}{n}")) for n in range(2)]

        found = await ctx.group.parallel(
            (lambda: chain("a"), lambda: chain("b")), parallel_mode=mode
        )
        return [type(found).__name__, *found]

    assert play(handler, pick=last).result == ["tuple", ["a0", "a1"], ["b0", "b1"]]


def test_memos_never_asked_for_are_warned_of_once_at_the_end(
    caplog: pytest.LogCaptureFixture,
) -> None:
    ask(lambda ctx: ctx.step.run("a", lambda: 1), {"a": data(1), "gone": data(1)})
    (record,) = caplog.records
    assert "without asking for 1 of its steps" in record.getMessage()
    caplog.clear()
    ask(lambda ctx: ctx.step.run("new", lambda: 1), {"gone": data(1)})
    assert not caplog.records


def transformed(execute: Callable[[], Any], change: Callable[[Any], None]) -> Any:
    """The reply of a step whose result a middleware has changed."""

    class Changing(MiddlewareSync):
        def transform_output(self, result: TransformOutputResult) -> None:
            change(result)

    client = new_client(middleware=[Changing])
    return endpoint(lambda ctx: ctx.step.run("a", execute), client=client).answer_sync(post())


def raising(error: Exception) -> Callable[[], None]:
    def execute() -> None:
        raise error

    return execute


def test_middleware_may_replace_the_output_of_a_step() -> None:
    def change(result: TransformOutputResult) -> None:
        result.output = [result.output]

    (op,) = answer_of(transformed(giving(1), change))
    assert (op["op"], op["data"]) == ("StepRun", [1])


def test_or_its_error_which_then_decides_about_the_next_attempt() -> None:
    def final(result: TransformOutputResult) -> None:
        result.error = NonRetriableError("replaced", quiet=True)

    def later(result: TransformOutputResult) -> None:
        result.error = RetryAfterError("replaced", 60_000, quiet=True)

    (op,) = answer_of(transformed(raising(ValueError("x")), final))
    assert (op["op"], op["error"]["message"]) == ("StepFailed", "replaced")
    response = transformed(raising(NonRetriableError("x")), later)
    assert ops(response) == [("StepError", "a")]
    assert "retry-after" in response.headers


def test_or_one_by_the_other() -> None:
    def failing(result: TransformOutputResult) -> None:
        result.error = ValueError("made up")

    def mending(result: TransformOutputResult) -> None:
        result.error, result.output = None, "mended"

    (op,) = answer_of(transformed(giving(1), failing))
    assert (op["op"], op["error"]["name"]) == ("StepError", "ValueError")
    (op,) = answer_of(transformed(raising(ValueError("x")), mending))
    assert (op["op"], op["data"], "error" in op) == ("StepRun", "mended", False)


def test_middleware_may_change_the_opts_of_an_invoke() -> None:
    class Changing(MiddlewareSync):
        def transform_output(self, result: TransformOutputResult) -> None:
            assert result.step is not None
            assert result.step.opts is not None
            result.step.opts["payload"]["data"]["added"] = True

    client = new_client(middleware=[Changing])
    door = endpoint(lambda ctx: ctx.step.invoke_by_id("a", function_id="f"), client=client)
    (op,) = answer_of(door.answer_sync(post()))
    assert op["opts"]["payload"] == {"data": {"added": True}}


def test_large_memos_are_fetched_where_the_server_kept_them_back() -> None:
    from inngest_core import hookimpl
    from inngest_core.wire.http import HttpRequest, HttpResponse

    class Transport:
        def send(self, request: HttpRequest) -> HttpResponse:
            found = {hash_step("a"): data("A")} if request.url.endswith("actions") else []
            return HttpResponse(200, {}, json.dumps(found).encode())

        def close(self) -> None: ...

    class Plugin:
        @hookimpl
        def inngest_transport(self, config: Any, kind: str) -> Any:
            return Transport() if kind == "blocking" else None

    client = new_client(plugins=[Plugin()])
    door = endpoint(lambda ctx: ctx.step.run("a", lambda: "new"), client=client)
    request = post()
    request.body = request.body.replace(b'"version"', b'"use_api": true, "version"')
    assert answer_of(door.answer_sync(request)) == "A"


def test_the_line_about_an_error_names_the_function_the_run_and_the_attempt(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def handle(ctx: ContextSync) -> None:
        raise ValueError("bad value")

    handler = endpoint(handle)
    with caplog.at_level(logging.ERROR, logger="inngest"):
        handler.answer_sync(post(attempt=1))
    (record,) = caplog.records
    assert record.getMessage() == f"app-fn, run {RUN_ID}, attempt 1: ValueError: bad value"
    assert record.exc_info is not None
