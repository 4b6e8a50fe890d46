"""`send`: an event, as the client's own code would send it."""

from __future__ import annotations

from typing import Any

import click

from ..errors import SendEventsError, TransportError
from .api import remedy
from .data import read_object
from .failure import Failure
from .show import json_option, show_json
from .subject import Command, Subject, client_option, pass_subject


@click.command("send", cls=Command)
@click.argument("name")
@click.option(
    "--data",
    metavar="JSON",
    callback=read_object,
    help="Its data: a JSON object, @file, or - for stdin.",
)
@click.option("--id", "event_id", metavar="TEXT", help="A second event with this id is dropped.")
@client_option
@json_option
@pass_subject
def send(
    subject: Subject,
    name: str,
    data: dict[str, Any] | None,
    event_id: str | None,
    as_json: bool,
) -> None:
    """
    Send an event, and show its id.

    It passes the client's middleware and plugins. What it starts is shown by
    `runs list --event ID`.
    """
    from ..wire.event import Event

    client = subject.client
    try:
        (sent,) = client.send_sync(Event(name=name, data=data or {}, id=event_id or ""))
    except SendEventsError as error:
        if not isinstance(error.__cause__, TransportError):
            raise
        raise Failure(f"{error}; {remedy(client, client.config.event_origin)}") from error
    if as_json:
        show_json({"id": sent, "name": name})
    else:
        click.echo(sent)
