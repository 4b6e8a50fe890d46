"""Figures: what they say, and that reading them costs nothing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from inngest_contrib.devserver.timings import BOUNDS, Timings
from tests.contrib.devserver.live import Call, Reply, Running, StandIn, nap, running

LINE = re.compile(r'([a-z_]+(?:\{[a-z]+="[^"]*"\})?) (-?[0-9.]+)')


def figures(server: Running) -> dict[str, float]:
    response = server.http.get("/metrics")
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    lines = [line for line in response.text.splitlines() if not line.startswith("#")]
    found = {}
    for line in lines:
        match = LINE.fullmatch(line)
        assert match, f"not a figure: {line!r}"
        found[match[1]] = float(match[2])
    return found


def behave(call: Call) -> Reply:
    if call.query["fnId"] == "m-nap":
        return Reply(206, [nap("1h")])
    if call.query["fnId"] == "m-bad":
        return Reply(500, {"name": "E", "message": "m"}, {"x-inngest-no-retry": "true"})
    return Reply(200, 1)


def test_what_happens_is_counted(app: StandIn) -> None:
    app.answer = behave
    with running() as server:
        app.register(server, "m", *(app.function("m", name) for name in ("f", "bad", "nap")))
        for _ in range(3):
            server.ended_runs(server.send("m/f"))
        server.ended_runs(server.send("m/bad"))
        run = server.waiting(server.send("m/nap"), "SLEEP")
        found = figures(server)
        assert found['inngest_runs_ended_total{status="completed"}'] == 3
        assert found['inngest_runs_ended_total{status="failed"}'] == 1
        assert found["inngest_runs_created_total"] == 5
        assert found['inngest_runs{status="running"}'] == 1
        assert found['inngest_runs{status="queued"}'] == 0
        assert found["inngest_steps_waiting"] == 1
        assert found['inngest_events_received_total{origin="app"}'] == 5
        assert found['inngest_events_received_total{origin="server"}'] >= 4
        assert found["inngest_call_duration_seconds_count"] == 5
        assert found['inngest_call_duration_seconds_bucket{le="+Inf"}'] == 5
        assert found["inngest_call_duration_seconds_sum"] > 0
        assert found["inngest_calls_failed_total"] == 0
        assert found["inngest_database_bytes"] > 4096
        assert found["inngest_uptime_seconds"] > 0
        server.http.delete(f"/v1/runs/{run['id']}")
        found = figures(server)
        assert found['inngest_runs{status="running"}'] == 0
        assert found["inngest_steps_waiting"] == 0
        assert found['inngest_runs_ended_total{status="cancelled"}'] == 1


def test_what_was_there_at_the_start_is_seen(app: StandIn, tmp_path: Path) -> None:
    app.answer = behave
    database = str(tmp_path / "x.db")
    with running(database=database) as server:
        app.register(server, "m", app.function("m", "nap"))
        server.waiting(server.send("m/nap"), "SLEEP")
    with running(database=database) as server:
        found = figures(server)
        assert found['inngest_runs{status="running"}'] == 1
        assert found["inngest_steps_waiting"] == 1
        assert found["inngest_runs_created_total"] == 0


def test_a_call_that_is_not_answered_has_failed(app: StandIn) -> None:
    def hang_up(call: Call) -> Reply:
        raise ConnectionAbortedError

    app.answer = hang_up
    with running() as server:
        app.register(server, "gone", app.function("gone", "f", retries=0))
        server.ended_runs(server.send("gone/f"))
        assert figures(server)["inngest_calls_failed_total"] == 1


def test_reading_them_looks_at_no_table(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def note(self: Any, sql: str, *values: Any) -> Any:
        asked.append(sql)
        return [(1,)]

    with running(poll=False) as server:
        monkeypatch.setattr("inngest_contrib.devserver.reads.Reads._ask", note)
        figures(server)
    assert asked == ["PRAGMA page_count", "PRAGMA page_size"]


def test_a_time_falls_into_its_bucket() -> None:
    timings = Timings()
    for seconds in (0.0, BOUNDS[0], BOUNDS[0] + 0.001, 10_000.0):
        timings.note(seconds, failed=False)
    assert (timings.counts[0], timings.counts[1], timings.counts[-1]) == (2, 1, 1)
    assert timings.calls == 4
