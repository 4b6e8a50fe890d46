"""
Read what the server knows about runs, over its REST interface, into plain records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

ENDED = ("COMPLETED", "FAILED", "CANCELLED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a run. Times are seconds since the epoch; `ended` is None while it goes on."""

    name: str
    op: str
    status: str
    tries: int
    started: float
    ended: float | None
    output: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run, with its steps in the order in which they began."""

    id: str
    function: str
    order_id: str
    status: str
    queued: float
    ended: float | None
    output: object = None
    steps: tuple[Step, ...] = ()

    @property
    def tries(self) -> int:
        """The most attempts that one of its steps took."""
        return max((step.tries for step in self.steps), default=1)


class Server:
    """Questions to an Inngest server."""

    def __init__(self, url: str) -> None:
        self.url = url
        # Proxies of the environment are not for a server on this machine.
        self._http = httpx.Client(base_url=url, timeout=10, trust_env=False)

    def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """Return the JSON of one page."""
        response = self._http.get(path, params=query)
        response.raise_for_status()
        body: dict[str, Any] = response.json()
        return body

    def functions(self, app_id: str) -> int:
        """Count the functions that an app has registered; 0 if the app is not known."""
        response = self._http.get(f"/v2/apps/{app_id}")
        return int(response.json()["data"]["functionCount"]) if response.is_success else 0

    def statuses(self) -> list[tuple[str, str]]:
        """List function and status of every run."""
        return [(run["function"]["id"], run["status"]) for run in self._listed()]

    def runs(self) -> list[Run]:
        """Read every run with its steps, by order and then by time."""
        found = [self._with_steps(listed) for listed in self._listed()]
        return sorted(found, key=lambda run: (run.order_id or "~", run.queued, run.id))

    def _listed(self) -> Iterator[dict[str, Any]]:
        query: dict[str, str | int] = {"limit": 100, "includeOutput": "true"}
        while True:
            page = self.get("/v2/runs", **query)
            yield from page.get("data", [])
            if not page["page"].get("hasMore"):
                return
            query["cursor"] = page["page"]["cursor"]

    def _with_steps(self, listed: Mapping[str, Any]) -> Run:
        trace = self.get(f"/v2/runs/{listed['id']}/trace", includeOutput="true")
        return read_run(listed, trace["data"]["rootSpan"])


def read_run(listed: Mapping[str, Any], root: Mapping[str, Any]) -> Run:
    """Make a record of a listed run and its trace."""
    steps = [read_step(span) for span in root.get("children", ()) if span.get("stepId")]
    event = root["input"]["data"][0]
    return Run(
        id=listed["id"],
        function=listed["function"]["id"],
        order_id=order_of(event.get("data") or {}),
        status=listed["status"],
        queued=moment(listed["queuedAt"]),
        ended=moment(listed["endedAt"]) if listed.get("endedAt") else None,
        output=listed.get("output"),
        steps=tuple(sorted(steps, key=lambda step: step.started)),
    )


def read_step(span: Mapping[str, Any]) -> Step:
    """Make a record of a step's span. Where it does not count its attempts, the spans below do."""
    below = [child for child in span.get("children", ()) if child["name"].startswith("Attempt")]
    return Step(
        name=span["name"],
        op=span.get("stepOp", "RUN"),
        status=span["status"],
        tries=max(span.get("attempts", len(below)), 1),
        started=moment(span.get("startedAt") or span["queuedAt"]),
        ended=moment(span["endedAt"]) if span.get("endedAt") else None,
        output=span.get("output"),
    )


def order_of(data: Mapping[str, Any]) -> str:
    """Find the order that an event is about; empty if it is about none."""
    if "order_id" in data:
        return str(data["order_id"])
    # An invoked function gets the order whole; a failure handler the event that failed.
    inner = data.get("order") or (data.get("event") or {}).get("data") or {}
    return str(inner.get("order_id", ""))


def moment(text: str) -> float:
    """Read an RFC 3339 time. Python 3.10 knows neither `Z` nor more than six decimals."""
    whole, _, decimals = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float(f"0.{decimals or 0}")
