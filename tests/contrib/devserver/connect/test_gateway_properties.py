"""Whatever workers do, and whatever is lost: every run ends, and every memo is written once."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from inngest_contrib.devserver.connect.times import Times
from inngest_contrib.devserver.engine.commands import Settings
from inngest_core.connect import connect_pb2 as pb
from tests.contrib.devserver.connect.rig import LATE, Rig, Socket, introduction, step_op

TIMES = Times(
    hello=500, heartbeat=1000, lease=12_000, extend_lease=3000, grace=500, drain=2500, session=1
)
LIMITS = (None, 1, 3)
APPS = (("one",), ("one", "two"), ("two", "one"))


class Crowd:
    """Workers that do anything; none of them is to be relied on."""

    def __init__(self, *, lags: bool) -> None:
        self.rig = Rig(TIMES, settings=Settings(retry_interval=100))
        self.rig.lags = lags
        self.sockets: list[Socket] = []
        self.requests: list[tuple[Socket, Any]] = []
        self.leases: dict[str, str] = {}

    def open(self, number: int) -> None:
        socket = self.rig.open()
        said = introduction(*APPS[number % 3], limit=LIMITS[number // 3 % 3], retries=20)
        said.worker_manual_readiness_ack = number % 5 == 0
        self.rig.say(socket, pb.WORKER_CONNECT, said)
        if number % 7:
            self.rig.say(socket, pb.WORKER_READY)
        self.sockets.append(socket)

    def read(self) -> None:
        """See what has come."""
        for socket in self.sockets:
            new, socket.read = socket.frames[socket.read :], len(socket.frames)
            for frame in new:
                if frame.kind == pb.GATEWAY_EXECUTOR_REQUEST:
                    self.requests.append((socket, frame.payload))
                    self.leases[frame.payload.request_id] = frame.payload.lease_id
                elif frame.kind == pb.WORKER_REQUEST_EXTEND_LEASE_ACK:
                    lease = frame.payload.new_lease_id
                    if lease:
                        self.leases[frame.payload.request_id] = lease

    def act(self, what: str, number: int) -> None:
        self.read()
        if what == "send":
            self.rig.send(f"{('one', 'two')[number % 2]}/main", {"n": number})
        elif what == "open":
            self.open(number)
        elif what == "wait":
            self.rig.wait(number * 37)
        elif what in LATE:
            self.rig.hear(what)
        elif what == "jump":
            self.rig.wall_shift += (number - 50) * 100_000
        elif what == "drain":
            self.rig.perform(self.rig.gateway.drain(self.rig.now))
        elif what in _TO_SOCKET and self.sockets:
            _TO_SOCKET[what](self.rig, self.sockets[number % len(self.sockets)])
        elif what in _TO_REQUEST and self.requests:
            socket, request = self.requests[number % len(self.requests)]
            # Anything may come over any connection, of whatever worker.
            other = self.sockets[number % len(self.sockets)] if number % 4 == 0 else socket
            _TO_REQUEST[what](self, other, request)

    def check(self) -> None:
        for connection in self.rig.gateway.connections:
            limit = connection.worker.limit if connection.worker else None
            # A worker may also say that it works at what was given to another.
            given = sum(not request.acked for request in connection.requests.values())
            assert limit is None or given <= limit
            assert all(one.connection is connection for one in connection.requests.values())

    def settle(self) -> None:
        """All but one good worker fall silent; it does the rest."""
        good: Socket | None = None
        for _ in range(400):
            for kind in LATE * 3:
                self.rig.hear(kind)
            if good is None or good.closed is not None:
                self.open(4)
                good = self.sockets[-1]
            self.read()
            for socket, request in self.requests:
                if socket is good:
                    _answer(self, socket, request)
            self.requests.clear()
            if all(run.ended_at is not None for run in self.rig.runs.values()):
                return
            self.rig.wait(400)
            self.rig.say(good, pb.WORKER_HEARTBEAT)
        raise AssertionError(f"runs hang: {self.rig.statuses}")


def _extend(crowd: Crowd, socket: Socket, request: Any) -> None:
    wish = pb.WorkerRequestExtendLeaseData(request_id=request.request_id)
    wish.lease_id = crowd.leases[request.request_id]
    crowd.rig.say(socket, pb.WORKER_REQUEST_EXTEND_LEASE, wish)


def _answer(crowd: Crowd, socket: Socket, request: Any) -> None:
    if json.loads(request.request_payload)["steps"]:
        crowd.rig.reply(socket, request, request.request_id)
    else:
        crowd.rig.reply(socket, request, step_op(request.request_id), status=pb.NOT_COMPLETED)


def _status(crowd: Crowd, socket: Socket, request: Any) -> None:
    status = pb.WorkerStatusData(in_flight_request_ids=[request.request_id])
    crowd.rig.say(socket, pb.WORKER_STATUS, status)


_TO_SOCKET: dict[str, Callable[[Rig, Socket], None]] = {
    "beat": lambda rig, socket: rig.say(socket, pb.WORKER_HEARTBEAT),
    "pause": lambda rig, socket: rig.say(socket, pb.WORKER_PAUSE),
    "lose": lambda rig, socket: rig.lose(socket),
    "garbage": lambda rig, socket: rig.raw(socket, b"\xff\x00"),
    "again": lambda rig, socket: rig.say(socket, pb.WORKER_CONNECT, introduction("one")),
}
_TO_REQUEST: dict[str, Callable[[Crowd, Socket, Any], None]] = {
    "ack": lambda crowd, socket, request: crowd.rig.ack(socket, request),
    "extend": _extend,
    "answer": _answer,
    "status": _status,
    "flush": lambda crowd, socket, request: (
        crowd.rig.flush(object(), request, "flushed")
        if json.loads(request.request_payload)["steps"]
        else None
    ),
}
ACTIONS = ("send", "open", "wait", "wait", "jump", "drain", *_TO_SOCKET, *_TO_REQUEST, "answer")
ACTS = st.tuples(st.sampled_from((*ACTIONS, *LATE)), st.integers(0, 99))


@settings(max_examples=120, deadline=None)
@given(st.lists(ACTS, max_size=60), st.booleans())
def test_every_run_ends_and_every_memo_is_written_once(
    acts: list[tuple[str, int]], lags: bool
) -> None:
    crowd = Crowd(lags=lags)
    for what, number in [("open", 4), ("send", 1), ("send", 2), *acts]:
        crowd.act(what, number)
        crowd.check()
    crowd.settle()
    assert all(len(memos) == 1 for memos in crowd.rig.memos.values())
    assert set(crowd.rig.statuses) == {"COMPLETED"}
    assert crowd.rig.engine.state.calling == set()
    crowd.rig.lags = False
    crowd.rig.perform(crowd.rig.gateway.close(crowd.rig.now))
    crowd.rig.wait(20_000)
    assert crowd.rig.gateway.open_requests == 0
    assert crowd.rig.gateway.next_due() is None
