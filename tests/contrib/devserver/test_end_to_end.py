"""
The whole way over real sockets: an app on each adapter, this server, every kind of step.

Each story is told blocking and awaiting; both must end the same.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from flask import Flask
from werkzeug.serving import make_server

import inngest_contrib.fastapi
import inngest_contrib.flask
import inngest_core as inngest
from inngest_contrib.devserver import cron
from inngest_contrib.devserver.errors import AppNotLoaded
from inngest_contrib.devserver.instance import free_port
from inngest_contrib.devserver.reads import Reads
from tests.contrib.devserver import stories
from tests.contrib.devserver.live import (
    Call,
    Reply,
    Running,
    StandIn,
    eventually,
    running,
)


@contextmanager
def on_fastapi(client: inngest.Inngest) -> Iterator[str]:
    """Serve a client's functions with FastAPI on uvicorn; give the address."""
    app = FastAPI()
    inngest_contrib.fastapi.serve(app, client)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()))
    thread.start()
    try:
        eventually(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}/api/inngest"
    finally:
        server.should_exit = True
        thread.join()


@contextmanager
def on_flask(client: inngest.Inngest, port: int = 0) -> Iterator[str]:
    """Serve a client's functions with Flask on werkzeug; give the address."""
    app = Flask(__name__)
    inngest_contrib.flask.serve(app, client)
    server = make_server("127.0.0.1", port, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}/api/inngest"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Told:
    """A server with one app; stories are started by their name and colour."""

    server: Running
    client: inngest.Inngest
    colour: str = "sync"

    def start(self, story: str, **data: Any) -> str:
        """Send the event of a story; return its id."""
        return self.server.send(f"{self.client.app_id}/{story}-{self.colour}", data)

    def run(self, story: str, **data: Any) -> dict[str, Any]:
        """Run a story to its end."""
        return self.server.ended_runs(self.start(story, **data))[0]

    def output(self, story: str, **data: Any) -> Any:
        """Run a story that must end well; return its output."""
        run = self.run(story, **data)
        assert run["status"] == "COMPLETED", run
        return run["output"]


ADAPTERS = {"fastapi": on_fastapi, "flask": on_flask}


@pytest.fixture(scope="module", params=list(ADAPTERS))
def served(request: pytest.FixtureRequest) -> Iterator[Told]:
    with running(poll=False) as server:
        client = stories.of_client(f"shop-{request.param}", server.url)
        with ADAPTERS[request.param](client) as url:
            response = server.http.put(url)
            assert response.status_code == 200, response.text
            yield Told(server, client)


@pytest.fixture(params=["sync", "async"])
def told(request: pytest.FixtureRequest, served: Told) -> Told:
    return Told(served.server, served.client, request.param)


def test_an_app_registers_all_its_functions(served: Told) -> None:
    names = served.server.functions(served.client.app_id)
    assert {"run-sync", "run-async", "fatal-sync-failure", "fatal-async-failure"} <= set(names)
    assert len(names) == len(served.client.functions) + 4


def test_steps_run_once_each_and_give_their_results(told: Told) -> None:
    run = told.run("run")
    assert run["output"] == {"data": [1, 3]}
    spans = told.server.steps(run["id"])
    assert [(span["name"], span["attempts"]) for span in spans] == [("one", 1), ("two", 1)]
    assert spans[1]["output"] == {"data": 3}


def test_sleeps_last_as_long_as_they_should(told: Told) -> None:
    began = time.monotonic()
    run = told.run("sleep")
    assert run["output"] == {"data": "rested"}
    assert 1.0 <= time.monotonic() - began < 8
    assert [span["stepOp"] for span in told.server.steps(run["id"])] == ["SLEEP", "SLEEP"]


def test_a_wait_ends_with_the_event_that_fits(told: Told) -> None:
    event_id = told.start("wait", id=f"order-{told.colour}")
    told.server.waiting(event_id, "WAIT_FOR_EVENT")
    app = told.client.app_id
    told.server.send(f"{app}/answer", {"id": "another"})
    told.server.send(f"{app}/answer", {})
    told.server.send(f"{app}/answer", {"id": f"order-{told.colour}", "by": "Ada"})
    (run,) = told.server.ended_runs(event_id)
    assert run["output"] == {"id": f"order-{told.colour}", "by": "Ada"}


def test_a_wait_that_nobody_answers_ends_with_none(told: Told) -> None:
    assert told.output("timeout") == {"data": None}


def test_functions_are_invoked_and_give_their_results(told: Told) -> None:
    results = [{"child": 1}, {"child": 2}, {"child": 3}]
    assert told.output("invoke") == {"data": results}


def test_the_failure_of_an_invoked_function_can_be_caught(told: Told) -> None:
    assert "the child broke" in told.output("invoke-bad")["data"]


def test_sent_events_start_their_functions(told: Told) -> None:
    ids = told.output("send", id=7)["data"]
    assert len(set(ids)) == 2
    for event_id in ids:
        assert told.server.ended_runs(event_id)[0]["output"] == {"child": 7}


def test_parallel_steps_all_end_before_the_function_goes_on(told: Told) -> None:
    run = told.run("parallel")
    assert run["output"] == {"data": [1, "try 2", {"child": 3}, 4]}
    spans = {span["name"]: span for span in told.server.steps(run["id"])}
    assert set(spans) == {"a", "b", "c", "d"}
    assert [spans[name]["attempts"] for name in "abd"] == [1, 2, 1]


def test_steps_and_functions_are_retried_with_attempts_of_their_own(told: Told) -> None:
    run = told.run("retry")
    assert run["output"] == {"data": ["try 3", "try 3"]}
    assert stories.tries[f"{run['id']}/step"] == 3
    assert stories.tries[f"{run['id']}/function"] == 3


def test_a_step_that_failed_for_good_can_be_caught(told: Told) -> None:
    assert told.output("caught") == {"data": "ValueError: try 2 of step failed"}


@pytest.mark.parametrize(
    ("story", "message", "count"),
    [("exhausted", "try 2 of function failed", 2), ("fatal", "no use", 1)],
)
def test_a_failed_run_is_told_to_its_failure_handler(
    told: Told, story: str, message: str, count: int
) -> None:
    run = told.run(story)
    assert run["status"] == "FAILED"
    assert run["output"]["error"]["message"] == message
    assert stories.tries[f"{run['id']}/function"] == count
    eventually(lambda: run["id"] in stories.told)
    assert stories.told[run["id"]] == message


def test_a_function_may_ask_to_be_tried_later(told: Told) -> None:
    run = told.run("later")
    assert run["output"] == {"data": 1}
    assert int(run["durationMs"]) >= 900


def test_a_run_is_cancelled_by_the_event_that_fits(told: Told) -> None:
    event_id = told.start("cancel", id=f"run-{told.colour}")
    told.server.waiting(event_id, "SLEEP")
    told.server.send(f"{told.client.app_id}/stop", {"id": "another"})
    assert told.server.runs_of(event_id)[0]["status"] == "RUNNING"
    told.server.send(f"{told.client.app_id}/stop", {"id": f"run-{told.colour}"})
    assert told.server.ended_runs(event_id)[0]["status"] == "CANCELLED"


def test_a_run_is_cancelled_over_the_api(told: Told) -> None:
    run = told.server.waiting(told.start("cancel", id="by-api"), "SLEEP")
    assert told.server.http.post(f"/v2/runs/{run['id']}/cancel").status_code == 200
    assert told.server.get(f"/v2/runs/{run['id']}")["data"]["status"] == "CANCELLED"


def test_a_client_sends_events_both_ways(served: Told) -> None:
    event = inngest.Event(name=f"{served.client.app_id}/child-sync", data={"n": 5})
    ids = served.client.send_sync(event)
    ids += asyncio.run(served.client.send([event]))
    for event_id in ids:
        assert served.server.ended_runs(event_id)[0]["output"] == {"child": 5}


def test_a_second_registration_changes_nothing(served: Told) -> None:
    app = served.server.get(f"/v2/apps/{served.client.app_id}")["data"]
    response = served.server.http.put(app["latestSync"]["url"])
    assert response.json()["modified"] is False


# --- what is found by itself, in process, on time -----------------------------------------------


def test_an_app_is_found_at_its_address_and_followed_when_it_changes() -> None:
    port = free_port()
    client = stories.of_client("found", f"http://127.0.0.1:{port}")
    with on_flask(client) as url, running(urls=(url,), port=port) as server:
        eventually(lambda: "run-sync" in server.functions("found"))

        @client.create_function(fn_id="late", trigger=stories.on(client, "late"))
        def late(ctx: inngest.ContextSync) -> str:
            return "better late"

        eventually(lambda: "late" in server.functions("found"))
        assert server.run("found/late")["output"] == {"data": "better late"}


def test_functions_run_inside_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "inside_app.py").write_text(
        "import os\n"
        "from tests.contrib.devserver import stories\n"
        "client = stories.of_client('inside', os.environ['INNGEST_DEV'])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    # The server sets it for the app; named here, it is put back when this test ends.
    monkeypatch.setenv("INNGEST_DEV", "")
    monkeypatch.delenv("INNGEST_DEV")
    with running(app="inside_app:client") as server:
        inside = Told(server, stories.of_client("inside", server.url))
        for colour in ("sync", "async"):
            inside.colour = colour
            assert inside.output("run") == {"data": [1, 3]}
            assert inside.output("invoke")["data"][0] == {"child": 1}
            assert inside.output("parallel") == {"data": [1, "try 2", {"child": 3}, 4]}
            assert inside.output("retry") == {"data": ["try 3", "try 3"]}


@pytest.mark.parametrize(
    ("app", "text"),
    [
        ("nowhere", "write it as module:attribute"),
        ("no_such_module:client", "No module named 'no_such_module'"),
        ("tests.contrib.devserver.stories:nothing", "has no attribute 'nothing'"),
        ("tests.contrib.devserver.stories:tries", "it is a Counter"),
    ],
)
def test_an_app_that_cannot_be_loaded_is_explained(app: str, text: str) -> None:
    with pytest.raises(AppNotLoaded) as failed, running(app=app):
        pass
    assert text in str(failed.value)


def test_a_cron_function_runs_at_every_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    # A minute is too long for a test: let every schedule fire each second.
    monkeypatch.setattr(cron, "next_tick", lambda text, after: (after // 1000 + 1) * 1000)
    seen: list[str] = []
    with running(poll=False) as server:
        client = inngest.Inngest(app_id="clock", is_production=False, api_base_url=server.url)

        @client.create_function(fn_id="tick", trigger=inngest.TriggerCron(cron="* * * * *"))
        def tick(ctx: inngest.ContextSync) -> None:
            seen.append(ctx.event.name)

        with on_flask(client) as url:
            server.http.put(url)
            eventually(lambda: len(seen) >= 2)
            runs = server.get("/v2/runs", appId="clock", status="COMPLETED")["data"]
    assert set(seen) == {"inngest/scheduled.timer"}
    assert runs[0]["function"]["id"] == "tick"


def test_an_app_that_goes_away_fails_its_runs_when_all_attempts_are_used() -> None:
    with running(poll=False) as server:
        client = stories.of_client("away", server.url)
        with on_flask(client) as url:
            server.http.put(url)
        run = server.run("away/run-sync")
        assert run["status"] == "FAILED"
        assert "Unable to reach SDK URL" in str(run["output"])


def test_an_app_that_comes_back_in_time_ends_its_runs_well() -> None:
    with running(poll=False, retry_interval=0.5) as server:
        client = stories.of_client("back", server.url)
        port = free_port()
        with on_flask(client, port) as url:
            server.http.put(url)
        event_id = server.send("back/run-sync")
        eventually(lambda: server.runs_of(event_id))
        with on_flask(client, port):
            assert server.ended_runs(event_id)[0]["output"] == {"data": [1, 3]}


def test_memos_too_large_for_a_call_are_fetched_by_the_app(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[str] = []
    fetched: list[str] = []
    answer = Reads.actions

    def actions(reads: Reads, run_id: str) -> bytes | None:
        fetched.append(run_id)
        return answer(reads, run_id)

    monkeypatch.setattr(Reads, "actions", actions)
    with running(poll=False) as server:
        client = inngest.Inngest(app_id="large", is_production=False, api_base_url=server.url)

        @client.create_function(fn_id="f", trigger=stories.on(client, "f"))
        def large(ctx: inngest.ContextSync) -> list[int]:
            asked.append(ctx.run_id)
            return [len(ctx.step.run(f"s{n}", lambda: "x" * 1_500_000)) for n in range(3)]

        with on_flask(client) as url:
            server.http.put(url)
            run = server.run("large/f")
    assert run["output"] == {"data": [1_500_000] * 3}
    assert len(asked) == 4
    assert fetched == [run["id"]]


# --- apps that misbehave --------------------------------------------------------------------------

STEP = "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply(200, "x", {"x-inngest-sdk": ""}), "x"),
        (Reply(502, raw=b"<html>bad gateway</html>", headers={"x-inngest-sdk": ""}), "HTTP 502"),
        (Reply(500, {"name": "E", "message": "plain"}), "plain"),
        (Reply(206, raw=b""), "no response data"),
        (Reply(206, raw=b"[{"), "error reading generator opcode response"),
        (Reply(206, [{"id": STEP, "op": "Nope"}]), "does not belong to Opcode values"),
        (Reply(206, [None]), "opcode cannot be null"),
        (Reply(206, [{"id": STEP, "op": "StepError"}]), ""),
        (Reply(200, raw=b'"' + b"x" * (8 * 1024 * 1024 + 1) + b'"'), "output_too_large"),
    ],
    ids=[
        "no sdk",
        "gateway",
        "error",
        "empty",
        "broken",
        "unknown op",
        "null",
        "no error",
        "large",
    ],
)
def test_a_run_says_what_is_wrong_with_the_app_and_the_server_goes_on(
    server: Running, app: StandIn, reply: Reply, text: str
) -> None:
    app.answer = lambda call: reply if call.query["fnId"] == "odd-f" else Reply(200, "well")
    app.register(server, "odd", app.function("odd", "f", retries=0), app.function("odd", "g"))
    run = server.run("odd/f")
    assert run["status"] == "FAILED"
    assert text in str(run["output"])
    assert server.run("odd/g")["output"] == {"data": "well"}


def test_an_app_that_hangs_up_fails_the_attempt(server: Running, app: StandIn) -> None:
    def hang_up(call: Call) -> Reply:
        raise ConnectionAbortedError

    app.answer = hang_up
    app.register(server, "rude", app.function("rude", "f", retries=1))
    run = server.run("rude/f")
    assert run["status"] == "FAILED"
    assert "Unable to reach SDK URL" in str(run["output"])
    assert len(app.calls) == 2


def test_what_an_app_says_about_a_cancelled_run_is_dropped(server: Running, app: StandIn) -> None:
    called, release = threading.Event(), threading.Event()

    def answer(call: Call) -> Reply:
        called.set()
        release.wait(10)
        return Reply(200, "too late")

    app.answer = answer
    app.register(server, "late", app.function("late", "f"))
    event_id = server.send("late/f")
    assert called.wait(10)
    (run,) = server.runs_of(event_id)
    assert server.http.delete(f"/v1/runs/{run['id']}").status_code == 200
    release.set()
    found = server.get(f"/v2/runs/{run['id']}", includeOutput="true")["data"]
    assert found["status"] == "CANCELLED"
    assert "too late" not in str(found)
    assert len(app.calls) == 1
