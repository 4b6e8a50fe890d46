"""The shapes of what the interface takes and answers, as JSON Schema for its OpenAPI document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Schema = Mapping[str, Any]


def ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def list_of(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def object_of(required: str = "", **properties: Any) -> Schema:
    shape: dict[str, Any] = {"type": "object", "properties": properties}
    return {**shape, "required": required.split()} if required else shape


def v1(data: Schema) -> Schema:
    return object_of(
        "data metadata", data=data, metadata=object_of("fetched_at", fetched_at=INSTANT)
    )


def v2(data: Schema) -> Schema:
    return object_of("data metadata", data=data, metadata=object_of("fetchedAt", fetchedAt=INSTANT))


def v2_list(item: Schema) -> Schema:
    """A list of `/v2`; an empty one is left out."""
    metadata = object_of("fetchedAt", fetchedAt=INSTANT)
    return object_of("metadata page", data=list_of(item), metadata=metadata, page=ref("Page"))


ANY: Schema = {}
STRING: Schema = {"type": "string"}
NUMBER: Schema = {"type": "integer"}
FLAG: Schema = {"type": "boolean"}
INSTANT: Schema = {"type": "string", "format": "date-time"}
MAYBE_INSTANT: Schema = {"type": "string", "anyOf": [{"format": "date-time"}, {"maxLength": 0}]}
MAYBE_FLAG: Schema = {"type": "string", "enum": ["true", "false", ""]}
ID: Schema = {"type": "string", "pattern": "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"}
MAYBE_OBJECT: Schema = {"type": ["object", "null"]}
MAYBE_STRING: Schema = {"type": ["string", "null"]}
NAME: Schema = {"type": "string", "minLength": 1, "pattern": "^[^/]+$"}

PARAMETERS: Mapping[str, Schema] = {
    "app_id": STRING,
    "appId": STRING,
    "channel": STRING,
    "cursor": STRING,
    "from": MAYBE_INSTANT,
    "functionId": STRING,
    "includeOutput": MAYBE_FLAG,
    "isDeferred": MAYBE_FLAG,
    "limit": {"type": "integer", "minimum": 0, "maximum": 100},
    "metadata": STRING,
    "name": STRING,
    "pageSize": {"type": "integer", "minimum": 1, "maximum": 100},
    "order": {"type": "string", "enum": ["asc", "desc"]},
    "run_id": STRING,
    "status": {
        "type": "string",
        "enum": ["QUEUED", "RUNNING", "COMPLETED", "FAILED", "CANCELLED", "SKIPPED"],
    },
    "timeField": {"type": "string", "enum": ["QUEUED_AT", "STARTED_AT", "ENDED_AT"]},
    "token": STRING,
    "topic": STRING,
    "until": MAYBE_INSTANT,
    "url": STRING,
}
SHOWN = {"pageSize": "limit"}
"""The parameters that are called otherwise: both interfaces have a limit, with different bounds."""
PATH_PARAMETERS: Mapping[str, Schema] = {"env": NAME, "id": ID, "rest": NAME}

EVENT_IN: Schema = object_of(
    "name",
    name={"type": "string", "minLength": 1, "not": {"pattern": "^[iI][nN][nN][gG][eE][sS][tT]/"}},
    data=MAYBE_OBJECT,
    id=MAYBE_STRING,
    ts={"type": ["integer", "null"], "minimum": 315532800000, "maximum": 4102444800000},
    user=MAYBE_OBJECT,
    v=MAYBE_STRING,
)
SCHEMAS: Mapping[str, Schema] = {
    "App": object_of(
        "id name method functionCount createdAt",
        id=STRING,
        name=STRING,
        method={"enum": ["SERVE", "CONNECT"]},
        functionCount=NUMBER,
        createdAt=INSTANT,
        latestSync=object_of(),
    ),
    "Error": object_of("error status", error=STRING, data=ANY, status=NUMBER, code=STRING),
    "Errors": object_of(
        "errors", errors=list_of(object_of("code message", code=STRING, message=STRING))
    ),
    "Event": object_of(
        "internal_id name received_at data ts",
        internal_id=ID,
        id=STRING,
        name=STRING,
        data=object_of(),
        ts=NUMBER,
        received_at=INSTANT,
    ),
    "EventIn": EVENT_IN,
    "EventReply": object_of("ids status", ids=list_of(STRING), status=NUMBER, error=STRING),
    "Function": object_of(
        "id name slug triggers configuration",
        id=STRING,
        name=STRING,
        slug=STRING,
        app=object_of("id", id=STRING),
        triggers=list_of(object_of("type value", type=STRING, value=STRING, condition=STRING)),
        configuration=object_of(),
    ),
    "GraphQL": object_of(data=MAYBE_OBJECT, errors=list_of(object_of("message", message=STRING))),
    "Job": object_of(
        "JobID at position kind attempt",
        JobID=STRING,
        at=INSTANT,
        position=NUMBER,
        kind={"enum": ["start", "edge", "sleep", "pause"]},
        attempt=NUMBER,
    ),
    "Page": object_of(cursor=STRING, hasMore=FLAG, limit=NUMBER),
    "Run": object_of(
        "id app function status queuedAt trigger",
        id=ID,
        app=object_of("id", id=STRING),
        function=object_of("id name", id=STRING, name=STRING),
        status=PARAMETERS["status"],
        queuedAt=INSTANT,
        startedAt=INSTANT,
        endedAt=INSTANT,
        durationMs=STRING,
        output=object_of(),
        trigger=object_of("eventIds", eventIds=list_of(STRING)),
    ),
    "RunV1": object_of(
        "run_id function_id status run_started_at",
        run_id=ID,
        function_id=STRING,
        event_id=MAYBE_STRING,
        status=STRING,
        run_started_at=INSTANT,
        ended_at=MAYBE_STRING,
        output=ANY,
    ),
    "Trace": object_of("runId rootSpan", runId=ID, rootSpan=object_of("id name status")),
}
