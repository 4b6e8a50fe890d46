"""Checkpoints over HTTP: the recorded exchanges once more, with this server as the other side."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.contrib.devserver.live import Call, Reply, Running, stand_in

SAMPLES = Path(__file__).parents[2] / "samples" / "devserver" / "checkpoints"
STALE = "stale dispatch: dispatch generation {} does not match queue item generation {}"
OURS = {
    # Its check for stale calls was off; here it is always on.
    ("checkpoint-errors", "g1"): (409, STALE.format(99, 1)),
    ("checkpoint-errors", "g4"): (409, "stale dispatch: queue item not found"),
    ("checkpoint-stale-dispatch", "old gen, fresh start"): (409, STALE.format(1, 2)),
}
WORDED_OTHERWISE = ("unexpected EOF", "bad data size when unmarshaling")
"""Of the language that the recorded server is written in."""


def exchanges(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Requests with their replies, in the order in which they were made."""
    entries = json.loads((SAMPLES / f"{name}.json").read_text())["exchanges"]
    waiting: list[dict[str, Any]] = []
    for entry in entries:
        if "response" in entry:
            yield waiting.pop(), entry["response"]
        else:
            waiting.append(entry)


class Told:
    """A recording that is told again: what the app reported goes to this server."""

    def __init__(self, name: str, server: Running) -> None:
        self.name = name
        self.calls: list[dict[str, Any]] = []
        self.reports = 0
        self.differences: list[tuple[Any, Any]] = []
        self._server = server
        self._pairs = list(_in_calls(name))
        self._ids: dict[str, str] = {}

    def answer(self, call: Call) -> Reply:
        """Answer a call: first what was reported in it, then what was replied."""
        recorded, response, reports = self._pairs[len(self.calls)]
        self.calls.append(call.json)
        for key in ("run_id", "qi_id", "request_id"):
            self._ids[recorded["ctx"][key]] = call.json["ctx"][key]
        for report, expected in reports:
            self._report(report, expected)
        return Reply(response["status"], response["body"])

    def late(self) -> None:
        """Report what was reported once the run had ended."""
        for request, response in exchanges(self.name):
            if request["t_ms"] > 1800 and "/async" in request["path"]:
                self._report(request, response)

    def _report(self, report: dict[str, Any], expected: dict[str, Any]) -> None:
        made = self._server.http.post(self._mine(report["path"]), content=self._body(report))
        self.reports += 1
        status, error = expected["status"], (expected["body"] or {}).get("error", "")
        steps = report["body"]["steps"] if isinstance(report["body"], dict) else []
        for step in steps:
            status, error = OURS.get((self.name, step.get("displayName")), (status, error))
        same = made.status_code == status and said(made)[0] == error
        if not same and not error.endswith(WORDED_OTHERWISE):
            self.differences.append(((status, error), (made.status_code, made.text)))
        if expected["status"] == status >= 400:
            assert said(made)[1:] == self._known(expected["body"])

    def _known(self, body: dict[str, Any]) -> tuple[Any, Any]:
        return json.loads(self._mine(json.dumps(body["data"]))), body["status"]

    def _body(self, report: dict[str, Any]) -> str:
        if isinstance(report["body"], str):
            return report["body"]
        text = self._mine(json.dumps(report["body"]))
        return text.replace("<string of 4194314 characters, cut here>", "x" * 4194314)

    def _mine(self, text: str) -> str:
        for recorded, own in self._ids.items():
            text = text.replace(recorded, own)
        return text


def said(response: httpx.Response) -> tuple[Any, Any, Any]:
    """Error, data and status in the body of a reply."""
    if not response.content:
        return "", None, None
    body = response.json()
    return body["error"], body["data"], body["status"]


def _in_calls(name: str) -> Iterator[tuple[dict[str, Any], dict[str, Any], list[Any]]]:
    """Each recorded call: its body, its reply, and what was reported before the reply."""
    entries = json.loads((SAMPLES / f"{name}.json").read_text())["exchanges"]
    starts = [n for n, entry in enumerate(entries) if entry.get("direction") == "server→sdk"]
    for start, end in zip(starts, [*starts[1:], len(entries)], strict=True):
        reports = [
            (entry, entries[n + 1]["response"])
            for n, entry in enumerate(entries[start:end], start)
            if "/async" in entry.get("path", "") and entry["t_ms"] < 1800
        ]
        yield entries[start]["body"], entries[start + 1]["response"], reports


@contextmanager
def telling(name: str, server: Running) -> Iterator[tuple[Told, dict[str, Any]]]:
    """Tell a recording up to the end of its run; give that, too."""
    told = Told(name, server)
    registration = next(r["body"] for r, _ in exchanges(name) if r["path"] == "/fn/register")
    with stand_in(told.answer) as app:
        own = json.dumps(registration).replace(registration["url"], app.url)
        server.http.post("/fn/register", content=own).raise_for_status()
        event = next(r["body"] for r, _ in exchanges(name) if r["path"].startswith("/e/"))
        yield told, server.run(event["name"])


@pytest.mark.parametrize(
    "name", ["async-checkpoint", "checkpoint-errors", "checkpoint-stale-dispatch"]
)
def test_reports_are_answered_as_recorded(server: Running, name: str) -> None:
    with telling(name, server) as (told, run):
        assert run["status"] == "COMPLETED"
        told.late()
    assert told.differences == []
    assert told.reports == sum("/async" in request["path"] for request, _ in exchanges(name))


def test_calls_after_checkpoints_are_as_recorded(server: Running) -> None:
    with telling("async-checkpoint", server) as (told, _):
        recorded = [body for body, _, _ in _in_calls("async-checkpoint")]
    assert [kept(body) for body in told.calls] == [kept(body) for body in recorded]


def kept(body: dict[str, Any]) -> Any:
    """What a call says of the steps that have ended."""
    return body["steps"], body["ctx"]["stack"]["stack"]
