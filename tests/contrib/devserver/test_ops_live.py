"""Ops that reach beyond their run, over real sockets: requests, signals, deferred functions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contrib.devserver.live import Call, Reply, Running, StandIn, stand_in

SECRET = "sk-very-secret"


def asking(*ops: dict[str, Any]) -> Any:
    """Answer with each op until its memo is there, then with all memos."""

    def answer(call: Call) -> Reply:
        memos = call.json["steps"]
        for op in ops:
            if op["id"] not in memos:
                return Reply(206, [op])
        return Reply(200, [memos[op["id"]] for op in ops])

    return answer


def op(code: str, name: str, **opts: Any) -> dict[str, Any]:
    return {"id": name, "op": code, "displayName": name, "opts": opts}


def test_the_server_asks_a_model_and_shows_no_key(server: Running, app: StandIn) -> None:
    with stand_in(lambda call: Reply(200, {"said": call.json["say"]})) as model:
        url = model.url.replace("/api/inngest", "/v1/generate")
        infer = op(
            "AIGateway", "ask", url=url, format="gemini", auth_key=SECRET, body={"say": "hi"}
        )
        app.answer = asking(infer)
        app.register(server, "asks", app.function("asks", "model"))
        run = server.run("asks/model")
        assert run["output"] == {"data": [{"data": {"said": "hi"}}]}
        assert [call.query for call in model.calls] == [{"key": SECRET}]
    (step,) = server.steps(run["id"])
    assert (step["stepOp"], step["status"]) == ("AI_GATEWAY", "COMPLETED")
    assert step["stepOptions"]["auth_key"] == "[hidden]"
    assert SECRET not in server.http.get(f"/v2/runs/{run['id']}/trace?includeOutput=true").text


def test_the_server_fetches(server: Running, app: StandIn) -> None:
    with stand_in(lambda call: Reply(418, raw=b"short and stout")) as teapot:
        app.answer = asking(op("Gateway", "brew", url=teapot.url, method="GET"))
        app.register(server, "fetches", app.function("fetches", "tea"))
        (memo,) = server.run("fetches/tea")["output"]["data"]
    assert memo["data"]["status_code"] == 418
    assert memo["data"]["body"] == "short and stout"
    assert memo["data"]["headers"]["X-Inngest-Sdk"] == "test:v1.0.0"


def test_cloud_metadata_is_out_of_reach(server: Running, app: StandIn) -> None:
    app.answer = asking(op("Gateway", "steal", url="http://169.254.169.254/latest/meta-data"))
    app.register(server, "steals", app.function("steals", "keys"))
    (memo,) = server.run("steals/keys")["output"]["data"]
    assert memo["error"]["name"] == "GatewayError"
    assert "not allowed" in memo["error"]["message"]


def test_a_signal_is_sent_over_http(server: Running, app: StandIn) -> None:
    app.answer = asking(op("WaitForSignal", "w", signal="order/7", timeout="1h"))
    app.register(server, "signals", app.function("signals", "wait"))
    event = server.send("signals/wait")
    run = server.waiting(event, "WAIT_FOR_SIGNAL")
    nobody = server.http.post("/v1/signals", json={"signal": "order/8"})
    assert nobody.status_code == 404
    assert nobody.json() == {"error": "No signal found", "data": None, "status": 404}
    sent = server.http.post("/v1/signals", json={"signal": "order/7", "data": {"by": "ada"}})
    assert (sent.status_code, sent.json()["data"]) == (200, {"run_id": run["id"]})
    (ended,) = server.ended_runs(event)
    memo = {"data": {"signal": "order/7", "data": {"by": "ada"}}}
    assert ended["output"] == {"data": [memo]}


@pytest.mark.parametrize("body", [b"", b"[]", b'{"signal":""}', b'{"signal":3}', b"{"])
def test_a_signal_without_a_name_is_refused(server: Running, body: bytes) -> None:
    response = server.http.post("/v1/signals", content=body)
    assert response.status_code == 400
    assert response.json()["error"]


def test_a_deferred_function_begins_after_its_run(server: Running, app: StandIn) -> None:
    def answer(call: Call) -> Reply:
        if call.query["fnId"] == "defers-later":
            return Reply(200, call.json["event"]["data"]["n"])
        if not call.json["defers"]:
            return Reply(206, [op("DeferAdd", "d", fn_slug="defers-later", input={"n": 7})])
        return Reply(200, "done")

    app.answer = answer
    slug = "event.data._inngest.fn_slug == 'defers-later'"
    trigger = {"event": "inngest/deferred.schedule", "expression": slug}
    later = app.function("defers", "later", triggers=[trigger])
    app.register(server, "defers", app.function("defers", "main"), later)
    run = server.run("defers/main")
    (event,) = server.get("/v1/events", name="inngest/deferred.schedule")["data"]
    assert event["data"]["_inngest"]["parent_run_id"] == run["id"]
    assert server.ended_runs(event["internal_id"])[0]["output"] == {"data": 7}
