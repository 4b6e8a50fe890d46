"""The proxy does to frames what it is told, and the ledger finds what was stored twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from websockets.exceptions import ConnectionClosed, WebSocketException
from websockets.sync.client import ClientConnection, connect
from websockets.sync.server import ServerConnection, serve

from inngest_contrib.devserver.engine.state import Status, Step
from inngest_core.connect import connect_pb2 as pb
from tests.connect_chaos.proxy import Proxy
from tests.connect_chaos.schedule import Blow, Fault, Schedule
from tests.connect_chaos.stage import Ledger

BEAT = pb.ConnectMessage(kind=pb.WORKER_HEARTBEAT).SerializeToString()
LEASE = pb.ConnectMessage(
    kind=pb.WORKER_REQUEST_EXTEND_LEASE_ACK,
    payload=pb.WorkerRequestExtendLeaseAckData(
        request_id="r1", new_lease_id="l1"
    ).SerializeToString(),
).SerializeToString()


def echo(socket: ServerConnection) -> None:
    with suppress(ConnectionClosed):
        for frame in socket:
            socket.send(frame)


@contextmanager
def through(*faults: Fault | None) -> Iterator[tuple[ClientConnection, Proxy]]:
    """Talk to an echo through a proxy: the first frame meets the first fault, and so on."""
    coming = iter([*faults, *[None] * 20])
    drawn = ((fault, 0.5) if fault else None for fault in coming)
    with serve(echo, "127.0.0.1", 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        proxy = Proxy(server.socket.getsockname()[1], drawn)
        proxy.start()
        url = f"ws://127.0.0.1:{proxy.port}"
        try:
            with suppress(ConnectionClosed), _client(url) as socket:
                yield socket, proxy
        finally:
            proxy.stop()
            server.shutdown()
            thread.join()


def _client(url: str) -> ClientConnection:
    return connect(url, compression=None, proxy=None, close_timeout=0.1)


def test_without_a_fault_all_passes() -> None:
    with through() as (socket, proxy):
        for length in (1, 200, 70_000):
            body = pb.ConnectMessage(kind=pb.WORKER_REPLY, payload=bytes(length))
            socket.send(body.SerializeToString())
            assert socket.recv(timeout=15) == body.SerializeToString()
        assert proxy.struck == []


def test_a_frame_comes_twice_or_not_at_all_or_late() -> None:
    faults = (Fault.TWICE, None, None, Fault.LOSE, Fault.DELAY)
    with through(*faults) as (socket, proxy):
        socket.send(BEAT)
        assert [socket.recv(timeout=15) for _ in range(2)] == [BEAT, BEAT]
        socket.send(BEAT)
        socket.send(LEASE)
        assert socket.recv(timeout=15) == LEASE, "the one before it is lost"
        names = ["twice WORKER_HEARTBEAT", "lose WORKER_HEARTBEAT"]
        assert proxy.struck[:2] == names


def test_garbage_comes_behind_a_frame() -> None:
    with through(None, Fault.GARBAGE) as (socket, _):
        socket.send(BEAT)
        assert socket.recv(timeout=15) == BEAT
        garbage = socket.recv(timeout=15)
        with pytest.raises(Exception, match="parsing"):
            pb.ConnectMessage.FromString(garbage)  # type: ignore[arg-type]


def test_garbage_of_a_worker_is_masked_as_it_must_be() -> None:
    with through(Fault.GARBAGE) as (socket, _):
        socket.send(LEASE)
        assert socket.recv(timeout=15) == LEASE
        assert socket.recv(timeout=15) != LEASE


def test_a_lease_is_refused_in_the_gateways_name() -> None:
    with through(None, Fault.REFUSE) as (socket, _):
        socket.send(LEASE)
        message = pb.ConnectMessage.FromString(socket.recv(timeout=15))  # type: ignore[arg-type]
        answer = pb.WorkerRequestExtendLeaseAckData.FromString(message.payload)
        assert (answer.request_id, answer.HasField("new_lease_id")) == ("r1", False)


def test_a_connection_breaks_and_others_may_be_refused() -> None:
    with through(Fault.BREAK) as (socket, proxy):
        socket.send(BEAT)
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=15)
        proxy.refusing = True
        refused = (OSError, EOFError, WebSocketException)
        with pytest.raises(refused), _client(f"ws://127.0.0.1:{proxy.port}"):
            pass


def test_a_frozen_connection_is_silent_until_it_is_healed() -> None:
    with through(Fault.FREEZE) as (socket, proxy):
        socket.send(BEAT)
        with pytest.raises(TimeoutError):
            socket.recv(timeout=0.1)
        proxy.heal()
        with pytest.raises(ConnectionClosed):
            socket.recv(timeout=15)


def test_a_seed_is_a_schedule() -> None:
    assert Schedule.of(7) == Schedule.of(7) != Schedule.of(8)
    first, second = (Schedule.of(7).faults() for _ in range(2))
    assert [next(first) for _ in range(50)] == [next(second) for _ in range(50)]


def test_schedules_have_all_faults_and_blows() -> None:
    schedules = [Schedule.of(seed) for seed in range(100)]
    assert {blow for one in schedules for _, blow, _ in one.blows} == set(Blow)
    drawn = Schedule(seed=1, rate=1.0).faults()
    assert {struck[0] for struck in (next(drawn) for _ in range(300)) if struck} == set(Fault)


def test_a_memo_that_is_stored_twice_is_found() -> None:
    ledger = Ledger()
    for memo in (b'"s":1', b'"s":1'):
        ledger.note([_step(memo)])
    assert ledger.rewritten == []
    ledger.note([_step(b'"s":2')])
    assert ledger.rewritten == [("run", "s")]


def _step(fragment: bytes) -> Step:
    step = Step("run", "s", "s", "StepRun", Status.COMPLETED, 0, 0)
    step.fragment, step.memo_at = fragment, 4
    return step
