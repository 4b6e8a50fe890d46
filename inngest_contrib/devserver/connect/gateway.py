"""
What becomes of connections, requests and leases.

Rule 1: every decision about workers is taken in this file.
Rule 2: this file performs nothing. Frames, calls and moments go in, effects come out.

Which message of a worker means what in which phase stands in one table, at the end; whatever is
not in it is ignored, as the real server does. A request is its worker's once it was acknowledged,
until its lease ends; before that it may go to another at any time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from inngest_contrib.devserver.connect.connections import Connection, Phase, Roster
from inngest_contrib.devserver.connect.handshake import POLICY, Introduction, Refused, introduce
from inngest_contrib.devserver.connect.messages import (
    MAX_FRAME,
    BadFrame,
    decode,
    encode,
    parse,
    read_reply,
    write_call,
)
from inngest_contrib.devserver.connect.requests import Request
from inngest_contrib.devserver.connect.times import REAL, Moment, Times, go_duration
from inngest_contrib.devserver.engine.commands import (
    Call,
    CallFailed,
    CallPostponed,
    NoteWorkers,
    Replied,
)
from inngest_contrib.devserver.engine.ids import Ids
from inngest_contrib.devserver.engine.timers import Timers
from inngest_core.connect import connect_pb2 as pb
from inngest_core.wire.ids import is_ulid

_GONE, _GARBAGE, _TOO_LARGE, _FAILED = 1001, 1007, 1009, 1011
CLOSING = "connect_gateway_closing"
NO_HELLO = "connect_worker_hello_timeout"
NO_HEARTBEATS = "connect_worker_heartbeats_missed"
NO_WORKER = "connect_no_healthy_connection: no worker is connected for this app"
NO_ROOM = "connect_all_workers_at_capacity: every worker of this app is at its limit"
SILENT = (
    "connect_worker_stopped_responding: the worker took the request, and then neither extended its "
    "lease nor answered"
)
TOO_LONG = "request_duration_too_long: the worker has not answered within the {} s of a call"
UNWANTED = "nobody waits for this call any more"
_ENDED_KEPT = 100


@dataclass(slots=True, frozen=True)
class Send:
    """Write a frame to a socket."""

    link: int
    data: bytes


@dataclass(slots=True, frozen=True)
class Close:
    """Close a socket and say why."""

    link: int
    code: int
    reason: str


@dataclass(slots=True, frozen=True)
class Sync:
    """Register the apps of a worker, then say `synced`, `sync_failed` or `sync_broke`."""

    link: int
    worker: Introduction


@dataclass(slots=True, frozen=True)
class Settle:
    """A call has its outcome. Once that is stored, say `stored`."""

    request_id: str
    outcome: Replied | CallFailed | CallPostponed


@dataclass(slots=True, frozen=True)
class Flushed:
    """The reply that was flushed with this ticket is safe."""

    ticket: object


Effect = Send | Close | Sync | Settle | Flushed | NoteWorkers


class Gateway:
    """Decides. Each method returns the effects, in the order in which they are to happen."""

    def __init__(
        self, *, id: str, seed: bytes, is_session: Callable[[str], bool], times: Times = REAL
    ) -> None:
        """`is_session` judges the token that a worker brings."""
        self.id = id
        self.times = times
        self._is_session = is_session
        self._ids = Ids(seed)
        self._timers = Timers()
        self._roster = Roster()
        self._connections: dict[int, Connection] = {}
        self._requests: dict[str, Request] = {}
        self._jobs: dict[str, Request] = {}
        self._homeless: dict[str, Request] = {}
        """Requests to be sent that no worker has a place for; in order."""
        self._believed: dict[str, tuple[int, int | None]] = {}
        """What the engine thinks of an app's workers: how many, and their room."""
        self._touched: dict[str, None] = {}
        """Apps whose workers may have changed, or their room."""
        self._effects: list[Effect] = []
        self._drains = 0
        self.ending = False
        """Whether the server ends: no worker is let in any more."""
        self.ended: deque[Connection] = deque(maxlen=_ENDED_KEPT)
        """The connections that were closed last, for lists."""

    # --- what is asked ----------------------------------------------------------------------

    @property
    def group(self) -> str:
        """What this gateway calls itself. After a drain it is another one, for its workers."""
        return f"gw-dev-{self._drains + 1}" if self._drains else "gw-dev"

    @property
    def connections(self) -> Iterable[Connection]:
        """The workers that are connected."""
        return [one for one in self._connections.values() if one.worker is not None]

    @property
    def open_requests(self) -> int:
        """How many calls have no outcome yet."""
        return sum(not request.answered for request in self._requests.values())

    def next_due(self) -> int | None:
        """When `tick` is wanted next, as `Moment.at`."""
        return self._timers.next_due()

    # --- sockets ----------------------------------------------------------------------------

    def opened(self, link: int, now: Moment) -> list[Effect]:
        """A socket was opened."""
        connection = Connection(link, opened=now, heard=now)
        self._connections[link] = connection
        self._effects.append(Send(link, encode(pb.GATEWAY_HELLO)))
        connection.timer = self._timers.add(now.at + self.times.hello, connection)
        return self._done(now)

    def received(self, link: int, data: bytes, now: Moment) -> list[Effect]:
        """A worker sent a frame."""
        connection = self._connections.get(link)
        if connection is not None:
            self._take_frame(connection, data, now)
        return self._done(now)

    def lost(self, link: int, now: Moment) -> list[Effect]:
        """A socket was closed by the other side, or broke."""
        connection = self._connections.get(link)
        if connection is not None:
            self._part(connection, now)
        return self._done(now)

    def _take_frame(self, connection: Connection, data: bytes, now: Moment) -> None:
        if len(data) > MAX_FRAME:
            self._close(connection, _TOO_LARGE, "connect_message_too_large", now)
            return
        try:
            kind, payload = decode(data)
        except BadFrame:
            self._close(connection, _GARBAGE, "failed to unmarshal Protobuf", now)
            return
        take = _TABLE[connection.phase].get(kind)
        if take is not None:
            self._take(take, connection, kind, payload, now)
        elif connection.phase is Phase.GREETED:
            self._close(connection, POLICY, "connect_worker_hello_invalid_msg", now)

    def _take(
        self, take: _Take, connection: Connection, kind: pb.MessageKind, payload: bytes, now: Moment
    ) -> None:
        try:
            take(self, connection, payload, now)
        except BadFrame:
            name = pb.MessageKind.Name(kind).lower()
            self._close(connection, POLICY, f"connect_{name}_invalid_payload", now)

    def _close(self, connection: Connection, code: int, reason: str, now: Moment) -> None:
        self._effects.append(Close(connection.link, code, reason))
        self._part(connection, now)

    def _part(self, connection: Connection, now: Moment) -> None:
        """A connection is no more. What was acknowledged over it stays its worker's."""
        del self._connections[connection.link]
        self._roster.leave(connection)
        self._touch(connection)
        connection.phase = Phase.CLOSED
        connection.closed = now
        connection.disarm()
        if connection.worker is not None:
            self.ended.append(connection)
        for request in connection.requests.values():
            request.connection = None
            if not request.acked:
                self._homeless[request.id] = request
        connection.requests = {}

    # --- the handshake ----------------------------------------------------------------------

    def _introduce(self, connection: Connection, payload: bytes, now: Moment) -> None:
        if self.ending:
            self._close(connection, _GONE, CLOSING, now)
            return
        try:
            worker = introduce(payload, self._is_session)
        except Refused as refused:
            self._close(connection, refused.code, refused.reason, now)
            return
        connection.worker = worker
        connection.phase = Phase.SYNCING
        self._hear(connection, now)
        self._effects.append(Sync(connection.link, worker))

    def synced(
        self, link: int, app_ids: Mapping[str, str], groups: Mapping[str, str], now: Moment
    ) -> list[Effect]:
        """The apps of a worker are registered: their ids and checksums by their names."""
        connection = self._connections.get(link)
        if connection is not None and connection.worker is not None:
            connection.app_ids.update(app_ids)
            connection.groups.update(groups)
            connection.synced.update((app_ids[app], groups[app]) for app in app_ids)
            self._effects.append(Send(link, encode(pb.GATEWAY_CONNECTION_READY, self._intervals())))
            if connection.phase is Phase.SYNCING:
                manual = connection.worker.says_when_ready
                connection.phase = Phase.CONNECTED if manual else Phase.READY
            self._hear(connection, now)
            self._roster.enter(connection)
            self._touch(connection)
        return self._done(now)

    def _intervals(self) -> pb.GatewayConnectionReadyData:
        return pb.GatewayConnectionReadyData(
            heartbeat_interval=go_duration(self.times.heartbeat),
            extend_lease_interval=go_duration(self.times.extend_lease),
            status_interval=go_duration(self.times.status),
        )

    def sync_failed(self, link: int, message: str, now: Moment) -> list[Effect]:
        """The apps of a worker were refused."""
        connection = self._connections.get(link)
        if connection is not None:
            error = pb.SystemError(message=message)
            self._effects.append(Send(link, encode(pb.SYNC_FAILED, error)))
            self._close(connection, POLICY, "", now)
        return self._done(now)

    def sync_broke(self, link: int, now: Moment) -> list[Effect]:
        """The apps of a worker could not be registered, through no fault of theirs."""
        connection = self._connections.get(link)
        if connection is not None:
            self._close(connection, _GONE, CLOSING, now)
        return self._done(now)

    def _become_ready(self, connection: Connection, payload: bytes, now: Moment) -> None:
        connection.phase = Phase.READY
        self._touch(connection)

    # --- signs of life ----------------------------------------------------------------------

    def _beat(self, connection: Connection, payload: bytes, now: Moment) -> None:
        self._hear(connection, now)
        self._effects.append(Send(connection.link, encode(pb.GATEWAY_HEARTBEAT)))

    def _hear(self, connection: Connection, now: Moment) -> None:
        connection.heard = now
        if not connection.fresh:
            connection.fresh = True
            self._touch(connection)
        self._watch(connection, self.times.stale_after)

    def _watch(self, connection: Connection, missed: int) -> None:
        """Look again when so many heartbeats have not come, or when it must be gone."""
        due = connection.heard.at + missed * self.times.heartbeat
        if connection.leaves_at is not None:
            due = min(due, connection.leaves_at)
        connection.disarm()
        connection.timer = self._timers.add(due, connection)

    def _look_after(self, connection: Connection, now: Moment) -> None:
        missed = (now.at - connection.heard.at) // self.times.heartbeat
        if connection.leaves_at is not None and now.at >= connection.leaves_at:
            self._close(connection, _GONE, CLOSING, now)
        elif connection.phase is Phase.GREETED:
            self._close(connection, _FAILED, NO_HELLO, now)
        elif missed >= self.times.lost_after:
            self._close(connection, _FAILED, NO_HEARTBEATS, now)
        elif missed >= self.times.stale_after:
            connection.fresh = False
            self._touch(connection)
            self._watch(connection, self.times.lost_after)
        else:
            self._watch(connection, self.times.stale_after)

    # --- leaving ----------------------------------------------------------------------------

    def _pause(self, connection: Connection, payload: bytes, now: Moment) -> None:
        connection.phase = Phase.DRAINING
        self._touch(connection)

    def drain(self, now: Moment, *, ending: bool = False) -> list[Effect]:
        """Ask every worker to connect anew. `ending`: there will be nothing to connect to."""
        self.ending = self.ending or ending
        self._drains += 1
        for connection in list(self._connections.values()):
            if connection.phase is Phase.GREETED:
                self._close(connection, _GONE, CLOSING, now)
                continue
            self._effects.append(Send(connection.link, encode(pb.GATEWAY_CLOSING)))
            connection.phase = Phase.DRAINING
            if connection.leaves_at is None:
                connection.leaves_at = now.at + self.times.drain
            self._watch(connection, self.times.stale_after)
            self._touch(connection)
        return self._done(now)

    def close(self, now: Moment) -> list[Effect]:
        """Close every connection now."""
        self.ending = True
        for connection in list(self._connections.values()):
            self._close(connection, _GONE, CLOSING, now)
        return self._done(now)

    # --- calls ------------------------------------------------------------------------------

    def take(self, call: Call, now: Moment) -> list[Effect]:
        """Send a call to a worker. If none has a place it is postponed."""
        request = Request(write_call(call), call.timeout, now.at + call.timeout)
        connected, room = self._believed.get(request.app, (0, 0))
        if room:
            self._believed[request.app] = connected, room - 1
        self._requests[request.id] = self._jobs[request.job_id] = request
        if not self._place(request, now):
            self._postpone(request)
        return self._done(now)

    def drop(self, job_id: str, now: Moment) -> list[Effect]:
        """Nobody waits for a call any more. Its worker hears of it when it extends the lease."""
        request = self._jobs.get(job_id)
        if request is not None:
            request.dropped = True
        return self._done(now)

    def _place(
        self, request: Request, now: Moment, *, rather_not: Connection | None = None
    ) -> bool:
        connection = self._roster.choose(request.app, rather_not=rather_not)
        if connection is None:
            return False
        request.first_lease = self._grant(request, now)
        self._assign(request, connection)
        self._effects.append(
            Send(connection.link, encode(pb.GATEWAY_EXECUTOR_REQUEST, request.message))
        )
        return True

    def _grant(self, request: Request, now: Moment) -> str:
        """Give a new lease; its id says when it ends."""
        request.message.lease_id = self._ids.ulid(now.wall + self.times.lease)
        due = min(now.at + self.times.lease + self.times.grace, request.ends_at)
        request.disarm()
        request.timer = self._timers.add(due, request)
        return request.message.lease_id

    def _assign(self, request: Request, connection: Connection) -> None:
        self._release(request)
        request.connection = connection
        connection.requests[request.id] = request
        self._homeless.pop(request.id, None)
        self._touch(connection)

    def _release(self, request: Request) -> None:
        """Give the place back that a request has taken."""
        if request.connection is not None:
            request.connection.requests.pop(request.id, None)
            self._touch(request.connection)
            request.connection = None

    def _claim(self, request: Request, connection: Connection) -> None:
        """A worker says, in whatever words, that it works at a request."""
        request.acked = True
        if request.connection is not connection:
            self._assign(request, connection)

    # --- what workers say of them -----------------------------------------------------------

    def _take_ack(self, connection: Connection, payload: bytes, now: Moment) -> None:
        ack = parse(pb.WorkerRequestAckData, payload)
        self._take_claim(connection, ack.request_id)

    def _take_claim(self, connection: Connection, request_id: str) -> None:
        request = self._requests.get(request_id)
        # A late word of a worker that had it before counts for nothing.
        if request and not request.answered and request.connection in (None, connection):
            self._claim(request, connection)

    def _take_status(self, connection: Connection, payload: bytes, now: Moment) -> None:
        status = parse(pb.WorkerStatusData, payload)
        for request_id in status.in_flight_request_ids:
            self._take_claim(connection, request_id)
        if status.shutdown_requested:
            self._pause(connection, payload, now)

    def _extend(self, connection: Connection, payload: bytes, now: Moment) -> None:
        wish = parse(pb.WorkerRequestExtendLeaseData, payload)
        if not is_ulid(wish.lease_id):
            raise BadFrame("the id of a lease is a ULID")
        request = self._requests.get(wish.request_id)
        lease = None
        if request is not None and not request.answered:
            # Any lease since it was last sent will do: answers may have been lost on the way.
            if request.dropped:
                self._fail(request, UNWANTED)
            elif wish.lease_id >= request.first_lease:
                self._claim(request, connection)
                lease = self._grant(request, now)
        self._effects.append(
            Send(
                connection.link,
                encode(
                    pb.WORKER_REQUEST_EXTEND_LEASE_ACK,
                    pb.WorkerRequestExtendLeaseAckData(
                        request_id=wish.request_id,
                        account_id=wish.account_id,
                        env_id=wish.env_id,
                        app_id=wish.app_id,
                        function_slug=wish.function_slug,
                        new_lease_id=lease,
                    ),
                ),
            )
        )

    def _take_reply(self, connection: Connection, payload: bytes, now: Moment) -> None:
        reply = parse(pb.SDKResponse, payload)
        if not self._answer(reply, connection.link):
            self._acknowledge(connection.link, reply.request_id)

    def flush(self, reply: pb.SDKResponse, ticket: object, now: Moment) -> list[Effect]:
        """A worker hands a reply in at the side door."""
        if not self._answer(reply, ticket):
            self._effects.append(Flushed(ticket))
        return self._done(now)

    def _answer(self, reply: pb.SDKResponse, waiting: object) -> bool:
        """Take a reply, if somebody waits for it; then `waiting` hears once it is stored."""
        request = self._requests.get(reply.request_id)
        if request is None:
            return False
        request.waiting.append(waiting)
        if not request.answered:
            self._settle(request, read_reply(request.job_id, reply))
        return True

    def _acknowledge(self, link: int, request_id: str) -> None:
        ack = pb.WorkerReplyAckData(request_id=request_id)
        self._effects.append(Send(link, encode(pb.WORKER_REPLY_ACK, ack)))

    # --- outcomes ---------------------------------------------------------------------------

    def _settle(self, request: Request, outcome: Replied | CallFailed | CallPostponed) -> None:
        request.answered = True
        request.disarm()
        self._release(request)
        self._homeless.pop(request.id, None)
        if self._jobs.get(request.job_id) is request:
            del self._jobs[request.job_id]
        self._effects.append(Settle(request.id, outcome))

    def _fail(self, request: Request, error: str) -> None:
        self._settle(request, CallFailed(request.job_id, error))

    def _postpone(self, request: Request) -> None:
        request.postponed = True
        error = NO_ROOM if self._roster.connected(request.app) else NO_WORKER
        self._settle(request, CallPostponed(request.job_id, error))

    def stored(self, request_id: str, now: Moment) -> list[Effect]:
        """The outcome of a call is safe."""
        request = self._requests.pop(request_id, None)
        if request is not None and request.postponed:
            # By this the engine sees no room, whatever it was told before, until it is told again.
            self._believed[request.app] = self._roster.connected(request.app), 0
            self._touched[request.app] = None
        for waiting in request.waiting if request is not None else ():
            if not isinstance(waiting, int):
                self._effects.append(Flushed(waiting))
            elif waiting in self._connections:
                self._acknowledge(waiting, request_id)
        return self._done(now)

    # --- time -------------------------------------------------------------------------------

    def tick(self, now: Moment) -> list[Effect]:
        """Do what is due."""
        for thing in self._timers.pop_due(now.at):
            if isinstance(thing, Connection):
                self._look_after(thing, now)
            elif isinstance(thing, Request):
                self._end_lease(thing, now)
        return self._done(now)

    def _end_lease(self, request: Request, now: Moment) -> None:
        if now.at >= request.ends_at:
            self._fail(request, TOO_LONG.format(request.timeout // 1000))
        elif request.acked:
            self._fail(request, SILENT)
        else:
            self._send_again(request, now)

    def _send_again(self, request: Request, now: Moment) -> None:
        before = request.connection
        self._release(request)
        if not self._place(request, now, rather_not=before):
            self._postpone(request)

    # --- at the end of everything -----------------------------------------------------------

    def _touch(self, connection: Connection) -> None:
        for app in connection.apps:
            self._touched[app] = None

    def _done(self, now: Moment) -> list[Effect]:
        for request in [one for one in self._homeless.values() if one.app in self._touched]:
            self._place(request, now)
        for app in self._touched:
            self._tell(app)
        self._touched.clear()
        effects, self._effects = self._effects, []
        return effects

    def _tell(self, app: str) -> None:
        """Say what the engine does not know yet of an app's workers."""
        state = self._roster.connected(app), self._roster.room(app)
        if self._believed.get(app) != state:
            self._believed[app] = state
            self._effects.append(NoteWorkers(app=app, connected=state[0], room=state[1]))


_Take = Callable[[Gateway, Connection, bytes, Moment], None]

_WORKING: dict[int, _Take] = {
    pb.WORKER_HEARTBEAT: Gateway._beat,
    pb.WORKER_REQUEST_ACK: Gateway._take_ack,
    pb.WORKER_REQUEST_EXTEND_LEASE: Gateway._extend,
    pb.WORKER_REPLY: Gateway._take_reply,
    pb.WORKER_STATUS: Gateway._take_status,
}
_LEAVING: dict[int, _Take] = {pb.WORKER_PAUSE: Gateway._pause}
_TABLE: dict[Phase, dict[int, _Take]] = {
    Phase.GREETED: {pb.WORKER_CONNECT: Gateway._introduce},
    Phase.SYNCING: {**_WORKING, **_LEAVING},
    Phase.CONNECTED: {**_WORKING, **_LEAVING, pb.WORKER_READY: Gateway._become_ready},
    Phase.READY: {**_WORKING, **_LEAVING},
    Phase.DRAINING: _WORKING,
    Phase.CLOSED: {},
}
"""What a worker may say when, and who takes it."""
