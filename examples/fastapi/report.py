"""
Runs as text for a terminal: a table with a line and a timeline per run, and the steps of one order.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from examples.fastapi.watch import Run, Step

BUSY, PAUSED, BETWEEN, OUTSIDE = "█░─ "
LEGEND = f"{BUSY} a step runs   {PAUSED} asleep or waiting   {BETWEEN} between steps or tries"
PAUSES = ("SLEEP", "WAIT_FOR_EVENT", "INVOKE")
HEADINGS = ("order", "function", "status", "steps", "tries", "seconds")
TO_THE_RIGHT = ("steps", "tries", "seconds", "after")
LONGEST_RULE = 24


@dataclass(frozen=True, slots=True)
class Scale:
    """A stretch of time laid over a number of columns."""

    start: float
    end: float
    columns: int

    def column(self, moment: float) -> int:
        """Return the column that a moment falls into."""
        share = (moment - self.start) / max(self.end - self.start, 0.001)
        return min(max(int(share * self.columns), 0), self.columns - 1)

    def stretch(self, start: float, end: float) -> range:
        """Return the columns that two moments enclose, at least one."""
        return range(self.column(start), self.column(end) + 1)


def scale_of(runs: Sequence[Run], *, columns: int) -> Scale:
    """Lay all the runs over so many columns."""
    start = min(run.queued for run in runs)
    return Scale(start, max(last_moment(run) for run in runs), columns)


def last_moment(run: Run) -> float:
    """Return when a run ended or, while it has not, when it was last heard of."""
    moments = [step.ended or step.started for step in run.steps]
    return run.ended or max(moments, default=run.queued)


def timeline(run: Run, scale: Scale) -> str:
    """Draw a run as a bar; work is drawn over the pauses, for it is short."""
    cells = [OUTSIDE] * scale.columns
    end = last_moment(run)
    for column in scale.stretch(run.queued, end):
        cells[column] = BETWEEN
    for step in sorted(run.steps, key=lambda step: step.op not in PAUSES):
        for column in scale.stretch(drawn_from(step), step.ended or end):
            cells[column] = PAUSED if step.op in PAUSES else BUSY
    return "".join(cells).rstrip()


def drawn_from(step: Step) -> float:
    """Return where a step's bar begins; of a retried one, only its end is known to be work."""
    return step.started if step.tries == 1 else step.ended or step.started


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Lay out cells in columns as wide as they need; numbers stand to the right."""
    widths = [max(width(line[n]) for line in (headings, *rows)) for n in range(len(headings))]
    rules = ["─" * min(wide, LONGEST_RULE) for wide in widths]
    return [
        "  ".join(
            pad(cell, wide, right=heading in TO_THE_RIGHT)
            for cell, wide, heading in zip(line, widths, headings, strict=True)
        ).rstrip()
        for line in (headings, rules, *rows)
    ]


def run_table(runs: Sequence[Run], *, columns: int) -> list[str]:
    """Give every run a line with status, figures, timeline and output, `columns` wide at most."""
    facts = table(HEADINGS, [run_facts(run) for run in runs])
    free = max(columns - max(width(line) for line in facts) - 4, 40)
    scale = scale_of(runs, columns=min(free // 2, 48))
    axis = f"timeline, {scale.end - scale.start:.1f} s"
    bars = [axis, "─" * scale.columns, *(timeline(run, scale) for run in runs)]
    outputs = ["output", "─" * 6, *(output_text(run.output) for run in runs)]
    facts_width = max(width(line) for line in facts)
    return [
        cut(f"{pad(fact, facts_width)}  {pad(bar, scale.columns)}  {output}", columns).rstrip()
        for fact, bar, output in zip(facts, bars, outputs, strict=True)
    ]


def run_facts(run: Run) -> tuple[str, ...]:
    """Return the cells of a run's line."""
    lasted = seconds(run.queued, run.ended)
    return (run.order_id, run.function, run.status, str(len(run.steps)), str(run.tries), lasted)


def step_table(runs: Sequence[Run], *, columns: int) -> list[str]:
    """List the steps of some runs, with the time from the first run's start."""
    start = min(run.queued for run in runs)
    rows: list[tuple[str, ...]] = []
    for run in runs:
        lasted, output = seconds(run.queued, run.ended), output_text(run.output)
        rows.append(
            (f"+{run.queued - start:.2f}", run.function, "", run.status, "", lasted, output)
        )
        rows += [step_facts(step, start) for step in run.steps]
    headings = ("after", "step", "kind", "status", "tries", "seconds", "output")
    return [cut(line, columns) for line in table(headings, rows)]


def step_facts(step: Step, start: float) -> tuple[str, ...]:
    """Return the cells of a step's line."""
    return (
        f"+{step.started - start:.2f}",
        f"  {step.name}",
        step.op.lower().replace("_", " "),
        step.status,
        str(step.tries),
        seconds(step.started, step.ended),
        output_text(step.output),
    )


def seconds(start: float, end: float | None) -> str:
    """Write a stretch of time, or that it has not ended."""
    return "..." if end is None else f"{end - start:.2f}"


def output_text(output: object) -> str:
    """Write an output on one line: what was returned, or the error's message."""
    if not isinstance(output, dict):
        return value_text(output)
    if set(output) == {"data"}:
        return output_text(output["data"])
    error = output.get("error")
    if isinstance(error, dict):
        return f"{error.get('name')}: {error.get('message')}"
    return "  ".join(f"{key}={value_text(value)}" for key, value in output.items())


def value_text(value: object) -> str:
    """Write a value as JSON, but a text without quotes and nothing as nothing."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def width(text: str) -> int:
    """Return how many columns a terminal takes: two for a wide letter, none for a mark on one."""
    return sum(letter_width(letter) for letter in text)


def letter_width(letter: str) -> int:
    """Return how many columns one letter takes."""
    if unicodedata.combining(letter) or unicodedata.category(letter) in ("Cf", "Me", "Mn"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("F", "W") else 1


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Fill a text with blanks up to a width."""
    blanks = " " * (columns - width(text))
    return blanks + text if right else text + blanks


def cut(text: str, columns: int) -> str:
    """Shorten a text to a width; the sign of omission counts."""
    if width(text) <= columns:
        return text
    while width(text) > columns - 1:
        text = text[:-1]
    return text.rstrip() + "…"
