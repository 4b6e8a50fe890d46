"""The rules of the gateway: who gets which request, and what becomes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inngest_contrib.devserver.connect.gateway import Close, Settle
from inngest_contrib.devserver.connect.messages import MAX_FRAME, encode
from inngest_contrib.devserver.connect.times import Times, go_duration
from inngest_contrib.devserver.engine.commands import (
    CallFailed,
    CallPostponed,
    CancelRun,
    Replied,
    Settings,
)
from inngest_core.connect import connect_pb2 as pb
from inngest_core.wire.ids import is_ulid
from tests.contrib.devserver.connect.rig import (
    START,
    Rig,
    Socket,
    function,
    introduction,
    reply,
    step_op,
    time_of,
)

REQUEST = pb.GATEWAY_EXECUTOR_REQUEST
SILENT = "connect_worker_heartbeats_missed"
REPLY_ACK = pb.WORKER_REPLY_ACK


@pytest.fixture
def rig() -> Rig:
    return Rig()


def request_of(rig: Rig, socket: Socket, app: str = "app") -> Any:
    """Start a run; return the request that comes of it."""
    rig.send(f"{app}/main")
    return socket.take(REQUEST)[0]


def beat(rig: Rig, socket: Socket) -> None:
    rig.say(socket, pb.WORKER_HEARTBEAT)
    socket.take(pb.GATEWAY_HEARTBEAT)


def live(rig: Rig, socket: Socket, ms: int) -> None:
    """Let time pass while a worker sends its heartbeats."""
    for _ in range(ms // 10_000):
        rig.wait(10_000)
        beat(rig, socket)


# --- the handshake


def test_a_worker_is_told_the_intervals_once_its_apps_are_registered(rig: Rig) -> None:
    (_, told) = rig.connect("a", "b").take(pb.GATEWAY_HELLO, pb.GATEWAY_CONNECTION_READY)
    assert told.heartbeat_interval == "10s"
    assert told.extend_lease_interval == "30s"
    assert told.status_interval == "0s"
    assert {app.name for app in rig.engine.state.apps.values()} == {"a", "b"}
    assert {app.method for app in rig.engine.state.apps.values()} == {"connect"}


def test_intervals_are_written_as_go_reads_them() -> None:
    assert [go_duration(ms) for ms in (0, 50, 1000, 1500, 120_000)] == [
        "0s",
        "50ms",
        "1s",
        "1500ms",
        "120s",
    ]


def test_a_worker_with_manual_readiness_gets_nothing_before_it_says_so(rig: Rig) -> None:
    socket = rig.connect(manual=True)
    socket.take(pb.GATEWAY_HELLO, pb.GATEWAY_CONNECTION_READY)
    rig.send("app/main")
    socket.take()
    rig.say(socket, pb.WORKER_READY)
    socket.take(REQUEST)


def test_a_worker_that_says_nothing_is_closed_after_five_seconds(rig: Rig) -> None:
    socket = rig.open()
    rig.wait(60_000)
    assert socket.closed == (5000, Close(socket.link, 1011, "connect_worker_hello_timeout"))


def test_a_second_introduction_is_ignored(rig: Rig) -> None:
    socket = rig.ready()
    rig.say(socket, pb.WORKER_CONNECT, introduction("other"))
    socket.take()
    assert [app.name for app in rig.engine.state.apps.values()] == ["app"]


def test_a_worker_that_names_an_app_twice_counts_once(rig: Rig) -> None:
    rig.ready("app", "app", limit=3)
    assert rig.engine.state.control.workers["app"].room == 3


def test_a_refused_registration_says_which_function_and_why(rig: Rig) -> None:
    bad = json.dumps([function("app") | {"triggers": [{"cron": "bad"}]}]).encode()
    socket = rig.open()
    rig.say(socket, pb.WORKER_CONNECT, introduction("app", functions=bad))
    _, failed = socket.take(pb.GATEWAY_HELLO, pb.SYNC_FAILED)
    assert failed.message.startswith("At least one function is invalid: app-main: ")
    assert socket.closed == (0, Close(socket.link, 1008, ""))


def test_a_frame_beyond_the_limit_closes_its_socket(rig: Rig) -> None:
    socket = rig.ready()
    rig.raw(socket, encode(pb.WORKER_REPLY, pb.SDKResponse(body=bytes(MAX_FRAME))))
    assert socket.closed is not None
    assert socket.closed[1] == Close(socket.link, 1009, "connect_message_too_large")


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (pb.WORKER_REQUEST_ACK, "connect_worker_request_ack_invalid_payload"),
        (pb.WORKER_REPLY, "connect_worker_reply_invalid_payload"),
        (pb.WORKER_STATUS, "connect_worker_status_invalid_payload"),
        (pb.WORKER_REQUEST_EXTEND_LEASE, "connect_worker_request_extend_lease_invalid_payload"),
    ],
)
def test_a_payload_that_is_none_closes_its_socket(
    rig: Rig, kind: pb.MessageKind, reason: str
) -> None:
    socket = rig.ready()
    rig.raw(socket, pb.ConnectMessage(kind=kind, payload=b"\xff").SerializeToString())
    assert socket.closed == (0, Close(socket.link, 1008, reason))


def test_a_kind_of_the_future_is_ignored(rig: Rig) -> None:
    socket = rig.ready()
    rig.raw(socket, b"\x08\x63")
    assert socket.closed is None


# --- requests


def test_a_request_carries_the_call_and_a_lease(rig: Rig) -> None:
    socket = rig.ready()
    request = request_of(rig, socket)
    (run,) = rig.runs.values()
    body = json.loads(request.request_payload)
    assert (request.app_name, request.function_slug) == ("app", "app-main")
    assert (request.run_id, request.step_id) == (run.id, "step")
    assert request.app_id == run.function.app_id
    assert request.function_id == body["ctx"]["fn_id"] == run.function.id
    assert request.request_id == body["ctx"]["request_id"]
    assert request.job_id == body["ctx"]["job_id"]
    trace = json.loads(request.user_trace_ctx)
    assert trace.keys() == {"traceparent", "tracestate"}
    assert json.loads(request.system_trace_ctx) == {"traceparent": trace["traceparent"]}
    assert is_ulid(request.lease_id)
    assert time_of(request.lease_id) == START + 120_000


def test_a_run_goes_on_with_what_the_worker_replies(rig: Rig) -> None:
    socket = rig.ready()
    first = request_of(rig, socket)
    rig.ack(socket, first)
    rig.reply(socket, first, step_op(7), status=pb.NOT_COMPLETED)
    acked, second = socket.take(REPLY_ACK, REQUEST)
    assert acked.request_id == first.request_id
    assert list(json.loads(second.request_payload)["steps"].values()) == [{"data": 7}]
    rig.reply(socket, second, "end")
    socket.take(REPLY_ACK)
    assert rig.statuses == ["COMPLETED"]


def test_an_error_is_tried_again_when_the_worker_wants_it(rig: Rig) -> None:
    socket = rig.ready()
    request = request_of(rig, socket)
    error = {"name": "E", "message": "bad"}
    rig.reply(socket, request, error, status=pb.ERROR, retry_after="3")
    socket.take(REPLY_ACK)
    rig.wait(2999)
    socket.take()
    rig.wait(1)
    (again,) = socket.take(REQUEST)
    rig.reply(socket, again, error, status=pb.ERROR, no_retry=True)
    assert rig.statuses == ["FAILED"]


def test_requests_go_to_the_worker_with_the_fewest(rig: Rig) -> None:
    one, two = rig.ready(), rig.ready()
    for _ in range(4):
        rig.send("app/main")
    assert len(one.take(REQUEST, REQUEST)) == len(two.take(REQUEST, REQUEST)) == 2


def test_a_worker_without_work_is_not_left_out_when_all_are_idle(rig: Rig) -> None:
    sockets = [rig.ready(), rig.ready(), rig.ready()]
    for _ in range(6):
        rig.send("app/main")
        busy = next(one for one in sockets if len(one.frames) > one.read)
        (request,) = busy.take(REQUEST)
        rig.reply(busy, request)
        busy.take(REPLY_ACK)
    assert [len(one.frames) for one in sockets] == [2 + 2 * 2] * 3


def test_no_worker_gets_more_than_its_limit(rig: Rig) -> None:
    socket = rig.ready(limit=2)
    for _ in range(5):
        rig.send("app/main")
    first, second = socket.take(REQUEST, REQUEST)
    rig.reply(socket, first)
    (_, third) = socket.take(REPLY_ACK, REQUEST)
    rig.reply(socket, second)
    rig.reply(socket, third)
    socket.take(REPLY_ACK, REQUEST, REPLY_ACK, REQUEST)
    assert {json.loads(f.payload.request_payload)["ctx"]["attempt"] for f in _requests(socket)} == {
        0
    }


def _requests(socket: Socket) -> list[Any]:
    return [frame for frame in socket.frames if frame.kind == REQUEST]


def test_apps_on_one_connection_share_its_limit(rig: Rig) -> None:
    socket = rig.ready("a", "b", limit=1)
    rig.send("a/main")
    rig.send("b/main")
    (request,) = socket.take(REQUEST)
    assert request.app_name == "a"
    rig.reply(socket, request)
    (_, other) = socket.take(REPLY_ACK, REQUEST)
    assert other.app_name == "b"


def test_apps_that_share_a_limit_and_ask_at_once_lose_no_attempt(rig: Rig) -> None:
    """The engine believes in a place for each; the second is postponed, and comes again."""
    socket = rig.connect("a", "b", limit=1, manual=True)
    socket.take(pb.GATEWAY_HELLO, pb.GATEWAY_CONNECTION_READY)
    rig.send("a/main")
    rig.send("b/main")
    rig.say(socket, pb.WORKER_READY)
    (request,) = socket.take(REQUEST)
    rig.reply(socket, request)
    (_, other) = socket.take(REPLY_ACK, REQUEST)
    assert json.loads(other.request_payload)["ctx"]["attempt"] == 0
    assert {request.app_name, other.app_name} == {"a", "b"}


def test_a_place_that_is_freed_while_a_call_is_postponed_is_not_forgotten(rig: Rig) -> None:
    """The engine hears of the place first, and then that there was none."""
    socket = rig.connect("a", "b", limit=1, manual=True)
    socket.take(pb.GATEWAY_HELLO, pb.GATEWAY_CONNECTION_READY)
    rig.send("a/main")
    rig.send("b/main")
    held: list[Any] = []
    perform = rig.perform

    def hold_postponements(effects: list[Any]) -> None:
        late = [one for one in effects if _is_postponement(one)]
        held.extend(late)
        perform([one for one in effects if one not in late])

    rig.perform = hold_postponements  # type: ignore[method-assign]
    rig.say(socket, pb.WORKER_READY)
    (request,) = socket.take(REQUEST)
    rig.reply(socket, request)
    socket.take(REPLY_ACK)
    perform(held)
    socket.take(REQUEST)


def _is_postponement(effect: object) -> bool:
    return isinstance(effect, Settle) and isinstance(effect.outcome, CallPostponed)


def test_a_run_waits_for_the_first_worker(rig: Rig) -> None:
    rig.lose(rig.ready())
    rig.send("app/main")
    rig.wait(3_600_000)
    socket = rig.connect()
    *_, request = socket.take(pb.GATEWAY_HELLO, pb.GATEWAY_CONNECTION_READY, REQUEST)
    assert json.loads(request.request_payload)["ctx"]["attempt"] == 0


# --- heartbeats


def test_a_heartbeat_is_answered_and_nothing_else_is_sent_unasked(rig: Rig) -> None:
    socket = rig.ready()
    live(rig, socket, 300_000)
    assert socket.closed is None


def test_without_heartbeats_no_request_comes_and_then_the_socket_is_closed(rig: Rig) -> None:
    socket = rig.ready()
    rig.wait(19_999)
    request_of(rig, socket)
    rig.wait(1)
    rig.send("app/main")
    socket.take()
    rig.wait(60_000)
    assert socket.closed == (50_000, Close(socket.link, 1011, SILENT))


def test_a_late_heartbeat_makes_a_worker_routable_again(rig: Rig) -> None:
    socket = rig.ready()
    rig.wait(30_000)
    rig.send("app/main")
    rig.say(socket, pb.WORKER_HEARTBEAT)
    socket.take(pb.GATEWAY_HEARTBEAT, REQUEST)


# --- leases


def test_a_lease_is_extended_again_and_again(rig: Rig) -> None:
    socket = rig.ready()
    request = request_of(rig, socket)
    rig.ack(socket, request)
    lease = request.lease_id
    for _ in range(20):
        live(rig, socket, 30_000)
        lease = rig.extend(socket, request, lease).new_lease_id
        assert time_of(lease) == START + rig.t + 120_000
    rig.reply(socket, request)
    assert rig.statuses == ["COMPLETED"]


def test_a_lease_that_ends_takes_an_attempt(rig: Rig) -> None:
    socket = rig.ready()
    request = request_of(rig, socket)
    rig.ack(socket, request)
    live(rig, socket, 120_000)
    rig.wait(4_999)
    assert rig.outcomes == []
    rig.wait(1)
    assert isinstance(rig.outcomes[0], CallFailed)
    assert rig.outcomes[0].error.startswith("connect_worker_stopped_responding")
    beat(rig, socket)
    rig.wait(1000)
    (again,) = socket.take(REQUEST)
    assert again.request_id != request.request_id
    assert json.loads(again.request_payload)["ctx"]["attempt"] == 1
    assert not rig.extend(socket, request).HasField("new_lease_id")


def test_the_answer_to_an_extension_may_be_lost(rig: Rig) -> None:
    socket = rig.ready()
    request = request_of(rig, socket)
    rig.ack(socket, request)
    rig.extend(socket, request)
    live(rig, socket, 30_000)
    assert rig.extend(socket, request).new_lease_id


def test_the_lease_of_a_cancelled_run_is_refused(rig: Rig) -> None:
    socket = rig.ready(limit=1)
    request = request_of(rig, socket)
    rig.ack(socket, request)
    rig.do(CancelRun(request.run_id))
    assert not rig.extend(socket, request).HasField("new_lease_id")
    assert rig.gateway.open_requests == 0
    rig.send("app/main")
    socket.take(REQUEST)


def test_the_clock_on_the_wall_ends_no_lease(rig: Rig) -> None:
    socket = rig.ready()
    request = request_of(rig, socket)
    rig.ack(socket, request)
    rig.wall_shift = 3_600_000
    live(rig, socket, 30_000)
    after = rig.extend(socket, request).new_lease_id
    rig.wall_shift = -3_600_000
    live(rig, socket, 30_000)
    assert rig.extend(socket, request, after).new_lease_id > after
    assert socket.closed is None


# --- acknowledgements and losses


def test_what_nobody_acknowledged_is_sent_again_as_the_same_request(rig: Rig) -> None:
    socket = rig.ready(limit=1)
    request = request_of(rig, socket)
    live(rig, socket, 120_000)
    rig.wait(5_000)
    (again,) = socket.take(REQUEST)
    assert (again.request_id, again.job_id) == (request.request_id, request.job_id)
    assert again.lease_id > request.lease_id
    assert rig.outcomes == []


def test_what_nobody_acknowledged_goes_rather_to_another(rig: Rig) -> None:
    one = rig.ready()
    request = request_of(rig, one)
    two = rig.ready()
    for _ in range(12):
        rig.wait(10_000)
        beat(rig, one)
        beat(rig, two)
    rig.wait(5_000)
    (again,) = two.take(REQUEST)
    assert again.request_id == request.request_id
    assert not rig.extend(one, request).HasField("new_lease_id"), "it is no longer its own"
    rig.ack(one, request)
    rig.reply(two, again)
    assert rig.statuses == ["COMPLETED"]


def test_a_worker_lost_before_it_acknowledged_costs_no_time(rig: Rig) -> None:
    one, two = rig.ready(), rig.ready()
    request = request_of(rig, one)
    rig.lose(one)
    (again,) = two.take(REQUEST)
    assert again.request_id == request.request_id


def test_a_request_without_a_worker_goes_to_the_next_that_connects(rig: Rig) -> None:
    one = rig.ready()
    request = request_of(rig, one)
    rig.lose(one)
    rig.wait(60_000)
    *_, again = rig.connect().take(pb.GATEWAY_HELLO, pb.GATEWAY_CONNECTION_READY, REQUEST)
    assert again.request_id == request.request_id


def test_a_request_that_finds_no_worker_goes_back_to_the_queue(rig: Rig) -> None:
    one = rig.ready()
    request_of(rig, one)
    rig.lose(one)
    rig.wait(125_000)
    assert isinstance(rig.outcomes[0], CallPostponed)
    *_, again = rig.connect().take(pb.GATEWAY_HELLO, pb.GATEWAY_CONNECTION_READY, REQUEST)
    assert json.loads(again.request_payload)["ctx"]["attempt"] == 0


def test_a_worker_that_comes_back_keeps_its_lease(rig: Rig) -> None:
    one = rig.ready(limit=1)
    request = request_of(rig, one)
    rig.ack(one, request)
    rig.lose(one)
    two = rig.ready(limit=1)
    rig.wait(10_000)
    assert rig.extend(two, request).new_lease_id
    rig.send("app/main")
    two.take()
    rig.reply(two, request)
    two.take(REPLY_ACK, REQUEST)
    assert "COMPLETED" in rig.statuses


def test_a_reply_may_come_over_another_connection_or_be_flushed(rig: Rig) -> None:
    one = rig.ready()
    first, second = request_of(rig, one), request_of(rig, one)
    rig.ack(one, first)
    rig.ack(one, second)
    rig.lose(one)
    two = rig.ready()
    rig.reply(two, first)
    two.take(REPLY_ACK)
    rig.flush("ticket", second)
    assert rig.flushed == ["ticket"]
    assert rig.statuses == ["COMPLETED"] * 2


def test_a_reply_that_comes_twice_counts_once_and_is_acknowledged_twice(rig: Rig) -> None:
    socket = rig.ready()
    request = request_of(rig, socket)
    rig.reply(socket, request, "first")
    rig.reply(socket, request, "second")
    rig.flush("ticket", request, "third")
    socket.take(REPLY_ACK, REPLY_ACK)
    assert rig.flushed == ["ticket"]
    assert [run.output for run in rig.runs.values()] == [b'"first"']


def test_a_reply_is_acknowledged_once_it_is_stored_and_to_all_who_sent_it(rig: Rig) -> None:
    socket = rig.ready()
    request = request_of(rig, socket)
    data = encode(pb.WORKER_REPLY, reply(request))
    (settled, *_) = rig.gateway.received(socket.link, data, rig.now)
    rig.perform(rig.gateway.received(socket.link, data, rig.now))
    rig.flush("ticket", request)
    socket.take()
    assert rig.flushed == []
    rig.perform([settled])
    socket.take(REPLY_ACK, REPLY_ACK)
    assert rig.flushed == ["ticket"]


def test_a_status_report_claims_what_is_in_flight(rig: Rig) -> None:
    one = rig.ready()
    request = request_of(rig, one)
    rig.ack(one, request)
    rig.lose(one)
    two = rig.ready(limit=1)
    status = pb.WorkerStatusData(in_flight_request_ids=[request.request_id, "nope"])
    rig.say(two, pb.WORKER_STATUS, status)
    rig.send("app/main")
    two.take()


def test_a_call_that_takes_too_long_is_given_up() -> None:
    rig = Rig(settings=Settings(retry_interval=1000, call_timeout=150_000))
    socket = rig.ready()
    request = request_of(rig, socket)
    rig.ack(socket, request)
    for _ in range(4):
        live(rig, socket, 30_000)
        rig.extend(socket, request)
    live(rig, socket, 30_000)
    assert rig.outcomes[0].error == (
        "request_duration_too_long: the worker has not answered within the 150 s of a call"
    )


# --- leaving


def test_a_worker_that_pauses_gets_nothing_new_and_keeps_what_it_has(rig: Rig) -> None:
    socket = rig.ready()
    request = request_of(rig, socket)
    rig.ack(socket, request)
    rig.say(socket, pb.WORKER_PAUSE)
    rig.send("app/main")
    socket.take()
    beat(rig, socket)
    assert rig.extend(socket, request).new_lease_id
    rig.reply(socket, request)
    socket.take(REPLY_ACK)
    rig.lose(socket)
    assert rig.statuses == ["COMPLETED", "QUEUED"]


def test_a_worker_that_reports_its_shutdown_gets_nothing_new(rig: Rig) -> None:
    socket = rig.ready()
    rig.say(socket, pb.WORKER_STATUS, pb.WorkerStatusData(shutdown_requested=True))
    rig.send("app/main")
    socket.take()


def test_a_drain_asks_workers_to_connect_anew_under_another_group(rig: Rig) -> None:
    socket = rig.ready()
    request = request_of(rig, socket)
    rig.ack(socket, request)
    assert rig.gateway.group == "gw-dev"
    rig.perform(rig.gateway.drain(rig.now))
    socket.take(pb.GATEWAY_CLOSING)
    assert rig.gateway.group == "gw-dev-2"
    rig.send("app/main")
    socket.take()
    new = rig.connect()
    new.take(pb.GATEWAY_HELLO, pb.GATEWAY_CONNECTION_READY, REQUEST)
    rig.reply(socket, request)
    socket.take(REPLY_ACK)


def test_a_worker_that_does_not_leave_is_closed(rig: Rig) -> None:
    socket = rig.ready()
    rig.perform(rig.gateway.drain(rig.now))
    socket.take(pb.GATEWAY_CLOSING)
    live(rig, socket, 20_000)
    rig.wait(5_000)
    assert socket.closed == (25_000, Close(socket.link, 1001, "connect_gateway_closing"))


def test_a_server_that_ends_lets_nobody_in(rig: Rig) -> None:
    early = rig.open()
    rig.perform(rig.gateway.drain(rig.now, ending=True))
    assert early.closed == (0, Close(early.link, 1001, "connect_gateway_closing"))
    late = rig.connect()
    assert late.closed == (0, Close(late.link, 1001, "connect_gateway_closing"))


def test_closing_closes_all(rig: Rig) -> None:
    sockets = [rig.open(), rig.ready(), rig.connect(manual=True)]
    rig.perform(rig.gateway.close(rig.now))
    assert all(one.closed for one in sockets)
    assert rig.gateway.next_due() is None


# --- what is left behind


def test_nothing_is_left_of_what_has_ended(rig: Rig) -> None:
    for _ in range(50):
        socket = rig.ready(limit=3)
        for _ in range(3):
            rig.send("app/main")
        for request in socket.take(REQUEST, REQUEST, REQUEST):
            rig.ack(socket, request)
            rig.reply(socket, request)
        rig.lose(socket)
    gateway = rig.gateway
    left = [gateway._requests, gateway._jobs, gateway._connections, gateway._homeless]
    assert left == [{}, {}, {}, {}]
    assert rig.engine.state.calling == set()
    assert set(rig.statuses) == {"COMPLETED"}
    assert gateway.next_due() is None


def test_times_can_be_scaled() -> None:
    rig = Rig(Times(heartbeat=50, hello=100, lease=400, extend_lease=100, grace=50))
    (_, told) = rig.connect().take(pb.GATEWAY_HELLO, pb.GATEWAY_CONNECTION_READY)
    assert (told.heartbeat_interval, told.extend_lease_interval) == ("50ms", "100ms")
    rig.wait(1000)
    assert rig.sockets[1].closed == (250, Close(1, 1011, SILENT))


def test_a_reply_has_the_headers_that_http_would_have(rig: Rig) -> None:
    socket = rig.ready()
    request = request_of(rig, socket)
    rig.reply(socket, request, {}, status=pb.ERROR, no_retry=True, retry_after="7")
    (outcome,) = rig.outcomes
    assert isinstance(outcome, Replied)
    assert outcome.status == 500
    assert dict(outcome.headers) == {
        "x-inngest-sdk": "py:v1",
        "x-inngest-req-version": "2",
        "x-inngest-no-retry": "true",
        "retry-after": "7",
    }
