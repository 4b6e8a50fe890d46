"""A context: its events, and its logger, which is quiet while the function is replayed."""

from __future__ import annotations

import dataclasses
import logging
from typing import Any

import pytest

from inngest_core import Context, ContextSync

from .support import Run, data, endpoint, giving, new_client, on_loop, post


class Lines:
    """A logger that binds values, and has methods to await."""

    def __init__(self, lines: list[str], bound: str = "") -> None:
        self.lines, self.bound = lines, bound

    def bind(self, bound: str) -> Lines:
        return Lines(self.lines, f"{self.bound}{bound}: ")

    def info(self, text: str) -> None:
        self.lines.append(self.bound + text)

    async def ainfo(self, text: str) -> None:
        self.info(text)


@pytest.fixture
def lines() -> list[str]:
    return []


def test_what_a_logger_derives_is_quiet_as_well(lines: list[str]) -> None:
    def handler(ctx: ContextSync) -> None:
        log = ctx.logger.bind("order 7").bind("part 1")
        log.info("before")
        ctx.step.run("a", giving(1))
        log.info("after")

    door = endpoint(handler, client=new_client(logger=Lines(lines)))
    assert len(Run(door.answer_sync).play().calls) == 2
    assert lines == ["order 7: part 1: before", "order 7: part 1: after"]


def test_a_child_in_the_standard_library_is_derived(caplog: pytest.LogCaptureFixture) -> None:
    def handler(ctx: ContextSync) -> str:
        log = ctx.logger.getChild("orders")
        log.warning("before")
        ctx.step.run("a", giving(1))
        log.warning("after")
        return str(log.name)

    door = endpoint(handler, client=new_client(logger=logging.getLogger("shop")))
    assert Run(door.answer_sync).play().result == "shop.orders"
    assert [(r.name, r.message) for r in caplog.records] == [
        ("shop.orders", "before"),
        ("shop.orders", "after"),
    ]


def test_a_line_that_is_awaited_is_quiet_too(lines: list[str]) -> None:
    async def handler(ctx: Context) -> Any:
        await ctx.logger.ainfo("before")
        await ctx.step.run("a", giving(1))
        await ctx.logger.ainfo("after")

    with on_loop(endpoint(handler, client=new_client(logger=Lines(lines)))) as answer:
        Run(answer).play()
    assert lines == ["before", "after"]


def lines_of(caplog: pytest.LogCaptureFixture, handler: Any, *steps: str, **ctx: Any) -> list[str]:
    """What *handler* logs through ctx.logger in a call that has the memos of *steps*."""
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "inngest"):
        endpoint(handler).answer_sync(post({name: data(1) for name in steps}, **ctx))
    return [record.getMessage() for record in caplog.records if record.levelno < logging.ERROR]


def chatty(ctx: ContextSync) -> None:
    for name in "ab":
        ctx.logger.info("before %s", name)
        ctx.step.run(name, lambda: ctx.logger.info("inside"))
    ctx.logger.info("end")


def test_a_line_is_logged_in_the_call_that_first_reaches_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert lines_of(caplog, chatty) == ["before a", "inside"]
    assert lines_of(caplog, chatty, "a") == ["before b", "inside"]
    assert lines_of(caplog, chatty, "a", "b") == ["end"]


def test_a_retry_logs_again(caplog: pytest.LogCaptureFixture) -> None:
    def handler(ctx: ContextSync) -> None:
        ctx.step.run("a", int)
        ctx.logger.info("try %d", ctx.attempt)
        raise ValueError

    for attempt in range(2):
        assert lines_of(caplog, handler, "a", attempt=attempt) == [f"try {attempt}"]


def test_a_line_comes_from_where_the_user_wrote_it(caplog: pytest.LogCaptureFixture) -> None:
    lines_of(caplog, chatty)
    places = [(record.filename, record.funcName) for record in caplog.records]
    assert places == [("test_context.py", "chatty"), ("test_context.py", "<lambda>")]


def test_a_method_taken_while_replaying_speaks_when_the_time_has_come(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def handler(ctx: ContextSync) -> None:
        info = ctx.logger.info
        info("before")
        ctx.step.run("a", int)
        info("after")

    assert lines_of(caplog, handler, "a") == ["after"]


def test_what_a_logger_tells_of_itself_is_told_while_replaying() -> None:
    def handler(ctx: ContextSync) -> Any:
        told = [ctx.logger.isEnabledFor(logging.CRITICAL), ctx.logger.getEffectiveLevel() > 0]
        return [*told, ctx.step.run("a", int)]

    reply = endpoint(handler).answer_sync(post({"a": data(1)}))
    assert reply.body == b"[true,true,1]"


def test_structlog_itself() -> None:
    structlog = pytest.importorskip("structlog")
    said: list[Any] = []

    def note(logger: Any, name: str, event: dict[str, Any]) -> Any:
        said.append((name, event))
        raise structlog.DropEvent

    def handler(ctx: ContextSync) -> None:
        log = ctx.logger.bind(order=7)
        log.warning("before")
        ctx.step.run("a", int)
        log.warning("after", part=1)
        raise ValueError("broken")

    client = new_client(logger=structlog.wrap_logger(None, processors=[note]))
    assert endpoint(handler, client=client).answer_sync(post({"a": data(1)})).status == 500
    assert said[0] == ("warning", {"event": "after", "order": 7, "part": 1})
    assert [name for name, _ in said] == ["warning", "error"]


def test_a_context_has_the_headers_of_the_request_and_does_not_show_them() -> None:
    seen: list[Any] = []

    def handler(ctx: ContextSync) -> None:
        seen.append((ctx.headers["traceparent"], "00-1" in repr(ctx)))

    request = dataclasses.replace(post(), headers={"traceparent": "00-1"})
    endpoint(handler).answer_sync(request)
    assert seen == [("00-1", False)]


def test_the_trigger_and_the_first_event_are_changed_apart() -> None:
    """Middleware decrypts both; one object would be decrypted twice."""

    def handler(ctx: ContextSync) -> object:
        ctx.event.data = {"changed": ctx.event.data}
        return [ctx.event.data, ctx.events[0].data]

    result = Run(endpoint(handler).answer_sync).play().result
    assert result == [{"changed": {"n": 1}}, {"n": 1}]
