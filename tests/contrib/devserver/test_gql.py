"""GraphQL: what pages and test helpers of the Inngest Dev Server ask, and what they get."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from inngest_contrib.devserver.instance import free_port
from tests.contrib.devserver.live import Call, Reply, Running, StandIn, running, stand_in

RUN_A = {"id": "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8", "displayName": "a"}
SPAN = """
fragment S on RunTraceSpan { name status attempts duration outputID queuedAt startedAt endedAt
  stepOp stepID stepType spanID traceID parentSpanID isRoot isUserland runID stepInfo {
    __typename
    ... on InvokeStepInfo { triggeringEventID functionID timeout returnEventID runID timedOut }
    ... on SleepStepInfo { sleepUntil }
    ... on WaitForEventStepInfo { eventName expression timeout foundEventID timedOut }
    ... on WaitForSignalStepInfo { signal timeout timedOut }
    ... on RunStepInfo { type }
  }
  response { statusCode headers } metadata { kind scope values }
}
query($id: String!) {
  runTrace(runID: $id) { ...S childrenSpans { ...S childrenSpans { ...S childrenSpans { ...S } } } }
}
"""


def ask(server: Running, query: str, **variables: Any) -> Any:
    """Ask what must be answered without errors."""
    document = raw(server, query, **variables)
    assert "errors" not in document, document
    return document["data"]


def raw(server: Running, query: str, **variables: Any) -> Any:
    response = server.http.post("/v0/gql", json={"query": query, "variables": variables})
    assert response.status_code == 200
    return response.json()


def error(server: Running, query: str, **variables: Any) -> str:
    document = raw(server, query, **variables)
    return str(document["errors"][0]["message"])


@pytest.fixture(scope="module")
def app() -> Iterator[StandIn]:
    def answer(call: Call) -> Reply:
        name, steps = call.query["fnId"], call.json["steps"]
        if name == "ui-fail":
            body = {"name": "BoomError", "message": "nope", "stack": "at x"}
            return Reply(400, body, {"x-inngest-no-retry": "true"})
        if name == "ui-wait":
            waits = {"event": "ui/never", "timeout": "1h", "if": "event.name == async.name"}
            return Reply(206, [{**RUN_A, "op": "WaitForEvent", "opts": waits}])
        if name == "ui-multi" and not steps:
            opts: Any = {"type": "step.run", "input": [1]}
            return Reply(206, [{**RUN_A, "op": "StepRun", "data": {"n": 1}, "opts": opts}])
        return Reply(200, {"done": True} if name == "ui-multi" else "child result")

    with stand_in(answer) as found:
        yield found


@pytest.fixture(scope="module")
def filled(server: Running, app: StandIn) -> Running:
    limits = {"concurrency": {"limit": 3}, "throttle": {"limit": 5, "period": "1s"}}
    app.register(
        server,
        "ui",
        app.function("ui", "multi"),
        app.function("ui", "fail"),
        app.function("ui", "wait"),
        app.function("ui", "child", **limits),
    )
    return server


@pytest.fixture(scope="module")
def multi(filled: Running) -> dict[str, Any]:
    event_id = filled.send("ui/multi", {"hello": "w"})
    return {"event": event_id, "run": filled.ended_runs(event_id)[0]["id"]}


@pytest.fixture(scope="module")
def failed(filled: Running) -> str:
    return str(filled.ended_runs(filled.send("ui/fail"))[0]["id"])


# --- apps and functions -----------------------------------------------------------------------


def test_apps_and_their_functions_are_told(filled: Running, app: StandIn) -> None:
    (found,) = ask(
        filled,
        """{ apps { id externalID name sdkLanguage sdkVersion framework url checksum error
             connected functionCount autodiscovered method appVersion
             functions { id name slug concurrency url appID
                         triggers { type value condition } config } } }""",
    )["apps"]
    assert (found["externalID"], found["sdkLanguage"], found["sdkVersion"]) == (
        "ui",
        "test",
        "v1.0.0",
    )
    assert (found["url"], found["error"], found["connected"]) == (app.url, None, True)
    assert (found["functionCount"], found["method"]) == (4, "SERVE")
    child = found["functions"][0]
    assert (child["slug"], child["concurrency"], child["appID"]) == ("ui-child", 3, found["id"])
    assert child["triggers"] == [{"type": "EVENT", "value": "ui/child", "condition": None}]
    assert json.loads(child["config"])["slug"] == "ui-child"


def test_the_configuration_of_a_function_is_told(filled: Running) -> None:
    functions = ask(
        filled,
        """{ functions { slug app { name } configuration {
             retries { value isDefault } priority
             concurrency { scope key limit { value isPlanLimit } }
             throttle { burst key limit period } } } }""",
    )["functions"]
    by_slug = {one["slug"]: one["configuration"] for one in functions}
    assert by_slug["ui-child"] == {
        "retries": {"value": 4, "isDefault": True},
        "priority": None,
        "concurrency": [
            {"scope": "FUNCTION", "key": None, "limit": {"value": 3, "isPlanLimit": False}}
        ],
        "throttle": {"burst": 1, "key": None, "limit": 5, "period": "1s"},
    }
    assert by_slug["ui-fail"]["concurrency"] == [
        {"scope": "ACCOUNT", "key": None, "limit": {"value": -1, "isPlanLimit": True}}
    ]
    one = ask(filled, '{ functionBySlug(query: {functionSlug: "ui-wait"}) { name } }')
    assert one == {"functionBySlug": {"name": "wait"}}


def test_apps_are_filtered_by_how_they_are_reached(filled: Running) -> None:
    assert len(ask(filled, "{ apps(filter: {method: SERVE}) { id } }")["apps"]) == 1
    assert ask(filled, "{ apps(filter: {method: CONNECT}) { id } }")["apps"] == []


# --- events -----------------------------------------------------------------------------------


def test_an_event_is_told_with_its_runs(filled: Running, multi: dict[str, Any]) -> None:
    event = ask(
        filled,
        """query($id: ID!){ event(query:{eventId:$id}) { id externalID name createdAt payload raw
           status pendingRuns totalRuns
           functionRuns { id status output startedAt finishedAt functionID event { id } } } }""",
        id=multi["event"],
    )["event"]
    assert (event["id"], event["name"], event["status"]) == (
        multi["event"],
        "ui/multi",
        "COMPLETED",
    )
    assert (event["payload"], event["pendingRuns"], event["totalRuns"]) == ('{"hello":"w"}', 0, 1)
    assert json.loads(event["raw"])["data"] == {"hello": "w"}
    (run,) = event["functionRuns"]
    assert (run["id"], run["output"]) == (multi["run"], '{"done":true}')
    assert run["event"] == {"id": multi["event"]}


def test_the_newer_form_of_an_event_is_told(filled: Running, multi: dict[str, Any]) -> None:
    event = ask(
        filled,
        """query($id: ULID!){ eventV2(id:$id) { id idempotencyKey name occurredAt receivedAt raw
           version source { id } runs { id status function { slug } output endedAt } } }""",
        id=multi["event"],
    )["eventV2"]
    assert (event["idempotencyKey"], event["version"], event["source"]) == (
        multi["event"],
        "",
        None,
    )
    (run,) = event["runs"]
    assert (run["status"], run["function"], run["output"]) == (
        "COMPLETED",
        {"slug": "ui-multi"},
        '{"done":true}',
    )


def test_an_event_without_functions_says_so(filled: Running) -> None:
    event_id = filled.send("ui/nobody")
    found = ask(filled, "query($i: ID!){ event(query:{eventId:$i}) { status } }", i=event_id)
    assert found == {"event": {"status": "NO_FUNCTIONS"}}


def test_events_are_listed_page_by_page(filled: Running) -> None:
    sent = [filled.send("ui/paged", {"n": n}) for n in range(5)]
    query = """query($f: EventsFilter!, $after: String) {
      eventsV2(first: 2, after: $after, filter:$f)
      { totalCount pageInfo { endCursor hasNextPage hasPreviousPage }
        edges { cursor node { id name receivedAt runs { id status } } } } }"""
    chosen = {"from": "2020-01-01T00:00:00Z", "eventNames": ["ui/paged"]}
    seen: list[str] = []
    after = None
    for more in (True, True, False):
        page = ask(filled, query, f=chosen, after=after)["eventsV2"]
        seen += [edge["node"]["id"] for edge in page["edges"]]
        after = page["pageInfo"]["endCursor"]
        assert (page["totalCount"], page["pageInfo"]["hasNextPage"]) == (5, more)
    assert seen == sorted(sent, reverse=True)


def test_events_of_the_server_are_listed_when_wanted(filled: Running, failed: str) -> None:
    query = (
        """query($f: EventsFilter){ eventsV2(first: 100, filter:$f) { edges { node { name } } } }"""
    )

    def names(wanted: bool) -> set[str]:
        found = ask(filled, query, f={"includeInternalEvents": wanted})["eventsV2"]["edges"]
        return {edge["node"]["name"] for edge in found}

    assert "inngest/function.failed" in names(True)
    assert not any(name.startswith("inngest/") for name in names(False))


# --- runs -------------------------------------------------------------------------------------


def test_a_run_is_told(filled: Running, multi: dict[str, Any]) -> None:
    run = ask(
        filled,
        """query($id: String!){ run(runID:$id) { id status queuedAt startedAt endedAt output traceID
           eventName triggerIDs isBatch cronSchedule sourceID hasAI isDeferred app { externalID }
           function { slug name }
           defers { hashedDeferID userlandDeferID fnSlug status runID }
           deferredFrom { runID } } }""",
        id=multi["run"],
    )["run"]
    times = {key: run.pop(key) for key in ("queuedAt", "startedAt", "endedAt")}
    assert all(times.values())
    assert len(run.pop("traceID")) == 32
    assert run == {
        "id": multi["run"],
        "status": "COMPLETED",
        "output": '{"done":true}',
        "eventName": "ui/multi",
        "triggerIDs": [multi["event"]],
        "isBatch": False,
        "cronSchedule": None,
        "sourceID": None,
        "hasAI": False,
        "isDeferred": False,
        "app": {"externalID": "ui"},
        "function": {"slug": "ui-multi", "name": "multi"},
        "defers": [],
        "deferredFrom": [],
    }
    assert ask(filled, '{ run(runID: "01M81D0R9HSHXZE7BRTHMD04PA") { id } }') == {"run": None}


def test_runs_are_listed_sorted_and_filtered(filled: Running) -> None:
    ids = []
    for n in range(4):
        ids.append(filled.ended_runs(filled.send("ui/child", {"n": n}))[0]["id"])
    query = """query($f: RunsFilterV2!, $o: [RunsV2OrderBy!]!, $after: String){
      runs(first: 3, filter:$f, orderBy:$o, after: $after) { totalCount
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
        edges { cursor node { id status eventName endedAt output function { slug } } } } }"""
    functions = ask(filled, "{ functions { id slug } }")["functions"]
    child = next(one["id"] for one in functions if one["slug"] == "ui-child")
    chosen = {"from": "2020-01-01T00:00:00Z", "status": ["COMPLETED"], "functionIDs": [child]}
    for direction, expected in (("ASC", ids), ("DESC", ids[::-1])):
        for field in ("QUEUED_AT", "STARTED_AT", "ENDED_AT"):
            order = [{"field": field, "direction": direction}]
            first = ask(filled, query, f=chosen, o=order)["runs"]
            after = first["pageInfo"]["endCursor"]
            second = ask(filled, query, f=chosen, o=order, after=after)["runs"]
            seen = [edge["node"]["id"] for edge in first["edges"] + second["edges"]]
            assert (first["totalCount"], seen) == (4, expected)
            assert first["pageInfo"]["hasNextPage"]
            assert not second["pageInfo"]["hasNextPage"]
    assert first["edges"][0]["node"]["output"] == '"child result"'


def test_a_trace_is_told_in_spans(filled: Running, multi: dict[str, Any]) -> None:
    root = ask(filled, SPAN, id=multi["run"])["runTrace"]
    assert (root["name"], root["status"], root["isRoot"]) == ("Run", "COMPLETED", True)
    assert root["parentSpanID"] == "0000000000000000"
    step, end = root["childrenSpans"]
    assert (step["name"], step["stepOp"], step["stepID"]) == ("a", "RUN", RUN_A["id"])
    assert step["stepInfo"] == {"__typename": "RunStepInfo", "type": "step.run"}
    assert step["parentSpanID"] == root["spanID"]
    assert (end["name"], end["stepType"], end["stepInfo"]) == ("Finalization", "FINALIZATION", None)
    output = """query($o: String!){ runTraceSpanOutputByID(outputID:$o) {
      input data error { name message stack cause } } }"""
    of_step = ask(filled, output, o=step["outputID"])["runTraceSpanOutputByID"]
    assert of_step == {"input": "[1]", "data": '{"n":1}', "error": None}
    of_run = ask(filled, output, o=root["outputID"])["runTraceSpanOutputByID"]
    assert (of_run["data"], json.loads(of_run["input"])[0]["name"]) == ('{"done":true}', "ui/multi")


def test_the_output_of_what_failed_is_its_error(filled: Running, failed: str) -> None:
    root = ask(filled, SPAN, id=failed)["runTrace"]
    attempt = root["childrenSpans"][-1]["childrenSpans"][0]
    output = """query($o: String!){ runTraceSpanOutputByID(outputID:$o) {
      data error { name message stack } } }"""
    for span in (root, attempt):
        assert span["status"] == "FAILED"
        told = ask(filled, output, o=span["outputID"])["runTraceSpanOutputByID"]
        assert told == {
            "data": None,
            "error": {"name": "BoomError", "message": "nope", "stack": "at x"},
        }


def test_a_step_that_waits_tells_for_what_and_how_long(filled: Running) -> None:
    event_id = filled.send("ui/wait")
    run = filled.waiting(event_id, "WAIT_FOR_EVENT")
    (span,) = ask(filled, SPAN, id=run["id"])["runTrace"]["childrenSpans"]
    assert span["status"] == "WAITING"
    info = span["stepInfo"]
    assert (info["__typename"], info["eventName"]) == ("WaitForEventStepInfo", "ui/never")
    assert info["expression"] == "event.name == async.name"
    assert info["timeout"] > span["queuedAt"]
    waits = ask(
        filled,
        """query($q: FunctionRunQuery!){ functionRun(query:$q) { status
           waitingFor { eventName expression expiryTime } history { type stepName } } }""",
        q={"functionRunId": run["id"]},
    )["functionRun"]
    assert waits["waitingFor"]["expiryTime"] == info["timeout"]
    kinds = [one["type"] for one in waits["history"]]
    assert kinds == ["FunctionScheduled", "FunctionStarted", "StepWaiting"]
    cancel = "mutation($r: ULID!){ cancelRun(runID:$r) { id status } }"
    assert ask(filled, cancel, r=run["id"])["cancelRun"]["status"] == "CANCELLED"
    assert error(filled, cancel, r=run["id"]) == "cannot cancel an ended run"


def test_what_started_a_run_is_told(filled: Running, multi: dict[str, Any]) -> None:
    query = """query($id: String!){ runTrigger(runID:$id)
      { eventName IDs payloads timestamp isBatch batchID cron } }"""
    told = ask(filled, query, id=multi["run"])["runTrigger"]
    (payload,) = told.pop("payloads")
    assert json.loads(payload)["data"] == {"hello": "w"}
    assert told.pop("timestamp").endswith("Z")
    assert told == {
        "eventName": "ui/multi",
        "IDs": [multi["event"]],
        "isBatch": False,
        "batchID": None,
        "cron": None,
    }


def test_there_are_no_workers(filled: Running) -> None:
    query = "{ workerConnections(first: 3) { totalCount edges { node { id } } } }"
    assert ask(filled, query) == {"workerConnections": {"totalCount": 0, "edges": []}}


# --- changes ----------------------------------------------------------------------------------


def test_a_function_is_invoked(filled: Running, app: StandIn) -> None:
    before = len(app.calls)
    query = "mutation($d: Map, $s: String!){ invokeFunction(data:$d, functionSlug:$s) }"
    assert ask(filled, query, d={"x": 9}, s="ui-child") == {"invokeFunction": True}
    assert error(filled, query, d={}, s="ui-none") == "function not found: ui-none"
    assert len(app.calls) >= before


def test_a_run_is_repeated_from_its_start_or_from_a_step(
    filled: Running, multi: dict[str, Any]
) -> None:
    query = "mutation($r: ULID!, $f: RerunFromStepInput){ rerun(runID:$r, fromStep:$f) }"
    again = ask(filled, query, r=multi["run"])["rerun"]
    assert len(again) == 26
    changed = ask(filled, query, r=multi["run"], f={"stepID": "a", "input": "[2]"})["rerun"]
    assert changed not in (again, multi["run"])
    assert error(filled, query, r=multi["run"], f={"stepID": "zz"}) == (
        "Step not found in original run"
    )
    assert "array" in error(filled, query, r=multi["run"], f={"stepID": "a", "input": "{"})


def test_an_app_is_asked_to_register_and_forgotten() -> None:
    def register(call: Call) -> Reply:
        found.register(server, "made", found.function("made", "f"))
        return Reply(200, {"message": "ok"})

    with running() as server, stand_in(lambda call: Reply(200, 1)) as found:
        found.on_put = register
        query = """mutation($u: String!) { createApp(input:{url: $u})
          { id externalID error connected url } }"""
        made = ask(server, query, u=found.url)["createApp"]
        assert (made["externalID"], made["connected"], made["error"]) == ("made", True, None)
        delete = "mutation($n: String!){ deleteAppByName(name: $n) }"
        assert ask(server, delete, n="made") == {"deleteAppByName": True}
        assert error(server, delete, n="made") == "app not found"
        nobody = f"http://127.0.0.1:{free_port()}/api/inngest"
        assert error(server, query, u=nobody) == "unreachable"
        (app,) = ask(server, "{ apps { id url connected error } }")["apps"]
        assert (app["url"], app["connected"]) == (nobody, False)
        remove = "mutation($i: String!){ deleteApp(id: $i) }"
        assert ask(server, remove, i=app["id"]) == {"deleteApp": app["id"]}


# --- the language, and its bounds -------------------------------------------------------------


def test_aliases_fragments_and_operations_work(filled: Running) -> None:
    query = """query A { apps { id } } query B($no: Boolean = false) {
      all: apps { ...F @skip(if: $no) } some: apps(filter: {method: SERVE}) { called: name } }
      fragment F on App { name }"""
    response = filled.http.post("/v0/gql", json={"query": query, "operationName": "B"})
    assert response.json() == {"data": {"all": [{"name": "ui"}], "some": [{"called": "ui"}]}}


def test_the_schema_can_be_asked_for(filled: Running) -> None:
    from graphql import get_introspection_query

    document = ask(filled, get_introspection_query())
    assert document["__schema"]["queryType"]["name"] == "Query"


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("{ nope }", "Cannot query field 'nope' on type 'Query'."),
        ("{ apps { ", "Syntax Error"),
        ("{ apps { ...F } } fragment F on App { ...F }", "Cannot spread fragment"),
        ('{ runTraceSpanOutputByID(outputID: "é") { data } }', "No output has this id"),
        ('{ runTraceSpanOutputByID(outputID: "W10=") { data } }', "No output has this id"),
        ('{ runs(first: 1, after: "W10=") { totalCount } }', "not a cursor"),
        ('{ eventsV2(first: 1, after: "??") { totalCount } }', "not a cursor"),
        ("{ runs(first: 100000) { totalCount } }", "first must be from 1"),
        ('{ runs(first: 1, filter: {from: "soon"}) { totalCount } }', "RFC 3339"),
        ('{ runs(first: 1, filter: {query: "true"}) { totalCount } }', "not supported"),
        ('{ runTrigger(runID: "x") { timestamp } }', "run not found"),
        ('{ event(query: {eventId: "x"}) { id } }', "event not found"),
        ("{ b: " + "apps { id } " * 600 + "}", "Document contains more"),
        ("{ apps { " + "id " * 1900 + "} }", '"id" is asked for 1900 times'),
        ("{ apps " + "{ functions { app " * 11 + "{ id }" + "} }" * 11 + "}", "deep"),
        ("{" * 900, "Syntax Error"),
        ("[" * 3000, "Syntax Error"),
        ("query(" * 1900, "Syntax Error"),
        ("subscription { apps { id } }", "subscription"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(
    filled: Running, query: str, text: str
) -> None:
    assert text in error(filled, query)


def test_a_fragment_that_doubles_itself_is_bounded(filled: Running) -> None:
    levels = 12
    parts = [
        f"fragment F{n} on App {{ a: functions {{ app {{ ...F{n + 1} }} }} "
        f"b: functions {{ app {{ ...F{n + 1} }} }} }}"
        for n in range(levels)
    ]
    query = f"{{ apps {{ ...F0 }} }} {' '.join(parts)} fragment F{levels} on App {{ id }}"
    assert "deep" in error(filled, query)
    deep = "".join(f"functions {{ a{n}: app {{ " for n in range(7)) + "id" + " } }" * 7
    assert "more than 10000 records" in error(filled, f"{{ apps {{ {deep} }} }}")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'{"query": 3}', b'{"query": "{a}", "variables": []}', b"\xff"],
)
def test_a_request_that_is_none_is_answered_in_errors(filled: Running, body: bytes) -> None:
    response = filled.http.post("/v0/gql", content=body)
    assert response.status_code == 200
    assert response.json()["errors"][0]["message"]
    assert response.json()["data"] is None


def test_a_mistake_of_ours_is_told_without_its_details(
    filled: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any, run_id: str) -> Any:
        raise RuntimeError("a secret")

    monkeypatch.setattr("inngest_contrib.devserver.reads.Reads.run", fail)
    message = error(filled, '{ run(runID: "x") { id } }')
    assert message == "The server failed: RuntimeError. Its log has the details."


def test_the_library_is_not_imported_before_it_is_needed() -> None:
    code = (
        "import sys, inngest_contrib.devserver.serving;"
        "late = ('graphql', 'inngest_contrib.devserver.api.openapi');"
        "assert not [m for m in sys.modules if m.startswith(late)]"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
