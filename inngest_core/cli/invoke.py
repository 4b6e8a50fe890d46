"""`invoke`: one function, by its id, and what becomes of the run."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import click

from .api import COMPLETED, ENDED, Api, Refused, segment
from .data import read_object, read_seconds
from .failure import Failure, WrongInput
from .runs import show_run
from .show import json_option, show_json
from .subject import Command, Subject, client_option, pass_subject

_PAUSE = 0.25
_LONGEST_PAUSE = 2.0
_MISSING = 404


@click.command("invoke", cls=Command)
@click.argument("function")
@click.option(
    "--data",
    metavar="JSON",
    callback=read_object,
    help="The event's data: a JSON object, @file, or -.",
)
@click.option("--key", metavar="TEXT", help="A second call with this key starts nothing.")
@click.option("--wait/--no-wait", default=True, help="Wait for the end of the run.  [default: do]")
@click.option(
    "--timeout",
    metavar="DURATION",
    callback=read_seconds,
    default="60s",
    show_default=True,
    help="Wait no longer than this.",
)
@client_option
@json_option
@pass_subject
def invoke(
    subject: Subject,
    function: str,
    data: dict[str, Any] | None,
    key: str | None,
    wait: bool,
    timeout: float,
    as_json: bool,
) -> None:
    """
    Run a function, and show what becomes of it.

    FUNCTION is its id as the server knows it, <app>-<function>, or <app>/<function>.
    With a client, the function's own id will do. The status is 1 if the run fails.
    """
    api = Api(subject.client)
    app, function_id = _place(api, subject, function)
    path = f"/apps/{segment(app)}/functions/{segment(function_id)}/invoke"
    body = {"data": data or {}, **({"idempotencyKey": key} if key else {})}
    run_id = _run_id(api.post(f'the function "{function}"', path, body))
    if not wait:
        show_json({"id": run_id}) if as_json else click.echo(run_id)
        return
    run = wait_for(api, run_id, timeout)
    show_run(run, as_json=as_json)
    if run["status"] != COMPLETED:
        raise Failure(
            f"the run has ended as {run['status'].lower()}: `runs show {run_id}` has more"
        )


def _run_id(document: dict[str, Any]) -> str:
    run_id = document.get("runId")
    if not run_id:
        raise Failure("no run has started yet: flow control of the function holds it back")
    return str(run_id)


def _place(api: Api, subject: Subject, function: str) -> tuple[str, str]:
    """The app of a function, and the function's id with the app's before it."""
    app, slash, short = function.partition("/")
    if slash:
        return app, short if short.startswith(f"{app}-") else f"{app}-{short}"
    if subject.is_known:
        app = subject.client.app_id
        return app, function if function.startswith(f"{app}-") else f"{app}-{function}"
    apps = [str(one.get("id")) for one in api.records("the list of apps", "/apps", {"limit": 100})]
    fitting = [one for one in apps if function.startswith(f"{one}-")]
    if not fitting:
        known = ", ".join(apps) or "none"
        raise WrongInput(
            f'no app has a function "{function}": write it as <app>/<function>; apps are: {known}'
        )
    return max(fitting, key=len), function


def wait_for(
    api: Api,
    run_id: str,
    timeout: float,
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """The run once it has ended; Failure if it has not after *timeout* seconds."""
    deadline, pause = clock() + timeout, _PAUSE
    while True:
        run = _known(api, run_id)
        if run.get("status") in ENDED:
            return run
        if clock() + pause > deadline:
            status = str(run.get("status", "unknown")).lower()
            raise Failure(
                f"{run_id} is still {status} after {timeout:g} s and goes on; "
                f"`runs show {run_id}` tells later, and --timeout waits longer"
            )
        sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _known(api: Api, run_id: str) -> dict[str, Any]:
    """The run; empty while the server has not written it down."""
    try:
        found = api.get(f"the run {run_id}", f"/runs/{segment(run_id)}", {"includeOutput": "true"})
    except Refused as refused:
        if refused.status == _MISSING:
            return {}
        raise
    return found
