"""
The worker's side of connect, without a socket, a clock or a thread.

Whoever drives it says what has happened and how late it is, and performs what it is told to do
(see ``effects``). Time is any clock that counts seconds; if it jumps back, time stands still, and
if it jumps ahead, what is overdue is overdue once.

Law: what becomes of a link at each input stands in one table, TRANSITIONS, and what does not
stand there is ignored.

A link is one attempt to be connected, from asking the API for a gateway to the last frame. As a
rule there is one. While a gateway leaves there are two: the old one carries what it is owed until
the new one is ready.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from ..errors import ServerError
from . import connect_pb2 as pb
from .effects import (
    Become,
    Cancel,
    Close,
    Effect,
    End,
    Flush,
    Note,
    Open,
    Run,
    Start,
    Transmit,
)
from .frames import BadFrame, ack, decode, extension, frame, unwrap, wrap
from .jobs import Jobs
from .links import INPUT_OF, Input, Intervals, Link, Phase
from .outbox import Outbox
from .states import ConnectionState

BACKOFF = (1.0, 2.0, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
"""Seconds before the next attempt, the last repeated; each is shortened by up to half."""
ACK_SECONDS = 5.0
"""How long a reply waits for its ack, and a gateway that leaves for the last of them."""
PAUSE_SECONDS = 1.0
"""How long the gateway may take to answer behind WORKER_PAUSE."""
MISSED_HEARTBEATS = 2
LAST_TRIES = 3
"""How often a reply is posted once the worker is closing."""
NORMAL = 1000
"""The code of every close; the reason says more. Gateways know WORKER_SHUTDOWN."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """
    How a worker is.

    heartbeat_age: seconds since the gateway last answered; None if it has not yet.
    unacked: how many replies the server has not confirmed.
    """

    state: ConnectionState
    connection_id: str | None
    gateway_group: str | None
    heartbeat_age: float | None
    running: int
    waiting: int
    capacity: int | None
    unacked: int


class Worker:
    """
    A worker and all its connections.

    introduction: what it says of itself; ids and keys are filled in. random: numbers from 0 to 1.
    limit: how many functions may run at once. Every input returns what is to be done now;
    ``wait`` tells when the next one is due without anything having happened.
    """

    def __init__(
        self,
        introduction: pb.WorkerConnectRequestData,
        *,
        random: Callable[[], float],
        limit: int | None = None,
    ) -> None:
        self.state = ConnectionState.CONNECTING
        self.connection_id: str | None = None
        """Of the connection that is ready, else of the last that was or the first to come."""
        self._introduction = introduction
        self._random = random
        self._jobs = Jobs(limit)
        self._outbox = Outbox()
        self._intervals = Intervals()
        self._links: dict[int, Link] = {}
        self._current: Link | None = None
        self._next: Link | None = None
        self._last_id = 0
        self._attempts = 0
        self._exclude: set[str] = set()
        self._retry_at: float | None = None
        self._status_at: float | None = None
        self._paused_until: float | None = None
        self._answers_due = 0
        self._heard_at: float | None = None
        self._was_ready = False
        self._closing = False
        self._ended = False
        self._error: Exception | None = None
        self._clock = 0.0
        self._seen: float | None = None
        self._effects: list[Effect] = []

    # ---- what is to be seen

    def snapshot(self, now: float) -> Snapshot:
        """How it is."""
        self._advance(now)
        heard = self._heard_at
        return Snapshot(
            state=self.state,
            connection_id=self.connection_id,
            gateway_group=self._current.group if self._current else None,
            heartbeat_age=None if heard is None else self._clock - heard,
            running=self._jobs.running,
            waiting=self._jobs.waiting,
            capacity=self._jobs.limit,
            unacked=len(self._outbox),
        )

    def wait(self) -> float | None:
        """Seconds until ``passed`` has something to do; None if only an input can help."""
        due = min(self._dues(), default=None)
        return None if due is None else max(0.0, due - self._clock)

    # ---- inputs

    def begin(self, now: float) -> list[Effect]:
        """Connect."""
        self._advance(now)
        if not self._ended:
            self._connect()
        return self._take()

    def close(self, now: float) -> list[Effect]:
        """Take on no more work, finish what there is, then end."""
        self._advance(now)
        if not self._closing:
            self._begin_closing()
        return self._take()

    def started(self, now: float, link: int, response: pb.StartResponse) -> list[Effect]:
        """The API has named a gateway; its endpoint is where to go."""
        return self._happened(now, link, Input.STARTED, response)

    def refused(self, now: float, link: int, why: str, *, final: bool = False) -> list[Effect]:
        """The API has named none. final: nor will it another time."""
        return self._happened(now, link, Input.REFUSED, (why, final))

    def opened(self, now: float, link: int) -> list[Effect]:
        """The websocket is open."""
        return self._happened(now, link, Input.OPENED, None)

    def lost(self, now: float, link: int, why: str) -> list[Effect]:
        """The websocket is closed, or could not be opened."""
        return self._happened(now, link, Input.LOST, why)

    def received(self, now: float, link: int, data: bytes | str) -> list[Effect]:
        """A frame has arrived."""
        self._advance(now)
        try:
            message = unwrap(data)
            what = INPUT_OF.get(message.kind)
            if what is None:
                raise BadFrame(f"kind {message.kind} is nothing that gateways send")
            self._step(link, what, message.payload)
        except BadFrame as error:
            self._note(logging.WARNING, "ignored a frame of the gateway: %s", error)
        return self._take()

    def finished(self, now: float, request_id: str, reply: bytes | None) -> list[Effect]:
        """A function has ended. reply: the encoded SDKResponse; None if it was cancelled."""
        self._advance(now)
        job = self._jobs.end(request_id)
        if job is not None and reply is not None and not job.lost:
            self._answer(request_id, reply)
        self._start_jobs()
        return self._take()

    def flushed(self, now: float, request_id: str) -> list[Effect]:
        """The API has taken a reply."""
        self._advance(now)
        self._outbox.settle(request_id)
        return self._take()

    def unflushed(
        self, now: float, request_id: str, why: str, *, final: bool = False
    ) -> list[Effect]:
        """The API has not taken a reply. final: nor will it another time."""
        self._advance(now)
        reply = self._outbox.get(request_id)
        if reply is not None and reply.flushing:
            reply.tries += 1
            self._retry_reply(request_id, reply.tries, why, final)
        return self._take()

    def passed(self, now: float) -> list[Effect]:
        """Time has passed."""
        self._advance(now)
        for link in list(self._links.values()):
            self._watch(link)
        self._extend_leases()
        for request_id in self._outbox.overdue(self._clock):
            self._flush(request_id)
        self._tell_status()
        if self._paused_until is not None and self._paused_until <= self._clock:
            self._paused_until = None
        if self._retry_at is not None and self._retry_at <= self._clock:
            self._connect()
        return self._take()

    # ---- the course of an input

    def _happened(self, now: float, link: int, what: Input, value: object) -> list[Effect]:
        self._advance(now)
        self._step(link, what, value)
        return self._take()

    def _step(self, link_id: int, what: Input, value: object) -> None:
        """Make the transition of a link, if there is one."""
        link = self._links.get(link_id)
        if link is None:
            return
        transition = TRANSITIONS.get((link.phase, what))
        if transition is None:
            self._note(logging.DEBUG, "ignored %s while %s", what.name, link.phase.title)
            return
        transition(self, link, value)

    def _advance(self, now: float) -> None:
        if self._seen is not None:
            self._clock += max(0.0, now - self._seen)
        self._seen = now

    def _take(self) -> list[Effect]:
        if self._closing and not self._ended:
            self._end_if_done()
        effects, self._effects = self._effects, []
        return effects

    def _note(self, level: int, text: str, *args: object) -> None:
        self._effects.append(Note(level, text, args))

    def _transmit(self, link: Link, data: bytes) -> None:
        self._effects.append(Transmit(link.id, data))

    def _become(self, state: ConnectionState) -> None:
        # Whoever is closing stays so, whatever becomes of the connection.
        if self.state is state or (self._closing and state not in _LAST_STATES):
            return
        self.state = state
        self._effects.append(Become(state))

    # ---- time

    def _dues(self) -> Iterator[float]:
        for link in self._links.values():
            yield from (at for at in (link.deadline, link.heartbeat_at) if at is not None)
        if self._current is not None:
            leases = (self._jobs.next_due, self._status_at)
            yield from (at for at in leases if at is not None)
        yield from self._outbox.next_due()
        yield from (at for at in (self._retry_at, self._paused_until) if at is not None)

    def _watch(self, link: Link) -> None:
        """See to the deadline and the heartbeat of a link, if it is still there."""
        if link.id not in self._links:
            return
        if link.deadline is not None and link.deadline <= self._clock:
            self._step(link.id, Input.OVERDUE, f"no end of {link.phase.title}")
        elif link.heartbeat_at is not None and link.heartbeat_at <= self._clock:
            self._beat(link)

    def _beat(self, link: Link) -> None:
        if link.unanswered >= MISSED_HEARTBEATS:
            why = f"{link.unanswered} heartbeats without an answer"
            self._step(link.id, Input.OVERDUE, why)
            return
        link.unanswered += 1
        link.heartbeat_at = self._clock + self._intervals.heartbeat
        self._transmit(link, frame(pb.WORKER_HEARTBEAT))

    def _enter(self, link: Link, phase: Phase) -> None:
        link.phase = phase
        link.deadline = None if phase.seconds is None else self._clock + phase.seconds

    # ---- becoming connected

    def _connect(self) -> None:
        """Begin a new link."""
        self._retry_at = None
        self._last_id += 1
        link = self._next = self._links[self._last_id] = Link(self._last_id)
        self._enter(link, Phase.STARTING)
        self._become(ConnectionState.CONNECTING)
        self._effects.append(Start(link.id, tuple(sorted(self._exclude))))

    def _open(self, link: Link, response: pb.StartResponse) -> None:
        link.start = response
        self.connection_id = self.connection_id or response.connection_id
        self._enter(link, Phase.OPENING)
        self._effects.append(Open(link.id, response.gateway_endpoint))

    def _greet(self, link: Link, _value: object) -> None:
        self._enter(link, Phase.GREETING)

    def _introduce(self, link: Link, _value: object) -> None:
        start = link.start
        assert start is not None, "a gateway was named before it could say hello"
        data = pb.WorkerConnectRequestData()
        data.CopyFrom(self._introduction)
        data.connection_id = start.connection_id
        data.auth_data.session_token = start.session_token
        data.auth_data.sync_token = start.sync_token
        self._enter(link, Phase.INTRODUCED)
        self._transmit(link, frame(pb.WORKER_CONNECT, data))

    def _ready(self, link: Link, payload: bytes) -> None:
        """The link carries everything from now on."""
        self._intervals = self._read_intervals(payload)
        self.connection_id = link.start.connection_id if link.start else None
        self._enter(link, Phase.READY)
        # Not earlier: a heartbeat may overtake, in the server, the news that this one is ready.
        link.heartbeat_at = self._clock + self._intervals.heartbeat
        self._heard_at = self._clock
        self._current, self._next = link, None
        self._attempts = 0
        self._exclude.clear()
        self._was_ready = True
        self._note(logging.INFO, "connected to the gateway, as %s", self.connection_id)
        self._become(ConnectionState.ACTIVE)
        self._status_at = self._next_status()
        if self._closing:
            self._pause(link)
        for job in self._jobs.postpone(self._clock + self._intervals.lease):
            self._transmit(link, extension(job.request, job.lease_id))
        self._dismiss()

    def _read_intervals(self, payload: bytes) -> Intervals:
        data = decode(pb.GatewayConnectionReadyData, payload)
        try:
            return Intervals.read(data)
        except ValueError as error:
            self._note(logging.WARNING, "the gateway's intervals cannot be read: %s", error)
            return Intervals()

    def _dismiss(self) -> None:
        """Let go of the links that this one replaces, once they owe nothing."""
        for link in list(self._links.values()):
            if link.phase is Phase.LEAVING and self._outbox.carried_by(link.id):
                link.deadline = self._clock + ACK_SECONDS
            elif link.phase is Phase.LEAVING:
                self._drop(link, _DRAINED)

    # ---- becoming disconnected

    def _refuse(self, link: Link, value: tuple[str, bool]) -> None:
        why, final = value
        self._drop(link)
        if final:
            self._fail(ServerError(why))
        elif self._exclude:
            # Perhaps there is no other gateway than those that we did not want.
            self._exclude.clear()
            self._connect()
        else:
            self._retry(why)

    def _miss(self, link: Link, why: str) -> None:
        """An attempt has failed at its gateway."""
        if link.group:
            self._exclude.add(link.group)
        self._drop(link)
        self._retry(why)

    def _miss_closing(self, link: Link, _payload: object) -> None:
        self._miss(link, "the gateway is closing")

    def _lose(self, link: Link, why: str) -> None:
        """The connection that carried everything is gone."""
        silent = link.unanswered >= MISSED_HEARTBEATS
        self._drop(link, "CONSECUTIVE_HEARTBEATS_MISSED" if silent else "UNEXPECTED")
        self._retry(why)

    def _leave(self, link: Link, _payload: object) -> None:
        """The gateway is closing: connect to another before this connection ends."""
        if link.group:
            self._exclude.add(link.group)
        self._note(logging.INFO, "the gateway is closing; connecting to another")
        self._enter(link, Phase.LEAVING)
        self._become(ConnectionState.RECONNECTING)
        if self._next is None:
            self._connect()

    def _forget(self, link: Link, _value: object) -> None:
        """A connection that is being replaced is gone."""
        self._drop(link, _DRAINED)

    def _refuse_sync(self, link: Link, payload: bytes) -> None:
        error = decode(pb.SystemError, payload)
        why = f"the gateway refused the functions of this worker: {error.message or error.code}"
        self._drop(link)
        if not self._was_ready:
            # Nothing but other code will help; at a later time the server may have changed.
            self._fail(ServerError(why))
            return
        self._note(logging.ERROR, "%s", why)
        self._retry(why)

    def _drop(self, link: Link, reason: str = "UNEXPECTED") -> None:
        """Have done with a link; what it owed goes to the API."""
        if self._links.pop(link.id, None) is None:
            return
        self._effects.append(Close(link.id, NORMAL, reason))
        if self._next is link:
            self._next = None
        if self._current is link:
            self._current, self._paused_until = None, None
        for request_id in self._outbox.carried_by(link.id):
            self._flush(request_id)

    def _retry(self, why: str) -> None:
        """Connect again after a while."""
        if self._error is not None or (self._closing and not self._jobs):
            return
        if self._was_ready:
            self._become(ConnectionState.RECONNECTING)
        seconds = BACKOFF[min(self._attempts, len(BACKOFF) - 1)] * (1 - self._random() / 2)
        self._attempts += 1
        self._retry_at = self._clock + seconds
        text = "not connected: %s; next attempt in %.1f s"
        self._note(logging.WARNING, text, why, seconds)

    # ---- work

    def _request(self, link: Link, payload: bytes) -> None:
        request = decode(pb.GatewayExecutorRequestData, payload)
        request_id = request.request_id
        if not request_id:
            raise BadFrame("a request without an id")
        if self._outbox.is_settled(request_id):
            return
        job = self._jobs.get(request_id)
        if job is not None and job.lost:
            return
        self._transmit(link, ack(request))
        if self._outbox.get(request_id) is not None:
            self._send(link, request_id)
        elif job is not None:
            # Ids of leases grow with their time: of two deliveries the later lease counts.
            job.lease_id = max(job.lease_id, request.lease_id)
        else:
            self._jobs.add(request, self._clock + self._intervals.lease)
            self._start_jobs()

    def _start_jobs(self) -> None:
        self._effects.extend(Run(job.request) for job in self._jobs.start())

    def _extend_leases(self) -> None:
        if self._current is None:
            return
        for job in self._jobs.take_due(self._clock, self._clock + self._intervals.lease):
            self._transmit(self._current, extension(job.request, job.lease_id))

    def _lease(self, _link: Link, payload: bytes) -> None:
        data = decode(pb.WorkerRequestExtendLeaseAckData, payload)
        job = self._jobs.get(data.request_id)
        if data.new_lease_id:
            if job is not None:
                job.lease_id = data.new_lease_id
            return
        lost = self._jobs.lose(data.request_id)
        if lost is None:
            return
        text = (
            "%s, run %s: the server has given this call to another worker, or gives it anew; "
            "its result is dropped"
        )
        self._note(logging.WARNING, text, lost.request.function_slug, lost.request.run_id)
        if lost.running:
            self._effects.append(Cancel(data.request_id))

    # ---- replies

    def _answer(self, request_id: str, body: bytes) -> None:
        self._outbox.add(request_id, body)
        for evicted in self._outbox.evict():
            self._note(logging.ERROR, "reply to %s dropped: too many wait to be taken", evicted)
        if self._current is not None:
            self._send(self._current, request_id)
        else:
            self._flush(request_id)

    def _send(self, link: Link, request_id: str) -> None:
        reply = self._outbox.get(request_id)
        if reply is not None:
            self._outbox.sent(request_id, link.id, self._clock + ACK_SECONDS)
            self._transmit(link, wrap(pb.WORKER_REPLY, reply.body))

    def _flush(self, request_id: str) -> None:
        reply = self._outbox.flush(request_id)
        if reply is not None:
            self._effects.append(Flush(request_id, reply.body))

    def _acknowledge(self, link: Link, payload: bytes) -> None:
        self._outbox.settle(decode(pb.WorkerReplyAckData, payload).request_id)
        replaced = link.phase is Phase.LEAVING and link is not self._current
        if replaced and not self._outbox.carried_by(link.id):
            self._drop(link, _DRAINED)

    def _retry_reply(self, request_id: str, tries: int, why: str, final: bool) -> None:
        if final or (self._closing and tries >= LAST_TRIES):
            self._outbox.remove(request_id)
            text = "the reply to request %s is lost, the server will call again: %s"
            self._note(logging.ERROR, text, request_id, why)
        elif self._current is not None and self._current.phase is Phase.READY:
            self._send(self._current, request_id)
        else:
            seconds = BACKOFF[min(tries - 1, len(BACKOFF) - 1)]
            self._outbox.rest(request_id, self._clock + seconds)

    # ---- status

    def _next_status(self) -> float | None:
        interval = self._intervals.status
        return None if interval is None else self._clock + interval

    def _tell_status(self) -> None:
        if self._status_at is None or self._status_at > self._clock:
            return
        self._status_at = self._next_status()
        if self._current is not None:
            self._transmit(self._current, self._status())

    def _status(self) -> bytes:
        data = pb.WorkerStatusData(
            in_flight_request_ids=list(self._jobs), shutdown_requested=self._closing
        )
        return frame(pb.WORKER_STATUS, data)

    def _hear(self, link: Link, _payload: object) -> None:
        link.unanswered = 0
        self._heard_at = self._clock
        if link is self._current and self._paused_until is not None:
            self._answers_due -= 1
            # Whatever was sent to us before the pause has arrived before the answer behind it.
            if self._answers_due <= 0:
                self._paused_until = None

    # ---- the end

    def _begin_closing(self) -> None:
        self._become(ConnectionState.CLOSING)
        self._closing = True
        self._note(logging.INFO, "closing; calls in progress: %d", len(self._jobs))
        if self._current is not None:
            self._pause(self._current)

    def _fail(self, error: Exception) -> None:
        """End, since nothing will help. What runs may finish."""
        if self._error is None:
            self._error = error
            self._note(logging.ERROR, "%s", error)
        if not self._closing:
            self._begin_closing()

    def _pause(self, link: Link) -> None:
        """Ask for no more work, and for an answer behind which no more comes."""
        if self._intervals.status is not None:
            self._transmit(link, self._status())
        self._transmit(link, frame(pb.WORKER_PAUSE))
        self._transmit(link, frame(pb.WORKER_HEARTBEAT))
        self._answers_due = link.unanswered + 1
        self._paused_until = self._clock + PAUSE_SECONDS

    def _end_if_done(self) -> None:
        if self._jobs or self._outbox or self._paused_until is not None:
            return
        for link in list(self._links.values()):
            self._drop(link, "WORKER_SHUTDOWN")
        self._ended = True
        self._retry_at = None
        self._become(ConnectionState.CLOSED)
        self._effects.append(End(self._error))


_DRAINED = "GATEWAY_DRAINING"
_LAST_STATES = (ConnectionState.CLOSING, ConnectionState.CLOSED)

_Transition = Callable[..., None]

# What a link's phase makes of an input; the value that comes along is known by the input.
_BY_PHASE: dict[Phase, dict[Input, _Transition]] = {
    Phase.STARTING: {
        Input.STARTED: Worker._open,
        Input.REFUSED: Worker._refuse,
        Input.OVERDUE: Worker._miss,
    },
    Phase.OPENING: {
        Input.OPENED: Worker._greet,
        Input.LOST: Worker._miss,
        Input.OVERDUE: Worker._miss,
    },
    Phase.GREETING: {
        Input.HELLO: Worker._introduce,
        Input.CLOSING: Worker._miss_closing,
        Input.LOST: Worker._miss,
        Input.OVERDUE: Worker._miss,
    },
    Phase.INTRODUCED: {
        Input.READY: Worker._ready,
        Input.SYNC_FAILED: Worker._refuse_sync,
        Input.CLOSING: Worker._miss_closing,
        Input.LOST: Worker._miss,
        Input.OVERDUE: Worker._miss,
    },
    Phase.READY: {
        Input.REQUEST: Worker._request,
        Input.REPLY_ACK: Worker._acknowledge,
        Input.LEASE_ACK: Worker._lease,
        Input.HEARTBEAT: Worker._hear,
        Input.CLOSING: Worker._leave,
        Input.LOST: Worker._lose,
        Input.OVERDUE: Worker._lose,
    },
    Phase.LEAVING: {
        Input.REQUEST: Worker._request,
        Input.REPLY_ACK: Worker._acknowledge,
        Input.LEASE_ACK: Worker._lease,
        Input.HEARTBEAT: Worker._hear,
        Input.LOST: Worker._forget,
        Input.OVERDUE: Worker._forget,
    },
}
TRANSITIONS: dict[tuple[Phase, Input], _Transition] = {
    (phase, what): transition
    for phase, row in _BY_PHASE.items()
    for what, transition in row.items()
}
