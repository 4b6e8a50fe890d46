"""
Recorded scenarios, played against engine and gateway: workers say what they said, when they did.

The gateway must send the same messages. A request may come earlier than recorded, since the
recorded server polls its queue; all else comes at its time.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import json_format

from inngest_contrib.devserver.connect.gateway import NO_HEARTBEATS, NO_HELLO
from inngest_contrib.devserver.connect.messages import encode
from inngest_core.connect import connect_pb2 as pb
from tests.contrib.devserver.connect.rig import Frame, Rig, Socket, time_of

SAMPLES = Path(__file__).parents[3] / "samples" / "devserver" / "connect"
SLACK = 60
"""Milliseconds that the recorded gateway, or the recorder, took for an answer."""
HOP = 700
"""What the recorded queue may lose before a request."""
FROM_WORKER = {
    "WORKER_CONNECT": pb.WorkerConnectRequestData,
    "WORKER_REQUEST_ACK": pb.WorkerRequestAckData,
    "WORKER_REQUEST_EXTEND_LEASE": pb.WorkerRequestExtendLeaseData,
    "WORKER_REPLY": pb.SDKResponse,
    "WORKER_STATUS": pb.WorkerStatusData,
}
GARBAGE = {"garbage frame": b"\xff\xff\xff", "text frame": b"hello"}


class Replay:
    """One recording, played."""

    def __init__(self, name: str, *, until: int | None = None) -> None:
        sample = json.loads((SAMPLES / f"{name}.json").read_text())
        self.exchanges: list[dict[str, Any]] = [
            entry for entry in sample["exchanges"] if until is None or entry["t_ms"] < until
        ]
        started = self.exchanges[1]
        first = time_of(started["response"]["body"]["StartResponse"]["connection_id"])
        self.rig = Rig(start=first - started["t_ms"])
        self.sockets: dict[str, Socket] = {}
        self.recorded: dict[int, list[dict[str, Any]]] = {}
        """By socket: what the recorded gateway sent."""
        self.requests: dict[str, str] = {}
        """Our requests by the recorded ones."""
        self.case = ""

    def play(self) -> Replay:
        for entry in self.exchanges:
            self.rig.go(max(self.rig.t, entry.get("t_ms", 0)))
            if entry.get("path", "").startswith("/e/"):
                self.rig.send(entry["body"]["name"], entry["body"]["data"])
            elif "direction" in entry:
                self._take(entry)
        self.rig.wait(1000)
        return self

    def _take(self, entry: dict[str, Any]) -> None:
        if entry["direction"] == "note":
            self.case = entry["case"]
        elif entry["direction"] == "sdk→gateway":
            self._say(entry)
        elif entry["direction"] == "gateway→sdk":
            self._expect(entry)

    def _say(self, entry: dict[str, Any]) -> None:
        name, kind = entry["connection"], entry["message"]
        if kind == "(websocket open)":
            self._open(name)
        elif kind == "(websocket close)":
            self.rig.lose(self.sockets[name])
        else:
            form = FROM_WORKER.get(kind)
            payload = None if form is None else self._payload(form, entry["payload"])
            self.rig.say(self.sockets[name], getattr(pb, kind), payload)

    def _open(self, name: str) -> None:
        self.sockets[name] = self.rig.open()
        self.recorded[self.sockets[name].link] = []

    def _expect(self, entry: dict[str, Any]) -> None:
        name = entry["connection"]
        if entry["message"] == "GATEWAY_HELLO" and (name not in self.sockets or self.case):
            self._open(name)
        socket = self.sockets[name]
        if entry["message"] == "(websocket closed)" and self.case in GARBAGE:
            self.rig.raw(socket, GARBAGE[self.case])
        self.recorded[socket.link].append(entry)
        if entry["message"] == "GATEWAY_EXECUTOR_REQUEST":
            self._pair(socket, entry["payload"]["request_id"])

    def _pair(self, socket: Socket, recorded: str) -> None:
        ours = [
            frame.payload for frame in socket.frames if frame.kind == pb.GATEWAY_EXECUTOR_REQUEST
        ]
        new = [one.request_id for one in ours if one.request_id not in self.requests.values()]
        if recorded not in self.requests and new:
            self.requests[recorded] = new[0]

    def _payload(self, form: Any, recorded: dict[str, Any]) -> Any:
        message = json_format.ParseDict(_encoded(recorded), form(), ignore_unknown_fields=True)
        if form in (pb.WorkerRequestExtendLeaseData, pb.SDKResponse, pb.WorkerRequestAckData):
            message.request_id = self.requests.get(message.request_id, message.request_id)
        if form is pb.WorkerRequestExtendLeaseData and message.request_id != "nope":
            message.lease_id = self._newest_lease(message.request_id)
        return message

    def _newest_lease(self, request_id: str) -> str:
        leases = [
            getattr(frame.payload, "new_lease_id", "") or getattr(frame.payload, "lease_id", "")
            for socket in self.sockets.values()
            for frame in socket.frames
            if getattr(frame.payload, "request_id", None) == request_id
        ]
        return max(leases)

    def differences(self) -> list[str]:
        """Where we did something else than was recorded."""
        found = []
        for link, recorded in self.recorded.items():
            socket = self.rig.sockets[link]
            kinds = {entry["message"] for entry in recorded} | {
                pb.MessageKind.Name(frame.kind) for frame in socket.frames
            }
            for kind in kinds:
                theirs = [entry for entry in recorded if entry["message"] == kind]
                if kind == "(websocket closed)":
                    found += self._compare_end(socket, theirs)
                else:
                    ours = [one for one in socket.frames if one.kind == pb.MessageKind.Value(kind)]
                    found += self._compare(kind, theirs, ours)
        return found

    def _compare(self, kind: str, theirs: list[Any], ours: list[Frame]) -> list[str]:
        if len(theirs) != len(ours):
            return [f"{kind}: {len(theirs)} recorded, {len(ours)} sent"]
        early = HOP if kind == "GATEWAY_EXECUTOR_REQUEST" else SLACK
        found = []
        for entry, frame in zip(theirs, ours, strict=True):
            if not entry["t_ms"] - early <= frame.at <= entry["t_ms"] + SLACK:
                found.append(f"{kind} at {frame.at}, recorded at {entry['t_ms']}")
            if (wrong := self._wrong(kind, entry["payload"], frame.payload)) is not None:
                found.append(f"{kind} at {frame.at}: {wrong}")
        return found

    def _wrong(self, kind: str, theirs: Any, ours: Any) -> str | None:
        if kind == "GATEWAY_EXECUTOR_REQUEST":
            return _differs(_essence(theirs, theirs["request_payload"]["bytes_json"]), _ours(ours))
        if kind == "WORKER_REQUEST_EXTEND_LEASE_ACK":
            return _differs("new_lease_id" in theirs, ours.HasField("new_lease_id"))
        if kind == "WORKER_REPLY_ACK":
            recorded = theirs["request_id"]
            return _differs(self.requests.get(recorded, recorded), ours.request_id)
        if kind == "SYNC_FAILED":
            return None if ours.message.startswith(theirs["message"]) else ours.message
        if kind == "GATEWAY_CONNECTION_READY":
            shown = json_format.MessageToDict(ours, preserving_proto_field_name=True)
            return _differs(theirs, shown)
        return None

    def _compare_end(self, socket: Socket, theirs: list[Any]) -> list[str]:
        end = theirs[0]["payload"]
        if end["reason"] == "WORKER_SHUTDOWN":
            return []
        if socket.closed is None:
            return [f"not closed, recorded {end}"]
        at, effect = socket.closed
        # There the socket of a silent worker breaks; here it is told why it is closed.
        silent = end["code"] is None and effect.reason in (NO_HELLO, NO_HEARTBEATS)
        ours = (None, None) if silent else (effect.code, effect.reason)
        late = abs(at - theirs[0]["t_ms"]) > SLACK
        if late or ours != (end["code"], end["reason"]):
            return [f"closed at {at} with {ours}, recorded {theirs[0]}"]
        return []


def _essence(request: Any, payload: Any) -> Any:
    ctx = payload["ctx"]
    return {
        "app": request["app_name"],
        "slug": request["function_slug"],
        "step": request["step_id"],
        "account": request["account_id"],
        "env": request["env_id"],
        "attempt": ctx["attempt"],
        "max_attempts": ctx["max_attempts"],
        "stack": ctx["stack"],
        "steps": payload["steps"],
        "data": payload["event"]["data"],
    }


def _ours(message: Any) -> Any:
    fields = ("app_name", "function_slug", "step_id", "account_id", "env_id")
    shown = {name: getattr(message, name) for name in fields}
    return _essence(shown, json.loads(message.request_payload))


def _differs(theirs: Any, ours: Any) -> str | None:
    return None if theirs == ours else f"{ours}, recorded {theirs}"


def _encoded(value: Any) -> Any:
    """Recorded bytes in the form that protobuf's JSON has for them."""
    if isinstance(value, list):
        return [_encoded(one) for one in value]
    if not isinstance(value, dict):
        return value
    if "bytes_json" in value:
        return base64.b64encode(json.dumps(value["bytes_json"]).encode()).decode()
    if "bytes_utf8" in value:
        return base64.b64encode(value["bytes_utf8"].encode()).decode()
    if value.keys() == {"seconds"}:
        return "2026-11-22T10:56:25Z"
    return {key: _encoded(one) for key, one in value.items() if one is not None}


@pytest.mark.parametrize(
    "name",
    [
        "connect",
        "connect-errors",
        "connect-missed-heartbeats",
        "connect-no-healthy-connection",
        "connect-worker-capacity",
        "connect-lease-expiry",
    ],
)
def test_a_recording_is_played_without_a_difference(name: str) -> None:
    assert Replay(name).play().differences() == []


def test_a_request_that_was_not_acknowledged_comes_again_and_its_reply_counts() -> None:
    """There the reply is acknowledged and ignored, and a second attempt is made beside it."""
    replay = Replay("connect-no-ack", until=127_400).play()
    assert replay.differences() == []
    assert [(run.status.value, run.output) for run in replay.rig.runs.values()] == [
        ("COMPLETED", b"0")
    ]


def test_the_beginning_of_a_drain_is_as_recorded() -> None:
    """There the sockets break at the end of the server; here workers are asked to leave first."""
    assert Replay("connect-gateway-drain", until=3_000).play().differences() == []


def test_differences_are_found() -> None:
    replay = Replay("connect").play()
    socket = replay.sockets["worker-1"]
    socket.frames.pop()
    replay.rig.perform([])
    assert any("recorded" in one for one in replay.differences())
    assert encode(pb.GATEWAY_HELLO) == b""
