"""What the lines of a call say, as structlog's processors see them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import structlog
from structlog.contextvars import bind_contextvars, get_contextvars, merge_contextvars
from structlog.testing import LogCapture

from inngest_contrib.structlog import StructlogMiddleware, drop_replayed
from inngest_core import Context, ContextSync, Inngest, MiddlewareSync, StepError

from ..support import RUN_ID, Run, endpoint, giving, new_client, on_loop, post

Handler = Callable[[Any], Any]
CALL = {"run_id": RUN_ID, "function_id": "app-fn", "attempt": 0, "event_name": "test/event"}


@pytest.fixture(autouse=True)
def clear() -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def capture() -> LogCapture:
    return LogCapture()


@pytest.fixture
def log(capture: LogCapture) -> Any:
    """A logger as a module has it, whose lines are captured."""
    return structlog.wrap_logger(None, processors=[drop_replayed, merge_contextvars, capture])


def client_with(*middleware: Any, **options: Any) -> Inngest:
    return new_client(middleware=[StructlogMiddleware, *middleware], **options)


def blocking(log: Any) -> Handler:
    def work() -> str:
        log.info("in a")
        return "a"

    def handler(ctx: ContextSync) -> str:
        log.info("before")
        ctx.step.run("a", work)
        log.info("after")
        return "done"

    return handler


def awaiting(log: Any) -> Handler:
    async def work() -> str:
        await asyncio.sleep(0)
        log.info("in a")
        return "a"

    async def handler(ctx: Context) -> str:
        log.info("before")
        await ctx.step.run("a", work)
        log.info("after")
        return "done"

    return handler


# ---- what a line says


@pytest.mark.parametrize("make", [blocking, awaiting])
def test_every_line_says_of_which_call_and_step_it_is(
    make: Any, log: Any, capture: LogCapture
) -> None:
    with on_loop(endpoint(make(log), client=client_with())) as answer:
        assert Run(answer).play().result == "done"
    assert capture.entries == [
        {"event": "before", "log_level": "info", **CALL},
        {"event": "in a", "log_level": "info", **CALL, "step_id": "a"},
        {"event": "after", "log_level": "info", **CALL},
    ]


@pytest.mark.parametrize("make", [blocking, awaiting])
def test_on_a_blocking_server_as_well(make: Any, log: Any, capture: LogCapture) -> None:
    client = client_with()
    assert Run(endpoint(make(log), client=client).answer_sync).play().result == "done"
    client.close()
    assert [line["run_id"] for line in capture.entries] == [RUN_ID] * 3
    assert get_contextvars() == {}


def test_steps_at_the_same_time_keep_their_own_ids(log: Any, capture: LogCapture) -> None:
    def work(name: str) -> None:
        log.info(name)

    async def handler(ctx: Context) -> None:
        await asyncio.gather(*(ctx.step.run(name, work, name) for name in "abc"))

    with on_loop(endpoint(handler, client=client_with())) as answer:
        Run(answer).play()
    assert sorted((line["event"], line["step_id"]) for line in capture.entries) == [
        ("a", "a"),
        ("b", "b"),
        ("c", "c"),
    ]


def test_calls_at_the_same_time_keep_their_own_values(log: Any, capture: LogCapture) -> None:
    async def handler(ctx: Context) -> None:
        await asyncio.sleep(0)
        log.info(str(ctx.attempt))

    door = endpoint(handler, client=client_with())

    async def together() -> None:
        await asyncio.gather(*(door.answer(post(attempt=n)) for n in range(3)))

    asyncio.run(together())
    assert sorted((line["event"], line["attempt"]) for line in capture.entries) == [
        ("0", 0),
        ("1", 1),
        ("2", 2),
    ]


# ---- what is left


def boom() -> None:
    raise ValueError("bad value")


class Broken(MiddlewareSync):
    def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("handler", "middleware"),
    [
        (lambda ctx: 1, []),
        (lambda ctx: boom(), []),
        (lambda ctx: ctx.step.run("a", boom), []),
        (lambda ctx: ctx.step.sleep("nap", "1s"), []),
        (lambda ctx: 1, [Broken]),
    ],
)
def test_what_was_bound_before_is_all_that_is_bound_after(
    handler: Handler, middleware: list[Any]
) -> None:
    bind_contextvars(request="r1", run_id="of the caller")
    endpoint(handler, client=client_with(*middleware)).answer_sync(post())
    assert get_contextvars() == {"request": "r1", "run_id": "of the caller"}


# ---- replay


@pytest.mark.parametrize("make", [blocking, awaiting])
def test_without_the_processor_a_replay_writes_its_lines_again(
    make: Any, capture: LogCapture
) -> None:
    plain = structlog.wrap_logger(None, processors=[capture])
    with on_loop(endpoint(make(plain), client=client_with())) as answer:
        Run(answer).play()
    assert [line["event"] for line in capture.entries] == ["before", "in a", "before", "after"]


def test_with_it_every_line_is_written_once(log: Any, capture: LogCapture) -> None:
    def handler(ctx: ContextSync) -> None:
        for name in "abc":
            log.info(f"before {name}")
            ctx.step.run(name, giving(name))
        try:
            ctx.step.run("break", boom)
        except StepError:
            log.info("caught")
        log.info("end")

    door = endpoint(handler, client=client_with())
    Run(door.answer_sync, max_attempts=1).play()
    assert [line["event"] for line in capture.entries] == [
        "before a",
        "before b",
        "before c",
        "caught",
        "end",
    ]


def test_outside_a_call_and_without_the_middleware_it_drops_nothing(
    log: Any, capture: LogCapture
) -> None:
    log.info("outside")
    Run(endpoint(blocking(log), client=new_client()).answer_sync).play()
    assert [line["event"] for line in capture.entries] == [
        "outside",
        "before",
        "in a",
        "before",
        "after",
    ]


def test_a_failed_call_does_not_silence_what_comes_after(log: Any, capture: LogCapture) -> None:
    door = endpoint(lambda ctx: 1, client=client_with(Broken))
    door.answer_sync(post({"a": {"data": 1}}))
    log.info("outside")
    assert [line["event"] for line in capture.entries] == ["outside"]


# ---- as the client's logger


def test_the_logger_of_the_client_may_be_structlogs(capture: LogCapture) -> None:
    def handler(ctx: ContextSync) -> None:
        log = ctx.logger.bind(order=7)
        log.info("before")
        ctx.step.run("a", giving(1))
        log.info("after", part=2)
        boom()

    logger = structlog.wrap_logger(None, processors=[merge_contextvars, capture])
    door = endpoint(handler, client=client_with(logger=logger))
    Run(door.answer_sync, max_attempts=1).play()
    assert capture.entries[:2] == [
        {"event": "before", "log_level": "info", "order": 7, **CALL},
        {"event": "after", "log_level": "info", "order": 7, "part": 2, **CALL},
    ]
    (failed,) = capture.entries[2:]
    assert failed["event"].endswith(", attempt 0: ValueError: bad value")
    assert failed["log_level"] == "error"
    assert isinstance(failed["exc_info"], ValueError)


def test_its_lines_may_be_awaited(capture: LogCapture) -> None:
    async def handler(ctx: Context) -> None:
        await ctx.logger.ainfo("before")
        await ctx.step.run("a", giving(1))
        await ctx.logger.ainfo("after")

    logger = structlog.wrap_logger(None, processors=[merge_contextvars, capture])
    with on_loop(endpoint(handler, client=client_with(logger=logger))) as answer:
        Run(answer).play()
    assert [(line["event"], line["run_id"]) for line in capture.entries] == [
        ("before", RUN_ID),
        ("after", RUN_ID),
    ]
