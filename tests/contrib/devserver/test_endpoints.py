"""Durable endpoints over HTTP: the recorded exchanges, with this server as the other side."""

from __future__ import annotations

import itertools
import json
import socket
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from inngest_contrib.devserver.tokens import Tokens
from inngest_core.wire.ids import ulid
from tests.contrib.devserver.live import Call, Reply, Running, running, stand_in

SAMPLES = Path(__file__).parents[2] / "samples" / "devserver" / "checkpoints"
KEY = "0123456789abcdef0123456789abcdef"
_numbers = itertools.count()
COMPLETE = "0737c22d3bfae812339732d14d8c7dbd6dc4e09c"


def recorded(name: str, direction: str) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Requests of a direction, each with its reply."""
    entries = json.loads((SAMPLES / f"durable-endpoint-{name}.json").read_text())["exchanges"]
    return [
        (entry, entries[index + 1]["response"])
        for index, entry in enumerate(entries)
        if entry.get("direction") == direction
    ]


class App:
    """The app of a recording: it answers as there, and asks for its state as there."""

    def __init__(self, name: str, server: Running) -> None:
        self.calls = recorded(name, "server→sdk")
        self.made: list[Call] = []
        self.states: list[Any] = []
        self.server = server

    def answer(self, call: Call) -> Reply:
        _, reply = self.calls[len(self.made)]
        run_id = call.headers["x-run-id"]
        self.made.append(call)
        self.states.append(self.server.get(f"/v0/runs/{run_id}/actions"))
        self.states.append(self.server.get(f"/v0/runs/{run_id}/batch")[0]["data"]["path"])
        return Reply(reply["status"], reply["body"])


def begin(server: Running, body: dict[str, Any], url: str, **more: Any) -> Any:
    """Begin a run as recorded, at an address of our own and under an id of our own."""
    data = {**body["event"]["data"], "domain": url.removesuffix("/api/inngest")}
    mine = {**body, "run_id": fresh(), "event": {**body["event"], "data": data}, **more}
    response = server.http.post("/v1/checkpoint", json=mine)
    assert response.status_code == 200, response.text
    return response.json()["data"]


def fresh() -> str:
    return ulid(1_800_000_000_000, next(_numbers).to_bytes(10, "big"))


def output(server: Running, begun: Any, **query: str) -> httpx.Response:
    params = {"token": begun["token"], **query}
    return server.http.get(f"/v1/checkpoint/{begun['run_id']}/output", params=params)


@pytest.mark.parametrize(("name", "status"), [("async", 201), ("step-error", 200)])
def test_a_run_that_waits_is_gone_on_with_as_recorded(
    server: Running, name: str, status: int
) -> None:
    app = App(name, server)
    ((creation, _), *_) = recorded(name, "sdk→server")
    with stand_in(app.answer) as site:
        begun = begin(server, creation["body"], site.url)
        response = output(server, begun)
    final = app.calls[-1][1]["body"]["data"]
    assert (response.status_code, response.text) == (status, final["body"])
    assert [response.headers[key] for key in final["headers"]] == list(final["headers"].values())
    assert [shown(call) for call in app.made] == [shown_there(call) for call, _ in app.calls]
    states = [r["body"] for q, r in recorded(name, "sdk→server") if q["path"].endswith("/actions")]
    assert app.states[::2] == states
    assert set(app.states[1::2]) == {creation["body"]["event"]["data"]["path"]}


def shown(call: Call) -> Any:
    plan = call.headers.get("x-inngest-force-step-plan")
    generation = call.headers["x-inngest-generation-id"]
    return call.method, call.path, call.query, call.json, plan, generation


def shown_there(call: dict[str, Any]) -> Any:
    headers = call["headers"]
    plan = headers.get("x-inngest-force-step-plan")
    facts = (call["method"], call["path"], call["query"], call["body"])
    return *facts, plan, headers["x-inngest-generation-id"]


def test_a_run_that_its_app_leads_to_the_end(server: Running) -> None:
    (creation, *more) = [q for q, _ in recorded("sync", "sdk→server")][:3]
    begun = begin(server, creation["body"], "http://127.0.0.1:1")
    assert begun.keys() == {"fn_id", "app_id", "run_id", "token", "realtime_token"}
    for report in more:
        body = {**report["body"], "run_id": begun["run_id"]}
        response = server.http.post(f"/v1/http/runs/{begun['run_id']}/steps", json=body)
        assert (response.status_code, response.content) == (200, b"")
    response = output(server, begun)
    # The status and the headers, which are lost there.
    assert (response.status_code, response.json()) == (201, {"ok": True})
    assert response.headers["x-a"] == "1"
    assert [step["status"] for step in server.steps(begun["run_id"])] == ["COMPLETED"] * 3


def test_a_run_that_has_ended_may_be_begun_again(server: Running) -> None:
    creation = recorded("sync", "sdk→server")[0][0]["body"]
    steps = [{"id": COMPLETE, "op": "RunComplete", "data": {"status": 200, "body": "x"}}]
    begun = begin(server, {**creation, "steps": steps}, "http://127.0.0.1:1")
    again = server.http.post("/v1/http/runs", json={**creation, "run_id": begun["run_id"]})
    told = again.json()["data"]
    assert {key: told[key] for key in ("fn_id", "app_id", "run_id")} == {
        key: begun[key] for key in ("fn_id", "app_id", "run_id")
    }
    assert output(server, told).text == "x"


def test_a_run_without_steps_gives_no_token(server: Running) -> None:
    creation = recorded("sync", "sdk→server")[0][0]["body"]
    begun = begin(server, creation, "http://127.0.0.1:1", steps=[])
    assert "token" not in begun


@pytest.mark.parametrize("body", [b"", b"{", b'{"run_id":"bad"}', b"[]", b"\xff"])
def test_what_begins_nothing_is_refused(server: Running, body: bytes) -> None:
    response = server.http.post("/v1/http/runs", content=body)
    assert response.status_code == 400
    assert response.json() == {"error": "Invalid request body", "data": None, "status": 400}


@pytest.mark.parametrize("body", [b"", b"{", b'{"run_id":"01M81D84DE7ENB04BRQ21KYFCF"}'])
def test_further_steps_are_always_well(server: Running, body: bytes) -> None:
    response = server.http.post("/v1/checkpoint/x/steps", content=body)
    assert (response.status_code, response.content) == (200, b"")


def test_the_output_is_for_who_has_its_token(server: Running) -> None:
    creation = recorded("sync", "sdk→server")[0][0]["body"]
    one, other = (begin(server, creation, "http://127.0.0.1:1") for _ in range(2))
    foreign = Tokens().issue_for_run(one["run_id"])
    for token in ("bad", "", other["token"], foreign, one["realtime_token"]):
        response = output(server, one, token=token)
        assert response.status_code == 401
        assert response.json()["error"] == "Unable to find run with auth token"


def test_who_waits_for_the_output_gets_it_at_the_end(server: Running) -> None:
    creation = recorded("sync", "sdk→server")[0][0]["body"]
    begun = begin(server, creation, "http://127.0.0.1:1")
    found: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: found.append(output(server, begun)))
    waiting.start()
    end = {"id": COMPLETE, "op": "RunComplete", "data": {"status": 202, "body": "late"}}
    report = {"run_id": begun["run_id"], "steps": [end]}
    server.http.post(f"/v1/checkpoint/{begun['run_id']}/steps", json=report)
    waiting.join()
    assert (found[0].status_code, found[0].text) == (202, "late")


def test_who_waits_when_the_server_ends_is_told_to_ask_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    creation = recorded("sync", "sdk→server")[0][0]["body"]
    with running() as server:
        begun = begin(server, creation, "http://127.0.0.1:1")
        port = httpx.URL(server.url).port
        waiting = socket.create_connection(("127.0.0.1", port or 0), timeout=20)
        target = f"/v1/checkpoint/{begun['run_id']}/output?token={begun['token']}"
        waiting.sendall(f"GET {target} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        # Answered behind it, by the one loop that reads both.
        assert server.http.get("/health").status_code == 200
    with waiting:
        answer = waiting.recv(65536)
    assert answer.startswith(b"HTTP/1.1 503")
    assert b"The server ends; ask again" in answer
    assert not [record for record in caplog.records if record.levelname in ("ERROR", "CRITICAL")]


def test_a_cancelled_run_has_no_output(server: Running) -> None:
    creation = recorded("sync", "sdk→server")[0][0]["body"]
    begun = begin(server, creation, "http://127.0.0.1:1")
    server.http.delete(f"/v1/runs/{begun['run_id']}")
    response = output(server, begun)
    assert (response.status_code, response.json()["error"]) == (
        500,
        "The run has ended as CANCELLED",
    )


def test_with_keys_only_the_output_is_open() -> None:
    creation = recorded("sync", "sdk→server")[0][0]["body"]
    with running(signing_key=KEY, event_keys=("k",)) as server:
        assert server.http.post("/v1/checkpoint", json=creation).status_code == 401
        assert server.http.post("/v1/checkpoint/x/steps", json={}).status_code == 401
        assert server.http.post("/v1/checkpoint/x/async", json={}).status_code == 401
        refused = server.http.get("/v1/checkpoint/x/output?token=bad")
        assert refused.json()["error"] == "Unable to find run with auth token"
