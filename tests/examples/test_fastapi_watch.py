"""
The demo reads runs, steps and attempts out of the server's answers.
"""

from __future__ import annotations

from typing import Any

import pytest

from examples.fastapi.watch import moment, order_of, read_run

LISTED: dict[str, Any] = {
    "id": "01M81ES1F52ZV8DAQCAWTXDJFM",
    "function": {"id": "make-label", "name": "make-label"},
    "status": "COMPLETED",
    "queuedAt": "2026-11-22T11:03:04.933Z",
    "startedAt": "2026-11-22T11:03:05.031123456Z",
    "endedAt": "2026-11-22T11:03:08.5Z",
    "output": {"data": "Postwagen-1"},
}
STEP: dict[str, Any] = {
    "name": "book carrier",
    "stepId": "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8",
    "stepOp": "RUN",
    "status": "COMPLETED",
    "queuedAt": "2026-11-22T11:03:05Z",
    "startedAt": "2026-11-22T11:03:06Z",
    "endedAt": "2026-11-22T11:03:08.25Z",
    "output": {"data": "Postwagen-1"},
    "children": [{"name": "Attempt 0"}, {"name": "Attempt 1"}, {"name": "Attempt 2"}],
}
ROOT: dict[str, Any] = {
    "input": {"data": [{"name": "shop/label.wanted", "data": {"order": {"order_id": "A-1005"}}}]},
    "children": [STEP, {"name": "Finalization", "status": "COMPLETED"}],
}


def test_a_run_is_read_with_its_order_and_its_steps() -> None:
    run = read_run(LISTED, ROOT)
    assert (run.function, run.order_id, run.status) == ("make-label", "A-1005", "COMPLETED")
    assert run.ended is not None
    assert run.ended - run.queued == pytest.approx(3.567)
    assert [step.name for step in run.steps] == ["book carrier"]


def test_the_attempts_of_a_step_are_counted() -> None:
    assert read_run(LISTED, ROOT).steps[0].tries == 3
    assert read_run(LISTED, ROOT).tries == 3


def test_the_count_of_the_server_is_taken_where_it_gives_one() -> None:
    counted = {**STEP, "attempts": 2, "children": [{"name": "Attempt 0"}]}
    assert read_run(LISTED, {**ROOT, "children": [counted]}).tries == 2


def test_a_run_that_has_not_ended_has_no_end() -> None:
    listed = {key: value for key, value in LISTED.items() if key not in ("endedAt", "output")}
    assert read_run(listed, {"input": ROOT["input"]}).ended is None


@pytest.mark.parametrize(
    "data",
    [
        {"order_id": "A-1"},
        {"order": {"order_id": "A-1"}, "_inngest": {}},
        {"event": {"name": "shop/payment.requested", "data": {"order_id": "A-1"}}, "error": {}},
    ],
)
def test_the_order_is_found_in_every_kind_of_event(data: dict[str, Any]) -> None:
    assert order_of(data) == "A-1"


def test_an_event_may_be_about_no_order() -> None:
    assert order_of({"orders": []}) == ""


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1970-01-01T00:00:01Z", 1.0),
        ("1970-01-01T00:00:01.25Z", 1.25),
        ("1970-01-01T00:00:01.123456789Z", 1.123456789),
    ],
)
def test_times_are_read_with_any_number_of_decimals(text: str, seconds: float) -> None:
    assert moment(text) == pytest.approx(seconds)
