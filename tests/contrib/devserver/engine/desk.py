"""A desk to test the engine at: its clock stands still, and calls lie open until answered."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from inngest_contrib.devserver.engine import Engine
from inngest_contrib.devserver.engine.commands import (
    Call,
    CallFailed,
    Command,
    Expressions,
    Fetch,
    Fetched,
    NewEvent,
    ReceiveEvents,
    Replied,
    Settings,
    SyncApp,
    Tick,
    Warn,
)
from inngest_contrib.devserver.engine.state import Event, Run
from inngest_contrib.devserver.store import Store

START = 1_800_000_000_000
HEADERS = {"x-inngest-sdk": "demo:v1", "x-inngest-req-version": "2"}
URL = "http://app/api/inngest"


class Equality:
    """Expressions of the form `event.data.a == async.data.a`, or `true`, `false`."""

    def problem(self, text: str) -> str | None:
        return "it is broken" if "broken" in text else None

    def matches(
        self, text: str, event: Mapping[str, Any], incoming: Mapping[str, Any] | None = None
    ) -> bool:
        if text in ("true", "false"):
            return text == "true"
        left, right = (side.strip() for side in text.split("=="))
        roots = {"event": event, "async": incoming}
        return bool(_value(roots, left) == _value(roots, right))

    def evaluate(
        self, text: str, event: Mapping[str, Any], incoming: Mapping[str, Any] | None = None
    ) -> Any:
        if "broken" in text:
            raise ValueError("it is broken")
        return _value({"event": event, "async": incoming}, text)


def _value(roots: Mapping[str, Any], text: str) -> Any:
    if text.startswith("'"):
        return text.strip("'")
    value: Any = roots
    for part in text.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def next_minute(cron: str, after: int) -> int:
    return after + 60_000 - after % 60_000


def hashed(step: str) -> str:
    return hashlib.sha1(step.encode()).hexdigest()


def run_op(step: str, data: Any = 1, **more: Any) -> dict[str, Any]:
    return {"id": hashed(step), "op": "StepRun", "displayName": step, "data": data, **more}


def op(code: str, step: str, **opts: Any) -> dict[str, Any]:
    return {"id": hashed(step), "op": code, "displayName": step, "opts": opts}


def plan(*steps: str, race: bool = False) -> list[dict[str, Any]]:
    opts = {"parallelMode": "race"} if race else {}
    return [op("StepPlanned", step, **opts) for step in steps]


def error_op(step: str, message: str = "bad") -> dict[str, Any]:
    return {"id": hashed(step), "op": "StepError", "error": {"name": "E", "message": message}}


@dataclass
class Open:
    """A call that waits for its answer."""

    effect: Call

    @property
    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = json.loads(self.effect.body)
        return body

    @property
    def function(self) -> str:
        return parse_qs(urlsplit(self.effect.url).query)["fnId"][0]

    @property
    def step(self) -> str:
        return parse_qs(urlsplit(self.effect.url).query)["stepId"][0]

    @property
    def attempt(self) -> int:
        return int(self.body["ctx"]["attempt"])


@dataclass
class Desk:
    """An engine, its clock, its open calls, and everything it has written."""

    settings: Settings = field(default_factory=Settings)
    store: Store | None = None
    expressions: Expressions = field(default_factory=Equality)

    def __post_init__(self) -> None:
        self.now = START
        self.open: list[Open] = []
        self.fetches: list[Fetch] = []
        self.warnings: list[str] = []
        self.runs: dict[str, Run] = {}
        self.events: list[Event] = []
        self._serial = 0
        self.engine = self._new_engine()

    def _new_engine(self) -> Engine:
        self._serial += 1
        return Engine(
            expressions=self.expressions,
            next_tick=next_minute,
            seed=b"desk %d" % self._serial,
            settings=self.settings,
        )

    def restart(self) -> None:
        """Forget all but the store: calls in progress are lost."""
        assert self.store is not None
        self.open.clear()
        self.fetches.clear()
        self.engine = self._new_engine()
        changes = self.engine.restore(self.store.load(), self.now)
        self.store.commit(self.store.prepare(changes))
        self.do(Tick())

    def do(self, *commands: Command) -> Any:
        """One turn."""
        turn = self.engine.begin(self.now)
        results = [self.engine.apply(turn, command) for command in commands]
        self.engine.finish(turn)
        assert turn.mistakes == []
        if self.store is not None and turn.changes:
            self.store.commit(self.store.prepare(turn.changes))
        for record in turn.changes.put.values():
            if isinstance(record, Run):
                self.runs[record.id] = record
            elif isinstance(record, Event):
                self.events.append(record)
        self.open += [Open(effect) for effect in turn.effects if isinstance(effect, Call)]
        self.fetches += [effect for effect in turn.effects if isinstance(effect, Fetch)]
        self.warnings += [effect.message for effect in turn.effects if isinstance(effect, Warn)]
        return results[-1]

    def sync(self, *functions: dict[str, Any], app: str = "app", url: str = URL) -> Any:
        return self.do(SyncApp(name=app, url=url, functions=functions))

    def send(self, name: str, data: dict[str, Any] | None = None, **more: Any) -> str:
        ids: list[str] = self.do(ReceiveEvents([NewEvent(name=name, data=data or {}, **more)]))
        return ids[0]

    def take(self, function: str | None = None, step: str | None = None) -> Open:
        """Take the oldest open call, or the only one of a function or step."""
        for call in self.open:
            wanted_step = step is None or call.step == (step if step == "step" else hashed(step))
            if function in (None, call.function) and wanted_step:
                self.open.remove(call)
                return call
        raise AssertionError(f"no open call of {function} {step}: {self.open}")

    def reply(self, call: Open, status: int, body: Any = None, **headers: str) -> None:
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {key.replace("_", "-"): value for key, value in headers.items()}
        self.do(Replied(call.effect.job_id, status, {**HEADERS, **named}, text))

    def answer(self, *ops: dict[str, Any], **headers: str) -> None:
        """Answer the oldest open call with ops."""
        self.reply(self.take(), 206, list(ops), **headers)

    def fetched(self, status: int, body: Any = None, **headers: str) -> None:
        """Answer the oldest request of a function."""
        text = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = [(key.replace("_", "-"), value) for key, value in headers.items()]
        fetch = self.fetches.pop(0)
        self.do(Fetched(fetch.fetch_id, fetch.url, status, named, text))

    def lose(self, call: Open) -> None:
        self.do(CallFailed(call.effect.job_id, "Unable to reach SDK URL"))

    def wait(self, ms: int) -> None:
        """Let time pass, turn by turn."""
        end = self.now + ms
        while (due := self.engine.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.do(Tick())
        self.now = end

    @property
    def run(self) -> Run:
        """The first run."""
        return next(iter(self.runs.values()))

    def status(self, slug: str = "app-f") -> list[str]:
        return [run.status.value for run in self.runs.values() if run.function.slug == slug]

    def sent(self, name: str) -> list[dict[str, Any]]:
        """The data of the events of a name."""
        return [json.loads(event.data) for event in self.events if event.name == name]


def function(name: str = "f", *triggers: dict[str, Any], **config: Any) -> dict[str, Any]:
    """A function as registered; triggered by the event of its name unless told otherwise."""
    retries = config.pop("retries", 0)
    runtime = {"type": "http", "url": f"{URL}?fnId=app-{name}&stepId=step"}
    step = {"id": "step", "name": "step", "runtime": runtime, "retries": {"attempts": retries}}
    return {
        "id": f"app-{name}",
        "name": name,
        "triggers": list(triggers) or [{"event": name}],
        "steps": {"step": step},
        **config,
    }
