"""Steps that are reported while the function goes on: when, how, and what if that fails."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest

from inngest_core import (
    Checkpoint,
    Context,
    ContextSync,
    Event,
    Inngest,
    MiddlewareSync,
    NonRetriableError,
    TriggerEvent,
)
from inngest_core.errors import TransportError
from inngest_core.flow import persist
from inngest_core.wire.http import CommResponse, HttpRequest, HttpResponse
from inngest_core.wire.ids import hash_step

from .wiring import NOW, Server, client_of, cloud_client, document, reply, request_of, served

TRIGGER = TriggerEvent(event="a/b")
RUN = "01M81CV4SR9WGEDKMNJWE4XNQ5"
KINDS = [False, True]
GONE = TransportError("no reply")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persist, "FIRST_DELAY", 0)


class Stage:
    """A function that checkpoints, its server, and a clock that steps can move."""

    def __init__(
        self,
        *,
        checkpoint: Any = True,
        replies: list[HttpResponse | Exception] | None = None,
        client: Callable[..., Inngest] = client_of,
        **options: Any,
    ) -> None:
        self.server = Server(replies or [reply(200, b"")])
        self.client = client(self.server, checkpoint=checkpoint, **options)
        self.now = float(NOW)
        self.client.engine.home.clock = lambda: self.now

    def play(self, handler: Any, *, function: Any = None, **call: Any) -> CommResponse:
        self.client.create_function(fn_id="f", trigger=TRIGGER, **(function or {}))(handler)
        return served(self.client).answer_sync(call_of(**call))

    def later(self, seconds: float) -> None:
        self.now += seconds

    @property
    def reports(self) -> list[dict[str, Any]]:
        return self.server.bodies

    @property
    def reported(self) -> list[list[str]]:
        return [[op["displayName"] for op in report["steps"]] for report in self.reports]


def call_of(*, step: str = "step", steps: dict[str, Any] | None = None, **ctx: Any) -> Any:
    event = {"data": {}, "id": "e", "name": "a/b", "ts": 1}
    doc = {
        "ctx": {
            "attempt": 0,
            "fn_id": "e0f9fd6b",
            "qi_id": "Mm0x",
            "generation_id": 1,
            "request_id": "01M81D46P",
            "run_id": RUN,
            "stack": {"current": 0, "stack": list(steps or {})},
            **ctx,
        },
        "event": event,
        "events": [event],
        "steps": steps or {},
    }
    return request_of("POST", doc, query={"fnId": "shop-f", "stepId": step})


def sequence(names: str, then: Any = None) -> tuple[Any, Any]:
    """A function, blocking and async, of steps in a row; *then* is told what they returned."""

    def handler(ctx: ContextSync) -> Any:
        values = [ctx.step.run(name, name.upper) for name in names]
        return then(ctx, values) if then else values

    async def ahandler(ctx: Context) -> Any:
        values = [await ctx.step.run(name, name.upper) for name in names]
        result = then(ctx, values) if then else values
        return await result if asyncio.iscoroutine(result) else result

    return handler, ahandler


def ops(response: CommResponse) -> list[tuple[str, str]]:
    assert response.status == 206, response.body
    return [(op["op"], op["displayName"]) for op in document(response)]


# ---- when


@pytest.mark.parametrize("is_async", KINDS)
def test_each_step_is_reported_and_the_function_goes_on(is_async: bool) -> None:
    stage = Stage()
    response = stage.play(sequence("abc")[is_async])
    assert (response.status, document(response)) == (200, ["A", "B", "C"])
    assert stage.reported == [["a"], ["b"], ["c"]]


@pytest.mark.parametrize("is_async", KINDS)
def test_without_it_each_step_is_a_reply(is_async: bool) -> None:
    stage = Stage(checkpoint=None)
    assert ops(stage.play(sequence("abc")[is_async])) == [("StepRun", "a")]
    assert stage.reported == []


@pytest.mark.parametrize("is_async", KINDS)
def test_several_are_reported_together_and_the_rest_go_with_the_end(is_async: bool) -> None:
    stage = Stage(checkpoint=Checkpoint(buffered_steps=2))
    response = stage.play(sequence("abc")[is_async])
    assert stage.reported == [["a", "b"]]
    assert ops(response) == [("StepRun", "c"), ("RunComplete", "complete")]
    assert document(response)[1]["data"] == ["A", "B", "C"]


@pytest.mark.parametrize("is_async", KINDS)
def test_what_is_there_is_reported_once_the_interval_has_passed(is_async: bool) -> None:
    stage = Stage(checkpoint=Checkpoint(buffered_steps=9, max_interval="2s"))

    def handler(ctx: ContextSync) -> None:
        for name in "abcd":
            ctx.step.run(name, stage.later, 1)

    async def ahandler(ctx: Context) -> None:
        for name in "abcd":
            await ctx.step.run(name, stage.later, 1)

    stage.play(ahandler if is_async else handler)
    assert stage.reported == [["a", "b"], ["c", "d"]]


@pytest.mark.parametrize("is_async", KINDS)
def test_a_call_ends_when_it_has_run_for_long_enough(is_async: bool) -> None:
    stage = Stage(checkpoint=Checkpoint(max_runtime="3s"))

    def handler(ctx: ContextSync) -> None:
        for name in "abcd":
            ctx.step.run(name, stage.later, 2)

    async def ahandler(ctx: Context) -> None:
        for name in "abcd":
            await ctx.step.run(name, stage.later, 2)

    response = stage.play(ahandler if is_async else handler)
    assert stage.reported == [["a"], ["b"]]
    assert ops(response) == [("StepPlanned", "c")]


def test_no_limit_is_no_limit() -> None:
    stage = Stage(checkpoint=Checkpoint(max_runtime="0s"))
    handler, _ = sequence("abcd", lambda ctx, values: ctx.step.run("e", stage.later, 1e6))
    assert stage.play(handler).status == 200


@pytest.mark.parametrize("is_async", KINDS)
def test_it_is_flushed_when_the_function_blocks(is_async: bool) -> None:
    stage = Stage(checkpoint=Checkpoint(buffered_steps=9))
    handlers = sequence("ab", lambda ctx, values: ctx.step.sleep("nap", "1h"))
    assert ops(stage.play(handlers[is_async])) == [("Sleep", "nap")]
    assert stage.reported == [["a", "b"]]


@pytest.mark.parametrize("is_async", KINDS)
def test_it_is_flushed_before_a_step_that_fails(is_async: bool) -> None:
    stage = Stage(checkpoint=Checkpoint(buffered_steps=9))
    handlers = sequence("ab", lambda ctx, values: ctx.step.run("c", fail))
    assert ops(stage.play(handlers[is_async])) == [("StepError", "c")]
    assert stage.reported == [["a", "b"]]


def fail() -> None:
    raise ValueError("bad value")


@pytest.mark.parametrize("is_async", KINDS)
def test_it_is_flushed_before_the_function_fails(is_async: bool) -> None:
    stage = Stage(checkpoint=Checkpoint(buffered_steps=9))
    response = stage.play(sequence("ab", lambda ctx, values: fail())[is_async])
    assert (response.status, document(response)["message"]) == (500, "bad value")
    assert stage.reported == [["a", "b"]]


def test_parallel_steps_are_planned_behind_it() -> None:
    stage = Stage()

    async def handler(ctx: Context) -> None:
        await ctx.step.run("a", lambda: 1)
        await asyncio.gather(ctx.step.run("b", fail), ctx.step.run("c", fail))

    assert ops(stage.play(handler)) == [("StepPlanned", "b"), ("StepPlanned", "c")]
    assert stage.reported == [["a"]]


def test_so_are_those_of_a_blocking_function_and_a_lone_one_is_a_reply() -> None:
    stage = Stage()

    def handler(ctx: ContextSync) -> None:
        ctx.step.run("a", lambda: 1)
        ctx.group.parallel((lambda: ctx.step.run("b", lambda: 2),))
        raise AssertionError("not in this call")

    assert ops(stage.play(handler)) == [("StepRun", "b")]
    assert stage.reported == [["a"]]


def test_a_task_that_finds_a_step_meanwhile_is_not_forgotten() -> None:
    stage = Stage()

    async def handler(ctx: Context) -> Any:
        started = asyncio.Event()

        async def second() -> Any:
            await started.wait()
            return await ctx.step.run("b", lambda: "B")

        async def first() -> str:
            started.set()
            await asyncio.sleep(0.05)
            return "A"

        task = asyncio.create_task(second())
        a = await ctx.step.run("a", first)
        return [a, await task]

    response = stage.play(handler)
    assert document(response) == ["A", "B"]
    assert stage.reported == [["a"], ["b"]]


# ---- not


@pytest.mark.parametrize(
    "call",
    [
        {"step": hash_step("a")},
        {"disable_immediate_execution": True},
        {"attempt": 1},
        {"fn_id": None},
    ],
)
@pytest.mark.parametrize("is_async", KINDS)
def test_some_calls_answer_with_their_first_step(call: dict[str, Any], is_async: bool) -> None:
    stage = Stage()
    ((_, name),) = ops(stage.play(sequence("abc")[is_async], **call))
    assert name == "a"
    assert stage.reported == []


def test_a_function_may_do_otherwise_than_its_client() -> None:
    stage = Stage()
    assert stage.play(sequence("a")[0], function={"checkpoint": False}).status == 206
    stage = Stage(checkpoint=None)
    assert stage.play(sequence("a")[0], function={"checkpoint": True}).status == 200


# ---- how


def test_a_report_says_which_call_it_comes_from() -> None:
    stage = Stage(checkpoint=Checkpoint(buffered_steps=2), app_version="7")
    stage.play(sequence("ab", lambda ctx, values: stage.later(1))[0])
    (request,) = stage.server.requests
    assert request.method == "POST"
    assert request.url == f"http://127.0.0.1:8288/v1/checkpoint/{RUN}/async"
    (report,) = stage.reports
    assert {key: report[key] for key in report if key != "steps"} == {
        "run_id": RUN,
        "fn_id": "e0f9fd6b",
        "qi_id": "Mm0x",
        "generation_id": 1,
        "request_id": "01M81D46P",
        "request_started_at": NOW * 1000,
        "ts": NOW * 1000,
    }
    assert report["steps"][0] == {
        "id": hash_step("a"),
        "op": "StepRun",
        "displayName": "a",
        "name": "a",
        "userland": {"id": "a", "index": None},
        "data": "A",
        "opts": None,
    }


def test_it_is_authorized_and_the_fallback_key_is_tried() -> None:
    fallback = "signkey-test-fedcba9876543210fedcba9876543210"
    stage = Stage(
        replies=[reply(401, b""), reply(200, b"")],
        client=cloud_client,
        signing_key_fallback=fallback,
        is_production=False,
    )
    assert stage.play(sequence("a")[0]).status == 200
    keys = [request.headers["authorization"] for request in stage.server.requests]
    assert len(set(keys)) == 2


@pytest.mark.parametrize("is_async", KINDS)
def test_the_first_run_sees_what_every_replay_will_see(is_async: bool) -> None:
    stage = Stage(checkpoint=Checkpoint(buffered_steps=2))

    def change(ctx: Any, values: list[Any]) -> Any:
        values[0]["changed"] = True
        return values

    def handler(ctx: ContextSync) -> Any:
        return change(ctx, [ctx.step.run("a", dict, {1: (2,)}.items())])

    async def ahandler(ctx: Context) -> Any:
        return change(ctx, [await ctx.step.run("a", dict, {1: (2,)}.items())])

    response = stage.play(ahandler if is_async else handler)
    step, end = document(response)
    assert step["data"] == {"1": [2]}
    assert end["data"] == [{"1": [2], "changed": True}]


@pytest.mark.parametrize("is_async", KINDS)
def test_what_is_not_json_fails_the_run_and_loses_no_step(is_async: bool) -> None:
    stage = Stage(checkpoint=Checkpoint(buffered_steps=9))
    handlers = sequence("ab", lambda ctx, values: ctx.step.run("c", object))
    response = stage.play(handlers[is_async])
    assert document(response)["message"] == '"c" returned unserializable data'
    assert stage.reported == [["a", "b"]]


def test_middleware_sees_each_output_once() -> None:
    seen: list[Any] = []

    class Watching(MiddlewareSync):
        def transform_output(self, result: Any) -> None:
            seen.append((result.step and result.step.id, result.output))

    stage = Stage(checkpoint=Checkpoint(buffered_steps=2), middleware=[Watching])
    response = stage.play(sequence("abc")[0])
    assert document(response)[-1]["data"] == ["A", "B", "C"]
    assert seen == [("a", "A"), ("b", "B"), ("c", "C"), (None, ["A", "B", "C"])]


@pytest.mark.parametrize("is_async", KINDS)
def test_what_middleware_has_replaced_comes_back_through_it(is_async: bool) -> None:
    class Hiding(MiddlewareSync):
        def transform_output(self, result: Any) -> None:
            if result.step is not None and result.output == "B":
                result.output = {"hidden": result.output}

    stage = Stage(checkpoint=Checkpoint(buffered_steps=9), middleware=[Hiding])
    response = stage.play(sequence("abc")[is_async])
    assert stage.reported == [["a"]]
    assert ops(response) == [("StepRun", "b")]
    assert document(response)[0]["data"] == {"hidden": "B"}


def test_middleware_that_fails_loses_no_step() -> None:
    class Broken(MiddlewareSync):
        def after_execution(self) -> None:
            fail()

    stage = Stage(checkpoint=Checkpoint(buffered_steps=9), middleware=[Broken])
    assert document(stage.play(sequence("ab")[0]))["name"] == "MiddlewareError"
    assert stage.reported == [["a", "b"]]


def test_neither_does_a_client_that_hangs_up() -> None:
    stage = Stage(checkpoint=Checkpoint(buffered_steps=9))
    reached = asyncio.Event()

    async def handler(ctx: Context) -> None:
        await ctx.step.run("a", lambda: 1)
        reached.set()
        await asyncio.sleep(60)

    stage.client.create_function(fn_id="f", trigger=TRIGGER)(handler)

    async def hang_up() -> None:
        call = asyncio.create_task(served(stage.client).answer(call_of()))
        await reached.wait()
        call.cancel()
        await call

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(hang_up())
    assert stage.reported == [["a"]]


def test_a_step_that_sends_is_reported_too() -> None:
    stage = Stage()

    def serve(request: HttpRequest) -> HttpResponse:
        return reply(200, {"ids": ["1"], "status": 200} if "/e/" in request.url else b"")

    stage.server.script = serve
    handler, _ = sequence("a", lambda ctx, values: ctx.step.send_event("s", Event(name="x")))
    assert document(stage.play(handler)) == ["1"]
    assert ["/e/" in request.url for request in stage.server.requests] == [False, True, False]


# ---- in the process of the server


@pytest.mark.parametrize("is_async", KINDS)
def test_a_server_in_this_process_is_told_without_a_request(is_async: bool) -> None:
    stage = Stage()
    told: list[Any] = []

    def report(body: bytes) -> HttpResponse:
        told.append(json.loads(body)["steps"][0]["displayName"])
        return reply(200, b"")

    async def areport(body: bytes) -> HttpResponse:
        return report(body)

    stage.client.create_function(fn_id="f", trigger=TRIGGER)(sequence("ab")[is_async])
    request = call_of()
    request.report = areport if is_async else report
    assert served(stage.client).answer_sync(request).status == 200
    assert told == ["a", "b"]
    assert stage.server.requests == []


# ---- where a report fails


@pytest.mark.parametrize("failure", [GONE, reply(500, b""), reply(413, b""), reply(401, b"")])
@pytest.mark.parametrize("is_async", KINDS)
def test_the_next_step_is_left_to_another_call(
    failure: Any, is_async: bool, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(replies=[reply(200, b""), failure])
    with caplog.at_level(logging.WARNING, logger="inngest"):
        response = stage.play(sequence("abc")[is_async])
    assert ops(response) == [("StepRun", "b"), ("StepPlanned", "c")]
    assert "1 steps could not be reported" in caplog.text


@pytest.mark.parametrize("is_async", KINDS)
def test_or_goes_with_the_end_or_a_pause(is_async: bool) -> None:
    response = Stage(replies=[GONE]).play(sequence("a")[is_async])
    assert ops(response) == [("StepRun", "a"), ("RunComplete", "complete")]
    nap = sequence("a", lambda ctx, values: ctx.step.sleep("nap", "1h"))
    assert ops(Stage(replies=[GONE]).play(nap[is_async])) == [("StepRun", "a"), ("Sleep", "nap")]


def test_a_passing_failure_is_outlived() -> None:
    stage = Stage(replies=[GONE, reply(503, b""), reply(200, b"")])
    assert stage.play(sequence("a")[0]).status == 200
    assert len(stage.server.requests) == 3
    assert len({request.body for request in stage.server.requests}) == 1


def test_an_error_of_the_function_waits_until_the_steps_are_told() -> None:
    def broken(ctx: Any, values: Any) -> None:
        raise NonRetriableError("no")

    response = Stage(replies=[GONE]).play(sequence("a", broken)[0])
    assert ops(response) == [("StepRun", "a")]
    stage = Stage(checkpoint=Checkpoint(buffered_steps=9), replies=[GONE])
    # Without a plan servers would ask three times for what comes next.
    assert ops(stage.play(sequence("abc", broken)[0])) == [
        ("StepRun", "a"),
        ("StepRun", "b"),
        ("StepPlanned", "c"),
    ]


@pytest.mark.parametrize("is_async", KINDS)
def test_a_run_that_another_call_owns_is_left_at_once(is_async: bool) -> None:
    ran: list[str] = []
    stage = Stage(replies=[reply(409, {"error": "stale dispatch: generation 1"})])
    handlers = sequence("a", lambda ctx, values: ran.append("on"))
    response = stage.play(handlers[is_async])
    assert response.status == 400
    assert response.headers["x-inngest-no-retry"] == "true"
    assert document(response)["code"] == "stale_call"
    assert "stale dispatch: generation 1" in document(response)["message"]
    assert ran == []


# ---- settings


def test_the_registration_tells_of_it() -> None:
    stage = Stage(checkpoint=Checkpoint(buffered_steps=3, max_interval=500, max_runtime="5m"))
    function = stage.client.create_function(fn_id="f", trigger=TRIGGER)(sequence("a")[0])
    assert function.config.to_wire("http://a")["checkpoint"] == {
        "batch_steps": 3,
        "batch_interval": "500ms",
        "max_runtime": "5m",
    }


def test_what_is_no_setting_is_refused() -> None:
    with pytest.raises(Exception, match="checkpoint: expected True, False or a Checkpoint"):
        client_of(checkpoint="yes")
    with pytest.raises(
        Exception, match=r"Checkpoint\.buffered_steps: .*greater than or equal to 1"
    ):
        Checkpoint(buffered_steps=0)
