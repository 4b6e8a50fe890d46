"""
How many cases are tried: a few of each test in the suite, 200,000 in all under a profile.

    pytest tests/fuzz --hypothesis-profile=fuzz

Each test hands on how many it tried, so that those of all workers are added up and shown.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from inngest_core.execution import machine
from inngest_core.execution.standing import Ruling, Verdict

from .amounts import PROFILE, WANTED, tally


@pytest.fixture(autouse=True)
def no_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait for no step that no branch reaches."""
    monkeypatch.setattr(machine, "_STRANDED", Verdict(Ruling.REST, seconds=0.0))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    before = tally.count
    try:
        return (yield)
    finally:
        item.user_properties.append(("tried", tally.count - before))


class Sum:
    """Adds up what the tests have tried, in the process that reports."""

    def __init__(self, config: pytest.Config) -> None:
        self.tried = 0
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call":
            self.tried += sum(
                int(str(value)) for name, value in report.user_properties if name == "tried"
            )

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self.tried < WANTED and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("fuzzing")
        terminalreporter.line(f"{self.tried:,} cases were tried; {WANTED:,} are wanted")


def pytest_configure(config: pytest.Config) -> None:
    """Count where the profile is asked for: not in a worker, which only hands on."""
    asked = config.getoption("--hypothesis-profile", None) == PROFILE
    if asked and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Sum(config), "fuzz-sum")
