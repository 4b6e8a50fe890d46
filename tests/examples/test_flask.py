"""The box office sells: its app as a process, and a server beside it."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import httpx
import pytest

from tests.contrib.devserver.live import running

from .processes import ROOT, example


@pytest.mark.slow
def test_seats_are_sold_when_they_are_paid_and_given_back_when_not() -> None:
    with running(poll=False) as server, example("examples.flask.app", server.url) as origin:

        def post(path: str, **doc: Any) -> Any:
            reply = httpx.post(origin + path, json=doc, timeout=10, trust_env=False)
            assert reply.status_code == 202, reply.text
            return reply.json()

        assert server.http.put(f"{origin}/api/inngest").status_code == 200
        paid = post("/orders", seats=["stalls", "box"])
        late = post("/orders", seats=["circle"], patience="1s")
        wrong = post("/orders", seats=["roof"])
        server.waiting(paid["event"], "WAIT_FOR_EVENT")
        post(f"/orders/{paid['order']}/pay")
        outputs = [server.ended_runs(one["event"])[0]["output"] for one in (paid, late)]
        tickets = ["one seat, stalls", "one seat, box"]
        assert outputs == [{"sold": True, "price": 130, "tickets": tickets}, {"sold": False}]
        (failed,) = server.ended_runs(wrong["event"])
        assert failed["status"] == "FAILED"


def test_the_app_has_its_commands() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "examples.flask.app", "inngest", "plugins"],
        cwd=ROOT,
        env={**os.environ, "INNGEST_DEV": "1"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert "devserver" in done.stdout
