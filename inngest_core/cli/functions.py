"""`functions`: what a client serves, read without a server."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from .show import json_option, show_rows
from .subject import Command, Subject, client_argument, pass_subject

if TYPE_CHECKING:
    from ..function import Function

_HEAD = ("id", "name", "triggers", "retries", "kind", "options", "code")
_SHOWN_ELSEWHERE = {"id", "name", "triggers", "steps"}
_DEFAULT_RETRIES = 4


@click.command("functions", cls=Command)
@client_argument()
@json_option
@pass_subject
def functions(subject: Subject, as_json: bool) -> None:
    """
    List the functions of a client.

    They are read from the code: no server is asked, and none needs to know them yet.
    """
    found = subject.client.functions
    rows = [_record(function) if as_json else _row(function) for function in found]
    show_rows(_HEAD, rows, as_json=as_json)


def _row(function: Function[Any]) -> dict[str, Any]:
    opts = function.config.opts
    config = opts.to_wire()
    return {
        "id": function.id,
        "name": function.name,
        "triggers": [*_triggers(config)],
        "retries": _DEFAULT_RETRIES if opts.retries is None else opts.retries,
        "kind": "async" if function.is_handler_async else "blocking",
        "options": sorted(config.keys() - _SHOWN_ELSEWHERE),
        "code": _place(function),
    }


def _record(function: Function[Any]) -> dict[str, Any]:
    row = _row(function)
    return {**row, "config": function.config.opts.to_wire()}


def _triggers(config: dict[str, Any]) -> Iterator[str]:
    for trigger in config.get("triggers", ()):
        if "cron" in trigger:
            yield f"cron {trigger['cron']}"
        else:
            condition = f" if {trigger['expression']}" if trigger.get("expression") else ""
            yield f"{trigger['event']}{condition}"


def _place(function: Function[Any]) -> str | None:
    """Where the handler stands, from the working directory if it is below it."""
    code = getattr(function.handler, "__code__", None)
    if code is None:
        return None
    path = os.path.relpath(code.co_filename)
    shown = code.co_filename if path.startswith(os.pardir) else path
    return f"{shown}:{code.co_firstlineno}"
