"""
What the whole suite needs of pytest.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Hide the settings of whoever runs the tests, and take back what a test has set."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("INNGEST_"):
            del os.environ[name]
    try:
        return (yield)
    finally:
        os.environ.clear()
        os.environ.update(before)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """
    Write lone surrogates in captured output as escapes.

    Some tests log them on purpose, and a worker of pytest-xdist that has to send one dies of it.
    """
    report = yield
    report.sections = [(heading, printable(text)) for heading, text in report.sections]
    return report


def printable(text: str) -> str:
    """Return a text that every encoding of Unicode can carry."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")
