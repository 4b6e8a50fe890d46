"""The changes: each becomes a command to the engine."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
from graphql import GraphQLError

from inngest_contrib.devserver.api.gql.ask import Ask
from inngest_contrib.devserver.api.gql.shapes import Shape, app_shape, function_run_shape
from inngest_contrib.devserver.api.replies import ApiError
from inngest_contrib.devserver.api.reruns import repeat
from inngest_contrib.devserver.discovery import UNREACHABLE, ask_to_sync
from inngest_contrib.devserver.engine.commands import (
    Cancelled,
    CancelRun,
    InvokeFunction,
    NoteAppError,
    RemoveApp,
)
from inngest_contrib.devserver.views import AppView, RunView


async def _create_app(info: Any, input: Any) -> Shape:
    """Ask an app to register, and wait until it has."""
    ask: Ask = info.context
    url = input["url"]
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as client:
        problem = await ask_to_sync(client, url, ask.api.keys)
    if problem:
        await ask.api.server.submit(NoteAppError(url, problem))
        told = "unreachable" if problem.startswith(UNREACHABLE) else problem
        raise GraphQLError(told)
    found = (app for app in ask.reads.apps() if app.url == url)
    app = next(found, None) or _latest(ask)
    if app is None:
        raise GraphQLError("the app answered, but registered with another server")
    return app_shape(ask, app)


def _latest(ask: Ask) -> AppView | None:
    """The app that has registered last: its own address may differ from where it was asked."""
    return max(ask.reads.apps(), key=lambda app: app.synced_at, default=None)


async def _delete_app(info: Any, id: str) -> str:
    await _remove(info.context, [app for app in info.context.reads.apps() if app.id == id])
    return id


async def _delete_app_by_name(info: Any, name: str) -> bool:
    await _remove(info.context, [app for app in info.context.reads.apps() if app.name == name])
    return True


async def _remove(ask: Ask, apps: list[AppView]) -> None:
    if not apps:
        raise GraphQLError("app not found")
    for app in apps:
        await ask.api.server.submit(RemoveApp(app.url))


async def _invoke_function(info: Any, functionSlug: str, **given: Any) -> bool:
    ask: Ask = info.context
    data, user = given.get("data") or {}, given.get("user")
    if not isinstance(data, dict) or not isinstance(user, dict | None):
        raise GraphQLError("data and user must be objects")
    if not any(one.slug == functionSlug and not one.archived for one in ask.reads.functions()):
        raise GraphQLError(f"function not found: {functionSlug}")
    await ask.api.server.submit(InvokeFunction(slug=functionSlug, data=data, user=user))
    return True


async def _cancel_run(info: Any, runID: str) -> Shape:
    ask: Ask = info.context
    run = _find(ask, runID)
    outcome = await ask.api.server.submit(CancelRun(run.id))
    if outcome is not Cancelled.DONE:
        raise GraphQLError("cannot cancel an ended run")
    return function_run_shape(ask, _find(ask, run.id))


async def _rerun(info: Any, runID: str, fromStep: Any = None, **more: Any) -> str:
    ask: Ask = info.context
    run = _find(ask, runID)
    try:
        return await repeat(ask.api, run, None if fromStep is None else _wish(fromStep))
    except ApiError as error:
        raise GraphQLError(str(error)) from error


def _wish(given: Any) -> dict[str, Any]:
    try:
        changed = json.loads(given.get("input") or "null")
    except ValueError as error:
        raise GraphQLError("fromStep.input must be an array, written as JSON text") from error
    return {"stepId": given["stepID"], "input": changed}


def _find(ask: Ask, run_id: str) -> RunView:
    run = ask.reads.run(str(run_id))
    if run is None:
        raise GraphQLError("run not found")
    return run


MUTATIONS = {
    "createApp": _create_app,
    "deleteApp": _delete_app,
    "deleteAppByName": _delete_app_by_name,
    "invokeFunction": _invoke_function,
    "cancelRun": _cancel_run,
    "rerun": _rerun,
}
