"""The demo on Django, as `make demo-django` runs it: an exit code that means it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("rest_framework")

import django

from examples.django.demo import WISHES, Wish, deviations, expected

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.skipif(django.VERSION < (5, 1), reason="SQLite waits for locks since Django 5.1")
@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("options", [[], ["--wsgi"]], ids=["uvicorn", "gunicorn"])
def test_the_demo_ends_with_every_order_and_run_as_expected(options: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.django.demo", *options],
        cwd=ROOT,
        env=dict(os.environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "All orders and runs ended as expected." in done.stdout
    assert "refused: Cleo wants too much" in done.stdout


def outcome() -> tuple[list[dict[str, object]], dict[int, Wish]]:
    placed = dict(enumerate((wish for wish in WISHES if wish.state), 1))
    return [{"id": pk, "state": wish.state} for pk, wish in placed.items()], placed


def test_what_is_as_it_should_be_is_no_deviation() -> None:
    orders, placed = outcome()
    assert deviations(orders, placed, expected(WISHES)) == []


def test_another_state_a_missing_run_and_a_lost_order_are_deviations() -> None:
    orders, placed = outcome()
    changed = [{**orders[0], "state": "placed"}, *orders[1:]]
    assert "order 1 is placed; expected shipped" in deviations(changed, placed, expected(WISHES))
    assert deviations(orders, placed, Counter())
    assert deviations(orders[1:], placed, expected(WISHES))
