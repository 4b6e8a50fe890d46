"""
Engine and gateway joined in virtual time, without a socket: workers are played by the test.

What the driver and the loop do between the two is done here at once, so whatever a test sees was
decided by the rules.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from google.protobuf.message import Message

from inngest_contrib.devserver.connect import handshake
from inngest_contrib.devserver.connect.gateway import (
    Close,
    Effect,
    Flushed,
    Gateway,
    Send,
    Settle,
    Sync,
)
from inngest_contrib.devserver.connect.messages import decode, encode
from inngest_contrib.devserver.connect.times import REAL, Moment, Times
from inngest_contrib.devserver.cron import next_tick
from inngest_contrib.devserver.engine import Engine
from inngest_contrib.devserver.engine.commands import (
    Call,
    Command,
    NewEvent,
    NoteWorkers,
    ReceiveEvents,
    Settings,
    Tick,
    Warn,
)
from inngest_contrib.devserver.engine.commands import DropCall as Dropped
from inngest_contrib.devserver.engine.state import Run, Step
from inngest_contrib.devserver.expressions import Expressions
from inngest_contrib.devserver.registration import RegistrationRefused
from inngest_core.connect import connect_pb2 as pb

START = 1_800_000_000_000
LATE = ("calls", "notes", "outcomes")
"""What passes between engine and gateway by different ways."""
UPTIME = 5_000_000
"""What the other clock shows then: the two have nothing to do with each other."""
PAYLOADS: dict[int, Any] = {
    pb.GATEWAY_CONNECTION_READY: pb.GatewayConnectionReadyData,
    pb.GATEWAY_EXECUTOR_REQUEST: pb.GatewayExecutorRequestData,
    pb.WORKER_REPLY_ACK: pb.WorkerReplyAckData,
    pb.WORKER_REQUEST_EXTEND_LEASE_ACK: pb.WorkerRequestExtendLeaseAckData,
    pb.SYNC_FAILED: pb.SystemError,
}
CONNECTION_ID = "01M81ECV125M1BJMB1RQ0V3ND3"
RUN_OP = "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"


@dataclass
class Frame:
    """What a worker got, and when."""

    at: int
    kind: int
    payload: Any


@dataclass
class Socket:
    """A worker's end of a connection."""

    link: int
    frames: list[Frame] = field(default_factory=list)
    closed: tuple[int, Close] | None = None
    read: int = 0

    def take(self, *kinds: int) -> list[Any]:
        """The payloads of what has come since the last time, which must be of these kinds."""
        new, self.read = self.frames[self.read :], len(self.frames)
        assert [frame.kind for frame in new] == list(kinds)
        return [frame.payload for frame in new]


class Rig:
    """Both, a clock, and what the workers see."""

    def __init__(
        self,
        times: Times = REAL,
        *,
        settings: Settings | None = None,
        start: int = START,
    ) -> None:
        self.t = 0
        self.start = start
        self.wall_shift = 0
        self.expressions = Expressions()
        self.engine = Engine(
            expressions=self.expressions,
            next_tick=next_tick,
            seed=b"rig",
            settings=settings or Settings(retry_interval=1000),
        )
        self.gateway = Gateway(
            id=CONNECTION_ID,
            seed=b"rig",
            is_session=lambda token: token not in ("", "bad"),
            times=times,
        )
        self.sockets: dict[int, Socket] = {}
        self.runs: dict[str, Run] = {}
        self.memos: dict[tuple[str, str], list[bytes]] = {}
        """By run and step: every memo that was ever written."""
        self.warnings: list[str] = []
        self.flushed: list[object] = []
        self.outcomes: list[Any] = []
        self.lags = False
        """Whether engine and gateway hear of each other late, as `hear` says."""
        self._late: dict[str, deque[Callable[[], None]]] = {kind: deque() for kind in LATE}

    def hear(self, kind: str) -> None:
        """Let what is late of a kind arrive; the kinds may overtake each other."""
        for _ in range(len(self._late[kind])):
            self._late[kind].popleft()()

    def _arrive(self, kind: str, what: Callable[[], None]) -> None:
        if self.lags:
            self._late[kind].append(what)
        else:
            what()

    # --- time

    @property
    def now(self) -> Moment:
        return Moment(UPTIME + self.t, self.start + self.t + self.wall_shift)

    def next_due(self) -> int | None:
        """When something is due, in ms from the start."""
        dues = []
        if (due := self.engine.next_due()) is not None:
            dues.append(due - self.start)
        if (due := self.gateway.next_due()) is not None:
            dues.append(due - UPTIME)
        return min(dues, default=None)

    def go(self, to: int) -> None:
        """Let time pass until a moment."""
        while (due := self.next_due()) is not None and due <= to:
            self.t = max(self.t, due)
            self.do(Tick())
            self.perform(self.gateway.tick(self.now))
        self.t = to

    def wait(self, ms: int) -> None:
        self.go(self.t + ms)

    # --- the engine's side

    def do(self, command: Command) -> Any:
        """A turn of the engine, and what it leads to."""
        result, effects = self._turn(command)
        self._play(effects)
        return result

    def _turn(self, command: Command) -> tuple[Any, list[Any]]:
        turn = self.engine.begin(self.start + self.t)
        result = self.engine.apply(turn, command)
        self.engine.finish(turn)
        assert turn.mistakes == []
        self._note(turn.changes.put.values())
        return result, turn.effects

    def _play(self, effects: list[Any]) -> None:
        for effect in effects:
            if isinstance(effect, Call):
                self._arrive("calls", partial(self._take, effect))
            elif isinstance(effect, Dropped):
                self.perform(self.gateway.drop(effect.job_id, self.now))
            elif isinstance(effect, Warn):
                self.warnings.append(effect.message)

    def _take(self, call: Call) -> None:
        self.perform(self.gateway.take(call, self.now))

    def _settle(self, effect: Settle) -> None:
        _, further = self._turn(effect.outcome)
        self.perform(self.gateway.stored(effect.request_id, self.now))
        self._play(further)

    def _note(self, records: Any) -> None:
        for record in records:
            if isinstance(record, Run):
                self.runs[record.id] = record
            elif isinstance(record, Step) and record.memo is not None:
                written = self.memos.setdefault((record.run_id, record.id), [])
                if not written or written[-1] != record.memo:
                    written.append(record.memo)

    def send(self, name: str, data: dict[str, Any] | None = None) -> None:
        self.do(ReceiveEvents([NewEvent(name=name, data=data or {})]))

    @property
    def statuses(self) -> list[str]:
        return [run.status.value for run in self.runs.values()]

    # --- the gateway's side

    def perform(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                kind, payload = decode(effect.data)
                form = PAYLOADS.get(kind)
                read = form.FromString(payload) if form else None
                self.sockets[effect.link].frames.append(Frame(self.t, kind, read))
            elif isinstance(effect, Close):
                self.sockets[effect.link].closed = self.t, effect
            elif isinstance(effect, NoteWorkers):
                self._arrive("notes", partial(self.do, effect))
            elif isinstance(effect, Sync):
                self._sync(effect)
            elif isinstance(effect, Settle):
                self.outcomes.append(effect.outcome)
                self._arrive("outcomes", partial(self._settle, effect))
            elif isinstance(effect, Flushed):
                self.flushed.append(effect.ticket)

    def _sync(self, effect: Sync) -> None:
        try:
            apps = handshake.registrations(effect.worker, self.expressions.problem, "dev")
        except RegistrationRefused as refused:
            self.perform(self.gateway.sync_failed(effect.link, str(refused), self.now))
            return
        ids = {app.name: self.do(app).app_id for app in apps}
        groups = {app.name: app.checksum for app in apps}
        self.perform(self.gateway.synced(effect.link, ids, groups, self.now))

    # --- the workers' side

    def open(self) -> Socket:
        """Open a socket."""
        socket = Socket(len(self.sockets) + 1)
        self.sockets[socket.link] = socket
        self.perform(self.gateway.opened(socket.link, self.now))
        return socket

    def say(self, socket: Socket, kind: pb.MessageKind, payload: Message | None = None) -> None:
        """Send a frame."""
        self.raw(socket, encode(kind, payload))

    def raw(self, socket: Socket, data: bytes) -> None:
        self.perform(self.gateway.received(socket.link, data, self.now))

    def lose(self, socket: Socket) -> None:
        """The socket breaks."""
        self.perform(self.gateway.lost(socket.link, self.now))

    def connect(self, *apps: str, limit: int | None = None, **more: Any) -> Socket:
        """Connect a worker of some apps, each with a function `main`."""
        socket = self.open()
        self.say(socket, pb.WORKER_CONNECT, introduction(*(apps or ("app",)), limit=limit, **more))
        return socket

    def ready(self, *apps: str, limit: int | None = None) -> Socket:
        """Connect a worker; return once it is ready."""
        socket = self.connect(*apps, limit=limit)
        socket.take(pb.GATEWAY_HELLO, pb.GATEWAY_CONNECTION_READY)
        return socket

    def ack(self, socket: Socket, request: Any) -> None:
        self.say(socket, pb.WORKER_REQUEST_ACK, copied(pb.WorkerRequestAckData, request))

    def extend(self, socket: Socket, request: Any, lease: str | None = None) -> Any:
        """Extend a lease; return the answer."""
        wish = copied(pb.WorkerRequestExtendLeaseData, request)
        wish.lease_id = request.lease_id if lease is None else lease
        self.say(socket, pb.WORKER_REQUEST_EXTEND_LEASE, wish)
        (answer,) = socket.take(pb.WORKER_REQUEST_EXTEND_LEASE_ACK)
        return answer

    def reply(self, socket: Socket, request: Any, value: Any = None, **more: Any) -> None:
        """Reply what the function returned."""
        self.say(socket, pb.WORKER_REPLY, reply(request, value, **more))

    def flush(self, ticket: object, request: Any, value: Any = None) -> None:
        self.perform(self.gateway.flush(reply(request, value), ticket, self.now))


def time_of(ulid: str) -> int:
    """The time of an id."""
    number = 0
    for letter in ulid[:10]:
        number = number * 32 + "0123456789ABCDEFGHJKMNPQRSTVWXYZ".index(letter)
    return number


def copied(form: Any, request: Any) -> Any:
    """A message about a request."""
    return form(request_id=request.request_id, function_slug=request.function_slug)


def reply(request: Any, value: Any = None, *, status: Any = pb.DONE, **more: Any) -> pb.SDKResponse:
    body = json.dumps(value).encode()
    about = {"request_id": request.request_id, "sdk_version": "py:v1", "request_version": 2}
    return pb.SDKResponse(**about, status=status, body=body, **more)


def step_op(data: Any = 1) -> list[dict[str, Any]]:
    """The op of a step that has ended."""
    return [{"id": RUN_OP, "op": "StepRun", "displayName": "a", "data": data}]


def function(app: str, name: str = "main", retries: int = 2, **config: Any) -> dict[str, Any]:
    runtime = {"type": "ws", "url": f"ws://connect?fnId={app}-{name}&stepId=step"}
    step = {"id": "step", "name": "step", "runtime": runtime, "retries": {"attempts": retries}}
    triggers = [{"event": f"{app}/{name}"}]
    return {"id": f"{app}-{name}", "name": name, "triggers": triggers, "steps": {"step": step}} | (
        config
    )


def introduction(
    *apps: str,
    limit: int | None = None,
    manual: bool = False,
    instance: str = "host",
    token: str = "good",
    functions: bytes | None = None,
    retries: int = 2,
) -> pb.WorkerConnectRequestData:
    """What a worker says of itself."""
    said = pb.WorkerConnectRequestData(
        connection_id=CONNECTION_ID,
        instance_id=instance,
        auth_data=pb.AuthData(session_token=token),
        capabilities=b'{"connect":"v1"}',
        worker_manual_readiness_ack=manual,
        sdk_language="py",
        sdk_version="v1.0.0",
        framework="connect",
    )
    for app in apps:
        own = (
            json.dumps([function(app, retries=retries)]).encode()
            if functions is None
            else functions
        )
        said.apps.add(app_name=app, functions=own)
    if limit is not None:
        said.max_worker_concurrency = limit
    return said
