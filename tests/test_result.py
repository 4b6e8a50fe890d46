"""Outcomes as values, and errors as the wire carries them."""

from __future__ import annotations

import json

import pytest

from inngest_core.errors import NonRetriableError, StepError, fit, format_stack
from inngest_core.result import Err, Ok, Paused, error_record


def raised(error: BaseException) -> BaseException:
    try:
        raise error
    except BaseException as caught:
        return caught


def test_an_outcome_unwraps_to_what_happened() -> None:
    assert Ok(1).unwrap() == 1
    Paused().unwrap()
    with pytest.raises(KeyError):
        Err(KeyError("k")).unwrap()


def test_an_error_has_exactly_code_message_name_and_stack() -> None:
    record = error_record(raised(ValueError("bad value")))
    assert list(record) == ["code", "message", "name", "stack"]
    assert (record["code"], record["message"], record["name"]) == (
        "unknown",
        "bad value",
        "ValueError",
    )
    stack = str(record["stack"])
    assert stack.startswith("Traceback (most recent call last):\n")
    assert stack.endswith("ValueError: bad value\n")
    assert __file__ in stack


def test_an_error_never_raised_has_no_stack() -> None:
    assert error_record(ValueError())["stack"] is None


def test_our_own_frames_are_left_out() -> None:
    try:
        Err(ValueError("x")).unwrap()
    except ValueError as error:
        stack = format_stack(error)
    assert stack is not None
    assert "result.py" not in stack.replace(__file__, "")
    assert __file__ in stack


def test_a_cause_is_added_only_where_one_was_named() -> None:
    named, unnamed = ValueError("outer"), ValueError("outer")
    named.__cause__ = unnamed.__context__ = KeyError("inner")
    cause = error_record(named)["cause"]
    assert isinstance(cause, dict)
    assert (cause["name"], cause["message"]) == ("KeyError", "'inner'")
    assert "cause" not in error_record(unnamed)


def test_a_ring_of_causes_ends() -> None:
    one, two = ValueError("1"), ValueError("2")
    one.__cause__, two.__cause__ = two, one
    json.dumps(error_record(one))


def test_a_step_error_keeps_what_the_original_was() -> None:
    record = error_record(raised(StepError("m", "Original", "their stack")))
    assert record == {
        "code": "step_errored",
        "message": "m",
        "name": "Original",
        "stack": "their stack",
    }


def test_a_subclass_has_its_own_name_and_the_code_of_ours() -> None:
    class Gone(NonRetriableError):
        pass

    record = error_record(Gone("x"))
    assert (record["name"], record["code"]) == ("Gone", "non_retriable_error")


def test_long_texts_are_cut_and_say_so() -> None:
    text = fit("a" * 100_000)
    assert len(text) < 70_000
    assert "characters cut]" in text
    assert fit("short") == "short"


def test_what_utf_8_cannot_say_is_escaped_so_that_the_error_can_be_sent() -> None:
    record = error_record(raised(OSError("no file \udcff\udc00")))
    assert record["message"] == "no file \\udcff\\udc00"
    json.dumps(record, ensure_ascii=False).encode()
    json.dumps(error_record(StepError("\ud800", "E", "\ud800")), ensure_ascii=False).encode()


def test_an_error_that_cannot_say_what_it_is_can_be_sent_all_the_same() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise RuntimeError("no words")

    assert error_record(raised(Mute()))["name"] == "Mute"
