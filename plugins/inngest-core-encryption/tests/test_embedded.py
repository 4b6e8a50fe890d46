"""On the embedded server: whatever a run does, its database never holds a value."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from inngest_contrib.devserver import DevServer
from inngest_core import Context, ContextSync, Event, StepError, TriggerEvent

from .sides import Ours
from .stage import Stage, ended, runs_of, served
from .test_plugin import KEY, opened

SECRET = "the patient is well"


class Story:
    """Functions that pass the secret along every way that there is."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def main(self, ctx: ContextSync) -> Any:
        secret = ctx.event.data["encrypted"]
        first = ctx.step.run("first", lambda: {"got": secret})
        ctx.step.send_event("tell", Event(name="shop/echo", data={"encrypted": first}))
        echo = ctx.step.wait_for_event("echo", event="shop/echoed", timeout="30s")
        signal = ctx.step.wait_for_signal("wake", signal=ctx.run_id, timeout="30s")
        assert echo is not None
        assert signal is not None
        try:
            ctx.step.invoke_by_id("fail", function_id="fails", data={"encrypted": secret})
        except StepError:
            return [echo.data["encrypted"], signal.data["encrypted"]]

    async def echo(self, ctx: Context) -> Any:
        found = await ctx.step.run("take", lambda: ctx.event.data["encrypted"])
        await ctx.step.send_event("say", Event(name="shop/echoed", data={"encrypted": found}))

    def fails(self, ctx: ContextSync) -> None:
        ctx.step.run("look", lambda: ctx.event.data["encrypted"])
        raise LookupError("nothing of it here")

    def failed(self, ctx: ContextSync) -> None:
        self.heard.append(ctx.event.data["event"]["data"]["encrypted"])  # type: ignore[index,call-overload]  # as events of servers are


@pytest.mark.parametrize("checkpoint", [False, True])
def test_no_value_gets_into_the_database(tmp_path: Path, checkpoint: bool) -> None:
    story = Story()
    with DevServer(poll=False, retry_interval=0.05, database=tmp_path / "runs.db") as server:
        side = Ours(
            {"main": story.main, "echo": story.echo},
            options={"encryption": {"key": KEY}},
            checkpoint=checkpoint,
            api_base_url=server.url,
            event_api_base_url=server.url,
        )
        trigger = TriggerEvent(event="shop/fails")
        side.client.create_function(
            fn_id="fails", trigger=trigger, retries=0, on_failure=story.failed
        )(story.fails)
        stage = Stage(server)
        stage.sides = [side, side]
        with served(stage):
            stage.register()
            output = play(side, server)
        side.client.close()
    assert opened(output) == [{"got": SECRET}, SECRET]
    assert story.heard == [SECRET]
    assert b"main" in (kept := b"".join(path.read_bytes() for path in tmp_path.iterdir()))
    assert SECRET.encode() not in kept


def play(side: Ours, server: DevServer) -> Any:
    """Start a run, wake it with a signal once it waits for that, and return its output."""
    (event_id,) = side.client.send_sync(Event(name="shop/main", data={"encrypted": SECRET}))
    deadline = time.monotonic() + 30
    while not (runs := runs_of(server.url, event_id)) or not wake(side, runs[0]["id"]):
        assert time.monotonic() < deadline, "nobody waits for the signal"
        time.sleep(0.02)
    return ended(server.url, event_id)


def wake(side: Ours, signal: str) -> str | None:
    return side.client.send_signal_sync(signal, {"encrypted": SECRET})
