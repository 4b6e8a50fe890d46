"""Large values are warned of at half of what the server accepts, and not before."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from inngest_core import ContextSync, TriggerEvent
from inngest_core.wire.http import HttpRequest, HttpResponse
from inngest_core.wire.ids import hash_step
from inngest_core.wire.names import MAX_REPLY_BYTES, MAX_STATE_BYTES, MAX_STEP_BYTES

from .wiring import Server, ask, call_of, client_of, reply

TRIGGER = TriggerEvent(event="a/b")


def warnings(
    caplog: pytest.LogCaptureFixture, handler: Any, server: Server | None = None, **call: Any
) -> list[str]:
    client = client_of(server)
    client.create_function(fn_id="f", trigger=TRIGGER)(handler)
    with caplog.at_level(logging.WARNING, logger="inngest"):
        ask(client, call_of("shop-f", **call))
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(("size", "warned"), [(MAX_STEP_BYTES // 2 + 1, 1), (1_000_000, 0)])
def test_a_large_step_is_named(caplog: Any, size: int, warned: int) -> None:
    def handler(ctx: ContextSync) -> None:
        ctx.step.run("big one", lambda: "x" * size)

    lines = warnings(caplog, handler)
    assert len(lines) == warned
    assert all('shop-f: step "big one" has ' in line for line in lines)
    assert all(f"accepts {MAX_STEP_BYTES}" in line for line in lines)


@pytest.mark.parametrize(("size", "warned"), [(MAX_REPLY_BYTES // 2 + 1, 1), (3_000_000, 0)])
def test_a_large_result_has_the_limit_of_a_reply(caplog: Any, size: int, warned: int) -> None:
    lines = warnings(caplog, lambda ctx: "x" * size)
    assert len(lines) == warned
    assert all("shop-f: the reply has " in line for line in lines)


@pytest.mark.parametrize(("size", "warned"), [(MAX_STATE_BYTES // 2 + 1, 1), (5_000_000, 0)])
def test_a_large_state_is_told_of_when_it_is_fetched(caplog: Any, size: int, warned: int) -> None:
    def serve(request: HttpRequest) -> HttpResponse:
        memos = {hash_step("a"): {"data": "x" * size}}
        return reply(200, json.dumps(memos if request.url.endswith("actions") else []).encode())

    def handler(ctx: ContextSync) -> int:
        return len(ctx.step.run("a", lambda: ""))

    lines = warnings(caplog, handler, Server(serve), use_api=True)
    assert len(lines) == warned
    assert all(f"accepts {MAX_STATE_BYTES}" in line for line in lines)
