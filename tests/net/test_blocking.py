"""
A blocking function is left by an exception, and its groups by one for every branch.
"""

from __future__ import annotations

import contextlib
import gc
import json
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from inngest_core import CommResponse, ContextSync, ParallelMode, StepError, get_step_context
from inngest_core.errors import Interrupt
from inngest_core.flow.effect import Send
from inngest_core.net.blocking import BlockingDriver
from inngest_core.wire.http import HttpRequest, HttpResponse
from tests.support import Counts, Run, data, endpoint, giving, ops, post


def ask(handler: Callable[[Any], Any], *args: Any, **options: Any) -> CommResponse:
    return endpoint(handler).answer_sync(post(*args, **options))


def play(handler: Callable[[Any], Any], **options: Any) -> Run:
    return Run(endpoint(handler).answer_sync, **options).play()


# ---- leaving the function


def test_a_finally_block_runs_but_cannot_start_a_step() -> None:
    counts = Counts()

    def handler(ctx: ContextSync) -> None:
        try:
            ctx.step.run("a", counts.doing("a"))
        finally:
            counts["finally"] += 1
            ctx.step.run("cleanup", counts.doing("cleanup"))

    assert ops(ask(handler)) == [("StepRun", "a")]
    assert counts == {"a": 1, "finally": 1}
    assert play(handler).completed == ["a", "cleanup"]


def test_an_interrupt_is_not_seen_by_except_exception() -> None:
    seen: list[Exception] = []

    def handler(ctx: ContextSync) -> None:
        try:
            ctx.step.run("a", giving(1))
        except Exception as error:
            seen.append(error)

    assert ops(ask(handler)) == [("StepRun", "a")]
    assert not seen


def test_what_the_handler_returns_or_raises_after_the_decision_is_ignored() -> None:
    def swallows(ctx: ContextSync) -> Any:
        with contextlib.suppress(BaseException):
            ctx.step.run("a", giving(1))
        return [ctx.step.run("b", giving(2))]

    def raises(ctx: ContextSync) -> None:
        try:
            ctx.step.sleep("a", 1000)
        finally:
            raise ValueError("in finally")

    assert ops(ask(swallows)) == [("StepRun", "a")]
    assert ops(ask(raises)) == [("Sleep", "a")]


@pytest.mark.parametrize("where", ["function", "step"])
def test_ctrl_c_is_for_the_process_and_leaves_everything_in_order(where: str) -> None:
    pressed = [KeyboardInterrupt()]

    def work() -> str:
        if pressed:
            raise pressed.pop()
        return "done"

    def handler(ctx: ContextSync) -> str:
        return work() if where == "function" else ctx.step.run("a", work)

    door = endpoint(handler)
    with pytest.raises(KeyboardInterrupt):
        door.answer_sync(post())
    with pytest.raises(LookupError):
        get_step_context()
    assert Run(door.answer_sync).play().result == "done"


def test_a_memo_behind_the_decision_is_not_given_out() -> None:
    seen: list[Any] = []

    def handler(ctx: ContextSync) -> None:
        with contextlib.suppress(Interrupt):
            ctx.step.run("new", giving(1))
        seen.append(ctx.step.run("b", giving(2)))

    memos = {"b": data(2), "c": data(3), "d": data(4)}
    assert ops(ask(handler, memos)) == [("StepRun", "new")]
    assert not seen


def test_steps_in_generators_and_context_managers() -> None:
    log: list[str] = []

    @contextlib.contextmanager
    def opened() -> Iterator[None]:
        log.append("open")
        try:
            yield
        finally:
            log.append("close")

    def handler(ctx: ContextSync) -> Any:
        def pages() -> Iterator[Any]:
            for n in range(2):
                yield ctx.step.run(f"page{n}", giving(n))

        with opened():
            return list(pages())

    assert play(handler).result == [0, 1]
    assert log == ["open", "close"] * 3


def test_after_the_answer_nothing_of_a_call_waits_for_the_garbage_collector() -> None:
    kept: list[weakref.ref[Any]] = []

    class Large:
        pass

    def handler(ctx: ContextSync) -> Any:
        large = Large()
        kept.append(weakref.ref(large))
        ctx.step.run("first", giving(1))
        ctx.group.parallel(
            (lambda: ctx.step.run("a", giving(1)), lambda: ctx.step.run("b", giving(1)))
        )
        return large is None

    gc.disable()
    try:
        for asked in ("", "first", "first a", "first a b"):
            ask(handler, {name: data(1) for name in asked.split()})
        assert [ref() for ref in kept] == [None] * 4
    finally:
        gc.enable()


# ---- groups


def test_a_group_returns_a_tuple_in_the_order_of_its_callables() -> None:
    found: list[Any] = []

    def handler(ctx: ContextSync) -> None:
        found.append(
            ctx.group.parallel(
                (lambda: ctx.step.run("a", giving("A")), lambda: ctx.step.run("b", giving("B")))
            )
        )

    ask(handler, {"b": data("B"), "a": data("A")})
    assert found == [("A", "B")]


def test_a_group_without_callables_is_an_empty_tuple() -> None:
    assert json.loads(ask(lambda ctx: len(ctx.group.parallel(()))).body) == 0


def test_one_new_step_in_a_group_runs_and_several_are_planned() -> None:
    def handler(ctx: ContextSync) -> Any:
        return ctx.group.parallel(
            (lambda: ctx.step.run("a", giving("A")), lambda: ctx.step.run("b", giving("B")))
        )

    assert ops(ask(handler)) == [("StepPlanned", "a"), ("StepPlanned", "b")]
    assert ops(ask(handler, {"a": data("A")})) == [("StepRun", "b")]


def test_groups_may_be_nested_and_are_planned_together() -> None:
    counts = Counts()

    def handler(ctx: ContextSync) -> Any:
        def one(name: str) -> Callable[[], Any]:
            return lambda: ctx.step.run(name, counts.doing(name))

        def inner() -> Any:
            return [*ctx.group.parallel((one("b"), one("c"))), ctx.step.run("d", giving("d"))]

        return ctx.group.parallel((one("a"), inner, one("e")))

    assert [step for _, step in ops(ask(handler))] == ["a", "b", "c", "e"]
    run = play(handler)
    assert run.result == ["a", ["b", "c", "d"], "e"]
    assert run.trace == ["?", "a", "b", "c", "e", "?", "?"]
    assert not counts.doubled


def test_an_inner_group_that_is_complete_goes_on_though_an_outer_branch_waits() -> None:
    def handler(ctx: ContextSync) -> Any:
        def inner() -> Any:
            ctx.group.parallel((lambda: ctx.step.run("b", giving(1)),))
            return ctx.step.run("c", giving(1))

        return ctx.group.parallel((lambda: ctx.step.run("a", giving(1)), inner))

    assert [step for _, step in ops(ask(handler, {"b": data(1)}))] == ["a", "c"]


def test_what_a_branch_does_while_it_is_left_starts_nothing() -> None:
    def handler(ctx: ContextSync) -> Any:
        def cleans() -> Any:
            try:
                return ctx.step.run("a", giving("A"))
            finally:
                ctx.step.run("cleanup", giving(1))

        def swallows() -> Any:
            with contextlib.suppress(BaseException):
                return ctx.step.run("b", giving("B"))
            return ctx.step.run("instead", giving(1))

        def replaces() -> Any:
            try:
                return ctx.step.run("c", giving("C"))
            except BaseException:
                raise ValueError("replaced") from None

        return ctx.group.parallel((cleans, swallows, replaces))

    assert [step for _, step in ops(ask(handler))] == ["a", "b", "c"]


def test_a_branch_that_fails_fails_the_group_as_plain_code_would() -> None:
    def handler(ctx: ContextSync) -> Any:
        def fails() -> None:
            raise ValueError("branch")

        return ctx.group.parallel((lambda: ctx.step.run("a", giving(1)), fails))

    response = ask(handler)
    assert json.loads(response.body)["message"] == "branch"


def test_a_group_whose_error_is_caught_goes_on_with_what_comes_next() -> None:
    counts = Counts()
    failed = {"error": {"message": "m", "name": "E"}}

    def handler(ctx: ContextSync) -> Any:
        def chain() -> Any:
            ctx.step.run("a1", counts.doing("a1"))
            return ctx.step.run("a2", counts.doing("a2"))

        try:
            return ctx.group.parallel((chain, lambda: ctx.step.run("b", giving(1))))
        except StepError as error:
            return [error.message, ctx.step.run("after", counts.doing("after"))]

    response = ask(handler, {"a1": data(1), "b": failed})
    assert ops(response) == [("StepPlanned", "a2"), ("StepPlanned", "after")]


def test_the_mode_of_a_group_reaches_every_step_in_it() -> None:
    def handler(ctx: ContextSync) -> Any:
        with ctx.group.mode(ParallelMode.RACE):
            return ctx.group.parallel(
                (lambda: ctx.step.run("a", giving(1)), lambda: ctx.step.sleep("b", 1000))
            )

    modes = [op["opts"]["parallelMode"] for op in json.loads(ask(handler).body)]
    assert modes == ["race", "race"]
    assert ops(ask(handler, {"b": None})) == [("StepPlanned", "a")]


def test_after_a_race_group_the_next_step_runs_at_once() -> None:
    def handler(ctx: ContextSync) -> Any:
        ctx.group.parallel(
            (lambda: ctx.step.run("a", giving(1)), lambda: ctx.step.run("b", giving(1))),
            parallel_mode=ParallelMode.RACE,
        )
        return ctx.step.run("after", giving(1))

    assert ops(ask(handler, {"a": data(1), "b": data(1)})) == [("StepRun", "after")]


def test_threads_that_send_first_at_the_same_moment_share_one_transport() -> None:
    made: list[object] = []
    both = threading.Barrier(2)

    class Transport:
        def send(self, request: HttpRequest) -> HttpResponse:
            return HttpResponse(200, {}, b"")

        def close(self) -> None: ...

    def make() -> Transport:
        made.append(object())
        # As long as opening takes, a second thread would come to open another one.
        threading.Event().wait(0.05)
        return Transport()

    driver = BlockingDriver(make)

    def send() -> None:
        both.wait()
        driver.perform(Send(HttpRequest("GET", "http://a.example")))

    threads = [threading.Thread(target=send) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1
