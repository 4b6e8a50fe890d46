"""
The demo's table and timeline: columns line up in a terminal, whatever the language.
"""

from __future__ import annotations

import pytest

from examples.fastapi.report import (
    Scale,
    cut,
    output_text,
    pad,
    run_table,
    step_table,
    table,
    timeline,
    width,
)
from examples.fastapi.watch import Run, Step


def step(
    name: str, started: float, ended: float | None, *, op: str = "RUN", tries: int = 1
) -> Step:
    status = "COMPLETED" if ended else "WAITING"
    return Step(name=name, op=op, status=status, tries=tries, started=started, ended=ended)


def run(*steps: Step, queued: float = 0, ended: float | None = 10, output: object = None) -> Run:
    return Run(
        id="01",
        function="fulfil-order",
        order_id="A-1001",
        status="COMPLETED" if ended else "RUNNING",
        queued=queued,
        ended=ended,
        output=output,
        steps=steps,
    )


TEN = Scale(0, 10, 10)


@pytest.mark.parametrize(
    ("text", "columns"),
    [("Müller", 6), ("小林 さくら", 11), ("김민준", 6), ("Adébáyọ̀", 7), ("", 0), ("فاطمة", 5)],
)
def test_the_width_is_that_of_the_terminal(text: str, columns: int) -> None:
    assert width(text) == columns
    assert width(pad(text, 12)) == 12


def test_numbers_stand_to_the_right() -> None:
    assert table(["order", "steps"], [["A-1", "7"], ["A-22", "12"]]) == [
        "order  steps",
        "─────  ─────",
        "A-1        7",
        "A-22      12",
    ]


def test_a_cut_text_fits_and_says_that_it_was_cut() -> None:
    assert cut("short", 5) == "short"
    assert cut("too long", 5) == "too…"
    assert cut("小林さくら", 6) == "小林…"


def test_a_bar_shows_work_over_pauses_over_the_time_between() -> None:
    shown = timeline(
        run(step("a", 0, 0.5), step("nap", 2, 5.5, op="SLEEP"), step("b", 8, 8.2)), TEN
    )
    assert shown == "█─░░░░──█─"


def test_a_bar_begins_where_the_run_was_queued() -> None:
    assert timeline(run(queued=4, ended=6), TEN) == "    ───"


def test_a_retried_step_counts_as_work_at_its_end_alone() -> None:
    assert timeline(run(step("book", 1, 5, tries=3)), TEN) == "─────█────"


def test_a_run_that_goes_on_has_a_bar_as_far_as_is_known() -> None:
    shown = timeline(run(step("nap", 2, None, op="SLEEP"), step("a", 0, 4), ended=None), TEN)
    assert shown == "█████"


def test_the_output_is_what_was_returned_or_the_error() -> None:
    assert output_text(None) == ""
    assert output_text({"data": "R1001"}) == "R1001"
    assert output_text({"state": "shipped", "parcels": [1, 2]}) == "state=shipped  parcels=[1, 2]"
    refusal = {"error": {"name": "CardRefused", "message": "expired", "stack": "..."}}
    assert output_text(refusal) == "CardRefused: expired"


def test_every_run_has_its_line_with_all_its_facts() -> None:
    lines = run_table([run(step("a", 0, 1, tries=3), output={"data": "done"})], columns=120)
    headings, _, facts = lines
    for heading in (
        "order",
        "function",
        "status",
        "steps",
        "tries",
        "seconds",
        "timeline",
        "output",
    ):
        assert heading in headings
    assert facts.split()[:6] == ["A-1001", "fulfil-order", "COMPLETED", "1", "3", "10.00"]
    assert facts.endswith("done")


def test_no_line_is_wider_than_the_terminal() -> None:
    runs = [run(step("a", 0, 1), output={"text": "小" * 200})]
    # A wide letter that would stand half outside is left out.
    assert max(width(line) for line in run_table(runs, columns=120)) in (119, 120)
    assert max(width(line) for line in step_table(runs, columns=120)) in (119, 120)


def test_the_steps_of_a_run_stand_below_it_with_their_times() -> None:
    nap = step("nap", 1, 2.5, op="WAIT_FOR_EVENT")
    lines = step_table([run(nap, queued=0.5, ended=None)], columns=100)
    assert lines[2].split() == ["+0.00", "fulfil-order", "RUNNING", "..."]
    assert lines[3].split() == ["+0.50", "nap", "wait", "for", "event", "COMPLETED", "1", "1.50"]
