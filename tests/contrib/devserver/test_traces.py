"""Trace context on calls, and spans that come back under it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from inngest_contrib.devserver.engine.limits import MAX_RUN_SPANS
from inngest_contrib.devserver.engine.tracing import run_of, trace_id
from tests.contrib.devserver.live import Call, Reply, Running, nap, running, stand_in

EXPORTED = (Path(__file__).parents[2] / "samples" / "devserver" / "otlp" / "spans.pb").read_bytes()
RUN = "01M81CV4SR9WGEDKMNJWE4XNQ5"
PATH = "/v1/traces/userland"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as one:
        yield one


@pytest.fixture(scope="module")
def call(server: Running) -> Iterator[Call]:
    """The call of a run that sleeps from then on."""
    with stand_in(lambda call: Reply(206, [nap("1h")])) as app:
        app.register(server, "shop", app.function("shop", "f"))
        server.waiting(server.send("shop/f"), "SLEEP")
        yield app.calls[0]


def otlp(trace: str, *spans: tuple[str, str], **more: Any) -> dict[str, Any]:
    found = [
        {
            "traceId": trace,
            "spanId": span * 16,
            "parentSpanId": parent,
            "name": span,
            "startTimeUnixNano": "1795343356572000000",
            "endTimeUnixNano": "1795343356582000000",
            **more,
        }
        for span, parent in spans
    ]
    return {"resourceSpans": [{"scopeSpans": [{"spans": found}]}]}


def context(call: Call) -> tuple[str, str]:
    """The ids of the trace and of the span under which the app is to trace."""
    found = re.fullmatch("00-([0-9a-f]{32})-([0-9a-f]{16})-01", call.headers["traceparent"])
    assert found
    return found[1], found[2]


def userland(server: Running, run_id: str) -> dict[str, Any]:
    root = server.get(f"/v2/runs/{run_id}/trace")["data"]["rootSpan"]
    return {one["name"]: one for one in root["children"] if one.get("isUserland")}


def test_the_id_of_a_trace_is_that_of_its_run_in_other_letters() -> None:
    assert run_of(trace_id(RUN)) == RUN
    assert len(trace_id(RUN)) == 32


def test_calls_carry_the_context_of_their_trace(call: Call) -> None:
    run_id = call.headers["x-run-id"]
    trace, _ = context(call)
    assert run_of(trace) == run_id
    members = dict(one.split("=", 1) for one in call.headers["tracestate"].split(","))
    assert members.keys() == {"inngest@traceref", "inngest@fn", "inngest@app"}
    reference = json.loads(unquote(members["inngest@traceref"]))
    assert reference == {"tp": call.headers["traceparent"], "ts": ""}
    assert members["inngest@fn"] == call.json["ctx"]["fn_id"]


def test_spans_are_shown_with_the_run_below_their_parents(server: Running, call: Call) -> None:
    trace, parent = context(call)
    response = server.http.post(PATH, json=otlp(trace, ("a", parent), ("b", "a" * 16)))
    assert (response.status_code, response.json()) == (200, {})
    run_id = call.headers["x-run-id"]
    shown = userland(server, run_id)["a"]
    assert (shown["durationMs"], shown["status"]) == ("10", "COMPLETED")
    assert [one["name"] for one in shown["children"]] == ["b"]
    query = "query ($id: String!) { runTrace(runID: $id) { traceID childrenSpans { %s } } }"
    fields = "name isUserland parentSpanID outputID childrenSpans { name isUserland }"
    told = server.http.post(
        "/v0/gql", json={"query": query % fields, "variables": {"id": run_id}}
    ).json()
    found = {one["name"]: one for one in told["data"]["runTrace"]["childrenSpans"]}
    assert told["data"]["runTrace"]["traceID"] == trace
    assert found["a"] == {
        "name": "a",
        "isUserland": True,
        "parentSpanID": parent,
        "outputID": None,
        "childrenSpans": [{"name": "b", "isUserland": True}],
    }


def test_a_span_without_a_known_parent_and_a_ring_are_shown_below_the_run(
    server: Running, call: Call
) -> None:
    trace, _ = context(call)
    spans = [("c", "9" * 16), ("d", "e" * 16), ("e", "d" * 16), ("f", "f" * 16)]
    server.http.post(PATH, json=otlp(trace, *spans))
    assert {"c", "d", "e", "f"} <= userland(server, call.headers["x-run-id"]).keys()


def test_protobuf_is_answered_with_protobuf(server: Running) -> None:
    headers = {"content-type": "application/x-protobuf"}
    response = server.http.post(PATH, content=EXPORTED, headers=headers)
    assert (response.status_code, response.headers["content-type"]) == (
        200,
        "application/x-protobuf",
    )
    # Both were of a run that nobody knows.
    assert response.content == b"\x0a\x02\x08\x02"


def test_spans_of_no_run_and_those_too_large_are_counted_out(server: Running, call: Call) -> None:
    trace, parent = context(call)
    large = [{"key": "x", "value": {"stringValue": "x" * 70_000}}]
    for body in (otlp("0" * 31 + "1", ("a", "")), otlp(trace, ("8", parent), attributes=large)):
        answer = server.http.post(PATH, json=body)
        assert answer.json() == {"partialSuccess": {"rejectedSpans": "1"}}


def test_a_run_has_so_many_and_no_more(server: Running, call: Call) -> None:
    trace, _ = context(call)
    body = otlp(trace)
    spans = body["resourceSpans"][0]["scopeSpans"][0]["spans"]
    spans += [{"traceId": trace, "spanId": f"{n:016x}"} for n in range(1, MAX_RUN_SPANS + 2)]
    answer = server.http.post(PATH, json=body).json()
    assert int(answer["partialSuccess"]["rejectedSpans"]) >= 1


@pytest.mark.parametrize(
    ("content", "status"), [(b"{", 400), (b"[1]", 400), (b" " * (8 * 1024 * 1024 + 1), 413)]
)
def test_what_is_no_export_is_refused(server: Running, content: bytes, status: int) -> None:
    response = server.http.post(PATH, content=content, headers={"content-type": "application/json"})
    assert response.status_code == status
    assert response.json()["status"] == status
