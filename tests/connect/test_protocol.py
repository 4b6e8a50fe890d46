"""What a worker does at each turn of the protocol, told without a socket."""

from __future__ import annotations

import itertools
import logging

import pytest

from inngest_core.connect import connect_pb2 as pb
from inngest_core.connect.effects import Note, Transmit
from inngest_core.connect.frames import frame, unwrap
from inngest_core.connect.links import INPUT_OF, Input, Phase
from inngest_core.connect.protocol import ACK_SECONDS, BACKOFF, TRANSITIONS, Worker
from tests.connect.wires import (
    CLOSING,
    HEARTBEAT,
    HELLO,
    INTRODUCTION,
    Story,
    connected,
    lease_ack,
    notes,
    ready,
    reply_ack,
    request,
    response,
)

# ---- becoming connected


def test_a_worker_asks_for_a_gateway_opens_greets_and_is_active() -> None:
    story = Story()
    assert story.state == "CONNECTING"
    assert story.begin() == ["start 1"]
    assert story.started() == ["open 1 ws://g"]
    assert story.opened() == []
    assert story.received(HELLO) == ["1> connect c1"]
    assert story.received(ready()) == ["ACTIVE"]
    assert story.worker.connection_id == "c1"


def test_the_introduction_carries_the_ids_and_keys_of_the_start() -> None:
    story = Story()
    story.begin()
    story.started()
    story.opened()
    story.received(HELLO)
    (effect,) = story.raw
    assert isinstance(effect, Transmit)
    data = pb.WorkerConnectRequestData.FromString(unwrap(effect.frame).payload)
    assert (data.connection_id, data.instance_id) == ("c1", "worker-1")
    assert (data.auth_data.session_token, data.auth_data.sync_token) == ("session", "sync")
    assert INTRODUCTION.connection_id == ""


def test_nothing_is_said_before_the_gateways_hello() -> None:
    story = Story()
    story.begin()
    story.started()
    story.opened()
    assert story.received(ready()) == []
    assert story.state == "CONNECTING"


def test_attempts_are_further_and_further_apart() -> None:
    story = Story()
    story.begin()
    for link, seconds in enumerate([*BACKOFF, BACKOFF[-1]], start=1):
        assert story.refused(link) == [f"close {link} UNEXPECTED"]
        assert story.worker.wait() == pytest.approx(seconds)
        assert story.after(seconds - 0.01) == []
        assert story.after(0.02) == [f"start {link + 1}"]


def test_an_attempt_is_early_by_up_to_half_of_its_time() -> None:
    worker = Worker(INTRODUCTION, random=lambda: 1.0)
    worker.begin(0)
    worker.refused(0, 1, "no")
    assert worker.wait() == pytest.approx(BACKOFF[0] / 2)


def test_attempts_begin_anew_once_a_worker_was_active() -> None:
    story = Story()
    story.begin()
    story.refused(1)
    story.after(1)
    story.refused(2)
    story.after(2)
    story.connect(3)
    story.lost(3)
    assert story.worker.wait() == pytest.approx(BACKOFF[0])


@pytest.mark.parametrize("phase", ["asking", "opening", "greeting", "introduced"])
def test_no_phase_of_an_attempt_lasts_for_ever(phase: str) -> None:
    story = Story()
    story.begin()
    steps = {"asking": 0, "opening": 1, "greeting": 2, "introduced": 3}[phase]
    if steps > 0:
        story.started()
    if steps > 1:
        story.opened()
    if steps > 2:
        story.received(HELLO)
    assert story.after(61) == ["close 1 UNEXPECTED"]
    assert story.after(1) == ["start 2" + (" -g" if steps else "")]


def test_a_gateway_that_cannot_be_opened_is_left_out_of_the_next_start() -> None:
    story = Story()
    story.begin()
    story.started(group="bad")
    assert story.lost() == ["close 1 UNEXPECTED"]
    assert story.after(1) == ["start 2 -bad"]


def test_where_all_gateways_are_left_out_the_next_start_leaves_out_none() -> None:
    story = Story()
    story.begin()
    story.started(group="only")
    story.lost()
    story.after(1)
    assert story.refused(2, "no other gateway") == ["close 2 UNEXPECTED", "start 3"]


def test_what_no_attempt_can_help_ends_the_worker() -> None:
    story = Story()
    story.begin()
    assert story.refused(1, "unauthorized: key", final=True) == [
        "close 1 UNEXPECTED",
        "CLOSING",
        "CLOSED",
        "end unauthorized: key",
    ]


def test_functions_that_are_refused_at_first_end_the_worker() -> None:
    story = Story()
    story.begin()
    story.started()
    story.opened()
    story.received(HELLO)
    failed = frame(pb.SYNC_FAILED, pb.SystemError(message="At least one function is invalid"))
    assert story.received(failed)[-1] == (
        "end the gateway refused the functions of this worker: At least one function is invalid"
    )


def test_functions_that_are_refused_later_are_offered_again() -> None:
    story = connected()
    story.lost()
    story.after(1)
    story.started(2)
    story.opened(2)
    story.received(HELLO, 2)
    failed = frame(pb.SYNC_FAILED, pb.SystemError(message="try later"))
    assert story.received(failed, 2) == ["close 2 UNEXPECTED", "RECONNECTING"]
    assert "try later" in notes(story.raw)[0]
    assert story.after(2) == ["CONNECTING", "start 3"]


# ---- heartbeats


def test_the_first_heartbeat_is_a_whole_interval_behind_the_beginning() -> None:
    story = connected()
    assert story.after(9.9) == []
    assert story.after(0.2) == ["1> heartbeat"]
    assert story.received(HEARTBEAT) == []
    assert story.after(10) == ["1> heartbeat"]


def test_two_heartbeats_without_an_answer_end_a_connection() -> None:
    story = connected()
    story.after(10)
    assert story.after(10) == ["1> heartbeat"]
    assert story.after(10) == ["close 1 CONSECUTIVE_HEARTBEATS_MISSED", "RECONNECTING"]
    assert story.after(1) == ["CONNECTING", "start 2"]


def test_an_answer_makes_good_for_a_heartbeat_that_had_none() -> None:
    story = connected()
    for _ in range(5):
        story.after(10)
        assert story.after(10) == ["1> heartbeat"]
        story.received(HEARTBEAT)
    assert story.state == "ACTIVE"


def test_a_clock_that_jumps_ahead_costs_one_heartbeat_and_not_the_connection() -> None:
    story = connected()
    assert story.after(100_000) == ["1> heartbeat"]
    assert story.state == "ACTIVE"


def test_a_clock_that_jumps_back_stands_still() -> None:
    story = connected()
    story.after(9)
    story.after(-100_000)
    assert story.worker.wait() == pytest.approx(1)
    assert story.after(1) == ["1> heartbeat"]


def test_intervals_that_cannot_be_read_are_the_usual_ones_and_that_is_told() -> None:
    story = connected(heartbeat="often")
    assert "cannot be read" in notes(story.raw)[0]
    assert story.worker.wait() == pytest.approx(10)


def test_intervals_are_read_as_go_writes_them() -> None:
    story = connected(heartbeat="1m30s", lease="1.5s")
    assert story.worker.wait() == pytest.approx(90)
    story.received(request("r1"))
    assert story.after(1.5) == ["1> request_extend_lease r1 L1"]


# ---- work


def test_a_request_is_acked_before_its_function_runs() -> None:
    story = connected()
    assert story.received(request("r1")) == ["1> request_ack r1", "run r1"]
    assert story.finished("r1") == ["1> reply r1"]
    assert story.received(reply_ack("r1")) == []
    assert story.after(6) == []


def test_an_ack_names_all_that_the_request_named() -> None:
    story = connected()
    data = pb.GatewayExecutorRequestData(
        request_id="r1",
        account_id="account",
        env_id="env",
        app_id="app",
        function_slug="slug",
        step_id="step",
        system_trace_ctx=b"{}",
        user_trace_ctx=b'{"traceparent":"x"}',
        run_id="run",
    )
    story.received(frame(pb.GATEWAY_EXECUTOR_REQUEST, data))
    effect = story.raw[0]
    assert isinstance(effect, Transmit)
    ack = pb.WorkerRequestAckData.FromString(unwrap(effect.frame).payload)
    for field in pb.WorkerRequestAckData.DESCRIPTOR.fields:
        assert getattr(ack, field.name) == getattr(data, field.name)


def test_a_request_that_comes_twice_runs_once_and_is_acked_twice() -> None:
    story = connected()
    story.received(request("r1"))
    assert story.received(request("r1", "L2")) == ["1> request_ack r1"]
    assert story.after(30) == ["1> heartbeat", "1> request_extend_lease r1 L2"]


def test_a_request_whose_reply_waits_for_its_ack_is_answered_with_it_again() -> None:
    story = connected()
    story.received(request("r1"))
    story.finished("r1")
    assert story.received(request("r1")) == ["1> request_ack r1", "1> reply r1"]


def test_a_request_whose_reply_the_server_has_is_not_heard() -> None:
    story = connected()
    story.received(request("r1"))
    story.finished("r1")
    story.received(reply_ack("r1"))
    assert story.received(request("r1")) == []


def test_no_more_functions_run_at_once_than_the_limit_allows() -> None:
    story = connected(limit=2)
    ran = [story.received(request(f"r{n}"))[-1] for n in range(4)]
    assert ran == ["run r0", "run r1", "1> request_ack r2", "1> request_ack r3"]
    assert story.finished("r0") == ["1> reply r0", "run r2"]
    assert story.finished("r1") == ["1> reply r1", "run r3"]


# ---- leases


def test_a_lease_is_extended_for_as_long_as_its_function_runs() -> None:
    story = connected(heartbeat="1h")
    story.received(request("r1", "L1"))
    assert story.after(30) == ["1> request_extend_lease r1 L1"]
    story.received(lease_ack("r1", "L2"))
    assert story.after(30) == ["1> request_extend_lease r1 L2"]
    story.finished("r1")
    story.received(reply_ack("r1"))
    assert story.after(30) == []


def test_a_request_that_waits_for_room_keeps_its_lease() -> None:
    story = connected(limit=1, heartbeat="1h")
    story.received(request("r1"))
    story.received(request("r2"))
    assert story.after(30) == ["1> request_extend_lease r1 L1", "1> request_extend_lease r2 L1"]


def test_a_refused_lease_cancels_the_function_and_drops_its_result() -> None:
    story = connected()
    story.received(request("r1"))
    assert story.received(lease_ack("r1", None)) == ["cancel r1"]
    assert "another worker" in notes(story.raw)[0]
    assert story.received(lease_ack("r1", None)) == []
    assert story.finished("r1") == []


def test_a_refused_lease_of_a_waiting_request_keeps_it_from_running() -> None:
    story = connected(limit=1)
    story.received(request("r1"))
    story.received(request("r2"))
    assert story.received(lease_ack("r2", None)) == []
    assert story.finished("r1") == ["1> reply r1"]


def test_a_lost_function_takes_its_room_until_it_has_ended() -> None:
    story = connected(limit=1)
    story.received(request("r1"))
    story.received(lease_ack("r1", None))
    assert story.received(request("r2")) == ["1> request_ack r2"]
    assert story.finished("r1", cancelled=True) == ["run r2"]


# ---- replies


def test_a_reply_that_nobody_acks_is_posted() -> None:
    story = connected()
    story.received(request("r1"))
    story.finished("r1")
    assert story.after(ACK_SECONDS) == ["flush r1"]
    assert story.flushed("r1") == []
    assert story.received(request("r1")) == []


def test_after_a_loss_replies_without_an_ack_are_posted_and_acked_ones_are_not() -> None:
    story = connected()
    for name in ("acked", "unacked"):
        story.received(request(name))
        story.finished(name)
    story.received(reply_ack("acked"))
    assert story.lost() == ["close 1 UNEXPECTED", "flush unacked", "RECONNECTING"]


def test_a_function_that_ends_without_a_connection_has_its_reply_posted() -> None:
    story = connected()
    story.received(request("r1"))
    story.lost()
    assert story.finished("r1") == ["flush r1"]


def test_a_reply_that_cannot_be_posted_is_posted_again_later() -> None:
    story = connected()
    story.received(request("r1"))
    story.lost()
    story.finished("r1")
    assert story.unflushed("r1") == []
    assert "flush r1" in story.after(1)
    story.unflushed("r1")
    assert story.after(1.9) == []
    assert story.after(0.1) == ["flush r1"]


def test_a_reply_that_cannot_be_posted_goes_over_a_connection_if_there_is_one() -> None:
    story = connected()
    story.received(request("r1"))
    story.finished("r1")
    story.after(ACK_SECONDS)
    assert story.unflushed("r1") == ["1> reply r1"]


def test_a_late_ack_is_as_good_as_a_post() -> None:
    story = connected()
    story.received(request("r1"))
    story.finished("r1")
    story.after(ACK_SECONDS)
    story.received(reply_ack("r1"))
    assert story.unflushed("r1") == []
    assert story.after(60) != ["flush r1"]


def test_a_reply_that_the_api_will_never_take_is_dropped_and_that_is_told() -> None:
    story = connected()
    story.received(request("r1"))
    story.lost()
    story.finished("r1")
    story.unflushed("r1", final=True)
    assert "the reply to request r1 is lost" in notes(story.raw)[0]
    assert "flush r1" not in story.after(1000)


# ---- losing the connection


def test_after_a_loss_a_worker_is_reconnecting_connecting_and_active() -> None:
    story = connected()
    assert story.lost() == ["close 1 UNEXPECTED", "RECONNECTING"]
    assert story.after(1) == ["CONNECTING", "start 2"]
    assert story.connect(2) == ["ACTIVE"]
    assert story.worker.connection_id == "c2"


def test_what_runs_goes_on_over_the_next_connection() -> None:
    story = connected()
    story.received(request("r1", "L1"))
    story.lost()
    story.after(1)
    assert story.connect(2) == ["ACTIVE", "2> request_extend_lease r1 L1"]
    assert story.finished("r1") == ["2> reply r1"]


def test_what_comes_of_a_link_that_is_gone_is_not_heard() -> None:
    story = connected()
    story.lost()
    assert story.received(request("r1")) == []
    assert story.lost() == []
    assert story.opened() == []


# ---- a gateway that leaves


def test_a_new_connection_is_ready_before_the_old_one_closes() -> None:
    story = connected()
    assert story.received(CLOSING) == ["RECONNECTING", "CONNECTING", "start 2 -g"]
    assert story.connect(2, "h") == ["ACTIVE", "close 1 GATEWAY_DRAINING"]


def test_until_then_the_old_one_carries_everything() -> None:
    story = connected()
    story.received(request("r1"))
    story.received(CLOSING)
    assert story.finished("r1") == ["1> reply r1"]
    assert story.received(request("r2")) == ["1> request_ack r2", "run r2"]
    story.received(reply_ack("r1"))
    assert story.after(10) == ["1> heartbeat"]


def test_the_old_one_stays_until_its_replies_are_acked() -> None:
    story = connected()
    story.received(request("r1"))
    story.finished("r1")
    story.received(CLOSING)
    assert story.connect(2, "h") == ["ACTIVE"]
    assert story.received(reply_ack("r1")) == ["close 1 GATEWAY_DRAINING"]


def test_the_old_one_does_not_stay_longer_than_an_ack_may_take() -> None:
    story = connected()
    story.received(request("r1"))
    story.after(1)
    story.finished("r1")
    story.received(CLOSING)
    story.connect(2, "h")
    assert set(story.after(ACK_SECONDS)) == {"close 1 GATEWAY_DRAINING", "flush r1"}


def test_an_old_one_that_breaks_early_costs_nothing() -> None:
    story = connected()
    story.received(request("r1"))
    story.received(CLOSING)
    assert story.lost() == ["close 1 GATEWAY_DRAINING"]
    assert story.finished("r1") == ["flush r1"]
    assert story.connect(2, "h") == ["ACTIVE"]


def test_a_gateway_that_closes_during_the_handshake_is_left_out() -> None:
    story = Story()
    story.begin()
    story.started()
    story.opened()
    assert story.received(CLOSING) == ["close 1 UNEXPECTED"]
    assert story.after(1) == ["start 2 -g"]


# ---- the end


def test_closing_pauses_waits_for_the_answer_and_ends() -> None:
    story = connected()
    assert story.close() == ["CLOSING", "1> pause", "1> heartbeat"]
    assert story.received(HEARTBEAT) == ["close 1 WORKER_SHUTDOWN", "CLOSED", "end"]


def test_a_gateway_that_does_not_answer_is_not_waited_for_long() -> None:
    story = connected()
    story.close()
    assert story.after(1) == ["close 1 WORKER_SHUTDOWN", "CLOSED", "end"]


def test_an_earlier_heartbeats_answer_is_not_taken_for_that_of_the_pause() -> None:
    story = connected()
    story.after(10)
    story.close()
    assert story.received(HEARTBEAT) == []
    assert story.received(HEARTBEAT) == ["close 1 WORKER_SHUTDOWN", "CLOSED", "end"]


def test_work_that_was_under_way_to_a_closing_worker_is_done() -> None:
    story = connected()
    story.close()
    assert story.received(request("r1")) == ["1> request_ack r1", "run r1"]
    story.received(HEARTBEAT)
    story.finished("r1")
    assert story.received(reply_ack("r1")) == ["close 1 WORKER_SHUTDOWN", "CLOSED", "end"]


def test_while_work_ends_heartbeats_and_leases_go_on() -> None:
    story = connected()
    story.received(request("r1"))
    story.close()
    story.received(HEARTBEAT)
    assert story.after(10) == ["1> heartbeat"]
    story.received(HEARTBEAT)
    assert story.after(20) == ["1> heartbeat", "1> request_extend_lease r1 L1"]
    assert story.state == "CLOSING"


def test_a_status_tells_of_the_shutdown_where_the_gateway_wants_to_know() -> None:
    story = connected(status="5s")
    assert story.after(5) == ["1> status"]
    assert story.close() == ["CLOSING", "1> status", "1> pause", "1> heartbeat"]
    effect = next(each for each in story.raw if isinstance(each, Transmit))
    status = pb.WorkerStatusData.FromString(unwrap(effect.frame).payload)
    assert status.shutdown_requested


def test_closing_without_a_connection_ends_at_once() -> None:
    story = Story()
    story.begin()
    assert story.close() == ["CLOSING", "close 1 WORKER_SHUTDOWN", "CLOSED", "end"]
    story = connected()
    story.lost()
    assert story.close() == ["CLOSING", "CLOSED", "end"]


def test_a_drain_while_closing_reconnects_pauses_there_and_closes() -> None:
    story = connected()
    story.received(request("r1"))
    story.close()
    story.received(HEARTBEAT)
    assert story.received(CLOSING) == ["start 2 -g"]
    did = story.connect(2, "h")
    assert did[:2] == ["2> pause", "2> heartbeat"]
    assert "close 1 GATEWAY_DRAINING" in did
    story.received(HEARTBEAT, 2)
    assert story.finished("r1") == ["2> reply r1"]
    assert story.received(reply_ack("r1"), 2) == ["close 2 WORKER_SHUTDOWN", "CLOSED", "end"]


def test_a_closing_worker_does_not_end_before_its_replies_are_taken() -> None:
    story = connected()
    story.received(request("r1"))
    story.lost()
    story.close()
    assert story.finished("r1") == ["flush r1"]
    assert story.flushed("r1") == ["CLOSED", "end"]


def test_a_closing_worker_gives_up_on_a_reply_that_nobody_takes() -> None:
    story = connected()
    story.received(request("r1"))
    story.lost()
    story.after(1)
    story.refused(2)
    story.close()
    story.finished("r1")
    story.unflushed("r1")
    assert "flush r1" in story.after(1)
    story.unflushed("r1")
    assert "flush r1" in story.after(2)
    assert story.unflushed("r1")[-2:] == ["CLOSED", "end"]


def test_a_worker_that_failed_lets_its_functions_end() -> None:
    story = connected()
    story.received(request("r1"))
    story.lost()
    story.after(1)
    assert story.refused(2, "unauthorized", final=True) == ["close 2 UNEXPECTED", "CLOSING"]
    story.finished("r1")
    assert story.flushed("r1") == ["CLOSED", "end unauthorized"]


def test_after_the_end_nothing_is_done() -> None:
    story = Story()
    story.begin()
    story.close()
    assert story.worker.wait() is None
    assert [story.started(), story.after(100), story.close(), story.begin()] == [[], [], [], []]


# ---- the table


def test_every_input_has_its_place_in_the_table_and_every_phase_its_ways_out() -> None:
    assert {what for _, what in TRANSITIONS} == set(Input)
    for phase in Phase:
        assert (phase, Input.OVERDUE) in TRANSITIONS
        reachable = (phase, Input.REFUSED if phase is Phase.STARTING else Input.LOST)
        assert reachable in TRANSITIONS


def in_phase(phase: Phase) -> Story:
    """A story whose link 1 has come so far; it has an open websocket."""
    story = Story()
    story.begin()
    story.started()
    story.opened()
    course = {
        Phase.GREETING: [],
        Phase.INTRODUCED: [HELLO],
        Phase.READY: [HELLO, ready()],
        Phase.LEAVING: [HELLO, ready(), CLOSING],
    }
    for data in course[phase]:
        story.received(data)
    return story


OPEN = (Phase.GREETING, Phase.INTRODUCED, Phase.READY, Phase.LEAVING)
NO_TRANSITIONS = sorted(
    (phase.name, kind)
    for phase, (kind, what) in itertools.product(OPEN, INPUT_OF.items())
    if (phase, what) not in TRANSITIONS
)


@pytest.mark.parametrize(("phase", "kind"), NO_TRANSITIONS)
def test_what_is_not_in_the_table_changes_nothing(phase: str, kind: pb.MessageKind) -> None:
    story = in_phase(Phase[phase])
    assert story.received(frame(kind)) == []
    (note,) = story.raw
    assert isinstance(note, Note)
    assert note.level == logging.DEBUG


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xff\xff\xff", id="no message"),
        pytest.param("text", id="text"),
        pytest.param(b"\x08\x63", id="an unknown kind"),
        pytest.param(frame(pb.WORKER_PAUSE), id="a worker's kind"),
        pytest.param(
            pb.ConnectMessage(
                kind=pb.GATEWAY_EXECUTOR_REQUEST, payload=b"\xff"
            ).SerializeToString(),
            id="no payload",
        ),
        pytest.param(frame(pb.GATEWAY_EXECUTOR_REQUEST), id="a request without an id"),
    ],
)
def test_garbage_is_ignored_and_told(data: bytes | str) -> None:
    story = connected()
    assert story.received(data) == []
    assert notes(story.raw)[0].startswith("ignored a frame of the gateway: ")
    assert story.state == "ACTIVE"


def test_a_snapshot_tells_how_a_worker_is() -> None:
    story = connected(limit=1)
    story.received(request("r1"))
    story.received(request("r2"))
    snapshot = story.worker.snapshot(story.now + 3)
    assert (snapshot.state.value, snapshot.connection_id, snapshot.gateway_group) == (
        "ACTIVE",
        "c1",
        "g",
    )
    assert (snapshot.running, snapshot.waiting, snapshot.capacity) == (1, 1, 1)
    assert snapshot.heartbeat_age == pytest.approx(3)


def test_no_key_is_to_be_seen() -> None:
    story = Story()
    story.begin()
    effects = story.worker.started(story.now, 1, response())
    effects += story.worker.opened(story.now, 1)
    effects += story.worker.received(story.now, 1, HELLO)
    assert "session" not in repr(effects)
