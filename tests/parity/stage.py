"""
Where scenarios are played: one app of one package on one framework, behind a tap, with a server.

A scenario's functions are triggered by events of their own names and are named after it.
"""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.contrib.devserver.live import Running, eventually

from .adapters import ADAPTERS
from .kits import Kit
from .scenario import Expected, Scenario, load
from .tap import Exchange, Tap, moment, tapping


@dataclass
class Run:
    """A run that has ended, and how it came about."""

    status: str
    output: Any
    """What it returned, or its error without the stack."""
    stack: str | None
    ops: list[list[str]]
    """What each call was answered with: a word for each op, or its status."""
    log: list[Any]
    """What the functions noted."""
    attempts: list[int]
    replies: list[Any]
    headers: list[dict[str, str]]
    """Of each reply."""
    hooks: list[str]
    """Those of the client's two middleware."""
    lines: list[str]
    """What was logged for it."""
    contexts: list[dict[str, Any]]
    """What each call said of itself."""

    @property
    def calls(self) -> int:
        """How often the server called."""
        return len(self.ops)


class Lines(logging.Logger):
    """A logger that keeps what it is told; one run at a time is told apart by when it ran."""

    def __init__(self) -> None:
        super().__init__("parity", logging.INFO)
        self._kept: list[tuple[int, str]] = []
        self.addHandler(logging.NullHandler())

    def handle(self, record: logging.LogRecord) -> None:
        self._kept.append((moment(), f"{record.levelname.lower()} {record.getMessage()}"))

    def of(self, calls: list[Exchange]) -> list[str]:
        """What was logged between the first call and the last reply."""
        return [
            line for at, line in self._kept if any(call.began <= at <= call.ended for call in calls)
        ]


def _noting(kit: Kit, name: str, hooks: dict[str | None, list[str]]) -> Any:
    """Make a middleware that notes its hooks, by run; blocking, so that it fits everywhere."""
    base: Any = kit.inngest.MiddlewareSync

    class Noting(base):  # type: ignore[misc]  # either package's
        run_id: str | None = None

        def note(self, hook: str) -> None:
            hooks[self.run_id].append(f"{name} {hook}")

        def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            self.run_id = ctx.run_id
            self.note(f"transform_input {steps.size}")

        def before_execution(self) -> None:
            self.note("before_execution")

        def before_send_events(self, events: list[Any]) -> None:
            self.note(f"before_send_events {len(events)}")

        def after_send_events(self, result: Any) -> None:
            self.note(f"after_send_events {len(result.ids)}")

        def after_execution(self) -> None:
            self.note("after_execution")

        def transform_output(self, result: Any) -> None:
            told = type(result.error).__name__ if result.error else result.output
            of = result.step and (result.step.id, str(getattr(result.step.op, "value", "")))
            self.note(f"transform_output {of} {told} {result.has_output()}")

        def before_response(self) -> None:
            self.note("before_response")

    return Noting


class App:
    """The functions of all scenarios of a colour on one client."""

    def __init__(self, kit: Kit, app_id: str, server: Running) -> None:
        self.kit, self.id, self.server = kit, app_id, server
        self.hooks: dict[str | None, list[str]] = defaultdict(list)
        serializer = kit.inngest.PydanticSerializer()
        middleware = [_noting(kit, "first", self.hooks), _noting(kit, "second", self.hooks)]
        self.lines = Lines()
        self.client = self.new_client(
            self.id, serializer=serializer, middleware=middleware, logger=self.lines
        )
        self.functions: list[Any] = []
        self.logs: dict[str, list[Any]] = defaultdict(list)
        self.tap: Tap
        self.lock = threading.Lock()

    def new_client(self, app_id: str, **options: Any) -> Any:
        """Make a client in dev mode that knows the server."""
        options.setdefault("api_base_url", self.server.url)
        options.setdefault("event_api_base_url", self.server.url)
        return self.kit.inngest.Inngest(app_id=app_id, is_production=False, **options)


@dataclass
class Stage:
    """What a scenario is handed."""

    app: App
    name: str
    functions: list[Any] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)
    """Of this process: it outlives runs."""

    @property
    def kit(self) -> Kit:
        return self.app.kit

    @property
    def inngest(self) -> Any:
        return self.app.kit.inngest

    @property
    def client(self) -> Any:
        return self.app.client

    @property
    def server(self) -> Running:
        return self.app.server

    def id(self, suffix: str = "") -> str:
        """The local id of a function of this scenario."""
        return f"{self.name}-{suffix}" if suffix else self.name

    def event(self, suffix: str = "") -> str:
        """The name of the event that triggers a function of this scenario."""
        return f"{self.app.id}/{self.id(suffix)}"

    def function(self, suffix: str = "", **options: Any) -> Callable[[Any], Any]:
        """As create_function; id and trigger are given."""
        options.setdefault("trigger", self.inngest.TriggerEvent(event=self.event(suffix)))
        create = self.client.create_function(fn_id=self.id(suffix), **options)

        def build(handler: Any) -> Any:
            function = create(handler)
            self.functions.append(function)
            return function

        return build

    def note(self, of: Any, what: Any) -> None:
        """Note a side effect of a run, given its context or id."""
        with self.app.lock:
            self.app.logs[getattr(of, "run_id", of)].append(what)

    # ---- what the one who plays it does

    def send(self, suffix: str = "", data: Mapping[str, Any] | None = None, **more: Any) -> str:
        """Send the event of a function; return its id."""
        return self.server.send(self.event(suffix), data, **more)

    def ended(self, event_id: str) -> Run:
        """Wait for the end of the one run of an event."""
        # The server need not be asked again and again meanwhile.
        self.app.tap.await_end(event_id)
        (run,) = self.server.ended_runs(event_id)
        return self.run(run)

    def run(self, run: Mapping[str, Any]) -> Run:
        """Tell what is known of a run that has ended."""
        calls = self.app.tap.calls(run["id"])
        output, stack = _output(run, calls)
        return Run(
            status=run["status"],
            output=output,
            stack=stack,
            ops=[_ops(call) for call in calls],
            log=self.app.logs[run["id"]],
            attempts=[call.json["ctx"]["attempt"] for call in calls],
            replies=[call.replied for call in calls],
            headers=[call.reply_headers or {} for call in calls],
            hooks=self.app.hooks[run["id"]],
            lines=self.app.lines.of(calls),
            contexts=[call.json["ctx"] for call in calls],
        )

    def played(self, expected: Expected) -> dict[str, Any]:
        """Play it, and return the facts that are expected as they came out."""
        found = expected.by(self) if expected.by else self.ended(self.send())
        if isinstance(found, Run):
            return {name: getattr(found, name) for name in expected.facts}
        return dict(found)

    eventually = staticmethod(eventually)


def _output(run: Mapping[str, Any], calls: list[Exchange]) -> tuple[Any, str | None]:
    """What the app answered last; where that was no end, what the server says."""
    ended = bool(calls) and calls[-1].status != 206
    output = calls[-1].replied if ended else run.get("output")
    if run["status"] == "FAILED" and isinstance(output, dict):
        return {key: output[key] for key in output if key != "stack"}, output.get("stack")
    return output, None


def _ops(call: Exchange) -> list[str]:
    if call.status != 206:
        return [str(call.status)]
    return [f"{op['op']} {op.get('displayName')}" for op in call.replied]


@dataclass
class Theatre:
    """An app that is served, with its scenarios."""

    app: App
    stages: dict[str, tuple[Stage, Expected]]


def _defined(app: App, scenarios: Mapping[str, Scenario]) -> dict[str, tuple[Stage, Expected]]:
    stages = {}
    for name, one in scenarios.items():
        stage = Stage(app, name)
        stages[name] = (stage, one.define(stage))
        app.functions += stage.functions
    return stages


@contextmanager
def playing(app: App, adapter: str, colour: str) -> Iterator[tuple[str, Theatre]]:
    """Serve the scenarios of a colour for a block; give the origin."""
    stages = _defined(app, load(colour))
    with ADAPTERS[adapter](app.kit.serve(adapter), app.client, app.functions) as origin:
        yield origin, Theatre(app, stages)


def sync(app: App) -> None:
    """Register an app by its tap."""
    response = app.server.http.put(f"{app.tap.url}/api/inngest")
    assert response.status_code == 200, response.text


@contextmanager
def theatre(
    kit: Kit, adapter: str, colour: str, *, server: Running, app_id: str | None = None
) -> Iterator[Theatre]:
    """Serve the scenarios of a colour for a block, registered with the server."""
    app = App(kit, app_id or f"{kit.name}-{adapter}-{colour}", server)
    with playing(app, adapter, colour) as (origin, found), tapping() as app.tap:
        app.tap.lead_to(origin)
        sync(app)
        yield found
