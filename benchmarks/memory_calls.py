"""
The calls of the memory benchmark, and our side of it.

The functions are written once for both packages, which share their names: *api* is
the package.
"""

from __future__ import annotations

import dataclasses
import datetime
import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pydantic

import inngest_core
from inngest_core import CommHandler, CommRequest

URL = "http://127.0.0.1:8000/api/inngest"
Handler = Callable[[Any], Any]


class Order(pydantic.BaseModel):
    number: int
    placed: datetime.datetime


@dataclasses.dataclass
class Line:
    article: str
    count: int


@dataclass(frozen=True)
class Call:
    """A call of a function, and the status of its reply."""

    function: str
    status: int
    body: bytes
    step: str = "step"

    @property
    def query(self) -> dict[str, str]:
        return {"fnId": f"bench-{self.function}", "stepId": self.step}


def hashed(step: str) -> str:
    return hashlib.sha1(step.encode()).hexdigest()


def call(function: str, status: int, memos: dict[str, Any], target: str | None = None) -> Call:
    """A call with the memos of some steps."""
    event = {"data": {"text": "x" * 200}, "id": "e", "name": "bench", "ts": 1, "user": {}}
    stack = [hashed(step) for step in memos]
    ctx = {
        "attempt": 0,
        "disable_immediate_execution": target is not None,
        "env": "",
        "fn_id": "3fb99263-83df-5fa5-b9bd-c1b658ecc15b",
        "max_attempts": 5,
        "qi_id": "q",
        "run_id": "01M81CV4SR9WGEDKMNJWE4XNQ5",
        "stack": {"current": len(stack), "stack": stack},
        "use_api": False,
    }
    steps = {hashed(step): memo for step, memo in memos.items()}
    doc = {"ctx": ctx, "event": event, "events": [event], "steps": steps, "use_api": False}
    body = json.dumps({**doc, "version": 2}).encode()
    return Call(function, status, body, hashed(target) if target else "step")


PLACED = {"data": {"number": 1, "placed": "2030-01-01T12:00:00"}}
TYPED = {
    "order": PLACED,
    "lines": {"data": [{"article": "a", "count": 1}]},
    "due": {"data": "2030-01-02T00:00:00"},
    "text": {"data": "x"},
}
FAILED = {"error": {"name": "ValueError", "message": "no", "stack": "Traceback ..."}}
CALLS = [
    call("typed", 206, {}),
    call("typed", 206, {"order": PLACED}),
    call("typed", 206, {name: TYPED[name] for name in ("order", "lines")}),
    call("typed", 200, TYPED),
    call("failing", 206, {}),
    call("failing", 500, {"fails": FAILED}),
    call("group", 206, {}),
    call("group", 206, {}, target="b"),
    call("group", 200, {"a": {"data": 1}, "b": {"data": 2}, "c": {"data": 3}}),
    call("plain", 200, {}),
]


def sync_functions(when: dict[str, Any]) -> dict[str, Handler]:
    def typed(ctx: Any) -> Any:
        def place() -> Order:
            return Order(number=ctx.attempt, placed=datetime.datetime(2030, 1, 1))

        order = ctx.step.run("order", place, output_type=Order)
        lines = ctx.step.run("lines", lambda: [Line("a", order.number)], output_type=list[Line])

        def later() -> datetime.datetime:
            return datetime.datetime(2030, 1, 1 + len(lines))

        due = ctx.step.run("due", later, **when)
        return [due.isoformat(), ctx.step.run("text", lambda: ctx.event.data["text"])]

    def failing(ctx: Any) -> Any:
        def fails() -> None:
            raise ValueError(f"no {ctx.run_id}")

        try:
            return ctx.step.run("fails", fails)
        except Exception as error:
            raise RuntimeError("caught") from error

    def group(ctx: Any) -> Any:
        branches = [lambda name=name: ctx.step.run(name, lambda: name) for name in "abc"]
        return list(ctx.group.parallel(tuple(branches)))

    return {"typed": typed, "failing": failing, "group": group, "plain": lambda ctx: ctx.run_id}


def async_functions(when: dict[str, Any]) -> dict[str, Handler]:
    async def typed(ctx: Any) -> Any:
        async def place() -> Order:
            return Order(number=ctx.attempt, placed=datetime.datetime(2030, 1, 1))

        async def lines() -> list[Line]:
            return [Line("a", order.number)]

        async def later() -> datetime.datetime:
            return datetime.datetime(2030, 1, 1 + len(found))

        async def text() -> str:
            return str(ctx.event.data["text"])

        order = await ctx.step.run("order", place, output_type=Order)
        found = await ctx.step.run("lines", lines, output_type=list[Line])
        due = await ctx.step.run("due", later, **when)
        return [due.isoformat(), await ctx.step.run("text", text)]

    async def failing(ctx: Any) -> Any:
        async def fails() -> None:
            raise ValueError(f"no {ctx.run_id}")

        try:
            return await ctx.step.run("fails", fails)
        except Exception as error:
            raise RuntimeError("caught") from error

    async def group(ctx: Any) -> Any:
        async def one(name: str) -> str:
            return name

        branches = [lambda name=name: ctx.step.run(name, one, name) for name in "abc"]
        return list(await ctx.group.parallel(tuple(branches)))

    async def plain(ctx: Any) -> Any:
        return ctx.run_id

    return {"typed": typed, "failing": failing, "group": group, "plain": plain}


def functions(api: Any, client: Any, kind: str) -> list[Any]:
    """The functions of one kind, created on a client of either package."""
    # Only ours reads annotations.
    when = {} if api is inngest_core else {"output_type": datetime.datetime}
    made = sync_functions(when) if kind == "sync" else async_functions(when)
    trigger = api.TriggerEvent(event="bench")
    return [
        client.create_function(fn_id=name, trigger=trigger)(handler)
        for name, handler in made.items()
    ]


def watching(api: Any) -> Any:
    """A middleware of either package that has most hooks."""

    class Watch(api.MiddlewareSync):  # type: ignore[misc]  # the package is a parameter
        def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            self.seen = ctx.run_id

        def before_execution(self) -> None:
            self.started = True

        def after_execution(self) -> None:
            self.ended = True

        def transform_output(self, result: Any) -> None:
            self.result = result

    return Watch


class Wrap(inngest_core.MiddlewareSync):
    """The hooks that only ours has."""

    def wrap_call(self, ctx: Any, function: Any) -> Any:
        self.outcome = yield

    def wrap_step(self, step: Any) -> Any:
        self.step = step
        self.outcome = yield


# ---- our side


def our_handler(kind: str) -> CommHandler:
    """The door to our functions of one kind."""
    middleware = [watching(inngest_core), Wrap]
    client = inngest_core.Inngest(app_id="bench", is_production=False, middleware=middleware)
    functions(inngest_core, client, kind)
    return CommHandler(client=client, framework="flask")


def our_side(kind: str) -> Any:
    """How ours answers a call."""
    handler = our_handler(kind)

    async def answer(one: Call) -> int:
        return (await handler.answer(request(one))).status

    return answer if kind == "async" else lambda one: handler.answer_sync(request(one)).status


def request(one: Call) -> CommRequest:
    return CommRequest("POST", URL, {"content-type": "application/json"}, one.query, one.body)
