"""
What a real gateway was recorded to say, said to our worker.

Ours must answer each message as the recorded worker did. When it beats, and when it extends a
lease, is its own affair: the recorded worker had other habits.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format
from google.protobuf.message import Message

from inngest_core.connect import connect_pb2 as pb
from inngest_core.connect.effects import Close, Effect, Flush, Open, Run, Start, Transmit
from inngest_core.connect.frames import frame, unwrap
from inngest_core.connect.protocol import Worker

SAMPLES = Path(__file__).parents[1] / "samples" / "devserver" / "connect"
FORMS: dict[str, type[Message]] = {
    "WORKER_CONNECT": pb.WorkerConnectRequestData,
    "WORKER_REQUEST_ACK": pb.WorkerRequestAckData,
    "WORKER_REQUEST_EXTEND_LEASE": pb.WorkerRequestExtendLeaseData,
    "WORKER_REPLY": pb.SDKResponse,
    "GATEWAY_CONNECTION_READY": pb.GatewayConnectionReadyData,
    "GATEWAY_EXECUTOR_REQUEST": pb.GatewayExecutorRequestData,
    "WORKER_REPLY_ACK": pb.WorkerReplyAckData,
    "WORKER_REQUEST_EXTEND_LEASE_ACK": pb.WorkerRequestExtendLeaseAckData,
    "SYNC_FAILED": pb.SystemError,
}
OWN_TIME = ("WORKER_HEARTBEAT", "WORKER_REQUEST_EXTEND_LEASE", "WORKER_STATUS")
SCENARIOS = (
    "connect",
    "connect-gateway-drain",
    "connect-lease-expiry",
    "connect-missed-heartbeats",
    "connect-no-ack",
    "connect-no-healthy-connection",
    "connect-worker-capacity",
)


def entries(name: str) -> list[dict[str, Any]]:
    sample = json.loads((SAMPLES / f"{name}.json").read_text())
    found: list[dict[str, Any]] = sample["exchanges"]
    return found


def encoded(value: Any) -> Any:
    """A recorded value as protobuf's own JSON has it: bytes in base64, absent fields absent."""
    if not isinstance(value, dict):
        return [encoded(each) for each in value] if isinstance(value, list) else value
    if "bytes_json" in value:
        text = json.dumps(value["bytes_json"], separators=(",", ":"))
        return base64.b64encode(text.encode()).decode()
    if set(value) == {"seconds"}:
        return f"1970-01-01T00:00:{0:02d}Z"
    return {key: encoded(each) for key, each in value.items() if each is not None}


def message(kind: str, payload: Any) -> Message | None:
    """The message of a recorded frame."""
    form = FORMS.get(kind)
    return None if form is None else json_format.ParseDict(encoded(payload or {}), form())


class Player:
    """One recorded worker, played by ours."""

    def __init__(self, introduction: pb.WorkerConnectRequestData) -> None:
        limit = introduction.max_worker_concurrency or None
        self.worker = Worker(introduction, random=lambda: 0.0, limit=limit)
        self.link = 0
        self.said: list[pb.ConnectMessage] = []
        self.own: list[pb.ConnectMessage] = []
        """What it says at times of its own."""
        self.did: list[Effect] = []
        self.run: list[str] = []

    def see(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Start() | Open():
                    self.link = effect.link
                case Transmit():
                    said = unwrap(effect.frame)
                    own = pb.MessageKind.Name(said.kind) in OWN_TIME
                    (self.own if own else self.said).append(said)
                case Run():
                    self.run.append(effect.request.request_id)
        self.did += effects

    def start(self, now: float, response: pb.StartResponse) -> None:
        self.see(self.worker.begin(now))
        self.see(self.worker.started(now, self.link, response))
        self.see(self.worker.opened(now, self.link))

    def hear(self, now: float, kind: str, payload: Any) -> None:
        if kind == "(websocket closed)":
            self.see(self.worker.lost(now, self.link, f"{payload['code']} {payload['reason']}"))
        else:
            data = frame(getattr(pb, kind), message(kind, payload))
            self.see(self.worker.received(now, self.link, data))

    def must_say(self, now: float, kind: str, payload: Any) -> None:
        """What the recorded worker said now, ours must have said, or say when its code ends."""
        expected = message(kind, payload)
        if isinstance(expected, pb.SDKResponse):
            assert expected.request_id in self.run, "a reply to what was not run"
            self.see(self.worker.finished(now, expected.request_id, expected.SerializeToString()))
        assert self.said, f"{kind} was not said"
        said = self.said.pop(0)
        assert pb.MessageKind.Name(said.kind) == kind
        if expected is not None:
            assert type(expected).FromString(said.payload) == expected


def introduction_of(recorded: list[dict[str, Any]], name: str) -> pb.WorkerConnectRequestData:
    found = next(
        each
        for each in recorded
        if each.get("message") == "WORKER_CONNECT" and each["connection"] == name
    )
    said = message("WORKER_CONNECT", found["payload"])
    assert isinstance(said, pb.WorkerConnectRequestData)
    return said


def play(recorded: list[dict[str, Any]]) -> dict[str, Player]:
    """All workers of a recording, each until its end."""
    players: dict[str, Player] = {}
    response = pb.StartResponse()
    for entry in recorded:
        if "StartResponse" in (body := entry.get("response", {}).get("body") or {}):
            response = json_format.ParseDict(body["StartResponse"], pb.StartResponse())
        elif "message" in entry:
            _take(players, entry, response, recorded)
    return players


def _take(
    players: dict[str, Player],
    entry: dict[str, Any],
    response: pb.StartResponse,
    recorded: list[dict[str, Any]],
) -> None:
    name, kind, now = entry["connection"], entry["message"], entry["t_ms"] / 1000
    if kind == "(websocket open)":
        players[name] = Player(introduction_of(recorded, name))
        players[name].start(now, response)
        return
    player = players[name]
    player.see(player.worker.passed(now))
    if entry["direction"] == "gateway→sdk":
        player.hear(now, kind, entry["payload"])
    elif kind == "WORKER_PAUSE":
        player.see(player.worker.close(now))
        player.must_say(now, kind, None)
    elif kind not in OWN_TIME and not kind.startswith("("):
        player.must_say(now, kind, entry["payload"])


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_our_worker_answers_a_recorded_gateway_as_the_recorded_worker_did(scenario: str) -> None:
    recorded = entries(scenario)
    if scenario == "connect-no-ack":
        recorded = _without_the_missing_ack(recorded)
    players = play(recorded)
    assert players
    for player in players.values():
        assert player.said == [], "ours said more than the recorded worker"
        assert not [effect for effect in player.did if isinstance(effect, Flush)]


def _without_the_missing_ack(recorded: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Ours acks at once; leave out the delivery that the recorded worker did not hear."""
    first = next(each for each in recorded if each.get("message") == "GATEWAY_EXECUTOR_REQUEST")
    return [each for each in recorded if each is not first]


def test_a_recorded_shutdown_closes_as_the_gateway_expects() -> None:
    (player,) = play(entries("connect")).values()
    closes = [effect for effect in player.did if isinstance(effect, Close)]
    assert [(each.code, each.reason) for each in closes] == [(1000, "WORKER_SHUTDOWN")]


def test_a_recorded_lease_that_grew_is_the_one_extended_next() -> None:
    recorded = entries("connect")
    request = next(each for each in recorded if each.get("message") == "GATEWAY_EXECUTOR_REQUEST")
    extended = next(
        each for each in recorded if each.get("message") == "WORKER_REQUEST_EXTEND_LEASE_ACK"
    )
    player = Player(introduction_of(recorded, "worker-1"))
    player.start(0, pb.StartResponse())
    player.hear(0, "GATEWAY_HELLO", None)
    player.hear(0, "GATEWAY_CONNECTION_READY", {"extend_lease_interval": "30s"})
    for entry in (request, extended):
        player.hear(1, entry["message"], entry["payload"])
    player.see(player.worker.passed(31))
    sent = pb.WorkerRequestExtendLeaseData.FromString(player.own[-1].payload)
    assert sent.lease_id == extended["payload"]["new_lease_id"]


def cases() -> dict[str, list[dict[str, Any]]]:
    """What the gateway said in each of the recorded refusals."""
    found: dict[str, list[dict[str, Any]]] = {}
    case = ""
    for entry in entries("connect-errors"):
        case = entry.get("case", case)
        if entry.get("direction") == "gateway→sdk":
            found.setdefault(case, []).append(entry)
    return found


@pytest.mark.parametrize("case", cases())
def test_no_recorded_refusal_leaves_a_worker_stuck(case: str) -> None:
    player = Player(pb.WorkerConnectRequestData(instance_id="worker-e"))
    player.start(0, pb.StartResponse(gateway_group="g"))
    for entry in cases()[case]:
        player.hear(0, entry["message"], entry["payload"])
    state = player.worker.state.value
    if any(entry["message"] == "SYNC_FAILED" for entry in cases()[case]):
        assert state == "CLOSED"
    elif cases()[case][-1]["message"] == "(websocket closed)":
        assert player.worker.wait() == pytest.approx(1.0), "the time until the next attempt"
    else:
        assert state == "ACTIVE"
