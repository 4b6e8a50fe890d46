"""Recorded calls of a real server, answered as the official SDK answered them."""

from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

import inngest_core as inngest
from inngest_core import TriggerEvent
from inngest_core.wire.time import parse_duration, parse_instant

from .wiring import Server, ask, client_of, reply, request_of

SAMPLES = Path(__file__).parents[1] / "samples" / "calls"
STORIES = json.loads((SAMPLES / "official.json").read_text())["stories"]
T = datetime.timedelta


def all_steps(client: inngest.Inngest) -> Any:
    child = client.create_function(fn_id="child", trigger=TriggerEvent(event="pyapp/child"))(
        lambda ctx: {"got": ctx.event.data["x"]}
    )

    def handler(ctx: inngest.ContextSync) -> Any:
        ctx.step.run("a", lambda: {"n": 1})
        ctx.step.run("a", lambda: 2)
        ctx.step.sleep("nap", T(seconds=1))
        ctx.step.sleep_until("nap2", datetime.datetime.now(datetime.timezone.utc) + T(seconds=1))
        event = inngest.Event(name="pyapp/other", data={"k": 1}, ts=1795346031453)
        ids = ctx.step.send_event("send", event)
        ctx.step.wait_for_event("wait", event="pyapp/go", timeout=T(seconds=1))
        result = ctx.step.invoke("inv", function=child, data={"x": 3})
        return {"ids": len(ids), "r": result}

    return handler


def parallel(client: inngest.Inngest) -> Any:
    def handler(ctx: inngest.ContextSync) -> Any:
        return ctx.group.parallel(
            (
                lambda: ctx.step.run("p1", lambda: 1),
                lambda: ctx.step.run("p2", lambda: 2),
                lambda: ctx.step.run("p3", lambda: 3),
            )
        )

    return handler


def boom() -> None:
    raise ValueError("bad value")


def step_error(client: inngest.Inngest) -> Any:
    def handler(ctx: inngest.ContextSync) -> Any:
        try:
            ctx.step.run("boom", boom)
        except inngest.StepError as error:
            return {"caught": error.message, "name": error.name}
        return None

    return handler


def non_retriable(client: inngest.Inngest) -> Any:
    def handler(ctx: inngest.ContextSync) -> Any:
        raise inngest.NonRetriableError("never")

    return handler


def retry_after(client: inngest.Inngest) -> Any:
    def handler(ctx: inngest.ContextSync) -> Any:
        if ctx.attempt == 0:
            raise inngest.RetryAfterError("later", T(seconds=2))
        return "second"

    return handler


APPS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "all-steps": ("all", all_steps, {}),
    "parallel": ("par", parallel, {}),
    "step-error": ("errs", step_error, {"retries": 1}),
    "non-retriable": ("nonretry", non_retriable, {"on_failure": lambda ctx: "handled"}),
    "retry-after": ("retryafter", retry_after, {}),
}
CALLS = [
    pytest.param(story, exchange, id=f"{story}-{number}")
    for story, exchanges in STORIES.items()
    for number, exchange in enumerate(exchanges)
    if exchange["to"] == "sdk"
]


def played(story: str, exchange: dict[str, Any]) -> tuple[Any, Any]:
    """Our reply to a recorded call, and what was sent meanwhile."""
    answers = [one["reply"]["body"] for one in STORIES[story] if one["to"] == "server"]
    server = Server([reply(200, answers[-1])])
    client = client_of(server, app_id="pyapp")
    fn_id, make, options = APPS[story]
    trigger = TriggerEvent(event=f"pyapp/{fn_id}")
    client.create_function(fn_id=fn_id, trigger=trigger, **options)(make(client))
    response = ask(client, request_of("POST", exchange["body"], query=exchange["query"]))
    return response, server


def op(doc: dict[str, Any]) -> dict[str, Any]:
    """What the server acts on: the place of a duration differs, and null is absent."""
    found = {key: doc[key] for key in ("id", "op", "displayName", "userland")}
    opts = {k: v for k, v in (doc.get("opts") or {}).items() if v is not None}
    if doc["op"] == "Sleep":
        return {**found, "sleeps": True}
    if doc["op"] == "WaitForEvent":
        found["event"] = opts.pop("event", doc["name"])
        opts["timeout"] = parse_duration(opts["timeout"])
    if "payload" in opts:
        opts["payload"] = {k: v for k, v in opts["payload"].items() if v is not None}
    found["opts"] = opts
    error = doc.get("error")
    if error is None:
        found["data"] = doc.get("data")
    else:
        found["error"] = {key: error[key] for key in ("code", "message", "name")}
    return found


@pytest.mark.parametrize(("story", "exchange"), CALLS)
def test_a_recorded_call_has_the_same_status_and_the_same_ops(
    story: str, exchange: dict[str, Any]
) -> None:
    response, _ = played(story, exchange)
    expected = exchange["reply"]
    assert response.status == expected["status"]
    ours, theirs = json.loads(response.body), expected["body"]
    if response.status == 206:
        assert [op(one) for one in ours] == [op(one) for one in theirs]
    elif response.status == 500:
        assert set(ours) == set(theirs)
        assert ours["stack"].startswith("Traceback (most recent call last):\n")
        assert "inngest_core/net" not in ours["stack"]
        for key in ("code", "message", "name"):
            assert ours[key] == theirs[key]
    else:
        assert ours == theirs
    for name, value in expected["headers"].items():
        shown = response.headers[name]
        assert parse_instant(shown) > 0 if name == "retry-after" else shown == value


def test_a_sleep_says_how_long_where_the_server_reads_it() -> None:
    sleeps = [one for one in STORIES["all-steps"] if '"Sleep"' in json.dumps(one["reply"])]
    assert len(sleeps) == 2
    (nap,), (until,) = (json.loads(played("all-steps", one)[0].body) for one in sleeps)
    assert nap["opts"] == {"duration": "1s"}
    assert parse_instant(until["opts"]["duration"]) > 0


def test_a_step_that_sends_posts_what_the_official_one_posted() -> None:
    sending = next(
        one for one in STORIES["all-steps"] if '"name": "send"' in json.dumps(one["reply"])
    )
    recorded = next(one for one in STORIES["all-steps"] if one["path"].endswith("KEY_SET"))
    _, server = played("all-steps", sending)
    assert server.bodies == [recorded["body"]]
    assert server.requests[0].url.endswith(recorded["path"])
