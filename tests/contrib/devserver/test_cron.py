"""Cron schedules: which are valid, and when they fire next."""

from __future__ import annotations

from datetime import datetime, timezone

import pytest

from inngest_contrib.devserver.cron import CronError, next_tick, problem


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=timezone.utc).timestamp() * 1000)


@pytest.mark.parametrize(
    ("cron", "after", "tick"),
    [
        ("* * * * *", "2026-11-22T10:51:58.500", "2026-11-22T10:52:00"),
        ("* * * * *", "2026-11-22T10:52:00", "2026-11-22T10:53:00"),
        ("0 4 * * *", "2026-11-22T10:00:00", "2026-11-23T04:00:00"),
        ("*/15 9-17 * * 1-5", "2026-11-20T17:50:00", "2026-11-23T09:00:00"),
        ("0 0 29 2 *", "2026-03-01T00:00:00", "2028-02-29T00:00:00"),
        ("0 12 * JAN MON", "2026-11-22T00:00:00", "2027-01-04T12:00:00"),
        ("TZ=Europe/Paris 0 4 * * *", "2026-11-22T00:00:00", "2026-11-22T03:00:00"),
        ("CRON_TZ=Europe/Paris 0 4 * * *", "2026-07-01T00:00:00", "2026-07-01T02:00:00"),
        ("TZ=UTC 0 4 * * *", "2026-11-22T00:00:00", "2026-11-22T04:00:00"),
        ("TZ=Asia/Kolkata 30 9 * * *", "2026-11-22T04:00:00", "2026-11-23T04:00:00"),
        # Spring forward: 02:30 does not exist on 2026-03-29 in Paris.
        ("TZ=Europe/Paris 30 3 * * *", "2026-03-29T00:00:00", "2026-03-29T01:30:00"),
    ],
)
def test_the_next_tick_is_strictly_after_the_instant(cron: str, after: str, tick: str) -> None:
    assert problem(cron) is None
    assert next_tick(cron, ms(after)) == ms(tick)


@pytest.mark.parametrize(
    "cron",
    [
        "",
        "bad",
        "* * * *",
        "* * * * * *",
        "61 * * * *",
        "0 4 31 2 *",
        "@daily",
        "@every 1m",
        "TZ=Nope/Nope 0 4 * * *",
        "TZ=../etc/passwd 0 4 * * *",
        "TZ= 0 4 * * *",
        "TZ=Europe/Paris",
        "TZ=Europe/Paris * * * * * *",
    ],
)
def test_an_invalid_schedule_is_refused_in_the_servers_words(cron: str) -> None:
    assert problem(cron) == f"'{cron}' isn't a valid cron schedule"
    with pytest.raises(CronError):
        next_tick(cron, 0)
