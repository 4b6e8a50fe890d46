"""
What an app's sync does: functions come, change and go; runs already started go on.

The payload was validated before; here it is only read.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256

from inngest_contrib.devserver.engine import schedules, terms, text
from inngest_contrib.devserver.engine.commands import (
    Json,
    NoteAppError,
    RemoveApp,
    SyncApp,
    Synced,
)
from inngest_contrib.devserver.engine.ids import stable_uuid
from inngest_contrib.devserver.engine.limits import CANCEL_WINDOW, DAY, DEFAULT_RETRIES, MAX_RETRIES
from inngest_contrib.devserver.engine.options import read_options
from inngest_contrib.devserver.engine.state import App, CancelOn, Function, Trigger
from inngest_contrib.devserver.engine.turn import Turn
from inngest_core.wire.time import parse_duration

_FOREVER = 100 * 365 * DAY


def sync(turn: Turn, command: SyncApp) -> Synced:
    """Take over a registration. The app's name is its identity; its URL may change."""
    app_id = stable_uuid("app", command.name)
    known = turn.state.apps.get(app_id)
    checksum = command.checksum or _checksum(command)
    modified = known is None or known.checksum != checksum or known.error != ""
    app = App(
        id=app_id,
        name=text.clean(command.name),
        url=text.clean(command.url),
        sdk=text.clean(command.sdk),
        framework=text.clean(command.framework),
        version=text.clean(command.version),
        method=command.method,
        checksum=checksum,
        synced_at=turn.now,
    )
    # Read first: a payload that cannot be read must leave everything as it was.
    functions = [read_function(app, config) for config in command.functions]
    _forget_placeholder(turn, command.url)
    turn.state.apps[app_id] = app
    turn.changes.keep(app)
    if modified:
        _take_functions(turn, app, functions)
    return Synced(app_id=app_id, sync_id=turn.ids.uuid(), modified=modified)


def note_error(turn: Turn, command: NoteAppError) -> None:
    """Remember what is wrong with the app at a URL, also when it has never been synced."""
    app = _find(turn, command.url)
    if app is None:
        if not command.error:
            return
        app = App(id=stable_uuid("url", command.url), name="", url=command.url)
        turn.state.apps[app.id] = app
    if app.error != command.error:
        app.error = command.error
        turn.changes.keep(app)


def remove(turn: Turn, command: RemoveApp) -> bool:
    """Forget an app; its functions are kept, archived, for the runs they have."""
    app = _find(turn, command.url)
    if app is None:
        return False
    _archive(turn, app, keep=())
    del turn.state.apps[app.id]
    turn.changes.drop(app)
    return True


def _find(turn: Turn, url: str) -> App | None:
    return next((app for app in turn.state.apps.values() if app.url == url), None)


def _forget_placeholder(turn: Turn, url: str) -> None:
    placeholder = turn.state.apps.pop(stable_uuid("url", url), None)
    if placeholder is not None:
        turn.changes.drop(placeholder)


def _checksum(command: SyncApp) -> str:
    facts = [
        command.url,
        command.sdk,
        command.framework,
        command.version,
        command.method,
        list(command.functions),
    ]
    return sha256(text.write(facts)).hexdigest()


def _take_functions(turn: Turn, app: App, functions: Sequence[Function]) -> None:
    _archive(turn, app, keep={function.id for function in functions})
    for function in functions:
        add_function(turn, function)
        turn.changes.keep(function)


def add_function(turn: Turn, function: Function) -> None:
    """Make a function known, in place of what it was before: its runs see the new one."""
    known = turn.state.functions.get(function.id)
    if known is not None:
        renewed = (known.options, known.by_worker) != (function.options, function.by_worker)
        _overwrite(known, function)
        function = known
        if renewed:
            terms.renew(turn, function)
    turn.state.functions[function.id] = function
    turn.state.slugs[function.slug] = function
    schedules.plan(turn, function)


def _overwrite(known: Function, new: Function) -> None:
    for field in Function.__slots__:
        setattr(known, field, getattr(new, field))


def _archive(turn: Turn, app: App, *, keep: set[str] | tuple[()]) -> None:
    for function in turn.state.functions.values():
        if function.app_id == app.id and function.id not in keep and not function.archived:
            function.archived = True
            schedules.plan(turn, function)
            turn.changes.keep(function)


def read_function(app: App, config: Mapping[str, Json]) -> Function:
    """The function of a registered function object."""
    name = text.clean(str(config.get("name") or config["id"]))
    slug = text.clean(str(config.get("id") or name.lower().replace(" ", "-")))
    timeouts = config.get("timeouts") or {}
    return Function(
        id=stable_uuid("function", app.name, slug),
        slug=slug,
        name=name,
        app_id=app.id,
        app_name=app.name,
        url=_runtime_url(config, app.url, slug),
        config=text.write(config),
        retries=_retries(config),
        triggers=tuple(_trigger(trigger) for trigger in config.get("triggers") or ()),
        cancels=tuple(_cancel(cancel) for cancel in config.get("cancel") or ()),
        start_timeout=_lenient_duration(timeouts.get("start")),
        finish_timeout=_lenient_duration(timeouts.get("finish")),
        options=read_options(config),
    )


def _step(config: Mapping[str, Json]) -> Mapping[str, Json]:
    steps = config.get("steps") or {}
    return next(iter(steps.values()), {})


def _runtime_url(config: Mapping[str, Json], app_url: str, slug: str) -> str:
    runtime = _step(config).get("runtime") or {}
    return text.clean(str(runtime.get("url") or f"{app_url}?fnId={slug}&stepId=step"))


def _retries(config: Mapping[str, Json]) -> int:
    declared = (_step(config).get("retries") or {}).get("attempts", config.get("retries"))
    if declared is None:
        return DEFAULT_RETRIES
    return min(max(int(declared), 0), MAX_RETRIES)


def _trigger(trigger: Mapping[str, Json]) -> Trigger:
    return Trigger(
        event=trigger.get("event") or "",
        expression=trigger.get("expression") or None,
        cron=trigger.get("cron") or "",
        jitter=_lenient_duration(trigger.get("jitter")) or 0,
    )


def _cancel(cancel: Mapping[str, Json]) -> CancelOn:
    timeout = _lenient_duration(cancel.get("timeout"))
    return CancelOn(
        event=cancel["event"],
        expression=cancel.get("if") or None,
        timeout=CANCEL_WINDOW if timeout is None else timeout,
    )


def _lenient_duration(value: Json) -> int | None:
    # The real server accepts bad durations here without a word, and ignores them.
    try:
        return min(parse_duration(value), _FOREVER) if value else None
    except (TypeError, ValueError, OverflowError):
        return None
