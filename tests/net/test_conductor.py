"""
An async function is left, and moved along, whatever its tasks do to each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import json
import sys
import weakref
from collections.abc import AsyncIterator
from typing import Any

import pytest

from inngest_core import CommResponse, Context, Middleware, ParallelMode, StepError
from inngest_core.execution import machine
from inngest_core.execution.standing import Ruling, Verdict
from inngest_core.net import conductor
from tests.support import (
    Counts,
    data,
    endpoint,
    giving,
    new_client,
    on_loop,
    ops,
    post,
    shuffled,
)

from .doors import NEW_LOOPS, Door, Handler


@pytest.fixture(params=list(NEW_LOOPS))
def door(request: pytest.FixtureRequest) -> Door:
    return Door(NEW_LOOPS[request.param])


def output(response: CommResponse) -> Any:
    assert response.status == 200, response.body
    return json.loads(response.body)


def message(response: CommResponse) -> str:
    assert response.status == 500, response.body
    text: str = json.loads(response.body)["message"]
    return text


# ---- hooks in the middle


def test_no_step_goes_on_before_before_execution_has_ended(door: Door) -> None:
    log: list[str] = []

    class Slow(Middleware):
        async def before_execution(self) -> None:
            log.append("begin")
            await asyncio.sleep(0.01)
            log.append("end")

    async def handler(ctx: Context) -> None:
        async def chain() -> None:
            await ctx.step.run("a", giving(1))
            await ctx.step.run("c", lambda: log.append("c"))

        await asyncio.gather(chain(), ctx.step.run("b", giving(1)))

    for target in (None, "c"):
        log.clear()
        client = new_client(middleware=[Slow])
        with on_loop(endpoint(handler, client=client), door.new_loop) as answer:
            response = answer(post({"a": data(1), "b": data(1)}, target=target))
        assert ops(response) == [("StepRun", "c")]
        assert log == ["begin", "end", "c"]


def test_the_last_memo_of_a_long_row_is_alone_behind_before_execution(door: Door) -> None:
    log: list[Any] = []

    class Slow(Middleware):
        async def before_execution(self) -> None:
            await asyncio.sleep(0.01)
            log.append("awake")

    async def handler(ctx: Context) -> None:
        async def branch(n: int) -> None:
            await ctx.step.run(f"s{n}", giving(1))
            log.append(n)

        await asyncio.gather(*(branch(n) for n in range(10)))

    client = new_client(middleware=[Slow])
    with on_loop(endpoint(handler, client=client), door.new_loop) as answer:
        assert answer(post({f"s{n}": data(1) for n in range(10)})).status == 200
    assert log == [*range(9), "awake", 9]


# ---- leaving the function


def test_finally_blocks_run_to_their_end_before_the_reply(door: Door) -> None:
    ended: list[str] = []

    async def handler(ctx: Context) -> None:
        async def branch(name: str) -> None:
            try:
                await ctx.step.run(name, giving(1))
            finally:
                await asyncio.sleep(0.01)
                ended.append(name)

        try:
            await branch("alone")
            await asyncio.gather(branch("a"), branch("b"))
        finally:
            await asyncio.sleep(0.01)
            ended.append("own")

    door.ask(handler)
    assert ended == ["alone", "own"]
    ended.clear()
    door.ask(handler, {"alone": data(1)})
    assert ended == ["alone", "a", "b", "own"]


def test_a_finally_block_cannot_start_a_step(door: Door) -> None:
    counts = Counts()

    async def handler(ctx: Context) -> None:
        try:
            await ctx.step.run("a", counts.doing("a"))
        finally:
            await ctx.step.run("cleanup", counts.doing("cleanup"))

    assert ops(door.ask(handler)) == [("StepRun", "a")]
    assert counts == {"a": 1}
    run = door.play(handler)
    assert run.completed == ["a", "cleanup"]
    assert counts == {"a": 2, "cleanup": 1}


def test_what_the_handler_returns_or_raises_after_the_decision_is_ignored(door: Door) -> None:
    async def returns(ctx: Context) -> str:
        with contextlib.suppress(BaseException):
            await ctx.step.run("a", giving(1))
        return "swallowed"

    async def raises(ctx: Context) -> None:
        try:
            await ctx.step.run("a", giving(1))
        finally:
            raise ValueError("in finally")

    assert ops(door.ask(returns)) == ops(door.ask(raises)) == [("StepRun", "a")]


def test_an_interrupt_is_not_seen_by_except_exception(door: Door) -> None:
    seen: list[Exception] = []

    async def handler(ctx: Context) -> None:
        try:
            await asyncio.gather(ctx.step.run("a", giving(1)), ctx.step.run("b", giving(1)))
        except Exception as error:
            seen.append(error)

    assert len(ops(door.ask(handler))) == 2
    assert not seen


def test_a_loop_around_a_refused_step_lets_the_reply_go_out(door: Door) -> None:
    async def handler(ctx: Context) -> None:
        for n in range(100):
            with contextlib.suppress(BaseException):
                await ctx.step.run(f"s{n}", giving(1))

    assert ops(door.ask(handler)) == [("StepRun", "s0")]


def test_gather_that_returns_exceptions_does_not_go_on(door: Door) -> None:
    after: list[Any] = []

    async def handler(ctx: Context) -> Any:
        found = await asyncio.gather(
            ctx.step.run("a", giving("A")),
            ctx.step.run("b", giving("B")),
            return_exceptions=True,
        )
        after.append(found)
        return found

    assert door.play(handler).result == ["A", "B"]
    assert after == [["A", "B"]]


def test_neither_do_wait_and_as_completed(door: Door) -> None:
    after: list[Any] = []

    async def waits(ctx: Context) -> Any:
        tasks = [asyncio.create_task(ctx.step.run(name, giving(name))) for name in "ab"]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        after.append(len(done))
        return [await task for task in (*done, *pending)]

    async def completes(ctx: Context) -> Any:
        steps = [ctx.step.run(name, giving(name)) for name in "ab"]
        return [await one for one in asyncio.as_completed(steps)]

    run = door.play(waits)
    assert run.result == run.completed
    assert after == [1]
    run = door.play(completes)
    assert run.result == run.completed


def test_a_shielded_step_is_left_as_well(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(
            asyncio.shield(ctx.step.run("a", giving("A"))), ctx.step.run("b", giving("B"))
        )

    assert sorted(ops(door.ask(handler))) == [("StepPlanned", "a"), ("StepPlanned", "b")]
    assert door.play(handler).result == ["A", "B"]


def test_a_function_that_will_not_leave_gets_some_seconds_and_then_the_reply_goes_out(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(conductor, "CLEANUP_SECONDS", 0.02)
    tasks: list[asyncio.Task[Any]] = []

    async def handler(ctx: Context) -> None:
        try:
            await ctx.step.run("a", giving(1))
        finally:
            tasks.extend(asyncio.all_tasks() - {asyncio.current_task()})
            await asyncio.sleep(0.2)

    async def answering() -> CommResponse:
        return await endpoint(handler).answer(post())

    assert ops(asyncio.run(answering())) == [("StepRun", "a")]
    assert "still running 0.02 seconds after" in caplog.text


def test_whoever_asked_and_has_gone_takes_the_function_along(door: Door) -> None:
    ended: list[str] = []

    async def handler(ctx: Context) -> None:
        try:
            await asyncio.gather(ctx.step.run("a", asyncio.sleep, 60), asyncio.sleep(60))
        finally:
            await asyncio.sleep(0)
            ended.append("own")

    async def asking() -> None:
        task = asyncio.ensure_future(endpoint(handler).answer(post()))
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    loop = door.new_loop()
    loop.run_until_complete(asking())
    loop.close()
    assert ended == ["own"]


# ---- tasks beside the function


def test_a_task_that_waits_in_a_step_when_the_function_returns_is_cancelled_with_a_warning(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    kept: list[asyncio.Task[Any]] = []

    async def handler(ctx: Context) -> str:
        kept.append(asyncio.create_task(ctx.step.run("a", giving(1))))
        await asyncio.sleep(0)
        return "done"

    assert output(door.ask(handler)) == "done"
    assert kept[0].cancelled()
    assert "1 of its tasks still wait in a step" in caplog.text


def test_so_is_one_that_executes_its_step(door: Door, caplog: pytest.LogCaptureFixture) -> None:
    kept: list[asyncio.Task[Any]] = []

    async def handler(ctx: Context) -> str:
        kept.append(asyncio.create_task(ctx.step.run("a", asyncio.sleep, 60)))
        await asyncio.sleep(0.01)
        return "done"

    assert output(door.ask(handler)) == "done"
    assert kept[0].cancelled()
    assert "1 of its tasks" in caplog.text


def test_a_task_that_never_called_a_step_is_left_alone() -> None:
    async def handler(ctx: Context) -> Any:
        background.append(asyncio.create_task(asyncio.sleep(0.02, "finished")))
        return await ctx.step.run("a", giving(1))

    background: list[asyncio.Task[Any]] = []

    async def answering() -> Any:
        await endpoint(handler).answer(post())
        return await background[0]

    assert asyncio.run(answering()) == "finished"


def test_one_that_reaches_a_step_after_the_decision_ends_there() -> None:
    background: list[asyncio.Task[Any]] = []
    counts = Counts()

    async def handler(ctx: Context) -> Any:
        async def late() -> None:
            await asyncio.sleep(0.02)
            await ctx.step.run("late", counts.doing("late"))

        background.append(asyncio.create_task(late()))
        return await ctx.step.run("a", giving(1))

    async def answering() -> None:
        await endpoint(handler).answer(post())
        await asyncio.wait(background)

    asyncio.run(answering())
    assert background[0].cancelled()
    assert not counts


def test_a_step_that_the_user_cancels_is_withdrawn(door: Door) -> None:
    counts = Counts()

    async def handler(ctx: Context) -> Any:
        task = asyncio.create_task(ctx.step.run("a", counts.doing("a")))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return await ctx.step.run("b", counts.doing("b"))

    run = door.play(handler)
    assert run.completed == ["b"]
    assert counts == {"b": 1}


def test_a_step_cancelled_while_it_executes_lets_the_others_go_on(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        async def late() -> Any:
            await asyncio.sleep(0.01)
            return await ctx.step.run("b", giving("B"))

        stuck = asyncio.create_task(ctx.step.run("a", asyncio.sleep, 60))
        other = asyncio.create_task(late())
        await asyncio.sleep(0.02)
        stuck.cancel()
        return await other

    assert ops(door.ask(handler)) == [("StepRun", "b")]


def test_tasks_may_cancel_each_other(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        async def one() -> str:
            await ctx.step.run("a", giving("A"))
            other.cancel()
            return "one"

        async def two() -> str:
            try:
                await ctx.step.run("b", giving("B"))
                await ctx.step.run("c", giving("C"))
            except asyncio.CancelledError:
                return "cancelled"
            return "two"

        first, other = asyncio.create_task(one()), asyncio.create_task(two())
        return [await first, await other]

    assert door.play(handler).result == ["one", "cancelled"]


def test_the_loser_of_a_race_may_be_cancelled_and_the_rest_goes_on(door: Door) -> None:
    counts = Counts()

    async def handler(ctx: Context) -> Any:
        tasks = [
            asyncio.create_task(ctx.step.run(name, counts.doing(name))) for name in ("a", "b", "c")
        ]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        (winner,) = done
        return [winner.result(), await ctx.step.run("after", counts.doing("after"))]

    assert door.play(handler).result == ["a", "after"]
    assert not counts.doubled


@pytest.mark.parametrize("give_up", [True, False])
def test_a_step_that_was_given_up_is_not_taken_for_code_that_has_changed(
    door: Door, caplog: pytest.LogCaptureFixture, give_up: bool
) -> None:
    async def handler(ctx: Context) -> Any:
        tasks = [asyncio.create_task(ctx.step.run(name, giving(name))) for name in "ab"]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if give_up:
            [task.cancel() for task in pending]
        return [task.result() for task in done]

    response = door.ask(handler, {"a": data("a"), "b": data("b"), "b:1": data(1)})
    assert output(response) == ["a"]
    assert "its code has probably changed" not in caplog.text


@pytest.mark.parametrize("losers", ["cancelled", "left", "awaited"])
@pytest.mark.parametrize("mode", list(ParallelMode))
def test_a_race_of_chains_has_one_winner_and_runs_nothing_twice(
    door: Door, losers: str, mode: ParallelMode
) -> None:
    for seed in range(4):
        counts = Counts()
        handler = racing(counts, mode, losers)
        run = door.play(handler, pick=shuffled(seed), overlapping=True)
        assert run.result[0] in "abc"
        assert run.result[1:] == ["x", "y"]
        assert not counts.doubled


def racing(counts: Counts, mode: ParallelMode, losers: str) -> Handler:
    async def handler(ctx: Context) -> Any:
        async def branch(name: str) -> str:
            for n in range(2):
                await ctx.step.run(f"{name}{n}", counts.doing(f"{name}{n}"))
            return name

        with ctx.group.mode(mode):
            tasks = [asyncio.create_task(branch(name)) for name in "abc"]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in pending if losers == "cancelled" else ():
            task.cancel()
        (winner,) = done
        after = [await ctx.step.run(name, counts.doing(name)) for name in "xy"]
        if losers == "awaited":
            await asyncio.wait(tasks)
        return [winner.result(), *after]

    return handler


def test_a_step_may_be_awaited_by_two_tasks(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        shared = asyncio.ensure_future(ctx.step.run("a", giving("A")))

        async def user(name: str) -> Any:
            return [await shared, await ctx.step.run(name, giving(name))]

        return await asyncio.gather(user("x"), user("y"))

    assert door.play(handler).result == [["A", "x"], ["A", "y"]]


def test_a_step_behind_ordinary_waiting_is_found_and_runs(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        async def child() -> Any:
            await asyncio.sleep(0.005)
            first = await ctx.step.run("a", giving("A"))
            await asyncio.sleep(0.005)
            return [first, await ctx.step.run("b", giving("B"))]

        return await asyncio.create_task(child())

    run = door.play(handler)
    assert (run.result, run.trace) == (["A", "B"], ["?", "?", "?"])


def test_steps_in_tasks_that_a_library_makes(door: Door) -> None:
    anyio = pytest.importorskip("anyio")

    async def handler(ctx: Context) -> Any:
        found: dict[str, Any] = {}

        async def branch(name: str) -> None:
            found[name] = await ctx.step.run(name, giving(name))

        async with anyio.create_task_group() as group:
            for name in "ab":
                group.start_soon(branch, name)
        with anyio.fail_after(5):
            found["c"] = await ctx.step.run("c", giving("c"))
        return found

    run = door.play(handler)
    assert run.result == {"a": "a", "b": "b", "c": "c"}
    assert run.trace == ["?", "a", "b", "?", "?"]


def test_a_handler_whose_own_task_is_cancelled_has_failed(door: Door) -> None:
    async def handler(ctx: Context) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    assert message(door.ask(handler)) == "the function's task was cancelled"


def test_a_step_whose_callable_was_cancelled_from_within_does_not_hang_the_call(
    door: Door,
) -> None:
    async def cancelled() -> None:
        raise asyncio.CancelledError

    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(
            ctx.step.run("a", cancelled), asyncio.sleep(0.01), return_exceptions=True
        )

    response = door.ask(handler)
    assert response.status == 500


def test_a_step_that_exits_in_one_of_many_tasks_has_failed_like_any_other(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        tasks = [ctx.step.run("a", sys.exit, 3), ctx.step.run("b", giving("B"))]
        found = await asyncio.gather(*tasks, return_exceptions=True)
        return [type(found[0]).__name__, getattr(found[0], "name", None), found[1]]

    run = door.play(handler, max_attempts=2)
    assert run.result == ["StepError", "SystemExit", "B"]


def awaits_one(task: asyncio.Task[Any]) -> Any:
    async def execute() -> Any:
        return await task

    return execute


def awaits_many(task: asyncio.Task[Any]) -> Any:
    async def execute() -> Any:
        return await asyncio.gather(task, asyncio.sleep(0))

    return execute


def awaits_through_another(task: asyncio.Task[Any]) -> Any:
    async def execute() -> Any:
        return await asyncio.create_task(awaits_many(task)())

    return execute


@pytest.mark.parametrize("awaiting", [awaits_one, awaits_many, awaits_through_another])
@pytest.mark.parametrize("given", [(), ("b",)])
def test_a_step_that_waits_for_the_task_of_another_fails_the_run_naming_both(
    door: Door, monkeypatch: pytest.MonkeyPatch, awaiting: Any, given: tuple[str, ...]
) -> None:
    monkeypatch.setattr(machine, "_WATCH", Verdict(Ruling.REST, seconds=0.01))

    async def handler(ctx: Context) -> Any:
        other = asyncio.create_task(ctx.step.run("b", giving(1)))
        return await ctx.step.run("a", awaiting(other))

    response = door.ask(handler, {name: data(1) for name in given}, target="a")
    assert message(response).startswith('step "a" waits for a task that stands at step "b", which')
    assert response.headers["x-inngest-no-retry"] == "true"


def test_a_step_that_takes_long_beside_others_that_wait_is_left_in_peace(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "_WATCH", Verdict(Ruling.REST, seconds=0.001))

    async def handler(ctx: Context) -> Any:
        async def slow() -> Any:
            return await asyncio.gather(asyncio.sleep(0.02, "slow"), helper)

        helper = asyncio.create_task(asyncio.sleep(0.03, "helped"))
        return await asyncio.gather(ctx.step.run("a", slow), ctx.step.run("b", giving("B")))

    assert ops(door.ask(handler, target="a")) == [("StepRun", "a")]


# ---- timeouts


def test_a_timeout_around_a_step_does_not_see_the_interrupt(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        first = await asyncio.wait_for(ctx.step.run("a", giving("A")), 30)
        both = await asyncio.wait_for(
            asyncio.gather(ctx.step.run("b", giving("B")), ctx.step.run("c", giving("C"))), 30
        )
        return [first, *both]

    run = door.play(handler)
    assert run.result == ["A", "B", "C"]
    assert run.trace == ["?", "?", "b", "c", "?"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.timeout is of 3.11")
def test_nor_does_an_asyncio_timeout_block(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        async with asyncio.timeout(30):  # type: ignore[attr-defined,unused-ignore]
            first = await ctx.step.run("a", giving("A"))
            second = await ctx.step.run("b", giving("B"))
        return [first, second]

    assert door.play(handler).result == ["A", "B"]


def test_a_step_that_takes_too_long_is_given_up_and_the_function_goes_on(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        try:
            await asyncio.wait_for(ctx.step.run("slow", asyncio.sleep, 60), 0.01)
        except asyncio.TimeoutError:
            return await ctx.step.run("instead", giving("I"))

    assert ops(door.ask(handler)) == [("StepRun", "instead")]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="asyncio.TaskGroup is of 3.11")
def test_a_task_group_raises_what_a_step_raised(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        caught: list[str] = []
        try:
            async with asyncio.TaskGroup() as group:  # type: ignore[attr-defined,unused-ignore]
                group.create_task(ctx.step.run("a", giving(1)))
                group.create_task(ctx.step.run("b", giving(1)))
        except BaseException as error:
            found = getattr(error, "exceptions", None)
            if found is None:
                raise
            caught = [one.message for one in found if isinstance(one, StepError)]
        return caught

    failed = {"error": {"message": "m", "name": "E"}}
    assert output(door.ask(handler, {"a": failed, "b": data(1)})) == ["m"]
    assert len(ops(door.ask(handler))) == 2


# ---- what a function may use besides


def test_context_variables_reach_the_steps_of_every_task(door: Door) -> None:
    name: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="outside")

    async def handler(ctx: Context) -> Any:
        name.set("handler")

        async def branch(own: str) -> Any:
            name.set(own)
            return await ctx.step.run(own, name.get)

        first = await ctx.step.run("first", name.get)
        return [first, *await asyncio.gather(branch("a"), branch("b"))]

    assert door.play(handler).result == ["handler", "a", "b"]
    assert name.get() == "outside"


def test_steps_in_an_async_generator(door: Door) -> None:
    closed: list[str] = []

    async def handler(ctx: Context) -> Any:
        async def pages() -> AsyncIterator[Any]:
            try:
                for n in range(3):
                    yield await ctx.step.run(f"page{n}", giving(n))
            finally:
                closed.append("closed")

        return [page async for page in pages()]

    run = door.play(handler)
    assert (run.result, run.trace) == ([0, 1, 2], ["?"] * 4)
    assert len(closed) == 4


def test_steps_in_context_managers(door: Door) -> None:
    log: list[str] = []

    @contextlib.asynccontextmanager
    async def opened() -> AsyncIterator[str]:
        log.append("open")
        try:
            yield "it"
        finally:
            log.append("close")

    async def handler(ctx: Context) -> Any:
        async with opened() as it:
            return await ctx.step.run("a", giving(it))

    assert door.play(handler).result == "it"
    assert log == ["open", "close"] * 2


def test_deeply_nested_groups_are_planned_in_one_reply(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        async def deep(level: int, name: str) -> Any:
            if level == 0:
                return await ctx.step.run(name, giving(name))
            return await asyncio.gather(deep(level - 1, name + "l"), deep(level - 1, name + "r"))

        return await asyncio.gather(deep(4, "x"), ctx.step.run("shallow", giving(1)))

    assert len(ops(door.ask(handler))) == 17


def test_many_parallel_steps(door: Door) -> None:
    counts = Counts()

    async def handler(ctx: Context) -> Any:
        return await asyncio.gather(
            *(ctx.step.run(f"s{n}", counts.doing(f"s{n}", n + 1)) for n in range(150))
        )

    run = door.play(handler)
    assert run.result == list(range(1, 151))
    assert not counts.doubled


def test_an_error_of_one_branch_ends_the_function_and_leaves_no_task(door: Door) -> None:
    async def handler(ctx: Context) -> Any:
        async def fails() -> None:
            await ctx.step.run("a", giving(1))
            raise ValueError("branch")

        return await asyncio.gather(fails(), ctx.step.run("b", giving(1)), ctx.step.sleep("z", 1))

    assert message(door.ask(handler, {"a": data(1)})) == "branch"


def test_after_the_answer_nothing_of_a_call_waits_for_the_garbage_collector(door: Door) -> None:
    kept: list[weakref.ref[Any]] = []

    class Large:
        pass

    async def handler(ctx: Context) -> Any:
        large = Large()
        kept.append(weakref.ref(large))
        await ctx.step.run("first", giving(1))
        await asyncio.gather(ctx.step.run("a", giving(1)), ctx.step.run("b", giving(1)))
        return large is None

    gc.disable()
    try:
        with door.answering(handler) as answer:
            for asked in ("", "first", "first a", "first a b"):
                answer(post({name: data(1) for name in asked.split()}))
        assert [ref() for ref in kept] == [None] * 4
    finally:
        gc.enable()


def test_a_task_that_comes_to_a_step_after_the_end_gets_not_even_a_memo() -> None:
    background: list[asyncio.Task[Any]] = []

    async def handler(ctx: Context) -> Any:
        async def late() -> None:
            await asyncio.sleep(0.02)
            await ctx.step.run("a", giving(1))

        background.append(asyncio.create_task(late()))

    async def answering() -> None:
        response = await endpoint(handler).answer(post({"a": data(1), "b": data(1)}))
        assert response.status == 200
        await asyncio.wait(background)

    asyncio.run(answering())
    assert background[0].cancelled()


# ---- patterns that programs are made of, in any order of completion


async def workers_on_a_queue(ctx: Context, counts: Counts) -> Any:
    queue: asyncio.Queue[int] = asyncio.Queue()
    for n in range(7):
        queue.put_nowait(n)
    found: dict[int, Any] = {}

    async def worker() -> None:
        while not queue.empty():
            n = queue.get_nowait()
            found[n] = await ctx.step.run(f"s{n}", counts.doing(f"s{n}"))

    await asyncio.gather(*(worker() for _ in range(3)))
    return sorted(found.values())


async def steps_behind_a_semaphore(ctx: Context, counts: Counts) -> Any:
    limit = asyncio.Semaphore(2)

    async def one(n: int) -> Any:
        async with limit:
            return await ctx.step.run(f"s{n}", counts.doing(f"s{n}"))

    return sorted(await asyncio.gather(*(one(n) for n in range(7))))


async def a_pipeline_of_events(ctx: Context, counts: Counts) -> Any:
    ready = [asyncio.Event() for _ in range(7)]

    async def one(n: int) -> Any:
        if n:
            await ready[n - 1].wait()
        value = await ctx.step.run(f"s{n}", counts.doing(f"s{n}"))
        ready[n].set()
        return value

    return await asyncio.gather(*(one(n) for n in reversed(range(7))))


async def polling(ctx: Context, counts: Counts) -> Any:
    async def one(n: int) -> Any:
        return await ctx.step.run(f"s{n}", counts.doing(f"s{n}"))

    tasks = [asyncio.create_task(one(n)) for n in range(7)]
    while not all(task.done() for task in tasks):
        await asyncio.sleep(0)
    return [task.result() for task in tasks]


async def rounds_of_first_completed(ctx: Context, counts: Counts) -> Any:
    pending = {asyncio.create_task(ctx.step.run(f"s{n}", counts.doing(f"s{n}"))) for n in range(4)}
    found, extra = [], iter(range(4, 7))
    while pending:
        done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        found += [task.result() for task in done]
        for n in extra:
            pending.add(asyncio.create_task(ctx.step.run(f"s{n}", counts.doing(f"s{n}"))))
            break
    return sorted(found)


PATTERNS = [
    workers_on_a_queue,
    steps_behind_a_semaphore,
    a_pipeline_of_events,
    polling,
    rounds_of_first_completed,
]


@pytest.mark.parametrize("pattern", PATTERNS, ids=lambda one: one.__name__)
@pytest.mark.parametrize("seed", range(4))
def test_a_pattern_ends_and_runs_each_step_once(door: Door, pattern: Any, seed: int) -> None:
    counts = Counts()

    async def handler(ctx: Context) -> Any:
        return await pattern(ctx, counts)

    run = door.play(handler, pick=shuffled(seed), overlapping=True)
    assert sorted(run.result) == [f"s{n}" for n in range(7)]
    assert counts == {f"s{n}": 1 for n in range(7)}


# ---- how it starts


async def waits_for_nothing(ctx: Context) -> str:
    return "at once"


@pytest.mark.skipif(sys.version_info < (3, 12), reason="no task starts eagerly before 3.12")
def test_a_function_that_does_not_wait_costs_no_turn_of_the_loop() -> None:
    async def turns() -> tuple[CommResponse, list[str]]:
        turned: list[str] = []
        asyncio.get_running_loop().call_soon(turned.append, "a turn")
        return await endpoint(waits_for_nothing).answer(post()), list(turned)

    response, turned = asyncio.run(turns())
    assert output(response) == "at once"
    assert turned == []


def test_a_loop_that_makes_its_own_tasks_makes_that_of_the_function() -> None:
    made: list[str] = []

    def factory(loop: Any, coroutine: Any, **options: Any) -> Any:
        made.append(coroutine.__qualname__)
        return asyncio.Task(coroutine, loop=loop, **options)

    async def watched() -> CommResponse:
        asyncio.get_running_loop().set_task_factory(factory)
        return await endpoint(waits_for_nothing).answer(post())

    assert output(asyncio.run(watched())) == "at once"
    assert made[0] == "Conductor._function"


def test_a_function_that_is_cancelled_from_within_at_once_is_answered() -> None:
    async def gives_up(ctx: Context) -> None:
        raise asyncio.CancelledError

    async def asked() -> CommResponse:
        return await endpoint(gives_up).answer(post())

    assert "cancelled" in message(asyncio.run(asked()))
