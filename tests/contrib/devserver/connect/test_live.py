"""The gateway over real sockets: its HTTP side, its close codes, and workers through a restart."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect
from websockets.typing import Subprotocol

from inngest_contrib.devserver import serving
from inngest_contrib.devserver.api.context import Api
from inngest_contrib.devserver.api.replies import ApiError
from inngest_contrib.devserver.connect.doors import workers_of
from inngest_contrib.devserver.connect.messages import SUBPROTOCOL, decode, encode
from inngest_contrib.devserver.connect.times import Times
from inngest_contrib.devserver.expressions import Expressions
from inngest_contrib.devserver.serving import Options
from inngest_core import Context, ContextSync, Inngest, TriggerEvent
from inngest_core.connect import connect as connect_worker
from inngest_core.connect import connect_pb2 as pb
from tests.contrib.devserver.connect.rig import introduction, reply
from tests.contrib.devserver.live import Reply, Running, eventually, running, stand_in

KEY = "0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as found:
        yield found


class Worker:
    """A worker's end of a real socket."""

    def __init__(self, server: Running, *apps: str, **headers: str) -> None:
        self.start = pb.StartResponse.FromString(_start(server, headers=headers).content)
        self.socket = _open(self.start.gateway_endpoint)
        self.take(pb.GATEWAY_HELLO)
        if apps:
            self.introduce(introduction(*apps, token=self.start.session_token))
            self.take(pb.GATEWAY_CONNECTION_READY)

    def introduce(self, said: pb.WorkerConnectRequestData) -> None:
        said.connection_id = self.start.connection_id
        self.say(pb.WORKER_CONNECT, said)

    def say(self, kind: pb.MessageKind, payload: Any = None) -> None:
        self.socket.send(encode(kind, payload))

    def take(self, kind: pb.MessageKind, form: Any = None) -> Any:
        """The next message, which must be of this kind."""
        data = self.socket.recv(timeout=15)
        assert isinstance(data, bytes)
        got, payload = decode(data)
        assert pb.MessageKind.Name(got) == pb.MessageKind.Name(kind)
        return None if form is None else form.FromString(payload)

    def request(self) -> Any:
        return self.take(pb.GATEWAY_EXECUTOR_REQUEST, pb.GatewayExecutorRequestData)

    def end(self) -> tuple[int, str]:
        """How the gateway closes the connection."""
        try:
            while True:
                self.socket.recv(timeout=15)
        except ConnectionClosed as closed:
            received = closed.rcvd
        return (received.code, received.reason) if received else (1006, "")


def _open(endpoint: str) -> ClientConnection:
    # Entered by hand: each test says itself how its connection ends.
    return connect(endpoint, subprotocols=[Subprotocol(SUBPROTOCOL)], proxy=None).__enter__()


def _start(server: Running, body: bytes = b"", headers: Any = None) -> httpx.Response:
    return server.http.post("/v0/connect/start", content=body, headers=headers)


def conns(server: Running) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = server.get("/v0/connect/envs/dev/conns")["data"]
    return found


# --- the HTTP side


def test_without_workers_the_list_is_an_empty_array() -> None:
    with running() as server:
        assert server.get("/v0/connect/envs/dev/conns") == {"data": []}
        assert server.http.post("/v0/connect/drain").json() == {"data": None}
        query = {"query": "{ workerConnections { totalCount edges { cursor } } }"}
        answer = server.http.post("/v0/gql", json=query).json()
        assert answer["data"]["workerConnections"] == {"totalCount": 0, "edges": []}


def test_the_start_request_names_the_gateway_by_the_name_it_was_reached_by(server: Running) -> None:
    response = _start(server, pb.StartRequest(exclude_gateways=["gw-dev"]).SerializeToString())
    start = pb.StartResponse.FromString(response.content)
    assert response.headers["content-type"] == "application/octet-stream"
    assert start.gateway_endpoint == server.url.replace("http://", "ws://") + "/v0/connect"
    assert start.gateway_group == "gw-dev"
    assert start.sync_token == ""


@pytest.mark.parametrize(
    ("path", "body", "error"),
    [
        ("start", b"\xff\xff\xff", "could not unmarshal request"),
        ("flush", b"", "missing request body"),
        ("flush", b"\xff", "could not unmarshal request"),
        ("flush", b"\n\x02r1(\x012\x011", "could not unmarshal system trace ctx"),
    ],
)
def test_what_cannot_be_read_is_refused(
    server: Running, path: str, body: bytes, error: str
) -> None:
    response = server.http.post(f"/v0/connect/{path}", content=body)
    assert response.status_code == 400
    assert response.json() == {"error": error, "data": None, "status": 400}


def test_the_flush_of_a_reply_that_nobody_wants_is_acknowledged(server: Running) -> None:
    response = server.http.post("/v0/connect/flush", content=b"\n\x02r1(\x012\x011Z\x02{}")
    assert (response.status_code, response.content) == (200, b"\n\x02r1")


# --- sockets


def test_the_subprotocol_is_accepted(server: Running) -> None:
    worker = Worker(server)
    assert worker.socket.subprotocol == SUBPROTOCOL
    worker.socket.close()


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff", "hello"])
def test_garbage_is_answered_with_its_close_code(server: Running, garbage: bytes | str) -> None:
    worker = Worker(server)
    worker.socket.send(garbage)
    assert worker.end() == (1007, "failed to unmarshal Protobuf")


def test_a_token_of_another_server_is_refused(server: Running) -> None:
    worker = Worker(server)
    worker.introduce(introduction("app", token="eyJhbGciOiJIUzI1NiJ9.e30.x"))
    assert worker.end() == (1008, "connect_authentication_failed")


def test_a_session_runs_out() -> None:
    with running(connect_times=Times(session=-1000)) as server:
        worker = Worker(server)
        worker.introduce(introduction("app", token=worker.start.session_token))
        assert worker.end() == (1008, "connect_authentication_failed")


def test_a_refused_registration_is_told_and_noted(server: Running) -> None:
    worker = Worker(server)
    worker.introduce(
        introduction(
            "refused", token=worker.start.session_token, functions=b'[{"id":"x","name":"x"}]'
        )
    )
    failed = worker.take(pb.SYNC_FAILED, pb.SystemError)
    assert failed.message.startswith("At least one function is invalid: x: ")
    assert worker.end() == (1008, "")


def test_a_silent_socket_is_closed() -> None:
    with running(connect_times=Times(hello=50)) as server:
        assert Worker(server).end() == (1011, "connect_worker_hello_timeout")


def test_a_run_over_a_socket_and_its_worker_in_the_lists(server: Running) -> None:
    worker = Worker(server, "sock")
    event = server.send("sock/main", {"n": 1})
    request = worker.request()
    assert json.loads(request.request_payload)["event"]["data"] == {"n": 1}
    worker.say(pb.WORKER_REPLY, reply(request, {"ok": 1}))
    worker.take(pb.WORKER_REPLY_ACK)
    (run,) = server.ended_runs(event)
    assert run["output"] == {"ok": 1}
    (shown,) = [one for one in conns(server) if one["id"] == worker.start.connection_id]
    assert shown["status"] == 1
    assert shown["all_worker_groups"].keys() == {"sock"}
    (app_id,) = shown["synced_worker_groups"]
    assert server.get("/v0/connect/envs/dev/conns", app_id=app_id)["data"] == [shown]
    assert server.get("/v0/connect/envs/dev/conns", app_id="other")["data"] == []
    assert _shown_by_gql(server, worker, app_id) == ("READY", "sock", None)
    worker.socket.close(1000, "WORKER_SHUTDOWN")
    eventually(lambda: shown not in conns(server) and not _is_listed(server, worker))
    status, _, disconnected_at = _shown_by_gql(server, worker, app_id)
    assert (status, disconnected_at is None) == ("DISCONNECTED", False)


def _is_listed(server: Running, worker: Worker) -> bool:
    return any(one["id"] == worker.start.connection_id for one in conns(server))


def _shown_by_gql(server: Running, worker: Worker, app_id: str) -> tuple[str, str, Any]:
    query = """query Workers($id: ULID!, $app: UUID!) {
      workerConnection(connectionId: $id) { id status appName disconnectedAt }
      workerConnections(first: 5, filter: {appIDs: [$app]}) { totalCount edges { node { id } } }
    }"""
    variables = {"id": worker.start.connection_id, "app": app_id}
    answer = server.http.post("/v0/gql", json={"query": query, "variables": variables}).json()
    data = answer["data"]
    assert data["workerConnections"]["totalCount"] == 1
    assert data["workerConnections"]["edges"][0]["node"]["id"] == worker.start.connection_id
    one = data["workerConnection"]
    return one["status"], one["appName"], one["disconnectedAt"]


def test_a_flushed_reply_ends_its_run(server: Running) -> None:
    worker = Worker(server, "flushed")
    event = server.send("flushed/main")
    request = worker.request()
    worker.say(pb.WORKER_REQUEST_ACK, pb.WorkerRequestAckData(request_id=request.request_id))
    worker.socket.close()
    late = reply(request, "late", system_trace_ctx=b"{}").SerializeToString()
    assert server.http.post("/v0/connect/flush", content=late).status_code == 200
    assert server.ended_runs(event)[0]["output"] == {"data": "late"}


def test_the_worker_of_a_cancelled_run_loses_its_lease(server: Running) -> None:
    worker = Worker(server, "cancelled")
    server.send("cancelled/main")
    request = worker.request()
    assert server.http.delete(f"/v1/runs/{request.run_id}").status_code == 200
    wish = pb.WorkerRequestExtendLeaseData(request_id=request.request_id, lease_id=request.lease_id)
    worker.say(pb.WORKER_REQUEST_EXTEND_LEASE, wish)
    form = pb.WorkerRequestExtendLeaseAckData
    answer = worker.take(pb.WORKER_REQUEST_EXTEND_LEASE_ACK, form)
    assert not answer.HasField("new_lease_id")
    worker.socket.close()


def test_without_protobuf_the_answer_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "inngest_contrib.devserver.connect.driver", None)
    api = Api(cast(Any, None), Expressions())
    with pytest.raises(ApiError, match="pip install") as caught:
        workers_of(api)
    assert caught.value.status == 501


def test_protobuf_is_imported_when_the_first_worker_comes() -> None:
    code = (
        "import sys; import inngest_contrib.devserver.api.app;"
        "sys.exit('google.protobuf' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_with_keys_the_start_wants_one_and_hands_it_on() -> None:
    with running(signing_key=KEY, event_keys=("test",)) as server:
        assert _start(server).status_code == 401
        assert server.http.post("/v0/connect/flush", content=b"x").status_code == 401
        assert server.http.get("/v0/connect/envs/dev/conns").status_code == 401
        assert server.http.post("/v0/connect/drain").status_code == 401
        worker = Worker(server, "keyed", authorization=f"Bearer {KEY}")
        assert worker.start.sync_token == KEY
        server.http.headers["authorization"] = f"Bearer {KEY}"
        event = server.send("keyed/main")
        worker.say(pb.WORKER_REPLY, reply(worker.request(), 1))
        assert server.ended_runs(event)[0]["status"] == "COMPLETED"
        worker.socket.close()


def test_a_drain_lets_what_runs_finish(server: Running) -> None:
    worker = Worker(server, "drained")
    event = server.send("drained/main")
    request = worker.request()
    server.http.post("/v0/connect/drain")
    worker.take(pb.GATEWAY_CLOSING)
    group = pb.StartResponse.FromString(_start(server).content).gateway_group
    assert group == "gw-dev-2"
    worker.say(pb.WORKER_REPLY, reply(request))
    worker.take(pb.WORKER_REPLY_ACK)
    assert server.ended_runs(event)[0]["status"] == "COMPLETED"
    worker.socket.close()


def test_a_server_that_ends_takes_the_replies_of_what_runs_and_says_goodbye() -> None:
    with running() as server:
        worker = Worker(server, "last")
        server.send("last/main")
        request = worker.request()
        ending = threading.Thread(target=server.stop)
        ending.start()
        worker.take(pb.GATEWAY_CLOSING)
        with suppress(httpx.HTTPError):
            assert httpx.post(f"{server.url}/v0/connect/start", trust_env=False).status_code == 503
        worker.say(pb.WORKER_REPLY, reply(request))
        worker.take(pb.WORKER_REPLY_ACK)
        assert worker.end() == (1001, "connect_gateway_closing")
        ending.join()


# --- with our own worker


@contextmanager
def working(*clients: Inngest, **options: Any) -> Iterator[Any]:
    """Have a worker in a thread of its own run all functions of some clients."""
    connection = connect_worker(
        [(client, None) for client in clients], shutdown_signals=[], **options
    )
    thread = threading.Thread(target=lambda: asyncio.run(connection.start()))
    thread.start()
    try:
        yield connection
    finally:
        asyncio.run(connection.close(wait=True))
        thread.join()


def client_of(server: Running, app: str) -> Inngest:
    client = Inngest(app_id=app, is_production=False, api_base_url=server.url)

    @client.create_function(fn_id="many", trigger=TriggerEvent(event=f"{app}/many"))
    async def many(ctx: Context) -> int:
        return sum([await ctx.step.run(f"step {n}", _give, n) for n in range(10)])

    @client.create_function(fn_id="plain", trigger=TriggerEvent(event=f"{app}/plain"))
    def plain(ctx: ContextSync) -> str:
        return ctx.step.run("step", lambda: "done")

    return client


async def _give(number: int) -> int:
    return number


def ready(server: Running, *apps: str) -> Callable[[], bool]:
    return lambda: {app for one in conns(server) for app in one["all_worker_groups"]} >= set(apps)


def test_two_apps_of_one_worker_beside_an_app_over_http() -> None:
    with running() as server, stand_in(lambda call: Reply(200, "http")) as app:
        app.register(server, "web", app.function("web", "f"))
        with working(client_of(server, "one"), client_of(server, "two")):
            eventually(ready(server, "one", "two"))
            names = ("one/many", "two/many", "one/plain", "two/plain", "web/f")
            events = {name: server.send(name) for name in names}
            outputs = {name: server.ended_runs(events[name])[0]["output"] for name in names}
        assert outputs == {
            "one/many": {"data": 45},
            "two/many": {"data": 45},
            "one/plain": {"data": "done"},
            "two/plain": {"data": "done"},
            "web/f": {"data": "http"},
        }
        assert conns(server) == []


def test_runs_go_on_when_workers_come_back_to_a_server_that_was_restarted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a call: what was stored is not run again, and nothing hangs."""
    monkeypatch.setattr(serving, "GRACE_SECONDS", 0.1)
    restarted, ran = threading.Event(), []
    server = _started(tmp_path / "runs.db")
    client = Inngest(app_id="back", is_production=False, api_base_url=server.url)

    @client.create_function(fn_id="f", trigger=TriggerEvent(event="back/f"))
    async def f(ctx: Context) -> list[str]:
        first = await ctx.step.run("first", note, "first")
        await ctx.step.run("wait", wait)
        return [first, await ctx.step.run("last", note, "last")]

    async def note(name: str) -> str:
        ran.append(name)
        return name

    async def wait() -> None:
        while not restarted.is_set():
            await asyncio.sleep(0.01)

    with working(client):
        eventually(ready(server, "back"))
        event = server.send("back/f")
        eventually(lambda: _finished_steps(server, event) == 1)
        server.stop()
        again = _started(tmp_path / "runs.db", int(server.url.rpartition(":")[2]))
        restarted.set()
        try:
            (run,) = again.ended_runs(event)
        finally:
            again.stop()
    assert run["output"] == {"data": ["first", "last"]}
    assert ran == ["first", "last"]


def _started(database: Path, port: int = 0) -> Running:
    server = Running(Options(port=port, database=str(database), poll=False, retry_interval=0.1))
    server.start()
    return server


def _finished_steps(server: Running, event: str) -> int:
    runs = server.runs_of(event)
    return sum(span["status"] == "COMPLETED" for run in runs for span in server.steps(run["id"]))
