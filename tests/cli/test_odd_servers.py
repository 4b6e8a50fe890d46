"""What answers may be no Inngest server: a command ends with a line, and not with a traceback."""

from __future__ import annotations

import itertools
from typing import Any

import click
import pytest

import inngest_core as inngest
from inngest_core.cli import build
from inngest_core.plugin import HttpRequest, HttpResponse

BODIES = [
    b"<html>a proxy</html>",
    b"[1, 2]",
    b"null",
    b'"text"',
    b"\xff\xfe",
    b'{"data": null}',
    b'{"data": [1, null]}',
    b'{"data": {"id": 5, "latestSync": 7, "rootSpan": 1, "durationMs": {}, "app": []}}',
]
COMMANDS = [
    "runs list",
    "runs list --json",
    "runs list --event x",
    "runs show x",
    "runs show x --json",
    "runs cancel x",
    "runs rerun x",
    "invoke a --timeout 0s",
    "invoke a --no-wait",
    "sync shop.test",
    "doctor --url shop.test",
]


class Odd:
    """A transport to a server that always says the same."""

    def __init__(self, status: int, body: bytes) -> None:
        self._response = HttpResponse(status, {"date": "yesterday"}, body)

    @inngest.hookimpl
    def inngest_transport(self, kind: str) -> Any:
        return self

    def send(self, request: HttpRequest) -> HttpResponse:
        return self._response

    def close(self) -> None: ...


def complaint(client: inngest.Inngest, words: str) -> str:
    """What a command says is wrong; nothing if it says nothing. Other errors go through."""
    try:
        build(client).main(words.split(), standalone_mode=False)
    except click.ClickException as error:
        return error.format_message()
    return ""


@pytest.mark.parametrize("words", COMMANDS)
def test_whatever_answers_a_command_ends_with_a_line_at_most(words: str) -> None:
    for status, body in itertools.product((200, 404, 500), BODIES):
        client = inngest.Inngest(app_id="shop", is_production=False, plugins=[Odd(status, body)])
        said = complaint(client, words)
        assert "\n" not in said


def test_what_is_no_inngest_server_is_told_so() -> None:
    client = inngest.Inngest(app_id="shop", is_production=False, plugins=[Odd(200, BODIES[0])])
    with pytest.raises(click.ClickException, match=r"does not speak as an Inngest server.*check"):
        build(client).main(["runs", "list"], standalone_mode=False)
