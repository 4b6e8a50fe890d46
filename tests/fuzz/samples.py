"""The bodies of real calls: what a server has sent to the official SDK and to others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from inngest_core.wire.ids import hash_step

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
EVENT: dict[str, Any] = {"data": {"n": 1}, "id": "e", "name": "a/b", "ts": 1, "user": {}, "v": "1"}
FULL: dict[str, Any] = {
    "ctx": {
        "attempt": 0,
        "disable_immediate_execution": False,
        "env": "",
        "fn_id": "x",
        "generation_id": 1,
        "job_id": "j",
        "max_attempts": 3,
        "qi_id": "q",
        "request_id": "r",
        "run_id": "run",
        "stack": {"current": 1, "stack": [hash_step("a")]},
        "use_api": False,
    },
    "defers": {},
    "event": EVENT,
    "events": [EVENT],
    "steps": {hash_step("a"): {"data": 1}},
    "use_api": False,
    "version": -1,
}


def _official() -> Iterator[Any]:
    doc = json.loads((SAMPLES / "calls" / "official.json").read_text(encoding="utf-8"))
    for story in doc["stories"].values():
        yield from (one["body"] for one in story if one["to"] == "sdk" and one["method"] == "POST")


def _recorded() -> Iterator[Any]:
    for path in sorted((SAMPLES / "devserver" / "runs").glob("*.json")):
        doc = json.loads(path.read_text(encoding="utf-8"))
        for exchange in doc["exchanges"]:
            if "call" in exchange and isinstance(exchange.get("body"), dict):
                yield _whole(exchange["body"])


def _whole(body: dict[str, Any]) -> dict[str, Any]:
    """A recorded body, in which the events are counted, as it was sent."""
    events = body.get("events")
    count = events if isinstance(events, int) else 1
    return {**body, "events": events if isinstance(events, list) else [body.get("event")] * count}


def _distinct(bodies: Iterator[Any]) -> list[str]:
    """One of each shape: the same steps, in the same run, at the same attempt."""
    found = {}
    for body in bodies:
        text = json.dumps(body)
        if body.get("event") and len(text) < 6000:
            kinds = [type(memo).__name__ for memo in body.get("steps", {}).values()]
            found[str((sorted(body), sorted(body["ctx"]), sorted(body["event"]), kinds))] = text
    return list(found.values())


# Kept as text: parsed anew, each case may change its own.
CALLS = [json.dumps(FULL), *_distinct(_official()), *_distinct(_recorded())]
