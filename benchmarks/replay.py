"""
One call request in process, bytes in to bytes out: ours beside the official package.

A function with 0 to 10,000 memoized steps that returns, and one that has a new step
behind them; sync and async, unsigned and signed; and what it costs to have middleware
on the client, with all of the official package's methods, or steps that return a
pydantic model. Ours and the official handler take turns in one run, so that a noisy
machine disturbs both alike; the figure to read is the ratio.

    python -m benchmarks.replay [--steps 0,1,10,100,1000,10000] [--rounds 7]
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import hmac
import inspect
import itertools
import json
import logging
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import inngest
import pydantic

import inngest_core
from inngest_core import CommHandler, CommRequest

KEY = "signkey-test-0123456789abcdef0123456789abcdef"
SECONDS_A_SAMPLE = 0.05
Answer = Callable[[], Any]
Timer = Callable[[int], float]


@dataclass
class Case:
    """One cell: how many memos, a new step or none, which kind of function, what is in use."""

    steps: int
    is_async: bool
    signed: bool = False
    new: int = 0
    using: str = "-"

    @property
    def status(self) -> int:
        return 206 if self.new else 200


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", default="0,1,10,100,1000,10000")
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    logging.disable(logging.CRITICAL)
    sizes = [int(size) for size in options.steps.split(",")]
    print(
        f"{'memos':>6} {'new':>4} {'kind':>6} {'signed':>7} {'using':>10} "
        f"{'ours us':>10} {'official us':>12} {'ratio':>7}"
    )
    for new, signed, is_async in itertools.product((0, 1), (False, True), (False, True)):
        for steps in sizes:
            report(Case(steps, is_async, signed, new), options.rounds)
    for using, is_async in itertools.product(("middleware", "types"), (False, True)):
        for steps in sizes:
            report(Case(steps, is_async, using=using), options.rounds)


def report(case: Case, rounds: int) -> None:
    """Measure one cell and print its line."""
    loop = asyncio.new_event_loop()
    sides = [timer(side(case), case.status, loop) for side in (our_answer, official_answer)]
    ours, official, ratio = compare(sides, rounds)
    loop.close()
    kind, signed = "async" if case.is_async else "sync", "yes" if case.signed else "no"
    print(
        f"{case.steps:6} {case.new:4} {kind:>6} {signed:>7} {case.using:>10} "
        f"{ours:10.1f} {official:12.1f} {ratio:6.1f}x",
        flush=True,
    )


def compare(sides: list[Timer], rounds: int) -> tuple[float, float, float]:
    """Median microseconds of ours and of the official, and the median of their ratios."""
    counts = [max(1, int(SECONDS_A_SAMPLE / (side(1) / 1e6))) for side in sides]
    ours, official = [], []
    for _ in range(rounds):
        ours.append(sides[0](counts[0]))
        official.append(sides[1](counts[1]))
    ratios = [theirs / mine for mine, theirs in zip(ours, official, strict=True)]
    return statistics.median(ours), statistics.median(official), statistics.median(ratios)


def timer(answer: Answer, status: int, loop: asyncio.AbstractEventLoop) -> Timer:
    """A function that tells the microseconds of one of *count* answers, in a row."""
    if not inspect.iscoroutinefunction(answer):
        return lambda count: clocked(answer, status, count)
    return lambda count: loop.run_until_complete(aclocked(answer, status, count))


def clocked(answer: Answer, expected: int, count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        status = answer()
    assert status == expected
    return (time.perf_counter() - started) / count * 1e6


async def aclocked(answer: Answer, expected: int, count: int) -> float:
    started = time.perf_counter()
    for _ in range(count):
        status = await answer()
    assert status == expected
    return (time.perf_counter() - started) / count * 1e6


# ---- the request


def body_of(steps: int) -> bytes:
    """A canonical call body with *steps* memos."""
    ids = [hashlib.sha1(f"step-{n}".encode()).hexdigest() for n in range(steps)]
    event = {"data": {}, "id": "e", "name": "bench", "ts": 1, "user": {}}
    doc = {
        "ctx": {
            "attempt": 0,
            "disable_immediate_execution": False,
            "env": "",
            "fn_id": "3fb99263-83df-5fa5-b9bd-c1b658ecc15b",
            "max_attempts": 5,
            "qi_id": "q",
            "run_id": "01M81CV4SR9WGEDKMNJWE4XNQ5",
            "stack": {"current": steps, "stack": ids},
            "step_id": "step",
            "use_api": False,
        },
        "event": event,
        "events": [event],
        "steps": {hashed: {"data": {"n": n, "ok": True}} for n, hashed in enumerate(ids)},
        "use_api": False,
        "version": 2,
    }
    return json.dumps(doc, sort_keys=True, separators=(",", ":")).encode()


def headers_of(body: bytes, signed: bool) -> dict[str, str]:
    headers = {"content-type": "application/json"}
    if signed:
        now = str(int(time.time()))
        key = KEY.removeprefix("signkey-test-").encode()
        digest = hmac.new(key, body + now.encode(), hashlib.sha256).hexdigest()
        headers["x-inngest-signature"] = f"t={now}&s={digest}"
    return headers


QUERY = {"fnId": "bench-f", "stepId": "step"}
URL = "http://127.0.0.1:8000/api/inngest"


class Model(pydantic.BaseModel):
    """What a typed step returns."""

    n: int
    ok: bool


def handler_of(case: Case) -> Callable[[Any], Any]:
    if case.using == "types":
        return typed_handler(case)

    def handler(ctx: Any) -> None:
        for n in range(case.steps + case.new):
            ctx.step.run(f"step-{n}", produce)

    async def ahandler(ctx: Any) -> None:
        for n in range(case.steps + case.new):
            await ctx.step.run(f"step-{n}", aproduce)

    return ahandler if case.is_async else handler


def typed_handler(case: Case) -> Callable[[Any], Any]:
    def handler(ctx: Any) -> None:
        for n in range(case.steps + case.new):
            ctx.step.run(f"step-{n}", produce, output_type=Model)

    async def ahandler(ctx: Any) -> None:
        for n in range(case.steps + case.new):
            await ctx.step.run(f"step-{n}", aproduce, output_type=Model)

    return ahandler if case.is_async else handler


def produce() -> object:
    return {"n": 1, "ok": True}


async def aproduce() -> object:
    return {"n": 1, "ok": True}


def client_of(package: Any, case: Case) -> Any:
    """A client of either package, with what the case uses."""

    class Watching(package.MiddlewareSync):  # type: ignore[misc]  # of either package
        def transform_input(self, ctx: Any, function: Any, steps: Any) -> None: ...
        def before_execution(self) -> None: ...
        def after_execution(self) -> None: ...
        def transform_output(self, result: Any) -> None: ...
        def before_response(self) -> None: ...
        def before_send_events(self, events: Any) -> None: ...
        def after_send_events(self, result: Any) -> None: ...

    return package.Inngest(
        app_id="bench",
        is_production=case.signed,
        signing_key=KEY,
        middleware=[Watching] if case.using == "middleware" else [],
        serializer=package.PydanticSerializer() if case.using == "types" else None,
    )


# ---- the two packages


def our_answer(case: Case) -> Answer:
    client = client_of(inngest_core, case)
    trigger = inngest_core.TriggerEvent(event="bench")
    client.create_function(fn_id="f", trigger=trigger)(handler_of(case))
    handler = CommHandler(client=client, framework="flask")
    body = body_of(case.steps)
    headers = headers_of(body, case.signed)

    def request() -> CommRequest:
        return CommRequest("POST", URL, headers, QUERY, body)

    async def answer() -> int:
        return (await handler.answer(request())).status

    return answer if case.is_async else lambda: handler.answer_sync(request()).status


def official_answer(case: Case) -> Answer:
    from inngest._internal import comm_lib, server_lib

    client = client_of(inngest, case)
    trigger = inngest.TriggerEvent(event="bench")
    function = client.create_function(fn_id="f", trigger=trigger)(handler_of(case))
    handler = comm_lib.CommHandler(
        client=client,
        enable_unauthed_sync=None,
        framework=server_lib.Framework.FLASK,
        functions=[function],
        streaming=None,
    )
    body = body_of(case.steps)
    headers = headers_of(body, case.signed)

    def request() -> Any:
        return comm_lib.CommRequest(
            body=body,
            headers=headers,
            public_path=None,
            query_params=QUERY,
            raw_request=None,
            request_url=URL,
            serve_origin=None,
            serve_path=None,
        )

    async def answer() -> int:
        return (await handler.post(request())).status_code

    return answer if case.is_async else lambda: handler.post_sync(request()).status_code


if __name__ == "__main__":
    main()
