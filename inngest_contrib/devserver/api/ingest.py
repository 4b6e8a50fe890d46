"""What starts work: events, and the direct invocation of a function."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from inngest_contrib.devserver.api.context import (
    Api,
    find_app,
    find_function,
    read_body,
    read_object,
)
from inngest_contrib.devserver.api.replies import TEXT, ApiError, reply, reply_v2
from inngest_contrib.devserver.engine.commands import InvokeFunction, ReceiveEvents
from inngest_contrib.devserver.events import EventRefused, read_batch, read_event
from inngest_core.wire.names import Header


async def send_events(api: Api, request: Request) -> Response:
    """POST /e/{key}: accept events up to the first bad one, and say which ids they got."""
    body = await read_body(request)
    batch = read_batch(body, request.headers.get(Header.EVENT_ID_SEED))
    ids = await api.server.submit(ReceiveEvents(batch.events)) if batch.events else [""]
    status = 400 if batch.error else 200
    document = {"ids": ids, "status": status}
    if batch.error:
        document["error"] = batch.error
    return reply(document, status, media=TEXT)


async def refuse_empty_key(api: Api, request: Request) -> Response:
    """POST /e/: there must be an event key, though any text will do here."""
    reason = "The event key is missing: send to /e/<event key>; any text will do as a key"
    return reply(
        {"ids": [""], "status": 303, "error": reason}, 303, media=TEXT, headers={"location": "/e"}
    )


async def invoke(api: Api, request: Request) -> Response:
    """POST /invoke/{slug}: run one function. An unknown one is answered like a known one."""
    try:
        payload = await read_object(request)
    except ApiError as error:
        raise ApiError(400, "Unable to read post data request") from error
    data, user = payload.get("data"), payload.get("user")
    data = {} if data is None else data
    if not isinstance(data, dict) or not isinstance(user, (dict, type(None))):
        raise ApiError(400, "Unable to read post data request")
    slug = request.path_params["slug"]
    invoked = await api.server.submit(InvokeFunction(slug=slug, data=data, user=user))
    return reply({"id": invoked.event_id, "status": 200}, media=TEXT)


async def send_event_v2(api: Api, request: Request) -> Response:
    """POST /v2/events: accept one event."""
    payload = await read_object(request)
    if not payload.get("name"):
        raise ApiError(400, "Event name is required", code="missing_field")
    try:
        event = read_event(payload)
    except EventRefused as error:
        raise ApiError(400, str(error)) from error
    (event_id,) = await api.server.submit(ReceiveEvents([event]))
    return reply_v2({"eventId": event_id})


async def invoke_v2(api: Api, request: Request) -> Response:
    """POST /v2/apps/{app}/functions/{function}/invoke: run one function, once per key."""
    payload = await read_object(request)
    function = find_function(api, find_app(api, request.path_params["app"]), _function_of(request))
    data, key = payload.get("data"), payload.get("idempotencyKey")
    data = {} if data is None else data
    if not isinstance(data, dict) or not isinstance(key, (str, type(None))):
        raise ApiError(400, "data must be an object and idempotencyKey a text")
    command = InvokeFunction(slug=function.slug, data=data, key=key or "")
    invoked = await api.server.submit(command)
    status = 409 if invoked.known else 200
    if invoked.run_id is None:
        # Flow control holds the event back, or lets it start nothing.
        return reply_v2({"runId": None, "eventId": invoked.event_id}, status)
    return reply_v2({"runId": invoked.run_id}, status)


def _function_of(request: Request) -> str:
    return str(request.path_params["function"])
