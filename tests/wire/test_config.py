"""Configuration: what is wrong is refused where it is written, the rest goes out as set."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import pytest

from inngest_core.errors import ConfigError
from inngest_core.wire.config import (
    Batch,
    Cancel,
    Concurrency,
    Debounce,
    FunctionOpts,
    Priority,
    RateLimit,
    Singleton,
    Throttle,
    Timeouts,
    TriggerCron,
    TriggerEvent,
)

EVENT = TriggerEvent(event="a/b")
BATCH = Batch(max_size=2, timeout="5s")


def loose(model: Any) -> Any:
    """Hide the types of a model, so that wrong arguments reach it."""
    return model


def opts(**changes: Any) -> FunctionOpts:
    return FunctionOpts(**{"fn_id": "f", "name": "F", "triggers": [EVENT], **changes})


@pytest.mark.parametrize(
    ("model", "wire"),
    [
        (Batch(max_size=5), {"maxSize": 5}),
        (
            Batch(max_size=5, timeout="26h", key="event.data.k", if_exp="true"),
            {"maxSize": 5, "timeout": "26h", "key": "event.data.k", "if": "true"},
        ),
        (Cancel(event="x"), {"event": "x"}),
        (
            Cancel(event="x", if_exp="a == b", timeout=datetime.timedelta(days=8)),
            {"event": "x", "if": "a == b", "timeout": "1w1d"},
        ),
        (Concurrency(limit=2), {"limit": 2}),
        (Concurrency(limit=0, key="k", scope="env"), {"limit": 0, "key": "k", "scope": "env"}),
        (Debounce(period=1500), {"period": "1s500ms"}),
        (
            Debounce(period="7d", timeout=60_000, key="k"),
            {"period": "1w", "timeout": "1m", "key": "k"},
        ),
        (Priority(run="event.data.p"), {"run": "event.data.p"}),
        (RateLimit(limit=1, period="1d"), {"limit": 1, "period": "1d"}),
        (Singleton(mode="skip"), {"mode": "skip"}),
        (Singleton(mode="cancel", key="k"), {"mode": "cancel", "key": "k"}),
        (Throttle(limit=1, period="2d"), {"limit": 1, "period": "48h", "burst": 1}),
        (Throttle(limit=1, period=60_000, burst=None), {"limit": 1, "period": "1m"}),
        (Timeouts(), {}),
        (Timeouts(start="1m", finish=1000), {"start": "1m", "finish": "1s"}),
        (TriggerEvent(event="a", expression="true"), {"event": "a", "expression": "true"}),
        (
            TriggerCron(cron="TZ=Europe/Paris 0 12 * * MON"),
            {"cron": "TZ=Europe/Paris 0 12 * * MON"},
        ),
        (TriggerCron(cron="*/90 0-23 L * MON#5"), {"cron": "*/90 0-23 L * MON#5"}),
        (TriggerCron(cron="*/5 * * * *", jitter="30s"), {"cron": "*/5 * * * *", "jitter": "30s"}),
    ],
)
def test_only_what_was_set_goes_out(model: Any, wire: dict[str, object]) -> None:
    assert model.to_wire() == wire


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: Batch(max_size=1), r"Batch\.max_size: .*greater than or equal to 2"),
        (lambda: loose(Batch)(max_size="5"), r"Batch\.max_size: .*valid integer"),
        (lambda: Batch(max_size=2, timeout=500), r"timeout must be at least 1s"),
        (lambda: Batch(max_size=2, timeout=1500), r"timeout must be a whole number of seconds"),
        (lambda: Batch(max_size=2, timeout="soon"), r"Batch\.timeout: \"soon\" is not a duration"),
        (lambda: Cancel(event=""), r"Cancel\.event: "),
        (lambda: Cancel(event="a", timeout=-1), r"Cancel\.timeout: a duration cannot be negative"),
        (lambda: loose(Cancel)(), r"Cancel\.event: Field required"),
        (
            lambda: loose(Cancel)(event="a", when="x"),
            r"Cancel\.when: Extra inputs are not permitted",
        ),
        (lambda: Concurrency(limit=1, scope="env"), r"scope env needs a key"),
        (lambda: loose(Concurrency)(limit=1, scope="world"), r"Concurrency\.scope: "),
        (lambda: loose(Concurrency)(limit=1.5), r"Concurrency\.limit: "),
        (lambda: Debounce(period=500), r"period must be at least 1s"),
        (lambda: Debounce(period="8d"), r"period must be at most 1w"),
        (lambda: loose(Debounce)(period=None), r"Debounce\.period: expected milliseconds as int"),
        (lambda: Priority(run=""), r"Priority\.run: "),
        (lambda: RateLimit(limit=0, period="1h"), r"RateLimit\.limit: .*greater than 0"),
        (lambda: RateLimit(limit=1, period="25h"), r"period must be at most 1d"),
        (lambda: loose(RateLimit)(limit=1), r"RateLimit\.period: Field required"),
        (lambda: loose(Singleton)(mode="stop"), r"Singleton\.mode: "),
        (lambda: Throttle(limit=0, period="1h"), r"Throttle\.limit: "),
        (lambda: Throttle(limit=1, period="100ms"), r"period must be at least 1s"),
        (lambda: Timeouts(start="x"), r"Timeouts\.start: \"x\" is not a duration"),
        (lambda: TriggerEvent(event=""), r"TriggerEvent\.event: "),
        (lambda: TriggerEvent(event="x" * 256), r"TriggerEvent\.event: .*at most 255"),
        (lambda: TriggerCron(cron="@daily"), r"'@daily' isn't a valid cron schedule"),
        (lambda: TriggerCron(cron="* * * *"), r"isn't a valid cron schedule"),
        (lambda: TriggerCron(cron="0 0 * * * *"), r"isn't a valid cron schedule"),
        (lambda: TriggerCron(cron="99 * * * *"), r"in 99 a number is not between 0 and 59"),
        (lambda: TriggerCron(cron="0 1-24/2 * * *"), r"in 1-24/2 .* not between 0 and 23"),
        (lambda: TriggerCron(cron="0 0 0,1 * *"), r"in 0,1 .* not between 1 and 31"),
        (lambda: TriggerCron(cron="0 0 * 13 *"), r"in 13 .* not between 1 and 12"),
        (lambda: TriggerCron(cron="0 0 * * 8"), r"in 8 .* not between 0 and 7"),
        (lambda: TriggerCron(cron="0 0 * * *", jitter="6m"), r"jitter must be at most 5m"),
        (lambda: TriggerCron(cron="0 0 * * *", jitter="x"), r"\"x\" is not a duration"),
        (lambda: opts(fn_id=""), r"FunctionOpts\.fn_id: "),
        (lambda: opts(retries=21), r"FunctionOpts\.retries: .*less than or equal to 20"),
        (lambda: opts(retries=-1), r"FunctionOpts\.retries: "),
        (lambda: opts(retries="3"), r"FunctionOpts\.retries: .*valid integer"),
        (lambda: opts(triggers=[EVENT] * 11), r"FunctionOpts\.triggers: .*at most 10"),
        (lambda: opts(triggers=["a/b"]), r"FunctionOpts\.triggers\.0"),
        (lambda: opts(triggers=[EVENT, EVENT]), r'triggers: duplicate trigger "a/b"'),
        (lambda: opts(cancel=[Cancel(event="x")] * 6), r"FunctionOpts\.cancel: .*at most 5"),
        (lambda: opts(concurrency=[Concurrency(limit=1)] * 3), r"concurrency: .*at most 2"),
        (lambda: opts(batch_events=Batch(max_size=2)), r"batch_events: timeout is required"),
        (lambda: opts(concurrency=1), r"FunctionOpts\.concurrency: .*valid list"),
        (lambda: opts(concurrency={"f": []}), r"ConcurrencyLimits\.f: "),
        (
            lambda: opts(concurrency={"fn": [Concurrency(limit=1)] * 2}),
            r"ConcurrencyLimits\.fn: .*at most 1",
        ),
        (
            lambda: opts(concurrency={"fn": [Concurrency(limit=0)]}),
            r"fn: limit must be greater than 0",
        ),
        (
            lambda: opts(concurrency={"fn": [Concurrency(limit=1, key="k", scope="env")]}),
            r"fn: scope env is not for runs",
        ),
        (lambda: opts(debounce="1s"), r"FunctionOpts\.debounce: "),
        (
            lambda: opts(batch_events=BATCH, debounce=Debounce(period=1000)),
            r"batch_events and debounce are mutually exclusive",
        ),
        (
            lambda: opts(batch_events=BATCH, singleton=Singleton(mode="skip")),
            r"batch_events and singleton are mutually exclusive",
        ),
        (
            lambda: opts(batch_events=BATCH, priority=Priority(run="1")),
            r"batch_events and priority are mutually exclusive",
        ),
        (
            lambda: opts(batch_events=BATCH, cancel=[Cancel(event="x")]),
            r"batch_events and cancel are mutually exclusive",
        ),
    ],
)
def test_what_is_wrong_is_said_at_definition_naming_the_field(
    make: Callable[[], object], complaint: str
) -> None:
    with pytest.raises(ConfigError, match=complaint):
        make()


def test_batch_with_rate_limit_and_idempotency_is_allowed() -> None:
    limited = opts(
        batch_events=BATCH,
        rate_limit=RateLimit(limit=1, period="1h"),
        idempotency="event.data.id",
        cancel=[],
    )
    assert limited.to_wire() == {
        "batchEvents": {"maxSize": 2, "timeout": "5s"},
        "idempotency": "event.data.id",
        "rateLimit": {"limit": 1, "period": "1h"},
        "triggers": [{"event": "a/b"}],
    }


def test_a_function_without_settings_has_only_its_triggers() -> None:
    assert opts().to_wire() == {"triggers": [{"event": "a/b"}]}
    assert opts(triggers=[]).to_wire() == {"triggers": []}


def test_limits_go_out_as_a_list_or_by_what_they_count() -> None:
    one = Concurrency(limit=1)
    assert opts(concurrency=[one]).to_wire()["concurrency"] == [{"limit": 1}]
    both = opts(concurrency={"fn": [one], "step": [Concurrency(limit=2, key="k", scope="env")]})
    assert both.to_wire()["concurrency"] == {
        "fn": [{"limit": 1}],
        "step": [{"limit": 2, "key": "k", "scope": "env"}],
    }
    assert opts(concurrency={"fn": [one]}).to_wire()["concurrency"] == {"fn": [{"limit": 1}]}
