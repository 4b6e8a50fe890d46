"""
What each kind of pausing step asks of the server.
"""

from __future__ import annotations

import datetime
import json
from typing import Any

import pytest

from inngest_core.errors import ConfigError
from inngest_core.execution.build import (
    Secret,
    fetch_opts,
    infer_opts,
    invoke_opts,
    is_too_short,
    json_copy,
    require_text,
    sleep_opts,
    sleep_until_opts,
    wait_opts,
)

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
    assert is_too_short(duration) == (duration in (999, 0, datetime.timedelta(0)))


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


@pytest.mark.parametrize("event", ["", None, 5])
def test_a_wait_for_no_event_would_hang_and_is_refused(event: Any) -> None:
    with pytest.raises(ConfigError, match=r"step\.wait_for_event event: "):
        wait_opts(event, None, HOUR)


def test_a_secret_is_a_text_that_no_repr_shows() -> None:
    secret = Secret("sk-1")
    assert secret == "sk-1"
    assert json.dumps({"k": secret}) == '{"k": "sk-1"}'
    assert repr({"k": secret}) == "{'k': '***'}"
    assert str(secret) == "sk-1"


def test_keys_and_headers_of_a_request_are_secret() -> None:
    infer = infer_opts(
        url="https://h", headers={"x": "sk-2"}, auth_key="sk-1", dialect="gemini", body={}
    )
    fetch = fetch_opts("https://h", "GET", {"authorization": "sk-3"}, None)
    assert "sk-" not in repr([infer, fetch])
    assert (infer["auth_key"], infer["headers"]["x"]) == ("sk-1", "sk-2")
    assert fetch["headers"] == {"authorization": "sk-3"}


def test_a_copy_shares_nothing() -> None:
    original: dict[str, Any] = {"a": [{"b": (1, 2)}]}
    copy = json_copy(original, "x")
    copy["a"][0]["b"].append(3)
    assert original == {"a": [{"b": (1, 2)}]}


def test_a_text_must_be_one_that_can_be_sent() -> None:
    assert require_text("é", "x") == "é"
    with pytest.raises(ConfigError, match="x: it is no Unicode text"):
        require_text("\ud83d", "x")
