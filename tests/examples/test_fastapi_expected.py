"""
What the demo expects follows from the CSV, and anything else is reported.
"""

from __future__ import annotations

from collections import Counter

from examples.fastapi.expected import deviations, expected_runs
from examples.fastapi.orders import read_orders
from examples.fastapi.watch import Run, Step


def ended_as_expected() -> list[Run]:
    return [
        Run(
            id=str(number),
            function=outcome.function,
            order_id=outcome.order_id,
            status=outcome.status,
            queued=0,
            ended=1,
            output={"state": outcome.state} if outcome.state else None,
            steps=(
                Step(
                    name="step",
                    op="RUN",
                    status="COMPLETED",
                    tries=outcome.tries,
                    started=0,
                    ended=1,
                ),
            ),
        )
        for number, outcome in enumerate(expected_runs(read_orders()))
    ]


def test_every_order_is_fulfilled_once_and_the_day_is_counted() -> None:
    functions = Counter(outcome.function for outcome in expected_runs(read_orders()))
    assert functions["fulfil-order"] == 42
    assert functions["day-report"] == 1


def test_every_kind_of_ending_is_expected_somewhere() -> None:
    outcomes = expected_runs(read_orders())
    assert {outcome.status for outcome in outcomes} == {"COMPLETED", "FAILED", "CANCELLED"}
    assert {"shipped", "on hold", "refused"} <= {outcome.state for outcome in outcomes}
    assert max(outcome.tries for outcome in outcomes) == 3


def test_nothing_is_reported_when_all_went_well() -> None:
    assert deviations(read_orders(), ended_as_expected()) == []


def test_a_run_that_ended_otherwise_is_reported_with_what_was_expected() -> None:
    runs = ended_as_expected()
    changed = [run for run in runs if run.function != "day-report"]
    assert deviations(read_orders(), changed) == ["expected day-report: COMPLETED"]


def test_a_run_too_many_is_reported() -> None:
    runs = ended_as_expected()
    twice = [*runs, next(run for run in runs if run.function == "day-report")]
    assert deviations(read_orders(), twice) == ["but found day-report: COMPLETED"]
