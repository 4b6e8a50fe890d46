"""What a registration says about flow control; what means nothing counts as not said."""

from __future__ import annotations

from typing import Any

import pytest

from inngest_contrib.devserver.engine.options import (
    Batching,
    Concurrency,
    Debouncing,
    Options,
    Rate,
    Single,
    read_options,
)

SECOND = 1_000_000
DAY = 24 * 3600 * SECOND


@pytest.mark.parametrize(
    ("config", "options"),
    [
        ({"concurrency": 3}, Options(steps=(Concurrency(3),))),
        (
            {"concurrency": [{"limit": 2, "key": "event.data.k", "scope": "Env"}, {"limit": 5}]},
            Options(steps=(Concurrency(2, "env", "event.data.k"), Concurrency(5))),
        ),
        ({"concurrency": {"limit": 2}}, Options(steps=(Concurrency(2),))),
        (
            {"concurrency": {"limit": 1, "key": "'all'", "scope": "env"}},
            Options(steps=(Concurrency(1, "env", "'all'"),)),
        ),
        (
            {"concurrency": {"fn": [{"limit": 1, "scope": "fn"}], "step": [{"limit": 4}]}},
            Options(steps=(Concurrency(4),), runs=(Concurrency(1),)),
        ),
        (
            {"batchEvents": {"maxSize": 3, "timeout": "2s", "key": "k", "if": "c"}},
            Options(batching=Batching(3, 2000, "k", "c")),
        ),
        (
            {"debounce": {"period": "1d", "key": "k", "timeout": "1w"}},
            Options(debouncing=Debouncing(86_400_000, 604_800_000, "k")),
        ),
        ({"rateLimit": {"limit": 2, "period": "6s"}}, Options(rate_limit=Rate(3 * SECOND, 0))),
        (
            {"rateLimit": {"limit": 25, "period": "25s", "key": "k"}},
            Options(rate_limit=Rate(SECOND, 2, "k")),
        ),
        ({"idempotency": "event.data.k"}, Options(idempotency=Rate(DAY, 0, "event.data.k"))),
        (
            {"throttle": {"limit": 1, "period": "3s", "burst": 1}},
            Options(throttle=Rate(3 * SECOND, 1)),
        ),
        ({"throttle": {"limit": 4, "period": "1s"}}, Options(throttle=Rate(SECOND // 4, 3))),
        ({"singleton": {}}, Options(single=Single(cancels=False))),
        (
            {"singleton": {"mode": "CANCEL", "key": "k"}},
            Options(single=Single(cancels=True, key="k")),
        ),
        ({"priority": {"run": "100"}}, Options(priority="100")),
    ],
)
def test_options_are_read(config: dict[str, Any], options: Options) -> None:
    assert read_options(config) == options


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"concurrency": None, "throttle": None, "singleton": None, "priority": None},
        {"concurrency": 0},
        {"concurrency": [{"limit": 0, "key": "k"}, {"limit": -1}, {}]},
        {"concurrency": {"fn": None}},
        {"throttle": {"limit": 0, "period": "3s"}},
        {"throttle": {"limit": 2, "period": "0s"}},
        {"rateLimit": {"limit": 2, "period": "soon"}},
        {"rateLimit": {}},
        {"batchEvents": {"maxSize": 1, "timeout": "2s"}},
        {"batchEvents": {"maxSize": 5, "timeout": ""}},
        {"debounce": {"period": "-1s"}},
        {"idempotency": ""},
        {"priority": {}},
    ],
)
def test_what_means_nothing_is_no_option(config: dict[str, Any]) -> None:
    assert read_options(config) is None
