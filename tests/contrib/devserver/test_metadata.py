"""Metadata and scores: what apps note about runs and steps, as it is sent and as it is shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.contrib.devserver.live import Call, Reply, Running, StandIn

STEP = "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"
SECOND = "de89bfaf06245091a7873290a793604612302247"
EXPERIMENT = {
    "kind": "inngest.experiment",
    "scope": "step",
    "op": "set",
    "values": {"name": "e", "variant": "b", "available_variants": ["a", "b"]},
}
QUESTION = """query ($id: String!) { runTrace(runID: $id) {
  metadata { kind scope values } childrenSpans { stepID metadata { kind scope values } } } }"""


@pytest.fixture
def run(server: Running, app: StandIn) -> str:
    """A run with a step `a` that tells the variant of an experiment, and a second `a`."""

    def answer(call: Call) -> Reply:
        step: dict[str, Any] = {"op": "StepRun", "displayName": "a", "data": 1}
        if STEP not in call.json["steps"]:
            return Reply(206, [{**step, "id": STEP, "metadata": [EXPERIMENT]}])
        if SECOND not in call.json["steps"]:
            return Reply(206, [{**step, "id": SECOND, "metadata": [{"kind": "mine"}]}])
        return Reply(200, "done")

    app.answer = answer
    app.register(server, "note", app.function("note", "f"))
    ended = server.run("note/f")
    assert ended["status"] == "COMPLETED"
    return str(ended["id"])


def note(server: Running, run: str, *updates: Any, **target: Any) -> Any:
    body = {"target": {"run_id": run, **target}, "metadata": list(updates)}
    return server.http.post(f"/v1/runs/{run}/metadata", json=body)


def update(op: str = "set", /, kind: str = "userland.k", **values: Any) -> dict[str, Any]:
    return {"kind": kind, "op": op, "values": values}


def shown(server: Running, run: str) -> dict[str, dict[str, tuple[str, Any]]]:
    """Scope and values of each kind, by step; the run itself is the empty text."""
    root = server.get(f"/v2/runs/{run}/trace")["data"]["rootSpan"]
    spans = {"": root, **{s["stepId"]: s for s in root["children"] if "stepId" in s}}
    return {step: _kinds(span) for step, span in spans.items() if "metadata" in span}


def _kinds(span: Mapping[str, Any]) -> dict[str, tuple[str, Any]]:
    assert all(one["updatedAt"].startswith("20") for one in span["metadata"])
    return {one["kind"]: (one["scope"], one["values"]) for one in span["metadata"]}


def test_what_a_step_tells_beside_its_result_is_shown(server: Running, run: str) -> None:
    assert shown(server, run) == {STEP: {"inngest.experiment": ("step", EXPERIMENT["values"])}}


def test_a_run_is_noted_about_as_the_javascript_sdk_does_it(server: Running, run: str) -> None:
    response = note(server, run, update(a=1))
    assert (response.status_code, response.content) == (200, b"")
    assert shown(server, run)[""] == {"userland.k": ("run", {"a": 1})}


def test_the_warnings_of_an_sdk_are_taken(server: Running, run: str) -> None:
    text = {"sdk.AUTOMATIC_PARALLEL_INDEXING": 'Duplicate step ID "b"'}
    assert note(server, run, update(kind="inngest.warnings", **text)).status_code == 200
    assert shown(server, run)[""]["inngest.warnings"] == ("run", text)


@pytest.mark.parametrize(
    ("target", "step", "scope"),
    [
        ({"step_id": STEP}, STEP, "step"),
        ({"step_id": "a"}, STEP, "step"),
        ({"step_id": "a", "step_index": 1}, SECOND, "step"),
        ({"step_id": STEP, "step_attempt": 0}, STEP, "step_attempt"),
        ({"span_id": "s"}, "", "extended_trace"),
    ],
)
def test_a_step_is_found_by_its_hash_or_its_id(
    server: Running, run: str, target: dict[str, Any], step: str, scope: str
) -> None:
    note(server, run, update(a=1), **target)
    assert shown(server, run)[step]["userland.k"] == (scope, {"a": 1})


@pytest.mark.parametrize(
    ("op", "values", "result"),
    [
        ("set", {"b": 2}, {"b": 2}),
        ("merge", {"b": 2}, {"a": 1, "b": 2}),
        ("add", {"a": 2, "b": 2}, {"a": 3, "b": 2}),
        ("delete", {"b": None}, {"a": 1}),
    ],
)
def test_a_second_note_of_a_kind_does_as_it_says(
    server: Running, run: str, op: str, values: dict[str, Any], result: dict[str, Any]
) -> None:
    note(server, run, update(a=1))
    note(server, run, update(op, **values))
    assert shown(server, run)[""]["userland.k"] == ("run", result)


def test_what_was_deleted_is_not_shown(server: Running, run: str) -> None:
    note(server, run, update("delete", a=1), update(kind="userland.x", a=1))
    note(server, run, update("delete", kind="userland.x", a=0))
    assert "" not in shown(server, run)


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        ({"kind": "inngest.x", "values": {}}, "kind must begin with userland."),
        ({"kind": "userland.x", "op": "zap", "values": {}}, "op must be one of"),
        ({"kind": "userland.x", "values": []}, "values must be an object"),
        ({"kind": "userland.x", "values": {"a": "x" * 65536}}, "values may have 65536 bytes"),
        (3, "each must be an object"),
    ],
)
def test_what_is_no_metadata_is_refused_with_the_reason(
    server: Running, run: str, bad: Any, reason: str
) -> None:
    response = note(server, run, update(a=1), bad)
    assert response.status_code == 400
    assert response.json()["error"].startswith(f"Invalid metadata: {reason}")
    assert "" not in shown(server, run)


def test_a_run_may_have_a_megabyte_of_it(server: Running, run: str) -> None:
    answers = [note(server, run, update(a="x" * 65000)).status_code for _ in range(18)]
    assert (answers[0], answers[-1]) == (200, 400)


def test_an_unknown_run_is_not_found(server: Running, run: str) -> None:
    assert note(server, "01M81FEAVZ8XRJ2BQSAS1PT4AB", update(a=1)).status_code == 404


def test_scores_are_noted_and_told_back(server: Running, run: str) -> None:
    scores = [{"name": "quality", "value": 0.9}, {"name": "ok", "value": True, "stepId": "a"}]
    response = server.http.post(f"/v2/runs/{run}/scores", json=scores)
    assert response.status_code == 200
    assert response.json()["data"] == [{"runId": run, **one} for one in scores]
    found = shown(server, run)
    assert found[""] == {"inngest.score": ("run", {"quality": {"value": 0.9}})}
    assert found[STEP]["inngest.score"] == ("step", {"ok": {"value": True}})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([{"name": "", "value": 1}], "scores[0]: Score name is required"),
        ([{"name": "a", "value": 1}, {"name": "a"}], "scores[1]: Score value must be a number"),
        ({}, "The body must be a list of scores"),
    ],
)
def test_what_is_no_score_is_refused(server: Running, run: str, body: Any, message: str) -> None:
    response = server.http.post(f"/v2/runs/{run}/scores", json=body)
    assert response.status_code == 400
    assert response.json()["errors"][0]["message"].startswith(message)


def test_graphql_shows_it_too(server: Running, run: str) -> None:
    note(server, run, update(a=1))
    question = {"query": QUESTION, "variables": {"id": run}}
    found = server.http.post("/v0/gql", json=question).json()["data"]["runTrace"]
    assert found["metadata"] == [{"kind": "userland.k", "scope": "run", "values": {"a": 1}}]
    step = next(span for span in found["childrenSpans"] if span["stepID"] == STEP)
    assert step["metadata"][0]["values"] == EXPERIMENT["values"]
