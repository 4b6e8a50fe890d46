"""
Plays a recorded scenario against the engine, in virtual time, and compares every call it makes.

The recording says what clients sent and when, and how the app answered each call. The engine
must make the same calls with the same contents. It makes them earlier than the recorded server,
which polls its queue.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from inngest_contrib.devserver.cron import next_tick
from inngest_contrib.devserver.engine import Engine
from inngest_contrib.devserver.engine.commands import (
    Call,
    CallFailed,
    CancelRun,
    Command,
    Fetch,
    Fetched,
    FetchFailed,
    KeptStep,
    NewEvent,
    ReceiveEvents,
    Replied,
    Rerun,
    SendSignal,
    Settings,
    SyncApp,
    Tick,
)
from inngest_contrib.devserver.engine.state import Event, Run, Step
from inngest_contrib.devserver.expressions import Expressions

SAMPLES = Path(__file__).parents[3] / "samples" / "devserver" / "runs"
HOP = 600
"""What the recorded server may lose, in ms, between a cause and the call that follows."""


def load(name: str) -> dict[str, Any]:
    """A recorded scenario."""
    sample: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text())
    return sample


@dataclass
class Difference:
    """A call that is not as recorded."""

    where: str
    what: str
    recorded: Any
    made: Any


@dataclass
class Replay:
    """One scenario being played."""

    sample: dict[str, Any]
    settings: Settings = field(default_factory=lambda: Settings(retry_interval=1000))
    early: int = 60
    """By how many ms the recorded server may be earlier."""
    loose_time: bool = False
    any_order: bool = False
    """Whether steps that end at the same moment may be in another order."""

    def __post_init__(self) -> None:
        self.differences: list[Difference] = []
        self.unexpected: list[str] = []
        self.runs: dict[str, Run] = {}
        self.events: list[Event] = []
        self.engine = Engine(
            expressions=Expressions(), next_tick=next_tick, seed=b"replay", settings=self.settings
        )
        exchanges: list[dict[str, Any]] = self.sample["exchanges"]
        self.calls = [entry for entry in exchanges if "call" in entry]
        self.fetches = [entry for entry in exchanges if "fetch" in entry]
        self.base = _find_base(exchanges)
        self._run_ids: dict[str, str] = {}
        self._agenda: list[tuple[int, int, Command | dict[str, Any]]] = []
        self._serial = 0
        for command_at, entry in _client_actions(exchanges):
            self._plan(command_at, entry)
        self._last = max(entry["t"] for entry in exchanges)

    def play(self) -> Replay:
        """Play to the end of the recording, and a little beyond."""
        while True:
            now = self._next_moment()
            if now is None or now > self._last + 3 * HOP:
                return self
            self._turn(now)

    def _next_moment(self) -> int | None:
        due = self.engine.next_due()
        moments = [] if due is None else [due - self.base]
        if self._agenda:
            moments.append(self._agenda[0][0])
        return min(moments, default=None)

    def _turn(self, now: int) -> None:
        self._moment = self.base + now
        turn = self.engine.begin(self._moment)
        self.engine.apply(turn, Tick())
        while self._agenda and self._agenda[0][0] <= now:
            _, _, planned = heapq.heappop(self._agenda)
            for command in self._commands(planned):
                self.engine.apply(turn, command)
        self.engine.finish(turn)
        for record in turn.changes.put.values():
            if isinstance(record, Run):
                self.runs[record.id] = record
            if isinstance(record, Event):
                self.events.append(record)
        for effect in turn.effects:
            if isinstance(effect, Call):
                self._answer(effect, now)
            elif isinstance(effect, Fetch):
                self._answer_fetch(effect, now)

    def _plan(self, at: int, what: Command | dict[str, Any]) -> None:
        self._serial += 1
        heapq.heappush(self._agenda, (at, self._serial, what))

    def _commands(self, planned: Command | dict[str, Any]) -> Iterator[Command]:
        if not isinstance(planned, dict):
            yield planned
        elif planned.get("POST") == "/fn/register":
            body = planned["body"]
            yield SyncApp(name=body["appName"], url=body["url"], functions=body["functions"])
        elif planned.get("POST", "").startswith("/e/"):
            yield ReceiveEvents(list(_new_events(planned)))
        elif planned.get("POST") == "/v1/signals":
            yield SendSignal(planned["body"]["signal"], planned["body"]["data"])
        elif _repeats(planned):
            yield self._rerun(planned)
        else:
            recorded = next(part for part in _path(planned).split("/") if len(part) == 26)
            yield CancelRun(self._run_ids.get(recorded, recorded))

    def _rerun(self, planned: dict[str, Any]) -> Rerun:
        """A rerun, as the API makes it of what is stored."""
        recorded = planned["body"].get("variables", {}).get("r") or _path(planned).split("/")[-2]
        run = self.runs[self._run_ids[recorded]]
        wish = planned["body"].get("fromStep")
        facts: dict[str, Any] = {} if wish is None else _from_step(run, wish)
        return Rerun(
            original_run_id=run.id, function_id=run.function.id, events=run.events, **facts
        )

    # --- calls ------------------------------------------------------------------------------

    def _answer(self, call: Call, now: int) -> None:
        body = json.loads(call.body)
        query = {key: values[0] for key, values in parse_qs(urlsplit(call.url).query).items()}
        recorded = self._take(query, body)
        if recorded is None:
            self.unexpected.append(f"{now} ms: {query} attempt {body['ctx']['attempt']}")
            self._plan(now, CallFailed(call.job_id, "no such call was recorded"))
            return
        self._run_ids[recorded["body"]["ctx"]["run_id"]] = body["ctx"]["run_id"]
        self._compare(recorded, query, body, now)
        self._plan_reply(call, recorded, now)

    def _take(self, query: Mapping[str, str], body: dict[str, Any]) -> dict[str, Any] | None:
        for exact in (True, False):
            for index, entry in enumerate(self.calls):
                if _same_call(entry, query, body, exact=exact):
                    del self.calls[index]
                    return entry
        return None

    def _compare(
        self, entry: dict[str, Any], query: Mapping[str, str], body: dict[str, Any], now: int
    ) -> None:
        where = f"{query['fnId']} {query['stepId'][:4]} at {entry['t']}"
        for what, recorded, made in _aspects(entry["body"], body):
            if what == "stack" and self.any_order:
                recorded, made = sorted(recorded), sorted(made)
            if recorded != made:
                self.differences.append(Difference(where, what, recorded, made))
        if not self.loose_time and not self._in_time(entry["t"] - now, len(body["steps"])):
            self.differences.append(Difference(where, "time", entry["t"], now))

    def _in_time(self, behind: int, hops: int) -> bool:
        return -self.early <= behind <= HOP * (2 + hops)

    def _plan_reply(self, call: Call, entry: dict[str, Any], now: int) -> None:
        reply = entry["reply"]
        if "dropped" in reply:
            self._plan(now, CallFailed(call.job_id, "Unable to reach SDK URL"))
            return
        took = max(reply["t"] - entry["t"], 0)
        answer = Replied(call.job_id, reply["status"], reply["headers"], reply["text"].encode())
        self._plan(now + took, answer)

    # --- requests of functions --------------------------------------------------------------

    def _answer_fetch(self, fetch: Fetch, now: int) -> None:
        path = urlsplit(fetch.url).path
        index = next((i for i, entry in enumerate(self.fetches) if entry["fetch"] == path), None)
        if index is None:
            # Nobody was there: so the recorded server put it.
            self._plan(now, FetchFailed(fetch.fetch_id, "Unable to reach SDK URL"))
            return
        entry = self.fetches.pop(index)
        made = {"method": fetch.method, "headers": dict(fetch.headers)}
        for what, value in {**made, "text": (fetch.body or b"").decode()}.items():
            if entry[what] != value:
                self.differences.append(Difference(f"fetch {path}", what, entry[what], value))
        reply = entry["reply"]
        headers = list(reply["headers"].items())
        answer = Fetched(
            fetch.fetch_id, fetch.url, reply["status"], headers, reply["text"].encode()
        )
        self._plan(now + reply["t"] - entry["t"], answer)


def _from_step(run: Run, wish: dict[str, Any]) -> dict[str, Any]:
    target = run.steps[wish["stepId"]]
    end = run.stack.index(b'"%b"' % target.id.encode())
    before = [step for step in run.steps.values() if (step.position or 0) < end]
    given = json.dumps(wish["input"]).encode() if "input" in wish else None
    return {"step": _kept(target), "kept": [_kept(step) for step in before], "input": given}


def _kept(step: Step) -> KeptStep:
    memo = step.memo or b"null"
    return KeptStep(id=step.id, name=step.name, op=step.op, queued_at=step.queued_at, memo=memo)


def _repeats(entry: Mapping[str, Any]) -> bool:
    path = _path(entry)
    return entry.get("status") == 200 and (path.endswith("/rerun") or path == "/v0/gql")


def _path(entry: Mapping[str, Any]) -> str:
    return next(str(entry[verb]) for verb in ("POST", "DELETE", "GET") if verb in entry)


def _find_base(exchanges: list[dict[str, Any]]) -> int:
    """The instant at which the scenario's clock showed 0."""
    sent = {
        entry["ids"][0]: entry["t"]
        for entry in exchanges
        if entry.get("ids") and isinstance(entry["body"], dict) and "ts" not in entry["body"]
    }
    stamps = []
    for entry in exchanges:
        event = entry["body"]["event"] if "call" in entry else {"id": ""}
        if event["id"] in sent:
            return int(event["ts"]) - int(sent[event["id"]])
        if "call" in entry:
            stamps.append(int(event["ts"]) - int(entry["t"]))
    return max(stamps)


def _client_actions(exchanges: list[dict[str, Any]]) -> Iterator[tuple[int, dict[str, Any]]]:
    if not any(entry.get("POST") == "/fn/register" for entry in exchanges):
        yield 0, _made_up_registration(exchanges)
    sent = {
        event["name"]
        for entry in exchanges
        if str(entry.get("POST", "")).startswith("/e/")
        for event in (entry["body"] if isinstance(entry["body"], list) else [entry["body"]])
    }
    for entry in exchanges:
        if "fetch" in entry:
            continue
        if "call" not in entry and _matters(entry):
            yield entry["t"], entry
        elif "call" in entry and _starts_unsent(entry, sent):
            event = entry["body"]["event"]
            yield entry["t"] - 50, {"POST": "/e/made-up", "body": event, "ids": [event["id"]]}


def _matters(entry: Mapping[str, Any]) -> bool:
    path = _path(entry)
    if path.startswith("/e/"):
        return bool(entry["status"] == 200)
    if _repeats(entry):
        return True
    cancels = "DELETE" in entry or path.endswith("/cancel")
    return path in ("/fn/register", "/v1/signals") or (
        cancels and any(len(p) == 26 for p in path.split("/"))
    )


def _starts_unsent(entry: Mapping[str, Any], sent: set[str]) -> bool:
    body = entry["body"]
    first = not body["steps"] and body["ctx"]["attempt"] == 0 and body["version"] == -1
    name = body["event"]["name"]
    return first and name not in sent and not name.startswith("inngest/")


def _made_up_registration(exchanges: list[dict[str, Any]]) -> dict[str, Any]:
    functions: dict[str, dict[str, Any]] = {}
    for entry in exchanges:
        if "call" in entry and entry["call"] not in functions:
            body, slug = entry["body"], entry["call"]
            runtime = {"url": f"http://app/api/inngest?fnId={slug}&stepId=step"}
            retries = {"attempts": body["ctx"]["max_attempts"] - 1}
            functions[slug] = {
                "id": slug,
                "name": slug,
                "triggers": [{"event": body["event"]["name"]}],
                "steps": {"step": {"runtime": runtime, "retries": retries}},
            }
    url = "http://app/api/inngest"
    registration = {"appName": "app", "url": url, "functions": list(functions.values())}
    return {"POST": "/fn/register", "body": registration}


def _new_events(entry: Mapping[str, Any]) -> Iterator[NewEvent]:
    bodies = entry["body"] if isinstance(entry["body"], list) else [entry["body"]]
    for body, event_id in zip(bodies, entry["ids"], strict=True):
        yield NewEvent(
            name=body["name"],
            data=body.get("data") or {},
            id=body.get("id") or "",
            ts=body.get("ts") or 0,
            v=body.get("v"),
            user=body.get("user"),
            internal_id=event_id,
        )


def _same_call(
    entry: Mapping[str, Any], query: Mapping[str, str], body: dict[str, Any], *, exact: bool
) -> bool:
    recorded = entry["body"]
    return bool(
        entry["call"] == query["fnId"]
        and entry["step"] == query["stepId"]
        and recorded["ctx"]["attempt"] == body["ctx"]["attempt"]
        and recorded["event"]["name"] == body["event"]["name"]
        and (not exact or recorded["steps"].keys() == body["steps"].keys())
        and (not exact or _subject(recorded) == _subject(body))
    )


def _subject(body: Mapping[str, Any]) -> Any:
    """What tells two runs of one function apart."""
    data = body["event"]["data"]
    return data.get("function_id") or (data if "_inngest" not in data else None)


def _aspects(recorded: dict[str, Any], made: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for key in ("disable_immediate_execution", "generation_id", "max_attempts", "use_api"):
        yield key, recorded["ctx"][key], made["ctx"][key]
    yield "stack", recorded["ctx"]["stack"]["stack"], made["ctx"]["stack"]["stack"]
    yield "steps", _stripped(recorded["steps"]), _stripped(made["steps"])
    yield "defers", recorded.get("defers", {}), made["defers"]
    yield "version", recorded["version"], made["version"]
    yield "event", _stripped(recorded["event"]), _stripped(made["event"])
    yield "events", recorded["events"], len(made["events"])


_OWN = {"id", "run_id", "ts", "correlation_id", "expire", "gid", "isr", "tc", "fireAt"}
_OWN |= {"source_app_id", "source_fn_id"}
_OWN |= {"parent_app_id", "parent_fn_id", "parent_run_id", "parent_defer_span"}


def _stripped(value: Any) -> Any:
    """A value without what differs from run to run: ids, times, traces."""
    if isinstance(value, dict):
        return {key: _stripped(child) for key, child in value.items() if key not in _OWN}
    if isinstance(value, list):
        return [_stripped(child) for child in value]
    return value
