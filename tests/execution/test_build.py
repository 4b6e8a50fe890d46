"""
What each kind of pausing step asks of the server.
"""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from inngest_core.errors import ConfigError
from inngest_core.execution.build import invoke_opts, sleep_opts, sleep_until_opts, wait_opts

HOUR = datetime.timedelta(hours=1)


@pytest.mark.parametrize(
    ("duration", "sent"),
    [
        (HOUR, "1h"),
        ("1h30m", "1h30m"),
        (90_000, "1m30s"),
        (1500, "1s500ms"),
        (999, "1s"),
        (0, "1s"),
        (datetime.timedelta(0), "1s"),
    ],
)
def test_a_sleep_is_a_duration_of_at_least_a_second(duration: Any, sent: str) -> None:
    assert sleep_opts(duration) == {"duration": sent}


def test_a_sleep_until_is_an_instant_and_naive_means_local() -> None:
    utc = datetime.datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=datetime.timezone.utc)
    assert sleep_until_opts(utc) == {"duration": "2026-01-02T03:04:05.678Z"}
    assert sleep_until_opts(utc.astimezone().replace(tzinfo=None)) == sleep_until_opts(utc)


def test_a_wait_has_an_expression_only_where_one_is_given() -> None:
    assert wait_opts("e", None, HOUR) == {"event": "e", "timeout": "1h"}
    assert wait_opts("e", "x", "1d") == {"event": "e", "if": "x", "timeout": "1d"}


def test_an_invoke_always_has_a_payload() -> None:
    assert invoke_opts("app-f", None, None, None) == {
        "function_id": "app-f",
        "payload": {"data": {}},
    }
    assert invoke_opts("app-f", {"n": 1}, "2", 5000) == {
        "function_id": "app-f",
        "payload": {"data": {"n": 1}, "v": "2"},
        "timeout": "5s",
    }


@pytest.mark.parametrize("moment", ["2030-01-01", datetime.date(2030, 1, 1), 5, None])
def test_a_sleep_until_what_is_no_moment_is_refused(moment: Any) -> None:
    with pytest.raises(ConfigError, match=r"step\.sleep_until: expected a datetime, got"):
        sleep_until_opts(moment)
