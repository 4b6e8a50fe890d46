"""The watchman watches: its application as a process, and a server beside it."""

from __future__ import annotations

import httpx
import pytest

from tests.contrib.devserver.live import running

from .processes import example


@pytest.mark.slow
def test_a_site_is_looked_at_and_reported() -> None:
    with running(poll=False) as server, example("examples.tornado.app", server.url) as origin:
        assert server.http.put(f"{origin}/api/inngest").status_code == 200
        site = {"url": f"{server.url}/health", "times": 2, "pause": "1s"}
        accepted = httpx.post(f"{origin}/sites", json=site, timeout=10, trust_env=False)
        assert accepted.status_code == 202, accepted.text
        (run,) = server.ended_runs(accepted.json()["event"])
        assert run["status"] == "COMPLETED", run
        assert {**run["output"], "median_ms": 0} == {"looks": 2, "up": 2, "median_ms": 0}
