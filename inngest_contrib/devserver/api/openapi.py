"""
What the interface is, as a document of OpenAPI 3.1: `GET /openapi.json`. Imported when it is read.

Law: one entry for each route, and none beside them; a test compares the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from inngest_contrib.devserver.api.replies import JSON, TEXT, V2_PREFIXES
from inngest_contrib.devserver.api.schemas import (
    ANY,
    FLAG,
    ID,
    INSTANT,
    MAYBE_OBJECT,
    MAYBE_STRING,
    NAME,
    NUMBER,
    PARAMETERS,
    PATH_PARAMETERS,
    SCHEMAS,
    SHOWN,
    STRING,
    Schema,
    list_of,
    object_of,
    ref,
    v1,
    v2,
    v2_list,
)

_METHODS_OF_CLOUD = ("GET", "POST", "PUT", "PATCH", "DELETE")
_CLOUD_ONLY = ("sessions", "experiments", "insights", "webhooks", "sandboxes")


@dataclass(slots=True, frozen=True, kw_only=True)
class Operation:
    """What one route is for, takes and answers. `answers`: schemas by status."""

    summary: str
    answers: Mapping[int, Schema | None]
    query: tuple[str, ...] = ()
    body: Schema | None = None
    errors: tuple[int, ...] = ()
    media: str = JSON
    open: bool = False
    """Whether a server with keys wants none here."""


_RUNS = (
    "limit",
    "cursor",
    "from",
    "until",
    "timeField",
    "status",
    "order",
    "isDeferred",
    "includeOutput",
)
_RUN_STARTED = v2(object_of("runId", runId=MAYBE_STRING, eventId=STRING))
_OPS = list_of(object_of("id op", id=STRING, op=STRING))
_BEGIN_RUN = Operation(
    summary="Begin a run that its app leads",
    body=object_of("run_id event steps", run_id=ID, event=object_of(), steps=_OPS),
    answers={200: v1(object_of("fn_id app_id run_id", fn_id=STRING, app_id=STRING, run_id=ID))},
    errors=(400, 413),
)
_RUN_STEPS = Operation(
    summary="Tell how a run that its app leads goes on; always well",
    body=object_of("run_id steps", run_id=ID, steps=_OPS),
    answers={200: None},
    errors=(413,),
)
_RUN_OUTPUT = Operation(
    summary="What such a run came to, once it has ended; status, headers and body are the app's",
    query=("token",),
    answers={200: None},
    errors=(401, 500, 504),
    open=True,
)
_NOT_HERE = Operation(summary="Only Inngest Cloud has this", answers={}, errors=(501,))

OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("POST", "/e/{key}"): Operation(
        summary="Send one event or a list",
        body={"oneOf": [ref("EventIn"), list_of(ref("EventIn"))]},
        answers={200: ref("EventReply")},
        errors=(400, 401, 413),
        media=TEXT,
        open=True,
    ),
    ("POST", "/e/"): Operation(
        summary="There must be an event key",
        answers={303: ref("EventReply")},
        media=TEXT,
        open=True,
    ),
    ("POST", "/invoke/{slug}"): Operation(
        summary="Run one function; an unknown one is answered like a known one",
        body=object_of(data=MAYBE_OBJECT, user=MAYBE_OBJECT),
        answers={200: object_of("id status", id=ID, status=NUMBER)},
        errors=(400, 413),
        media=TEXT,
    ),
    ("POST", "/fn/register"): Operation(
        summary="An app says which functions it has",
        query=(),
        body=object_of(
            "appName",
            appName={"type": "string", "minLength": 1},
            url=STRING,
            functions={"type": ["array", "null"], "items": {"type": "object"}, "maxItems": 100},
        ),
        answers={
            200: object_of(
                "ok modified sync_id app_id", ok=FLAG, modified=FLAG, sync_id=STRING, app_id=STRING
            )
        },
        errors=(400, 413),
        media=TEXT,
    ),
    ("DELETE", "/fn/remove"): Operation(
        summary="Forget an app", query=("url",), answers={200: None}, errors=(404,), media=TEXT
    ),
    ("POST", "/v0/gql"): Operation(
        summary="GraphQL; always 200, what went wrong stands in errors",
        body=object_of("query", query=STRING, variables=MAYBE_OBJECT, operationName=MAYBE_STRING),
        answers={200: ref("GraphQL")},
        errors=(413,),
    ),
    ("GET", "/v0/runs/{id}/actions"): Operation(
        summary="The memos of a run in progress", answers={200: object_of()}, errors=(400, 410)
    ),
    ("GET", "/v0/runs/{id}/batch"): Operation(
        summary="The events of a run in progress",
        answers={200: list_of(object_of())},
        errors=(400, 410),
    ),
    ("GET", "/v1/events"): Operation(
        summary="Events, newest first",
        query=("name", "pageSize", "cursor"),
        answers={200: v1(list_of(ref("Event")))},
        errors=(400,),
    ),
    ("GET", "/v1/events/{id}"): Operation(
        summary="One event", answers={200: v1(ref("Event"))}, errors=(400, 404)
    ),
    ("GET", "/v1/events/{id}/runs"): Operation(
        summary="The runs of an event", answers={200: v1(list_of(ref("RunV1")))}, errors=(400,)
    ),
    ("GET", "/v1/runs/{id}"): Operation(
        summary="One run", answers={200: v1(ref("RunV1"))}, errors=(400, 404)
    ),
    ("DELETE", "/v1/runs/{id}"): Operation(
        summary="Cancel a run; also well if it has ended", answers={200: None}, errors=(400, 404)
    ),
    ("GET", "/v1/runs/{id}/jobs"): Operation(
        summary="What a run has before it",
        answers={200: v1(list_of(ref("Job")))},
        errors=(400, 404),
    ),
    ("POST", "/v1/runs/{id}/metadata"): Operation(
        summary="Note something about a run, or a step of it",
        body=object_of(
            "metadata",
            target=object_of(step_id=STRING, step_index={"type": "integer"}),
            metadata=list_of(object_of("kind values", kind=STRING, op=STRING, values=object_of())),
        ),
        answers={200: None},
        errors=(400, 404, 413),
    ),
    ("POST", "/v1/traces/userland"): Operation(
        summary="Keep spans of OpenTelemetry with their runs; protobuf is taken, too",
        body=object_of(resourceSpans=list_of(object_of())),
        answers={200: object_of()},
        errors=(400, 413),
    ),
    ("GET", "/v1/apps/{app}/functions"): Operation(
        summary="The functions of an app, as registered", answers={200: list_of(object_of())}
    ),
    ("POST", "/v1/checkpoint"): _BEGIN_RUN,
    ("POST", "/v1/checkpoint/{id}/steps"): _RUN_STEPS,
    ("GET", "/v1/checkpoint/{id}/output"): _RUN_OUTPUT,
    ("POST", "/v1/http/runs"): _BEGIN_RUN,
    ("POST", "/v1/http/runs/{id}/steps"): _RUN_STEPS,
    ("GET", "/v1/http/runs/{id}/output"): _RUN_OUTPUT,
    ("POST", "/v1/checkpoint/{id}/async"): Operation(
        summary="Keep results of a function that goes on",
        body=object_of(
            "run_id steps",
            run_id=ID,
            fn_id=STRING,
            qi_id=STRING,
            request_id=STRING,
            generation_id={"type": "integer"},
            steps=list_of(object_of("id op", id=STRING, op=STRING)),
        ),
        answers={200: None},
        errors=(400, 409, 413),
    ),
    ("POST", "/v1/cancellations"): Operation(
        summary="Cancel the runs of a function that were created between two instants",
        body=object_of(
            "app_id function_id started_before",
            app_id={"type": "string", "minLength": 1},
            function_id={"type": "string", "minLength": 1},
            started_after={"type": ["string", "null"], "format": "date-time"},
            started_before=INSTANT,
            **{"if": MAYBE_STRING},
        ),
        answers={
            200: object_of(
                "id environment_id function_id started_after started_before",
                id=ID,
                environment_id=STRING,
                function_id=STRING,
                started_after=MAYBE_STRING,
                started_before=INSTANT,
                **{"if": STRING},
            )
        },
        errors=(400, 404, 413),
    ),
    ("POST", "/v1/signals"): Operation(
        summary="Wake the step that waits for a signal",
        body=object_of("signal", signal={"type": "string", "minLength": 1}, data=ANY),
        answers={200: v1(object_of("run_id", run_id=ID))},
        errors=(400, 404, 413),
    ),
    ("POST", "/v1/realtime/token"): Operation(
        summary="A token for those who listen to topics",
        body=list_of(object_of("channel name", channel=STRING, name=STRING, kind=ANY)),
        answers={201: object_of("jwt", jwt=STRING)},
        errors=(400, 413),
    ),
    ("POST", "/v1/realtime/publish"): Operation(
        summary="Hand a message to all who listen now",
        query=("channel", "topic", "run_id", "metadata"),
        body=ANY,
        answers={200: None},
        errors=(401,),
    ),
    ("POST", "/v1/realtime/publish/tee"): Operation(
        summary="Hand on what comes, as it comes",
        query=("channel",),
        body=ANY,
        answers={200: None, 400: None},
        errors=(401,),
    ),
    ("GET", "/v1/realtime/sse"): Operation(
        summary="Messages as server-sent events",
        query=("token",),
        answers={200: None},
        errors=(401,),
        open=True,
    ),
    ("GET", "/v1/realtime/connect"): Operation(
        summary="Messages by websocket; without an upgrade it is refused",
        query=("token",),
        answers={},
        errors=(426,),
        open=True,
    ),
    ("POST", "/v0/connect/start"): Operation(
        summary="A worker asks where to connect (protobuf)",
        answers={200: None},
        errors=(400, 413, 501, 503),
    ),
    ("POST", "/v0/connect/flush"): Operation(
        summary="A worker hands in a reply that was not acknowledged (protobuf)",
        answers={200: None},
        errors=(400, 413, 501, 503),
    ),
    ("POST", "/v0/connect/drain"): Operation(
        summary="Ask all workers to connect anew",
        answers={200: object_of("data")},
    ),
    ("GET", "/v0/connect/envs/{env}/conns"): Operation(
        summary="The workers that are connected",
        query=("app_id",),
        answers={200: object_of("data", data=list_of(object_of("id instance_id status")))},
    ),
    ("GET", "/health"): Operation(
        summary="Whether the server is up",
        answers={200: object_of("status message", status=NUMBER, message=STRING)},
        open=True,
    ),
    ("GET", "/dev"): Operation(
        summary="By this SDKs find a development server",
        answers={200: object_of("version functions startOpts")},
        open=True,
    ),
    ("GET", "/metrics"): Operation(
        summary="Figures for Prometheus", answers={200: STRING}, media=TEXT
    ),
    ("GET", "/openapi.json"): Operation(summary="This document", answers={200: object_of()}),
    ("GET", "/"): Operation(
        summary="The endpoints, as a page for browsers, else as JSON",
        answers={200: object_of("name version endpoints")},
    ),
}
V2_OPERATIONS: Mapping[tuple[str, str], Operation] = {
    ("GET", "/runs"): Operation(
        summary="Runs, newest first",
        query=(*_RUNS, "appId", "functionId"),
        answers={200: v2_list(ref("Run"))},
        errors=(400,),
    ),
    ("GET", "/runs/{id}"): Operation(
        summary="One run",
        query=("includeOutput",),
        answers={200: v2(ref("Run"))},
        errors=(400, 404),
    ),
    ("GET", "/runs/{id}/trace"): Operation(
        summary="The steps and attempts of a run",
        query=("includeOutput",),
        answers={200: v2(ref("Trace"))},
        errors=(400, 404),
    ),
    ("POST", "/runs/{id}/cancel"): Operation(
        summary="Cancel a run",
        answers={200: v2(object_of("runId", runId=ID))},
        errors=(400, 404, 409),
    ),
    ("POST", "/runs/{id}/rerun"): Operation(
        summary="Repeat a run, or what comes from one of its steps on",
        body=object_of(
            fromStep={
                "anyOf": [
                    {"type": "null"},
                    object_of(
                        "stepId",
                        stepId={"type": "string", "minLength": 1},
                        input={"type": ["array", "null"]},
                    ),
                ]
            }
        ),
        answers={200: _RUN_STARTED},
        errors=(400, 404, 413),
    ),
    ("POST", "/runs/{id}/scores"): Operation(
        summary="Note how good a run, or a step of it, was",
        body=list_of(object_of("name value", name=STRING, value=ANY, stepId=STRING)),
        answers={200: v2(list_of(object_of("name runId value", name=STRING, runId=ID, value=ANY)))},
        errors=(400, 404, 413),
    ),
    ("POST", "/events"): Operation(
        summary="Send one event",
        body=ref("EventIn"),
        answers={200: v2(object_of("eventId", eventId=ID))},
        errors=(400, 413),
    ),
    ("GET", "/events/{id}/runs"): Operation(
        summary="The runs of an event",
        query=("limit", "cursor", "includeOutput"),
        answers={200: v2_list(ref("Run"))},
        errors=(400,),
    ),
    ("GET", "/apps"): Operation(
        summary="Apps, by name",
        query=("limit", "cursor"),
        answers={200: v2_list(ref("App"))},
        errors=(400,),
    ),
    ("GET", "/apps/{app}"): Operation(
        summary="One app", answers={200: v2(ref("App"))}, errors=(404,)
    ),
    ("GET", "/apps/{app}/functions"): Operation(
        summary="The functions of an app",
        query=("limit", "cursor"),
        answers={200: v2_list(ref("Function"))},
        errors=(400, 404),
    ),
    ("GET", "/apps/{app}/functions/{function}"): Operation(
        summary="One function", answers={200: v2(ref("Function"))}, errors=(404,)
    ),
    ("GET", "/apps/{app}/functions/{function}/runs"): Operation(
        summary="The runs of a function",
        query=_RUNS,
        answers={200: v2_list(ref("Run"))},
        errors=(400, 404),
    ),
    ("POST", "/apps/{app}/functions/{function}/invoke"): Operation(
        summary="Run one function, once per idempotency key",
        body=object_of(data=MAYBE_OBJECT, idempotencyKey=MAYBE_STRING),
        answers={200: _RUN_STARTED, 409: _RUN_STARTED},
        errors=(400, 404, 413),
    ),
    ("GET", "/health"): Operation(
        summary="Whether the server is up", answers={200: v2(object_of("status", status=STRING))}
    ),
    ("GET", "/account"): Operation(
        summary="The one account", answers={200: v2(object_of("id name"))}
    ),
    ("GET", "/envs"): Operation(
        summary="The one environment", answers={200: v2_list(object_of("id name type"))}
    ),
    ("GET", "/keys/events"): Operation(
        summary="No keys are shown", answers={200: v2_list(object_of())}
    ),
    ("GET", "/keys/signing"): Operation(
        summary="No keys are shown", answers={200: v2_list(object_of())}
    ),
    **{
        (method, f"/{name}{rest}"): _NOT_HERE
        for name in _CLOUD_ONLY
        for rest in ("", "/{rest:path}")
        for method in _METHODS_OF_CLOUD
    },
}


@cache
def document() -> Mapping[str, Any]:
    """The document, but for the version of the server."""
    return {
        "openapi": "3.1.0",
        "info": {},
        "paths": _paths(),
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "signingKey": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "The signing key or its hash; only where the server has one.",
                }
            },
        },
    }


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for (method, path), operation in _everything():
        shown = path.replace(":path}", "}")
        paths.setdefault(shown, {})[method.lower()] = _describe(method, shown, operation)
    return paths


def _everything() -> Iterator[tuple[tuple[str, str], Operation]]:
    yield from OPERATIONS.items()
    for prefix in V2_PREFIXES:
        for (method, path), operation in V2_OPERATIONS.items():
            yield (method, prefix + path), operation


def _describe(method: str, path: str, operation: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": re.sub(r"\W+", "_", f"{method.lower()}{path}").strip("_"),
        "summary": operation.summary,
        "parameters": [*_path_parameters(path), *_query_parameters(operation)],
        "responses": dict(_responses(path, operation)),
        "security": [{}] if operation.open else [{}, {"signingKey": []}],
    }
    if operation.body is not None:
        described["requestBody"] = {"content": {JSON: {"schema": operation.body}}}
        if {"$ref", "required"} & operation.body.keys() or operation.body.get("type") == "array":
            described["requestBody"]["required"] = True
    return described


def _path_parameters(path: str) -> Iterator[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        schema = PATH_PARAMETERS.get(name, NAME)
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _query_parameters(operation: Operation) -> Iterator[dict[str, Any]]:
    for name in operation.query:
        shown = SHOWN.get(name, name)
        yield {"name": shown, "in": "query", "schema": PARAMETERS[name]}


def _responses(path: str, operation: Operation) -> Iterator[tuple[str, Any]]:
    media = operation.media.partition(";")[0]
    for status, schema in operation.answers.items():
        content = {} if schema is None else {"content": {media: {"schema": schema}}}
        yield str(status), {"description": "Well" if status < 400 else "Refused", **content}
    for status in operation.errors:
        content = {"content": {media: {"schema": _error_schema(path)}}}
        yield str(status), {"description": "Refused", **content}
    if not operation.open and 401 not in operation.errors:
        refusal = {"description": "The server has keys, and this was sent without"}
        yield "401", {**refusal, "content": {"text/plain": {"schema": STRING}}}


def _error_schema(path: str) -> Schema:
    if path.startswith(V2_PREFIXES):
        return ref("Errors")
    return ref("EventReply") if path.startswith("/e/") else ref("Error")
