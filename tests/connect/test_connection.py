"""A worker and a gateway, over real sockets."""

from __future__ import annotations

import asyncio
import contextvars
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

import pytest

from inngest_core import ConfigError, Inngest, InngestError
from inngest_core.connect import ConnectionState, connect, protocol
from inngest_core.connect import connect_pb2 as pb
from inngest_core.wire.signing import hash_signing_key
from tests.connect.gateway import Gateway, until, until_blocking
from tests.connect.working import new_client, on_a_loop, passing, serving, started, working

KEY = "signkey-prod-" + "1a" * 32
FALLBACK = "signkey-prod-" + "2b" * 32
VARIABLE: contextvars.ContextVar[str] = contextvars.ContextVar("VARIABLE", default="unset")


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next attempt comes soon; how soon it is in truth is told beside the protocol."""
    monkeypatch.setattr(protocol, "BACKOFF", (0.05,))


async def returns(ctx: Any) -> str:
    return "done"


def payload(reply: pb.SDKResponse) -> Any:
    return json.loads(reply.body)


# ---- making one


def a_client(**options: Any) -> Inngest:
    settings = {"app_id": "app", "is_production": False, **options}
    return Inngest(**settings)


def test_a_worker_needs_an_app() -> None:
    with pytest.raises(ConfigError, match=r"^no apps provided$"):
        connect([])


@pytest.mark.parametrize(
    ("what", "first", "second"),
    [
        ("API base URL", {"api_base_url": "http://a.b"}, {"api_base_url": "http://c.d"}),
        ("env", {"env": "a"}, {"env": "b"}),
        ("mode", {}, {"is_production": True, "signing_key": KEY}),
        ("signing key", {"signing_key": KEY}, {"signing_key": FALLBACK}),
    ],
)
def test_apps_of_one_connection_must_agree(
    what: str, first: dict[str, Any], second: dict[str, Any]
) -> None:
    # Of all that differs the address would be found first.
    same = {"api_base_url": "http://a.b", **first}
    other = {"api_base_url": "http://a.b", **second}
    with pytest.raises(ConfigError, match=f"^inconsistent app config: {what}$"):
        connect([(a_client(**same), []), (a_client(app_id="b", **other), [])])


def test_an_app_is_given_once() -> None:
    with pytest.raises(ConfigError, match='the app "app" is given twice'):
        connect([(a_client(), []), (a_client(), [])])


def test_a_gateway_takes_ten_apps() -> None:
    with pytest.raises(ConfigError, match="10 apps at most, got 11"):
        connect([(a_client(app_id=f"a{n}"), []) for n in range(11)])


def test_a_worker_in_cloud_mode_needs_a_key() -> None:
    with pytest.raises(ConfigError):
        connect([(a_client(is_production=True), [])])


def test_a_concurrency_of_none_at_all_is_refused() -> None:
    with pytest.raises(ConfigError, match="max_worker_concurrency: at least one"):
        connect([(a_client(), [])], max_worker_concurrency=0)


def test_a_worker_that_was_not_started_is_connecting_and_has_no_id() -> None:
    connection = connect([(a_client(), [])])
    assert connection.get_state() is ConnectionState.CONNECTING
    with pytest.raises(InngestError, match="connection not established"):
        connection.get_connection_id()


@on_a_loop
async def test_a_worker_that_is_closed_before_its_start_does_not_start() -> None:
    connection = connect([(a_client(), [])])
    await connection.close(wait=True)
    assert connection.get_state() is ConnectionState.CLOSED
    await connection.start()


@on_a_loop
async def test_a_worker_starts_once(gateway: Gateway) -> None:
    async with working(gateway, returns) as connection:
        with pytest.raises(InngestError, match="start\\(\\) was called twice"):
            await connection.start()


# ---- what it says of itself


@on_a_loop
async def test_a_worker_introduces_itself_and_its_functions(gateway: Gateway) -> None:
    client = new_client(gateway, app_version="7", env="branch")

    def clean_up(ctx: Any) -> None: ...

    fn = serving(client, returns, on_failure=clean_up)
    connection = connect([(client, [fn])], instance_id="machine", max_worker_concurrency=3)
    async with started(connection):
        await connection.wait_for_state(ConnectionState.ACTIVE)
        (said,) = gateway.seen(pb.WORKER_CONNECT)
        assert connection.get_connection_id() == said.connection_id == "connection-1"
    assert (said.instance_id, said.framework, said.sdk_language) == ("machine", "connect", "py")
    assert (said.environment, said.max_worker_concurrency) == ("branch", 3)
    assert said.system_attributes.cpu_cores >= 1
    assert said.system_attributes.mem_bytes > 1_000_000
    assert said.started_at.seconds > 1_700_000_000
    assert json.loads(said.capabilities)["connect"] == "v1"
    (app,) = said.apps
    assert (app.app_name, app.app_version) == ("app", "7")
    functions = json.loads(app.functions)
    assert [each["id"] for each in functions] == ["app-fn", "app-fn-failure"]
    assert functions[0]["steps"]["step"]["runtime"] == {
        "type": "ws",
        "url": "ws://connect?fnId=app-fn&stepId=step",
    }


@on_a_loop
async def test_several_apps_share_one_connection(gateway: Gateway) -> None:
    one, two = new_client(gateway, "one"), new_client(gateway, "two")

    async def says_two(ctx: Any) -> str:
        return "two"

    connection = connect([(one, [serving(one, returns)]), (two, [serving(two, says_two)])])
    async with started(connection):
        await connection.wait_for_state(ConnectionState.ACTIVE)
        gateway.request("r1", "one-fn")
        gateway.request("r2", "two-fn")
        await until(lambda: len(gateway.replies()) == 2)
    assert {name: payload(reply) for name, reply in gateway.replies().items()} == {
        "r1": "done",
        "r2": "two",
    }
    assert len(gateway.connections) == 1


@on_a_loop
async def test_without_a_list_every_function_of_the_client_is_served(gateway: Gateway) -> None:
    client = new_client(gateway)
    serving(client, returns)
    connection = connect([(client, None)])
    async with started(connection):
        await connection.wait_for_state(ConnectionState.ACTIVE)
        gateway.request("r1")
        await until(gateway.replies)


# ---- keys


@on_a_loop
async def test_in_cloud_mode_the_hashed_key_is_sent(gateway: Gateway) -> None:
    gateway.keys = {hash_signing_key(KEY)}
    client = new_client(gateway, is_production=True, signing_key=KEY)
    async with working(gateway, returns, client=client):
        gateway.request("r1")
        await until(gateway.replies)
    assert gateway.authorizations == [f"Bearer {hash_signing_key(KEY)}"]
    assert payload(gateway.replies()["r1"]) == "done"


@on_a_loop
async def test_where_the_key_is_refused_its_fallback_is_tried(gateway: Gateway) -> None:
    gateway.keys = {hash_signing_key(FALLBACK)}
    client = new_client(gateway, is_production=True, signing_key=KEY, signing_key_fallback=FALLBACK)
    async with working(gateway, returns, client=client):
        pass
    assert len(gateway.authorizations) == 2


@on_a_loop
async def test_where_both_keys_are_refused_start_raises(gateway: Gateway) -> None:
    gateway.keys = set()
    client = new_client(gateway, is_production=True, signing_key=KEY, signing_key_fallback=FALLBACK)
    connection = connect([(client, [])])
    with pytest.raises(InngestError, match="unauthorized"):
        await connection.start()
    assert connection.get_state() is ConnectionState.CLOSED
    assert len(gateway.authorizations) == 2
    with pytest.raises(InngestError, match="closed before it was ACTIVE"):
        await connection.wait_for_state(ConnectionState.ACTIVE)


@on_a_loop
async def test_in_dev_mode_no_key_is_sent(gateway: Gateway) -> None:
    async with working(gateway, returns, client=new_client(gateway, signing_key=KEY)):
        pass
    assert gateway.authorizations == [None]


@on_a_loop
async def test_functions_that_are_refused_make_start_raise(gateway: Gateway) -> None:
    gateway.refuses = "At least one function is invalid"
    connection = connect([(new_client(gateway), [])])
    with pytest.raises(InngestError, match="At least one function is invalid"):
        await connection.start()


@on_a_loop
async def test_the_address_of_the_gateway_may_be_rewritten(gateway: Gateway) -> None:
    named: list[str] = []

    def rewrite(endpoint: str) -> str:
        named.append(endpoint)
        return endpoint.replace("127.0.0.1", "localhost")

    async with working(gateway, returns, rewrite_gateway_endpoint=rewrite):
        pass
    assert named[0].startswith("ws://127.0.0.1:")


@pytest.mark.parametrize("rewrite", [lambda url: 1 / 0, lambda url: url + 1])
@on_a_loop
async def test_a_rewriting_that_fails_makes_start_raise(
    gateway: Gateway, rewrite: Callable[[str], str]
) -> None:
    connection = connect([(new_client(gateway), [])], rewrite_gateway_endpoint=rewrite)
    with pytest.raises(InngestError, match="rewrite_gateway_endpoint failed"):
        await connection.start()


# ---- running functions


@on_a_loop
async def test_async_functions_run_on_the_loop_that_awaits_start(gateway: Gateway) -> None:
    ran: list[Any] = []

    async def fn(ctx: Any) -> None:
        ran.append(asyncio.get_running_loop())

    async with working(gateway, fn):
        gateway.request("r1")
        await until(gateway.replies)
    assert ran == [asyncio.get_running_loop()]


@on_a_loop
async def test_blocking_functions_run_at_once_in_threads(gateway: Gateway) -> None:
    together = threading.Barrier(2, timeout=30)

    def fn(ctx: Any) -> str:
        together.wait()
        return threading.current_thread().name

    async with working(gateway, fn, client=new_client(gateway, thread_pool_size=2)):
        gateway.request("r1")
        gateway.request("r2")
        await until(lambda: len(gateway.replies()) == 2)
    names = {payload(reply) for reply in gateway.replies().values()}
    assert names == {"inngest-call_0", "inngest-call_1"}


@pytest.mark.parametrize("kind", ["async", "blocking"])
@on_a_loop
async def test_functions_see_the_message_and_the_context_variables(
    gateway: Gateway, kind: str
) -> None:
    from inngest_core import MiddlewareSync

    raw: list[Any] = []

    class Keeps(MiddlewareSync):
        def before_execution(self) -> None:
            raw.append(self.raw_request)

    async def awaiting(ctx: Any) -> str:
        return VARIABLE.get()

    def blocking(ctx: Any) -> str:
        return VARIABLE.get()

    VARIABLE.set("set")
    client = new_client(gateway, middleware=[Keeps])
    async with working(gateway, awaiting if kind == "async" else blocking, client=client):
        gateway.request("r1")
        await until(gateway.replies)
    assert payload(gateway.replies()["r1"]) == "set"
    (message,) = raw
    assert isinstance(message, pb.GatewayExecutorRequestData)
    assert message.request_id == "r1"


@on_a_loop
async def test_a_reply_has_all_that_its_request_had(gateway: Gateway) -> None:
    async with working(gateway, returns):
        gateway.request("r1", account_id="a", env_id="e", app_id="i", user_trace_ctx=b'{"x":"y"}')
        await until(gateway.replies)
    reply = gateway.replies()["r1"]
    assert (reply.account_id, reply.env_id, reply.app_id) == ("a", "e", "i")
    assert (reply.status, reply.request_version, reply.run_id) == (pb.DONE, 2, "run-1")
    assert (reply.system_trace_ctx, reply.user_trace_ctx) == (b'{"t":1}', b'{"x":"y"}')
    assert reply.sdk_version.startswith("inngest-py:v")


@on_a_loop
async def test_a_request_is_acked_before_its_function_has_ended(gateway: Gateway) -> None:
    async def fn(ctx: Any) -> None:
        await until(lambda: gateway.seen(pb.WORKER_REQUEST_ACK))

    async with working(gateway, fn):
        gateway.request("r1")
        await until(gateway.replies)


@on_a_loop
async def test_no_more_functions_run_at_once_than_was_allowed(gateway: Gateway) -> None:
    running = most = 0

    async def fn(ctx: Any) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1

    async with working(gateway, fn, max_worker_concurrency=2):
        for n in range(8):
            gateway.request(f"r{n}")
        await until(lambda: len(gateway.replies()) == 8)
    assert most == 2


@on_a_loop
async def test_a_loop_that_is_blocked_costs_neither_the_connection_nor_a_lease() -> None:
    with Gateway(heartbeat="30ms", lease="30ms") as gateway:

        async def blocks(ctx: Any) -> str:
            def enough() -> bool:
                beats = len(gateway.seen(pb.WORKER_HEARTBEAT))
                return beats >= 10 and len(gateway.seen(pb.WORKER_REQUEST_EXTEND_LEASE)) >= 10

            until_blocking(enough)
            return "whole"

        async with working(gateway, blocks):
            gateway.request("r1")
            await until(gateway.replies)
        assert payload(gateway.replies()["r1"]) == "whole"
        assert len(gateway.connections) == 1
        newest = [each.lease_id for each in gateway.seen(pb.WORKER_REQUEST_EXTEND_LEASE)]
        assert newest == [f"L{n}" for n in range(len(newest))]


@on_a_loop
async def test_blocking_functions_run_while_the_loop_is_blocked(gateway: Gateway) -> None:
    client = new_client(gateway)

    def blocking(ctx: Any) -> str:
        return "ran"

    async def blocks(ctx: Any) -> None:
        gateway.request("r2", "app-blocking")
        until_blocking(lambda: "r2" in gateway.replies())

    functions = [serving(client, blocks), serving(client, blocking, "blocking")]
    connection = connect([(client, functions)])
    async with started(connection):
        await connection.wait_for_state(ConnectionState.ACTIVE)
        gateway.request("r1")
        await until(lambda: "r1" in gateway.replies())


@on_a_loop
async def test_a_refused_lease_cancels_an_async_function_and_drops_its_result() -> None:
    with Gateway(lease="30ms") as gateway:
        gateway.extends_leases = False
        cancelled = asyncio.Event()

        async def fn(ctx: Any) -> None:
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                cancelled.set()
                raise

        async with working(gateway, fn):
            gateway.request("r1")
            await cancelled.wait()
        assert gateway.replies() == {}
        assert gateway.flushes == []


@on_a_loop
async def test_an_app_or_a_function_that_is_not_served_is_an_error(gateway: Gateway) -> None:
    async with working(gateway, returns):
        gateway.request("r1", "other-fn")
        gateway.request("r2", "app-other")
        await until(lambda: len(gateway.replies()) == 2)
    replies = gateway.replies()
    assert {each.status for each in replies.values()} == {pb.ERROR}
    assert 'this worker has no app "other"; it has: app' in payload(replies["r1"])["message"]
    assert "app-other not found" in payload(replies["r2"])["message"]


@on_a_loop
async def test_a_reply_that_no_gateway_takes_is_replaced_by_an_error(gateway: Gateway) -> None:
    async def fn(ctx: Any) -> str:
        return "x" * (9 * 1024 * 1024)

    async with working(gateway, fn):
        gateway.request("r1")
        await until(gateway.replies)
    reply = gateway.replies()["r1"]
    assert (reply.status, reply.no_retry) == (pb.ERROR, True)
    assert "a gateway takes at most" in payload(reply)["message"]


# ---- losses


@on_a_loop
async def test_after_a_loss_a_worker_is_active_again(gateway: Gateway) -> None:
    async with working(gateway, returns) as connection:
        await passing(connection, ConnectionState.RECONNECTING, gateway.drop)
        await connection.wait_for_state(ConnectionState.ACTIVE)
        assert connection.get_connection_id() == "connection-2"
        gateway.request("r1")
        await until(gateway.replies)


@on_a_loop
async def test_a_server_that_closes_with_1000_is_connected_to_again(gateway: Gateway) -> None:
    async with working(gateway, returns):
        gateway.close(1000)
        await until(lambda: len(gateway.seen(pb.WORKER_CONNECT)) == 2)


@on_a_loop
async def test_replies_without_an_ack_are_flushed_after_a_loss_and_acked_ones_are_not(
    gateway: Gateway,
) -> None:
    async with working(gateway, returns):
        gateway.request("acked")
        await until(lambda: "acked" in gateway.replies())
        gateway.acks_replies = False
        gateway.request("unacked")
        await until(lambda: "unacked" in gateway.replies())
        gateway.drop()
        await until(lambda: gateway.flushes)
    assert [reply.request_id for reply in gateway.flushes] == ["unacked"]


@on_a_loop
async def test_what_runs_during_a_loss_is_answered(gateway: Gateway) -> None:
    lost = asyncio.Event()

    async def fn(ctx: Any) -> str:
        await lost.wait()
        return "survived"

    async with working(gateway, fn) as connection:
        gateway.request("r1")
        await until(lambda: gateway.seen(pb.WORKER_REQUEST_ACK))
        await passing(connection, ConnectionState.RECONNECTING, gateway.drop)
        lost.set()
        await until(lambda: gateway.flushes or gateway.replies())
    (reply,) = [*gateway.flushes, *gateway.replies().values()]
    assert payload(reply) == "survived"


@on_a_loop
async def test_heartbeats_without_answers_are_a_loss() -> None:
    with Gateway(heartbeat="30ms") as gateway:
        gateway.answers_heartbeats = False
        async with working(gateway, returns):
            await until(lambda: len(gateway.connections) >= 1 and gateway.connections[0].closed)
            gateway.answers_heartbeats = True
            await until(lambda: len(gateway.seen(pb.WORKER_CONNECT)) >= 2)
        assert gateway.connections[0].closed == (1000, "CONSECUTIVE_HEARTBEATS_MISSED")


@on_a_loop
async def test_a_gateway_that_leaves_is_left_once_another_is_ready(gateway: Gateway) -> None:
    release = asyncio.Event()

    async def fn(ctx: Any) -> str:
        await release.wait()
        return "over the new one"

    async with working(gateway, fn):
        gateway.request("r1")
        await until(lambda: gateway.seen(pb.WORKER_REQUEST_ACK))
        gateway.group = "group-2"
        gateway.send(pb.GATEWAY_CLOSING)
        await until(lambda: len(gateway.connections) == 2 and gateway.connections[1].seen)
        await until(lambda: gateway.connections[0].closed)
        release.set()
        await until(lambda: gateway.connections[1].of(pb.WORKER_REPLY))
    assert list(gateway.starts[1].exclude_gateways) == ["group-1"]
    assert gateway.connections[0].closed == (1000, "GATEWAY_DRAINING")
    assert gateway.flushes == []


@on_a_loop
async def test_garbage_does_no_harm(gateway: Gateway) -> None:
    async with working(gateway, returns):
        for garbage in (b"\xff\xff", "text", b"", b"\x08\x63"):
            gateway.send_raw(garbage)
        gateway.request("r1")
        await until(gateway.replies)
    assert len(gateway.connections) == 1


@on_a_loop
async def test_a_server_that_says_later_is_asked_later(gateway: Gateway) -> None:
    gateway.start_statuses = [429, 500]
    connection = connect([(new_client(gateway), [])])
    async with started(connection):
        await connection.wait_for_state(ConnectionState.ACTIVE)
    assert len(gateway.starts) == 3


# ---- the end


@on_a_loop
async def test_close_returns_at_once_and_start_once_all_work_is_done(gateway: Gateway) -> None:
    release = asyncio.Event()

    async def fn(ctx: Any) -> None:
        await release.wait()

    async with working(gateway, fn) as connection:
        gateway.request("r1")
        await until(lambda: gateway.seen(pb.WORKER_REQUEST_ACK))
        await connection.close()
        assert connection.get_state() is ConnectionState.CLOSING
        await until(lambda: gateway.seen(pb.WORKER_PAUSE))
        assert gateway.replies() == {}
        release.set()
        await connection.closed()
        assert connection.get_state() is ConnectionState.CLOSED
        assert "r1" in gateway.replies()
    await until(lambda: gateway.last.closed)
    assert gateway.last.closed == (1000, "WORKER_SHUTDOWN")


@on_a_loop
async def test_while_a_closing_worker_works_its_heartbeats_and_leases_go_on() -> None:
    with Gateway(heartbeat="30ms", lease="30ms") as gateway:
        release = asyncio.Event()

        async def fn(ctx: Any) -> None:
            await release.wait()

        async with working(gateway, fn) as connection:
            gateway.request("r1")
            await until(lambda: gateway.seen(pb.WORKER_REQUEST_ACK))
            await connection.close()
            await until(lambda: gateway.seen(pb.WORKER_PAUSE))
            beats = len(gateway.seen(pb.WORKER_HEARTBEAT))
            leases = len(gateway.seen(pb.WORKER_REQUEST_EXTEND_LEASE))
            await until(lambda: len(gateway.seen(pb.WORKER_HEARTBEAT)) > beats + 2)
            await until(lambda: len(gateway.seen(pb.WORKER_REQUEST_EXTEND_LEASE)) > leases + 2)
            release.set()


@on_a_loop
async def test_a_worker_that_was_never_connected_closes_at_once() -> None:
    connection = connect([(a_client(api_base_url="http://127.0.0.1:9"), [])])
    async with started(connection):
        await asyncio.sleep(0.05)
        await connection.close(wait=True)


@on_a_loop
async def test_whoever_cancels_start_cancels_what_runs(gateway: Gateway) -> None:
    cancelled = []
    begun = asyncio.Event()

    async def fn(ctx: Any) -> None:
        begun.set()
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    client = new_client(gateway)
    connection = connect([(client, [serving(client, fn)])])
    task = asyncio.create_task(connection.start())
    await connection.wait_for_state(ConnectionState.ACTIVE)
    gateway.request("r1")
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cancelled == [True]
    assert connection.get_state() is ConnectionState.CLOSED


@pytest.mark.skipif(sys.platform != "linux", reason="counts what /proc shows")
@on_a_loop
async def test_no_socket_is_left() -> None:
    def open_files() -> int:
        return len(os.listdir("/proc/self/fd"))

    with Gateway() as gateway:
        client = new_client(gateway)
        before = open_files()
        for _ in range(3):
            async with working(gateway, returns, client=new_client(gateway)) as connection:
                await passing(connection, ConnectionState.RECONNECTING, gateway.drop)
                await connection.wait_for_state(ConnectionState.ACTIVE)
        await until(lambda: all(each.closed for each in gateway.connections))
        await until(lambda: open_files() <= before)
        await client.aclose()


# ---- signals


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@on_a_loop
async def test_a_signal_closes_a_worker_and_its_handler_is_gone_after_it(
    gateway: Gateway, number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    connection = connect([(new_client(gateway), [])])
    async with started(connection) as task:
        await connection.wait_for_state(ConnectionState.ACTIVE)
        assert signal.getsignal(number) is not before
        signal.raise_signal(number)
        await task
    assert signal.getsignal(number) is before


@on_a_loop
async def test_other_signals_may_be_chosen(gateway: Gateway) -> None:
    before = signal.getsignal(signal.SIGTERM)
    connection = connect([(new_client(gateway), [])], shutdown_signals=[signal.SIGUSR1])
    async with started(connection) as task:
        await connection.wait_for_state(ConnectionState.ACTIVE)
        assert signal.getsignal(signal.SIGTERM) is before
        signal.raise_signal(signal.SIGUSR1)
        await task


def test_on_another_thread_no_signal_handler_is_set(gateway: Gateway) -> None:
    before = signal.getsignal(signal.SIGTERM)
    after: list[Any] = []
    failed: list[BaseException] = []

    async def main() -> None:
        async with working(gateway, returns):
            after.append(signal.getsignal(signal.SIGTERM))

    def run() -> None:
        try:
            asyncio.run(main())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert failed == []
    assert after == [before]


# ---- transports


@on_a_loop
async def test_a_plugin_may_carry_the_frames(gateway: Gateway) -> None:
    from inngest_core import hookimpl
    from inngest_core.connect.transport import WebsocketsTransport

    opened: list[str] = []

    class Counting(WebsocketsTransport):
        async def connect(self, url: str, *, subprotocol: str, timeout: float) -> Any:
            opened.append(subprotocol)
            return await super().connect(url, subprotocol=subprotocol, timeout=timeout)

    class Plugin:
        @hookimpl
        def inngest_transport(self, config: Any, kind: str) -> Any:
            return Counting() if kind == "websocket" else None

    client = new_client(gateway, plugins=[Plugin()])
    async with working(gateway, returns, client=client):
        pass
    assert opened == ["v0.connect.inngest.com"]


@on_a_loop
async def test_a_transport_that_breaks_in_its_own_way_is_a_loss_like_any_other(
    gateway: Gateway,
) -> None:
    from inngest_core import hookimpl
    from inngest_core.connect.transport import WebsocketsTransport

    class Broken(WebsocketsTransport):
        tries = 0

        async def connect(self, url: str, *, subprotocol: str, timeout: float) -> Any:
            self.tries += 1
            if self.tries == 1:
                raise LookupError("no such thing")
            return await super().connect(url, subprotocol=subprotocol, timeout=timeout)

    broken = Broken()

    class Plugin:
        @hookimpl
        def inngest_transport(self, config: Any, kind: str) -> Any:
            return broken if kind == "websocket" else None

    async with working(gateway, returns, client=new_client(gateway, plugins=[Plugin()])):
        pass
    assert broken.tries == 2
