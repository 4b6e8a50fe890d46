"""`runs`: list, show, cancel, rerun; through the API that Cloud and the other servers share."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any

import click

from .api import Api, segment, within
from .data import read_list
from .failure import Failure
from .show import json_option, show_json, show_record, show_rows
from .subject import Command, Subject, client_option, pass_subject

STATUSES = ("queued", "running", "completed", "failed", "cancelled", "skipped")
_HEAD = ("id", "app", "function", "status", "queued", "took")
_STEP_HEAD = ("step", "op", "status", "attempts", "took", "output")
_MOST = 100


@click.group("runs")
def runs() -> None:
    """List, show, cancel and repeat runs."""


@runs.command("list", cls=Command)
@click.option("--status", "statuses", multiple=True, type=click.Choice(STATUSES))
@click.option("--app-id", metavar="ID", help="Of this app.  [default: of the client, if there is]")
@click.option("--function", metavar="ID", help="Of this function of the app.")
@click.option("--event", metavar="ID", help="Started by this event.")
@click.option("--all", "every", is_flag=True, help="Of every app, also where there is a client.")
@click.option("--limit", type=click.IntRange(1, _MOST), default=20, show_default=True)
@client_option
@json_option
@pass_subject
def list_runs(
    subject: Subject,
    statuses: tuple[str, ...],
    app_id: str | None,
    function: str | None,
    event: str | None,
    every: bool,
    limit: int,
    as_json: bool,
) -> None:
    """List runs, the newest first."""
    if event and (statuses or function or app_id):
        raise click.UsageError("--event stands alone: an event starts few runs.")
    if app_id is None and subject.is_known and not every:
        app_id = subject.client.app_id
    if function and not app_id:
        raise click.UsageError("--function needs --app-id: another app may have one of that name.")
    api = Api(subject.client)
    if event:
        found = api.records(
            f"the event {event}", f"/events/{segment(event)}/runs", {"limit": limit}
        )
    else:
        wanted = [status.upper() for status in statuses]
        query = {"status": wanted, "appId": app_id, "functionId": function, "limit": limit}
        found = api.records("the list of runs", "/runs", query)
    show_rows(_HEAD, found if as_json else [*map(_row, found)], as_json=as_json)


def _row(run: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": run.get("id"),
        "app": within(run, "app", "id"),
        "function": within(run, "function", "id"),
        "status": run.get("status"),
        "queued": _moment(run.get("queuedAt")),
        "took": _took(run),
    }


@runs.command("show", cls=Command)
@click.argument("run_id")
@client_option
@json_option
@pass_subject
def show(subject: Subject, run_id: str, as_json: bool) -> None:
    """Show a run, its output and its steps."""
    api = Api(subject.client)
    what, path, query = f"the run {run_id}", f"/runs/{segment(run_id)}", {"includeOutput": "true"}
    run = api.get(what, path, query)
    trace = api.get(what, f"{path}/trace", query)
    root = trace.get("rootSpan")
    if as_json:
        show_json({**run, "trace": root})
        return
    show_run(run, as_json=False)
    steps = [*map(_step, within(trace, "rootSpan", "children") or ())]
    if steps:
        click.echo()
        show_rows(_STEP_HEAD, steps, as_json=False)


def show_run(run: Mapping[str, Any], *, as_json: bool) -> None:
    """Show a run as the API tells of it."""
    if as_json:
        show_json(run)
        return
    record = {**_row(run), "started": _moment(run.get("startedAt")), **_end(run)}
    show_record(record, as_json=False)


def _end(thing: Mapping[str, Any]) -> dict[str, Any]:
    """The output or the error of a run or step, out of the object that the API puts it in."""
    output = thing.get("output")
    if not isinstance(output, dict):
        return {}
    if set(output) == {"error"}:
        return {"error": _error(output["error"])}
    return {"output": output["data"] if set(output) == {"data"} else output}


def _error(error: Any) -> Any:
    """Name and message, where an error has them; the stack is for --json."""
    if not isinstance(error, dict):
        return error
    parts = [str(error[key]) for key in ("name", "message") if error.get(key)]
    return ": ".join(parts) or error


def _step(span: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "step": span.get("name"),
        "op": span.get("stepOp"),
        "status": span.get("status"),
        "attempts": len(span.get("children") or ()) or None,
        "took": _took(span),
        "output": next(iter(_end(span).values()), None),
    }


def _took(thing: Mapping[str, Any]) -> str | None:
    ms = thing.get("durationMs")
    if ms is None:
        return None
    try:
        milliseconds = int(ms)
    except (TypeError, ValueError):
        return str(ms)
    return f"{milliseconds} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.1f} s"


def _moment(text: Any) -> str | None:
    """An instant in the clock of this machine, to the second."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return text
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")


@runs.command("cancel", cls=Command)
@click.argument("run_ids", metavar="RUN_ID...", nargs=-1, required=True)
@client_option
@json_option
@pass_subject
def cancel(subject: Subject, run_ids: tuple[str, ...], as_json: bool) -> None:
    """Cancel runs. The status is 1 if one could not be cancelled; the others are."""
    api = Api(subject.client)
    results = [_cancelled(api, run_id) for run_id in run_ids]
    show_rows(("id", "result"), results, as_json=as_json)
    if any(result["result"] != "cancelled" for result in results):
        raise Failure("not every run was cancelled")


def _cancelled(api: Api, run_id: str) -> dict[str, str]:
    try:
        api.post(f"the run {run_id}", f"/runs/{segment(run_id)}/cancel")
    except Failure as failure:
        return {"id": run_id, "result": failure.format_message()}
    return {"id": run_id, "result": "cancelled"}


@runs.command("rerun", cls=Command)
@click.argument("run_id")
@click.option("--from-step", metavar="NAME", help="Keep what came before this step.")
@click.option(
    "--input", "edited", metavar="JSON", callback=read_list, help="New arguments of that step."
)
@client_option
@json_option
@pass_subject
def rerun(
    subject: Subject, run_id: str, from_step: str | None, edited: list[Any] | None, as_json: bool
) -> None:
    """Repeat a run as a new one, with the same events, and show its id."""
    if edited is not None and not from_step:
        raise click.UsageError("--input is for the step that --from-step names.")
    wish: dict[str, Any] = {}
    if from_step:
        wish["fromStep"] = {"stepId": from_step}
        if edited is not None:
            wish["fromStep"]["input"] = edited
    path = f"/runs/{segment(run_id)}/rerun"
    started = Api(subject.client).post(f"the run {run_id}", path, wish).get("runId")
    show_json({"id": started, "of": run_id}) if as_json else click.echo(started)
