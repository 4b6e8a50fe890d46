"""Values on the command line: JSON, as it is typed or from a file, and durations."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ..wire.time import parse_duration

Reader = Callable[[click.Context, click.Parameter, str | None], Any]

_STDIN = ("-", "@-")


def json_of(kind: type, wanted: str) -> Reader:
    """What reads an option as JSON of a kind; `@file` and `-` say where it is. wanted: in words."""

    def read(context: click.Context, option: click.Parameter, text: str | None) -> Any:
        if text is None:
            return None
        try:
            found = json.loads(_contents(text))
        except OSError as error:
            raise click.BadParameter(f"{text[1:]} cannot be read: {error.strerror}.") from error
        except ValueError as error:
            raise click.BadParameter(f"{error}. Quote the JSON, or write @file.") from error
        if not isinstance(found, kind):
            raise click.BadParameter(f"expected {wanted}, got {json.dumps(found)[:60]}.")
        return found

    return read


read_object = json_of(dict, "an object")
read_list = json_of(list, "a list")


def _contents(text: str) -> str:
    if text in _STDIN:
        return sys.stdin.read()
    return Path(text[1:]).read_text(encoding="utf-8") if text.startswith("@") else text


def read_seconds(context: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """Seconds of a text like `30s` or `1h30m`."""
    if text is None:
        return None
    try:
        return parse_duration(text) / 1000
    except ValueError as error:
        raise click.BadParameter(f"{error}.") from error
