"""Reruns as they are asked for over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contrib.devserver.live import Call, Reply, Running, StandIn

STEPS = ("one", "two", "three")


@pytest.fixture
def original(server: Running, app: StandIn) -> dict[str, Any]:
    """A run of three steps, each of which returns its name and its arguments."""

    def answer(call: Call) -> Reply:
        memos = call.json["steps"]
        for name in STEPS:
            memo = memos.get(name, {"input": [name]})
            if "input" in memo:
                step = {"id": name, "op": "StepRun", "displayName": f"step {name}"}
                return Reply(206, [{**step, "data": [name, *memo["input"]]}])
        return Reply(200, [memos[name]["data"] for name in STEPS])

    app.answer = answer
    app.register(server, "again", app.function("again", "f"))
    return server.run("again/f", {"n": 1})


def rerun(server: Running, run: dict[str, Any], body: Any = None) -> Any:
    return server.http.post(f"/v2/runs/{run['id']}/rerun", json=body)


def ended(server: Running, response: Any) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    run_id = response.json()["data"]["runId"]
    event = server.get(f"/v2/runs/{run_id}")["data"]["trigger"]["eventIds"][0]
    runs = server.ended_runs(event, len(server.runs_of(event)))
    return next(run for run in runs if run["id"] == run_id)


def calls_of(app: StandIn, run_id: str) -> list[str]:
    """Which steps the calls of a run asked for."""
    return [c.query["stepId"] for c in app.calls if c.json["ctx"]["run_id"] == run_id]


@pytest.mark.parametrize("body", [None, {}, {"fromStep": None}])
def test_a_run_is_repeated_from_the_beginning(
    server: Running, app: StandIn, original: dict[str, Any], body: Any
) -> None:
    response = server.http.post(f"/v2/runs/{original['id']}/rerun", json=body)
    run = ended(server, response)
    assert run["output"] == original["output"]
    assert run["id"] != original["id"]
    assert calls_of(app, run["id"]) == ["step"] * 4


@pytest.mark.parametrize("name", ["two", "step two"])
def test_a_run_is_repeated_from_a_step_by_hash_or_name(
    server: Running, app: StandIn, original: dict[str, Any], name: str
) -> None:
    run = ended(server, rerun(server, original, {"fromStep": {"stepId": name}}))
    assert run["output"] == original["output"]
    assert calls_of(app, run["id"]) == ["two", "step", "step"]


def test_a_run_is_repeated_with_other_arguments(server: Running, original: dict[str, Any]) -> None:
    wish = {"stepId": "two", "input": ["edited", 1]}
    run = ended(server, rerun(server, original, {"fromStep": wish}))
    assert run["output"]["data"] == [["one", "one"], ["two", "edited", 1], ["three", "three"]]
    steps = {span["stepId"]: span for span in server.steps(run["id"])}
    assert steps["two"]["stepInfo"] == {"input": ["edited", 1]}
    # A repeated run can be repeated in its turn.
    third = ended(server, rerun(server, run, {"fromStep": {"stepId": "three"}}))
    assert third["output"] == run["output"]


@pytest.mark.parametrize(
    ("wish", "reason"),
    [
        ({"stepId": "nope"}, "Step not found in original run"),
        ({"stepId": ""}, "must name a step"),
        ({}, "must name a step"),
        ([], "must be an object"),
        ({"stepId": "two", "input": {"not": "array"}}, "must be an array"),
    ],
)
def test_a_wish_that_cannot_be_met_is_refused_with_the_reason(
    server: Running, original: dict[str, Any], wish: Any, reason: str
) -> None:
    response = rerun(server, original, {"fromStep": wish})
    assert response.status_code == 400
    assert reason in response.json()["errors"][0]["message"]


def test_an_unknown_run_is_not_repeated(server: Running) -> None:
    assert rerun(server, {"id": "01M81CX5YS83BV54V49A94AZ6B"}).status_code == 404
    assert rerun(server, {"id": "no"}).status_code == 400


def test_a_run_of_a_function_that_is_gone_is_not_repeated(
    server: Running, app: StandIn, original: dict[str, Any]
) -> None:
    app.register(server, "again", app.function("again", "other"))
    response = rerun(server, original)
    assert response.status_code == 404
    assert '"again-f" is no longer registered' in response.json()["errors"][0]["message"]
