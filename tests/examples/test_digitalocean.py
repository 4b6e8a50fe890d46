"""The shop's function on the simulated platform, as a process, and a server beside it."""

from __future__ import annotations

import re

import pytest

from tests.contrib.devserver.live import running

from .processes import ROOT, example


@pytest.mark.slow
def test_an_order_gets_its_receipt_and_its_thanks() -> None:
    order = {"order": "A-1", "lines": [{"cents": 250, "count": 2}, {"cents": 99, "count": 1}]}
    with (
        running(poll=False) as server,
        example("examples.digitalocean.local", server.url) as address,
    ):
        assert server.http.put(address).status_code == 200
        runs = server.ended_runs(server.send("shop/order.placed", order), count=2)
    assert [run["status"] for run in runs] == ["COMPLETED"] * 2
    outputs = [run["output"]["data"] for run in runs]
    assert sorted(outputs, key=str) == ["A-1: 5.99", ["mail about A-1", "message about A-1"]]


def test_the_project_hands_requests_over_as_they_came() -> None:
    project = (ROOT / "examples/digitalocean/project.yml").read_text(encoding="utf-8")
    assert re.search(r"^\s+web: raw$", project, re.MULTILINE)
    names = re.findall(r"- name: (\w+)", project)
    assert (ROOT / "examples/digitalocean/packages" / "/".join(names) / "__main__.py").is_file()
