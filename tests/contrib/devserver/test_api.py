"""The HTTP face: shapes, statuses and errors, over real sockets."""

from __future__ import annotations

import asyncio
import json
import threading
from typing import Any

import pytest
from starlette.requests import Request

from inngest_contrib.devserver.api.context import read_body
from inngest_contrib.devserver.api.replies import ApiError
from tests.contrib.devserver.live import NAP_ID, Call, Reply, Running, StandIn, eventually, nap

UNKNOWN = "01M81D0R9HSHXZE7BRTHMD04PA"


def asleep(call: Call) -> Reply:
    """Answer a call with a sleep of an hour."""
    return Reply(206, [nap("1h")])


def error_of(response: Any) -> Any:
    return response.json()["errors"][0]


# --- events -----------------------------------------------------------------------------------


def test_events_are_acknowledged_with_their_ids(server: Running) -> None:
    response = server.http.post("/e/any", json=[{"name": "ev/a"}, {"name": "ev/b", "id": "mine"}])
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    ids = response.json()["ids"]
    assert [len(one) for one in ids] == [26, 26]
    stored = server.get(f"/v1/events/{ids[1]}")["data"]
    assert (stored["internal_id"], stored["id"], stored["name"]) == (ids[1], "mine", "ev/b")


def test_what_stands_before_a_bad_event_is_accepted(server: Running) -> None:
    response = server.http.post("/e/any", json=[{"name": "part/a"}, {"name": ""}, {"name": "c"}])
    assert response.status_code == 400
    assert response.json()["error"] == "event name is empty"
    (accepted,) = response.json()["ids"]
    assert server.get(f"/v1/events/{accepted}")["data"]["name"] == "part/a"


def test_a_seed_makes_the_same_ids_again_and_no_second_event(server: Running) -> None:
    seed = {"x-inngest-event-id-seed": "1743130137367,eii2YKXRVTJPuA=="}
    for _ in range(2):
        response = server.http.post("/e/any", json=[{"name": "seed/a"}] * 2, headers=seed)
        assert response.json()["ids"] == [
            "01JQDAE4RQF8MBCR55T5AK4KXS",
            "01JQDAE4RQF8MBCR55T5AK4KXT",
        ]
    assert len(server.get("/v1/events", name="seed/a")["data"]) == 2


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 200, None),
        (b"[]", 200, None),
        (b"3", 400, "Request body must contain an event object or an array of event objects"),
        (b'{"name":', 400, "unexpected end of JSON input"),
        (b'{"name":"a","data":[1]}', 400, None),
        (b"\xff\xfe", 400, None),
    ],
)
def test_an_odd_body_is_answered_in_the_event_shape(
    server: Running, body: bytes, status: int, error: str | None
) -> None:
    response = server.http.post("/e/any", content=body)
    assert response.status_code == status
    assert response.json()["ids"] == [""]
    assert response.json()["status"] == status
    assert error is None or response.json()["error"] == error


def test_an_event_key_is_needed_though_any_will_do(server: Running) -> None:
    response = server.http.post("/e/", json={"name": "a"})
    assert (response.status_code, response.headers["location"]) == (303, "/e")
    assert "event key is missing" in response.json()["error"]


def test_a_body_over_the_limit_is_refused(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("inngest_contrib.devserver.api.context.MAX_BODY", 1000)
    response = server.http.post("/e/any", content=b'{"name": "%s"}' % (b"x" * 2000))
    assert response.status_code == 413
    assert response.json()["error"] == "The body is larger than 1000 bytes"


def test_an_event_of_v2_is_accepted(server: Running) -> None:
    response = server.http.post("/v2/events", json={"name": "v2/a", "data": {"n": 1}})
    assert response.status_code == 200
    event_id = response.json()["data"]["eventId"]
    assert server.get(f"/v1/events/{event_id}")["data"]["data"] == {"n": 1}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"data":{}}', "missing_field"),
        (b"{", "invalid_field_format"),
        (b"[]", "invalid_field_format"),
        (b'{"name":"inngest/x"}', "invalid_field_format"),
    ],
)
def test_a_bad_event_of_v2_is_refused(server: Running, body: bytes, code: str) -> None:
    response = server.http.post("/api/v2/events", content=body)
    assert response.status_code == 400
    assert error_of(response)["code"] == code


# --- invoking ---------------------------------------------------------------------------------


def test_a_function_is_invoked_by_its_slug(server: Running, app: StandIn) -> None:
    app.register(server, "inv", app.function("inv", "f"))
    response = server.http.post("/invoke/inv-f", json={"data": {"n": 1}})
    assert response.status_code == 200
    (run,) = server.ended_runs(response.json()["id"])
    assert run["status"] == "COMPLETED"
    assert run["output"]["n"] == 1


def test_invoking_an_unknown_function_is_answered_like_a_known_one(server: Running) -> None:
    response = server.http.post("/invoke/none", json={"data": {}})
    assert response.status_code == 200
    assert len(response.json()["id"]) == 26


@pytest.mark.parametrize("body", [b'"x"', b"[", b'{"data": 3}', b'{"user": 3}'])
def test_a_bad_invocation_is_refused(server: Running, body: bytes) -> None:
    response = server.http.post("/invoke/inv-f", content=body)
    assert response.status_code == 400
    assert response.json() == {
        "error": "Unable to read post data request",
        "data": None,
        "status": 400,
    }


def test_an_invocation_of_v2_happens_once_per_key(server: Running, app: StandIn) -> None:
    app.register(server, "once", app.function("once", "f"))
    path = "/v2/apps/once/functions/once-f/invoke"
    first = server.http.post(path, json={"data": {"n": 1}, "idempotencyKey": "k"})
    again = server.http.post(path, json={"data": {"n": 2}, "idempotencyKey": "k"})
    other = server.http.post("/v2/apps/once/functions/f/invoke", json={"data": {}})
    assert (first.status_code, again.status_code, other.status_code) == (200, 409, 200)
    assert first.json()["data"] == again.json()["data"]
    assert other.json()["data"] != first.json()["data"]


def test_an_invocation_that_is_held_back_has_no_run_yet(server: Running, app: StandIn) -> None:
    batch = {"maxSize": 9, "timeout": "1h"}
    app.register(server, "held", {**app.function("held", "f"), "batchEvents": batch})
    response = server.http.post("/v2/apps/held/functions/f/invoke", json={"data": {}})
    assert response.status_code == 200
    assert response.json()["data"]["runId"] is None
    assert len(response.json()["data"]["eventId"]) == 26


def test_an_unknown_function_is_not_invoked(server: Running, app: StandIn) -> None:
    app.register(server, "known", app.function("known", "f"))
    response = server.http.post("/v2/apps/known/functions/none/invoke", json={})
    assert error_of(response) == {"code": "not_found", "message": "Function not found"}
    response = server.http.post("/v2/apps/none/functions/f/invoke", json={})
    assert error_of(response) == {"code": "not_found", "message": "App not found"}


# --- apps -------------------------------------------------------------------------------------


def test_a_registration_is_modified_only_when_it_changes(server: Running, app: StandIn) -> None:
    first = app.register(server, "mod", app.function("mod", "f")).json()
    again = app.register(server, "mod", app.function("mod", "f")).json()
    other = app.register(server, "mod", app.function("mod", "g")).json()
    assert [reply["modified"] for reply in (first, again, other)] == [True, False, True]
    assert {reply["ok"] for reply in (first, again, other)} == {True}
    assert first["app_id"] == again["app_id"] == other["app_id"]
    assert first["sync_id"] != again["sync_id"]
    assert server.functions("mod") == ["g"]


def test_a_refused_registration_says_why_and_changes_nothing(server: Running, app: StandIn) -> None:
    app.register(server, "ref", app.function("ref", "f"))
    response = app.register(server, "ref", app.function("ref", "f", triggers=[{}]))
    assert response.status_code == 400
    assert response.json() == {
        "error": "At least one function is invalid: "
        "ref-f: A trigger must supply an event name or a cron schedule",
        "data": None,
        "status": 400,
    }
    assert server.functions("ref") == ["f"]
    assert "invalid" in server.get("/v2/apps/ref")["data"]["latestSync"]["error"]
    app.register(server, "ref", app.function("ref", "f"))
    assert "error" not in server.get("/v2/apps/ref")["data"]["latestSync"]


def test_an_app_that_expects_another_server_is_refused(server: Running) -> None:
    response = server.http.post(
        "/fn/register",
        json={"appName": "x"},
        headers={"x-inngest-expected-server-kind": "cloud"},
    )
    assert response.status_code == 400
    assert response.json()["error"] == "Expected server kind dev, got cloud"


def test_an_app_is_removed_by_its_url(server: Running, app: StandIn) -> None:
    app.register(server, "gone", app.function("gone", "f"))
    assert server.http.delete("/fn/remove", params={"url": app.url}).status_code == 200
    assert server.http.get("/v2/apps/gone").status_code == 404
    response = server.http.delete("/fn/remove", params={"url": app.url})
    assert response.status_code == 404
    assert response.json()["error"] == f"App not found: {app.url}"


def test_apps_and_functions_are_shown(server: Running, app: StandIn) -> None:
    triggers = [{"event": "shown/f", "expression": "event.data.n > 1"}, {"cron": "0 4 * * *"}]
    shown = app.function("shown", "f", triggers=triggers, retries=2, concurrency=[{"limit": 3}])
    app.register(server, "shown", shown, app.function("shown", "plain"))
    found = server.get("/v2/apps/shown")["data"]
    assert (found["id"], found["functionCount"], found["method"]) == ("shown", 2, "SERVE")
    assert found["latestSync"] == {
        "framework": "test",
        "sdkLanguage": "test",
        "sdkVersion": "v1.0.0",
        "url": app.url,
    }
    assert "shown" in [one["id"] for one in server.get("/v2/apps", limit=100)["data"]]
    function = server.get("/v2/apps/shown/functions/shown-f")["data"]
    assert function == server.get("/v2/apps/shown/functions/f")["data"]
    assert function["configuration"]["retries"] == {"isDefault": False, "value": 2}
    assert function["configuration"]["concurrency"] == [
        {"limit": {"isPlanLimit": False, "value": 3}, "scope": "FUNCTION"}
    ]
    assert function["triggers"] == [
        {"type": "EVENT", "value": "shown/f", "condition": "event.data.n > 1"},
        {"type": "CRON", "value": "0 4 * * *"},
    ]
    plain = server.get("/v2/apps/shown/functions/plain")["data"]
    assert plain["configuration"]["retries"] == {"isDefault": True, "value": 4}
    (stored,) = [one for one in server.get("/v1/apps/shown/functions") if one["name"] == "f"]
    assert stored["config"]["triggers"] == triggers
    assert server.get("/v1/apps/unknown/functions") == []


# --- runs -------------------------------------------------------------------------------------


def test_a_run_is_told_with_status_times_and_output(server: Running, app: StandIn) -> None:
    app.register(server, "told", app.function("told", "f"))
    event_id = server.send("told/f", {"n": 1})
    (run,) = server.ended_runs(event_id)
    assert run["app"] == {"id": "told"}
    assert run["function"] == {"id": "f", "name": "f"}
    assert run["output"] == {"n": 1}
    assert run["trigger"] == {"eventIds": [event_id]}
    assert run["queuedAt"] <= run["startedAt"] <= run["endedAt"]
    assert int(run["durationMs"]) >= 0
    assert server.get(f"/v2/runs/{run['id']}", includeOutput="true")["data"] == run
    assert "output" not in server.get(f"/v2/runs/{run['id']}")["data"]
    old = server.get(f"/v1/runs/{run['id']}")["data"]
    assert (old["status"], old["output"], old["event_id"]) == ("Completed", {"n": 1}, event_id)
    assert server.get(f"/v1/events/{event_id}/runs")["data"] == [old]


@pytest.mark.parametrize(
    ("body", "output"),
    [(5, {"data": 5}), ("x", {"data": "x"}), ([1], {"data": [1]}), (None, {"data": None})],
)
def test_a_scalar_output_is_wrapped(server: Running, app: StandIn, body: Any, output: Any) -> None:
    app.answer = lambda call: Reply(200, body)
    app.register(server, "scalar", app.function("scalar", "f"))
    assert server.run("scalar/f")["output"] == output


def test_a_failed_run_tells_its_error_and_attempts(server: Running, app: StandIn) -> None:
    app.answer = lambda call: Reply(500, {"name": "ValueError", "message": "no"})
    app.register(server, "fails", app.function("fails", "f", retries=1))
    run = server.run("fails/f")
    assert run["status"] == "FAILED"
    assert run["output"]["error"]["message"] == "no"
    root = server.get(f"/v2/runs/{run['id']}/trace", includeOutput="true")["data"]["rootSpan"]
    assert (root["name"], root["status"]) == ("Run", "FAILED")
    assert root["input"]["data"][0]["name"] == "fails/f"
    (finalization,) = root["children"]
    assert finalization["name"] == "Finalization"
    assert [one["name"] for one in finalization["children"]] == ["Attempt 0", "Attempt 1"]
    assert finalization["children"][0]["output"]["error"]["message"] == "no"


def test_a_trace_shows_steps_and_their_attempts(server: Running, app: StandIn) -> None:
    step = {"id": "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8", "displayName": "a"}

    def answer(call: Call) -> Reply:
        if call.json["steps"]:
            return Reply(200, "done")
        if call.json["ctx"]["attempt"] == 0:
            failure = {"name": "E", "message": "m"}
            return Reply(206, [{**step, "op": "StepError", "error": failure}])
        return Reply(206, [{**step, "op": "StepRun", "data": {"n": 1}}])

    app.answer = answer
    app.register(server, "traced", app.function("traced", "f"))
    run = server.run("traced/f")
    (span,) = server.steps(run["id"])
    assert (span["name"], span["stepOp"], span["status"]) == ("a", "RUN", "COMPLETED")
    assert span["stepId"] == step["id"]
    assert (span["output"], span["attempts"]) == ({"n": 1}, 2)
    assert [one["status"] for one in span["children"]] == ["FAILED", "COMPLETED"]
    assert span["children"][0]["output"]["error"]["message"] == "m"
    again = server.steps(run["id"])
    assert [one["id"] for one in again] == [span["id"]]


def test_runs_are_listed_page_by_page_and_filtered(server: Running, app: StandIn) -> None:
    app.register(server, "page", app.function("page", "f"), app.function("page", "g"))
    runs = [server.run("page/f", {"n": n}) for n in range(3)]
    runs.append(server.run("page/g"))
    newest = [run["id"] for run in reversed(runs)]
    first = server.get("/api/v2/runs", limit=3, appId="page")
    assert [run["id"] for run in first["data"]] == newest[:3]
    assert (first["page"]["hasMore"], first["page"]["limit"]) == (True, 3)
    rest = server.get("/api/v2/runs", limit=3, appId="page", cursor=first["page"]["cursor"])
    assert [run["id"] for run in rest["data"]] == newest[3:]
    assert rest["page"] == {"limit": 3}
    for name in ("g", "page-g"):
        only = server.get("/v2/runs", appId="page", functionId=name)["data"]
        assert [run["id"] for run in only] == newest[:1]
    assert len(server.get("/v2/apps/page/functions/page-f/runs")["data"]) == 3
    oldest = server.get("/v2/runs", appId="page", order="asc", limit=1)["data"]
    assert [run["id"] for run in oldest] == newest[-1:]
    assert "data" not in server.get("/v2/runs", appId="page", status="FAILED")
    assert "data" not in server.get("/v2/runs", appId="nobody")
    assert "data" not in server.get("/v2/runs", appId="page", functionId="nobody")
    late = "2126-01-01T00:00:00Z"
    assert "data" not in server.get("/v2/runs", **{"from": late, "appId": "page"})
    assert len(server.get("/v2/runs", until=late, appId="page", timeField="ENDED_AT")["data"]) == 4


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("limit=101", "Limit cannot exceed 100"),
        ("limit=x", "Limit must be a number"),
        ("limit=-1", "Limit cannot be negative"),
        ("status=NOPE", "Status is invalid"),
        ("order=sideways", "order is invalid"),
        ("timeField=NEVER", "timeField is invalid"),
        ("functionId=f", "appId is required when filtering by functionId"),
        ("cursor=%00", "Cursor is invalid"),
        ("cursor=bm90IGpzb24=", "Cursor is invalid"),
        ("from=yesterday", "from must be an RFC 3339 time"),
    ],
)
def test_a_bad_filter_is_refused(server: Running, query: str, message: str) -> None:
    response = server.http.get(f"/v2/runs?{query}")
    assert response.status_code == 400
    assert error_of(response) == {"code": "invalid_field_format", "message": message}


def test_a_run_is_cancelled_once(server: Running, app: StandIn) -> None:
    app.answer = asleep
    app.register(server, "can", app.function("can", "f"))
    run = server.waiting(server.send("can/f"), "SLEEP")
    response = server.http.post(f"/api/v2/runs/{run['id']}/cancel", json={})
    assert response.json()["data"] == {"runId": run["id"]}
    response = server.http.post(f"/api/v2/runs/{run['id']}/cancel", json={})
    assert response.status_code == 409
    assert error_of(response) == {
        "code": "run_already_cancelled",
        "message": "Run is already cancelled",
    }
    assert server.get(f"/v2/runs/{run['id']}")["data"]["status"] == "CANCELLED"


def test_the_older_cancel_is_content_with_an_ended_run(server: Running, app: StandIn) -> None:
    app.answer = asleep
    app.register(server, "can1", app.function("can1", "f"))
    run = server.waiting(server.send("can1/f"), "SLEEP")
    for _ in range(2):
        assert server.http.delete(f"/v1/runs/{run['id']}").status_code == 200
    assert server.get(f"/v1/runs/{run['id']}")["data"]["status"] == "Cancelled"


def test_an_ended_run_cannot_be_cancelled(server: Running, app: StandIn) -> None:
    app.register(server, "can2", app.function("can2", "f"))
    run = server.run("can2/f")
    response = server.http.post(f"/v2/runs/{run['id']}/cancel")
    assert response.status_code == 409
    assert error_of(response)["code"] == "run_already_ended"


def test_the_state_of_a_run_in_progress_can_be_fetched(server: Running, app: StandIn) -> None:
    release = threading.Event()

    def answer(call: Call) -> Reply:
        if not call.json["steps"]:
            return Reply(206, [{"id": NAP_ID, "op": "StepRun", "data": 1}])
        release.wait(10)
        return Reply(200, None)

    app.answer = answer
    app.register(server, "state", app.function("state", "f"))
    event_id = server.send("state/f", {"n": 1})
    eventually(lambda: len(app.calls) == 2)
    (run,) = server.runs_of(event_id)
    assert server.get(f"/v0/runs/{run['id']}/actions") == {NAP_ID: {"data": 1}}
    (event,) = server.get(f"/v0/runs/{run['id']}/batch")
    assert event["data"] == {"n": 1}
    release.set()
    server.ended_runs(event_id)
    for part in ("actions", "batch"):
        response = server.http.get(f"/v0/runs/{run['id']}/{part}")
        assert response.status_code == 410
        assert "no longer available" in response.json()["error"]


def test_events_are_listed_newest_first_and_page_by_page(server: Running) -> None:
    ids = [server.send("list/a", {"n": n}) for n in range(3)]
    found = server.get("/v1/events", name="list/a", limit=2)["data"]
    assert [event["internal_id"] for event in found] == ids[:0:-1]
    rest = server.get("/v1/events", name="list/a", cursor=ids[1])["data"]
    assert [event["internal_id"] for event in rest] == ids[:1]


def test_events_of_the_server_are_listed_when_named(server: Running, app: StandIn) -> None:
    app.register(server, "own", app.function("own", "f"))
    run = server.run("own/f")
    named = server.get("/v1/events", name="inngest/function.finished")["data"]
    assert run["id"] in [event["data"]["run_id"] for event in named]
    listed = server.get("/v1/events", limit=100)["data"]
    assert not [event for event in listed if event["name"].startswith("inngest/")]


# --- bad requests -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/v1/runs/bad", 400, "Invalid run ID: bad"),
        ("GET", f"/v1/runs/{UNKNOWN}", 404, f"Unable to load function run: {UNKNOWN}"),
        ("DELETE", "/v1/runs/bad", 400, "Invalid run ID: bad"),
        ("DELETE", f"/v1/runs/{UNKNOWN}", 404, f"Unable to load function run: {UNKNOWN}"),
        ("GET", "/v1/events/bad", 400, "Invalid event ID: bad"),
        ("GET", f"/v1/events/{UNKNOWN}", 404, f"Event not found: {UNKNOWN}"),
        ("GET", "/v1/events?limit=0", 400, "Invalid limit: 0. It must be a number from 1 to 100"),
        ("GET", "/v1/events?cursor=x", 400, "Invalid cursor: x"),
        ("GET", "/v0/runs/bad/actions", 400, "The run ID specified is invalid"),
        ("GET", "/nothing", 404, "There is nothing at /nothing"),
        ("GET", "/e", 404, "There is nothing at /e"),
        ("GET", "/e/key", 405, "GET is not allowed at /e/key"),
        ("PUT", "/fn/register", 405, "PUT is not allowed at /fn/register"),
        ("POST", "/health", 405, "POST is not allowed at /health"),
    ],
)
def test_a_bad_request_is_answered_in_json(
    server: Running, method: str, path: str, status: int, error: str
) -> None:
    response = server.http.request(method, path)
    assert response.status_code == status
    assert response.json()["error"] == error
    if status == 405:
        assert response.headers["allow"]


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "message"),
    [
        ("GET", "/runs/bad", 400, "invalid_field_format", "Run ID must be a valid ULID"),
        ("GET", f"/runs/{UNKNOWN}", 404, "not_found", "Run not found"),
        ("GET", f"/runs/{UNKNOWN}/trace", 404, "not_found", "Run not found"),
        ("POST", f"/runs/{UNKNOWN}/cancel", 404, "not_found", "Run not found"),
        ("POST", "/runs/bad/cancel", 400, "invalid_field_format", "Run ID must be a valid ULID"),
        ("GET", "/events/bad/runs", 400, "invalid_field_format", "Event ID must be a valid ULID"),
        ("GET", "/apps/none", 404, "not_found", "App not found"),
        ("GET", "/nothing", 404, "api_error", "Not Found"),
        ("DELETE", "/runs", 405, "api_error", None),
        ("GET", "/sessions", 501, "not_implemented", None),
        ("POST", f"/runs/{UNKNOWN}/rerun", 404, "not_found", None),
    ],
)
@pytest.mark.parametrize("prefix", ["/v2", "/api/v2"])
def test_a_bad_request_to_v2_is_answered_in_its_shape(
    server: Running,
    prefix: str,
    method: str,
    path: str,
    status: int,
    code: str,
    message: str | None,
) -> None:
    response = server.http.request(method, prefix + path)
    assert response.status_code == status
    assert error_of(response)["code"] == code
    assert message is None or error_of(response)["message"] == message


def test_an_unknown_event_has_no_runs(server: Running) -> None:
    assert server.get(f"/v2/events/{UNKNOWN}/runs") == {
        "metadata": server_metadata(server),
        "page": {"limit": 20},
    }


def server_metadata(server: Running) -> Any:
    """Match whatever metadata a reply has."""

    class Anything:
        def __eq__(self, other: object) -> bool:
            return isinstance(other, dict) and set(other) == {"fetchedAt"}

    return Anything()


def test_a_failure_of_ours_is_told_without_a_traceback(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> Any:
        raise RuntimeError("secret detail")

    monkeypatch.setattr("inngest_contrib.devserver.reads.Reads.run", fail)
    response = server.http.get(f"/v1/runs/{UNKNOWN}")
    assert response.status_code == 500
    assert "secret" not in response.text
    assert response.json()["error"] == "The server failed: RuntimeError. Its log has the details."


# --- pages ------------------------------------------------------------------------------------


def test_health_and_facts_are_told(server: Running) -> None:
    assert server.get("/health") == {"status": 200, "message": "OK"}
    assert server.get("/v2/health")["data"] == {"status": "ok"}
    facts = server.get("/dev")
    assert facts["isMissingSigningKey"] is False
    assert isinstance(facts["functions"], list)
    for path in ("account", "envs", "keys/events", "keys/signing"):
        assert "metadata" in server.get(f"/v2/{path}")


def test_the_landing_page_names_the_endpoints(server: Running) -> None:
    assert "POST /e/{key}" in server.get("/")["endpoints"]
    page = server.http.get("/", headers={"accept": "text/html"})
    assert "<code>POST /e/{key}</code>" in page.text


def test_every_response_says_which_kind_of_server_this_is(server: Running) -> None:
    for path in ("/health", "/nothing", "/e/x"):
        headers = server.http.get(path).headers
        assert (headers["x-inngest-server-kind"], headers["vary"]) == ("dev", "Origin")


def test_a_head_request_is_answered_like_a_get(server: Running) -> None:
    response = server.http.head("/health")
    assert (response.status_code, response.content) == (200, b"")


def test_text_that_is_not_unicode_does_not_break_a_reply(server: Running) -> None:
    body = json.dumps({"name": "odd/a", "data": {"x": "\ud800"}}).encode()
    response = server.http.post("/e/any", content=body)
    assert response.status_code == 200
    assert server.get("/v1/events", name="odd/a")["data"][0]["data"] == {"x": "\ufffd"}


def test_a_client_that_leaves_before_its_body_has_ended_is_no_failure_of_the_server() -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    request = Request({"type": "http", "method": "POST", "path": "/e/k", "headers": []}, receive)
    with pytest.raises(ApiError) as refused:
        asyncio.run(read_body(request))
    assert refused.value.status == 400
