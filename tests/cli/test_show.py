"""Tables and records, of values that come from anywhere."""

from __future__ import annotations

import json

import pytest

from inngest_core.cli.show import show_record, show_rows

HEAD = ("name", "what")


def test_columns_are_as_wide_as_they_must_be(capsys: pytest.CaptureFixture[str]) -> None:
    show_rows(HEAD, [{"name": "a", "what": [1, 2]}, {"name": "longer"}], as_json=False)
    assert capsys.readouterr().out == "NAME    WHAT\na       1, 2\nlonger  -\n"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("two\nlines", "two lines"),
        ("\x1b[31mred", r"\x1b[31mred"),
        ("\u202ebackwards", r"\u202ebackwards"),
        ({"a": "\x1b"}, '{"a": "\\u001b"}'),
        ("größer", "größer"),
        (0, "0"),
        (None, "-"),
    ],
)
def test_a_value_is_one_line_that_a_terminal_does_not_obey(
    value: object, shown: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show_record({"x": value}, as_json=False)
    assert capsys.readouterr().out == f"x:  {shown}\n"


def test_a_table_cuts_what_is_long_and_json_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    rows = [{"name": "a", "what": "x" * 500}]
    show_rows(HEAD, rows, as_json=False)
    assert max(map(len, capsys.readouterr().out.splitlines())) < 140
    show_rows(HEAD, rows, as_json=True)
    assert json.loads(capsys.readouterr().out) == rows
