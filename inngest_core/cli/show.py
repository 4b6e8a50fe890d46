"""
How results are shown: tables for people, JSON for programs.

Law: a command hands over the same values for both; `--json` gives one document on stdout.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

_NOTHING = "-"
_WIDEST = 120


def json_option(function: F) -> F:
    """Let a command show JSON; its function is told by `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="Show one JSON document.")(function)


def show_json(value: Any) -> None:
    """Show a value as JSON that a person can read, too."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def show_rows(head: Sequence[str], rows: Sequence[Mapping[str, Any]], *, as_json: bool) -> None:
    """Show records: a table of the columns in *head*, or all they have as JSON."""
    if as_json:
        show_json([dict(row) for row in rows])
        return
    cells = [[_cut(_cell(row.get(name))) for name in head] for row in rows]
    for line in table([[name.upper().replace("_", " ") for name in head], *cells]):
        click.echo(line)


def show_record(record: Mapping[str, Any], *, as_json: bool) -> None:
    """Show one record: a line for each value, or all as JSON."""
    if as_json:
        show_json(dict(record))
        return
    for line in table([[f"{name}:", _cell(value)] for name, value in record.items()]):
        click.echo(line)


def table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """The lines of a table, its columns as wide as they must be."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield "  ".join(cells).rstrip()


def _cell(value: Any) -> str:
    """One line: a cell with a line break would end its table."""
    if value is None or value == "" or value == []:
        return _NOTHING
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_cell, value))
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False, default=str)
    line = " ".join(str(value).split())
    # What comes from a server may hold what a terminal would obey.
    return line if line.isprintable() else "".join(map(_visible, line))


def _visible(char: str) -> str:
    return char if char.isprintable() else char.encode("unicode_escape").decode()


def _cut(cell: str) -> str:
    """A cell that leaves room for others; `--json` has all of it."""
    return cell if len(cell) <= _WIDEST else f"{cell[: _WIDEST - 1]}…"
