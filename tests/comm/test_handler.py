"""
Four cells, one answer: blocking and awaiting functions, asked from a thread and from a loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import json
import queue
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from inngest_core import (
    CommHandler,
    CommRequest,
    CommResponse,
    NonRetriableError,
    Opcode,
    RetryAfterError,
    StepError,
)
from tests.support import ANY, Answer, Run, data, endpoint, giving, new_client, on_loop, post

NEW_LOOPS: list[Callable[[], Any]] = [asyncio.new_event_loop]
with contextlib.suppress(ImportError):
    import uvloop

    NEW_LOOPS.append(uvloop.new_event_loop)


# Every function twice: its body awaits or not. What differs is found in the tests below.
class Blocking:
    """The same bodies for both kinds of function."""

    @staticmethod
    def returns(ctx: Any) -> Any:
        return {"event": ctx.event.name, "attempt": ctx.attempt, "run": ctx.run_id}

    @staticmethod
    def one_step(ctx: Any) -> Any:
        return ctx.step.run("a", giving({"n": (1, 2)}))

    @staticmethod
    def steps(ctx: Any) -> Any:
        return [ctx.step.run("a", giving("é")), ctx.step.run("a", giving("second"))]

    @staticmethod
    def parallel(ctx: Any) -> Any:
        return ctx.group.parallel(
            (
                lambda: ctx.step.run("a", giving(1)),
                lambda: ctx.step.sleep("nap", 1000),
                lambda: ctx.step.invoke_by_id("child", function_id="f", data={"x": 1}),
                lambda: ctx.step.wait_for_event("wait", event="e", timeout="1h"),
            )
        )

    @staticmethod
    def raises(ctx: Any) -> Any:
        raise NonRetriableError("broken", quiet=True)

    @staticmethod
    def retries(ctx: Any) -> Any:
        import datetime

        moment = datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc)
        raise RetryAfterError("later", moment, quiet=True)

    @staticmethod
    def not_json(ctx: Any) -> Any:
        return object()

    @staticmethod
    def step_not_json(ctx: Any) -> Any:
        return ctx.step.run("a", object)

    @staticmethod
    def catches(ctx: Any) -> Any:
        try:
            return ctx.step.run("a", giving(1))
        except StepError as error:
            return [error.name, error.message, error.stack]

    @staticmethod
    def nests(ctx: Any) -> Any:
        return ctx.step.run("a", lambda: ctx.step.run("b", giving(1)))

    @staticmethod
    def exits(ctx: Any) -> Any:
        sys.exit(3)

    @staticmethod
    def step_exits(ctx: Any) -> Any:
        return ctx.step.run("a", sys.exit, 3)


class Awaiting:
    @staticmethod
    async def returns(ctx: Any) -> Any:
        return Blocking.returns(ctx)

    @staticmethod
    async def one_step(ctx: Any) -> Any:
        return await ctx.step.run("a", giving({"n": (1, 2)}))

    @staticmethod
    async def steps(ctx: Any) -> Any:
        return [await ctx.step.run("a", giving("é")), await ctx.step.run("a", giving("second"))]

    @staticmethod
    async def parallel(ctx: Any) -> Any:
        return await Blocking.parallel(ctx)

    @staticmethod
    async def raises(ctx: Any) -> Any:
        raise NonRetriableError("broken", quiet=True)

    @staticmethod
    async def retries(ctx: Any) -> Any:
        Blocking.retries(ctx)

    @staticmethod
    async def not_json(ctx: Any) -> Any:
        return object()

    @staticmethod
    async def step_not_json(ctx: Any) -> Any:
        return await ctx.step.run("a", object)

    @staticmethod
    async def catches(ctx: Any) -> Any:
        try:
            return await ctx.step.run("a", giving(1))
        except StepError as error:
            return [error.name, error.message, error.stack]

    @staticmethod
    async def nests(ctx: Any) -> Any:
        async def outer() -> Any:
            return await ctx.step.run("b", giving(1))

        return await ctx.step.run("a", outer)

    @staticmethod
    async def exits(ctx: Any) -> Any:
        sys.exit(3)

    @staticmethod
    async def step_exits(ctx: Any) -> Any:
        return await ctx.step.run("a", sys.exit, 3)


FAILED = {"error": {"message": "m", "name": "E", "stack": "Traceback: s"}}
EVENT = {"data": {}, "id": "e", "name": "e", "ts": 1}
CALLS: list[tuple[str, CommRequest]] = [
    ("returns", post(attempt=2)),
    ("one_step", post()),
    ("one_step", post({"a": data([1])})),
    ("one_step", post({"a": FAILED})),
    ("one_step", post(plan_only=True)),
    ("one_step", post(target="other")),
    ("steps", post({"a": data("é")})),
    ("steps", post({"a": data("é"), "a:1": data(2)}, stack=["a:1", "a"])),
    ("parallel", post()),
    ("parallel", post(target="a")),
    ("parallel", post({"a": data(1)}, target="a")),
    ("parallel", post({"nap": None, "child": data(1), "wait": EVENT, "a": data(2)})),
    ("raises", post()),
    ("retries", post()),
    ("not_json", post()),
    ("step_not_json", post()),
    ("catches", post({"a": FAILED})),
    ("catches", post({"a": {"error": "text only"}})),
    ("nests", post()),
    ("exits", post()),
    ("step_exits", post()),
    ("step_exits", post(attempt=4)),
]
BAD: list[CommRequest] = [
    post(fn_id="app-unknown"),
    CommRequest("POST", "http://x/", {}, {"fnId": "app-fn"}, b"{"),
    CommRequest("POST", "http://x/", {}, {}, b"{}"),
    CommRequest("POST", "http://x/", {}, {"fnId": "app-fn", "probe": "trust"}, b""),
    CommRequest("POST", "http://x/", {}, {"fnId": "app-fn", "probe": "odd"}, b""),
    CommRequest("GET", "http://x/", {}, {}, b""),
    CommRequest("DELETE", "http://x/", {}, {}, b""),
]


def comparable(response: CommResponse) -> tuple[int, Any, Any]:
    headers = {key: value for key, value in response.headers.items() if key != "server-timing"}
    body = json.loads(response.body)
    if isinstance(body, dict):
        # Its line numbers are those of two files' worth of functions.
        body = {key: value for key, value in body.items() if key != "stack" or value is None}
    return response.status, headers, body


def cells(name: str, new_loop: Callable[[], Any], request: CommRequest) -> list[CommResponse]:
    """The answers of the four cells: blocking, then awaiting; from a thread, then from a loop."""
    found = []
    for kind in (Blocking, Awaiting):
        door = endpoint(getattr(kind, name))
        found.append(door.answer_sync(request))
        with on_loop(door, new_loop) as answer:
            found.append(answer(request))
    return found


@pytest.mark.parametrize("new_loop", NEW_LOOPS)
@pytest.mark.parametrize(("name", "request_"), CALLS)
def test_four_cells_give_one_answer(
    name: str, request_: CommRequest, new_loop: Callable[[], Any]
) -> None:
    one, two, three, four = cells(name, new_loop, request_)
    assert one.body == two.body
    assert three.body == four.body
    assert comparable(one) == comparable(two) == comparable(three) == comparable(four)
    if one.status < 400 or name in ("not_json", "step_not_json"):
        assert one.body == three.body


@pytest.mark.parametrize("new_loop", NEW_LOOPS)
def test_what_a_function_exits_from_is_its_call_and_not_the_server(
    new_loop: Callable[[], Any],
) -> None:
    for response in cells("exits", new_loop, post()):
        assert response.status == 500
        assert response.headers["x-inngest-no-retry"] == "false"
        error = json.loads(response.body)
        assert (error["name"], error["message"], error["code"]) == ("SystemExit", "3", "unknown")
        assert "sys.exit(3)" in error["stack"]
    for attempt, code in ((0, "StepError"), (4, "StepFailed")):
        for response in cells("step_exits", new_loop, post(attempt=attempt)):
            (op,) = json.loads(response.body)
            assert (op["op"], op["error"]["name"]) == (code, "SystemExit")


@pytest.mark.parametrize("request_", BAD)
def test_what_is_refused_is_refused_alike(request_: CommRequest) -> None:
    answers = [comparable(one) for one in _refusals(request_)]
    assert all(one == answers[0] for one in answers)


def _refusals(request: CommRequest) -> list[CommResponse]:
    doors = [endpoint(Blocking.returns), endpoint(Awaiting.returns)]
    found = [door.answer_sync(request) for door in doors]
    return [*found, *(asyncio.run(door.answer(request)) for door in doors)]


NAME: contextvars.ContextVar[str] = contextvars.ContextVar("name", default="unset")


def test_a_blocking_function_on_a_loop_runs_in_a_thread_with_the_callers_context() -> None:
    threads: list[str] = []

    def handler(ctx: Any) -> Any:
        threads.append(threading.current_thread().name)
        return [NAME.get(), ctx.step.run("a", NAME.get)]

    async def asking() -> CommResponse:
        NAME.set("caller")
        return await endpoint(handler).answer(post({"a": data("memo")}))

    assert json.loads(asyncio.run(asking()).body) == ["caller", "memo"]
    assert threads[0].startswith("inngest")
    assert threads[0] != threading.current_thread().name


def test_an_async_function_on_a_blocking_server_runs_on_one_background_loop() -> None:
    loops: list[Any] = []

    async def handler(ctx: Any) -> Any:
        loops.append(asyncio.get_running_loop())
        return NAME.get()

    client = new_client()
    door = endpoint(handler, client=client)
    context = contextvars.copy_context()
    context.run(NAME.set, "caller")
    for _ in range(2):
        assert context.run(door.answer_sync, post()).body == b'"caller"'
    assert loops[0] is loops[1]
    client.close()


def test_a_framework_may_choose_the_thread_of_a_blocking_function() -> None:
    client, threads = new_client(), []

    async def here(function: Any, *args: Any) -> Any:
        threads.append(threading.current_thread())
        return function(*args)

    endpoint(lambda ctx: threads.append(threading.current_thread()), client=client)
    door = CommHandler(client=client, framework="test", to_thread=here)
    assert asyncio.run(door.answer(post())).status == 200
    assert threads == [threading.current_thread()] * 2


def test_a_framework_may_use_the_thread_that_waits_for_an_async_function() -> None:
    client, threads = new_client(), []
    works: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()

    def wait(start: Any) -> Any:
        future = start()
        future.add_done_callback(lambda done: works.put(None))
        while (work := works.get()) is not None:
            work()
        return future.result()

    async def handler(ctx: Any) -> None:
        works.put(lambda: threads.append(threading.current_thread()))

    endpoint(handler, client=client)
    door = CommHandler(client=client, framework="test", wait=wait)
    assert door.answer_sync(post()).status == 200
    assert threads == [threading.current_thread()]
    client.close()


def test_many_calls_at_once_do_not_disturb_each_other() -> None:
    async def handler(ctx: Any) -> Any:
        first = await ctx.step.run("a", giving(1))
        rest = await asyncio.gather(*(ctx.step.run(f"b{n}", giving(n)) for n in range(3)))
        return [first, *rest]

    door = endpoint(handler)
    memos = {"a": data(ANY.event), "b2": data(2), "b0": data(0), "b1": data(1)}

    async def asking() -> list[CommResponse]:
        return await asyncio.gather(*(door.answer(post(memos)) for _ in range(50)))

    assert {response.body for response in asyncio.run(asking())} == {b'["test/event",0,1,2]'}


def test_a_whole_run_is_the_same_in_all_cells() -> None:
    table = {"child": data("grown"), "wait": None}
    results = []
    for kind in (Blocking, Awaiting):
        door = endpoint(kind.parallel)
        with on_loop(door) as answer:
            answers: list[Answer] = [door.answer_sync, answer]
            for one in answers:
                run = Run(one, table=table).play()
                results.append((run.result, run.trace))
    assert results == [([1, None, "grown", None], ["?", "a", "?"])] * 4


@pytest.mark.parametrize("new_loop", NEW_LOOPS)
@pytest.mark.parametrize("kind", ["blocking", "async"])
def test_a_reply_for_which_nobody_waits_any_more_is_not_lost_silently(
    kind: str, new_loop: Callable[[], Any], caplog: pytest.LogCaptureFixture
) -> None:
    begun, may_end = threading.Event(), threading.Event()

    def blocking(ctx: Any) -> None:
        begun.set()
        may_end.wait(5)

    async def awaiting(ctx: Any) -> None:
        begun.set()
        await asyncio.Event().wait()

    client = new_client()
    door = endpoint(blocking if kind == "blocking" else awaiting, client=client)

    async def leaving() -> None:
        task = asyncio.ensure_future(door.answer(post()))
        while not begun.is_set():
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    loop = new_loop()
    loop.run_until_complete(leaving())
    may_end.set()
    loop.close()
    client.close()
    assert "app-fn, run unknown: whoever called has gone" in caplog.text


# ---- what is served


def test_functions_made_after_the_endpoint_are_served_too() -> None:
    client = new_client()
    door = endpoint(Blocking.returns, client=client)
    client.create_function(fn_id="late", trigger=ANY)(lambda ctx: "late")
    assert door.answer_sync(post(fn_id="app-late")).body == b'"late"'


def test_an_explicit_list_serves_nothing_else() -> None:
    client = new_client()
    one = client.create_function(fn_id="one", trigger=ANY)(lambda ctx: 1)
    client.create_function(fn_id="two", trigger=ANY)(lambda ctx: 2)
    door = CommHandler(client=client, framework="test", functions=[one])
    assert door.answer_sync(post(fn_id="app-one")).body == b"1"
    response = door.answer_sync(post(fn_id="app-two"))
    assert (response.status, json.loads(response.body)["code"]) == (500, "function_not_found")
    assert response.headers["x-inngest-no-retry"] == "false"


def test_a_failure_handler_has_an_id_of_its_own() -> None:
    door = endpoint(Blocking.returns, on_failure=lambda ctx: "failed")
    assert door.answer_sync(post(fn_id="app-fn-failure")).body == b'"failed"'


def test_ops_are_words_of_the_protocol() -> None:
    for name, request in CALLS:
        response = endpoint(getattr(Blocking, name)).answer_sync(request)
        if response.status == 206:
            for op in json.loads(response.body):
                assert Opcode(op["op"])
                assert op["userland"].keys() == {"id", "index"}


# ---- requests that come over a connection of our own


def test_what_comes_over_a_connection_of_ours_needs_no_signature() -> None:
    client = new_client(is_production=True, signing_key="signkey-prod-12345678")

    @client.create_function(fn_id="fn", trigger=ANY)
    def function(ctx: Any) -> str:
        return "done"

    trusting = CommHandler(client=client, framework="connect", trusted=True)
    assert trusting.answer_sync(post()).status == 200
    assert CommHandler(client=client, framework="test").answer_sync(post()).status == 401


def test_a_handler_tells_what_it_registers_and_what_blocks() -> None:
    client = new_client()

    def clean_up(ctx: Any) -> None: ...

    @client.create_function(fn_id="fn", trigger=ANY, on_failure=clean_up)
    async def function(ctx: Any) -> None: ...

    handler = CommHandler(client=client, framework="connect")
    assert [config.id for config in handler.configs] == ["app-fn", "app-fn-failure"]
    assert handler.blocks("app-fn") is False
    assert handler.blocks("app-fn-failure") is True
    assert handler.blocks("app-other") is None
