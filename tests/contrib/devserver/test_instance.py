"""A server for a block: each kind is ready when the block begins, and gone when it ends."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
from pathlib import Path
from typing import Any

import httpx
import pytest

import inngest_contrib.devserver as package
from inngest_contrib.devserver import DevServer
from inngest_contrib.devserver.errors import AppNotLoaded, CannotListen, ServerNotStarted
from inngest_contrib.devserver.instance import SessionServer, free_port
from inngest_core import ConfigError, ContextSync, Event, Inngest, TriggerEvent
from tests.contrib.devserver.live import eventually


def healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/health", trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_server_runs_for_a_block(kind: Any) -> None:
    server = DevServer(kind=kind, retry_interval=0.1, poll=False)
    with server:
        url = server.url
        assert healthy(url)
        assert url == server.origin == f"http://127.0.0.1:{server.port}"
        assert server.environment == {"INNGEST_DEV": url}
        assert server.running
    assert not healthy(url)
    assert not server.running


def test_it_may_be_started_again_and_only_once_at_a_time() -> None:
    server = DevServer()
    server.start()
    with pytest.raises(RuntimeError, match="runs already, at http"):
        server.start()
    server.stop()
    server.stop()
    with server:
        assert healthy(server.url)


def test_without_a_server_there_is_no_address() -> None:
    server = DevServer(port=5)
    assert server.port == 5
    with pytest.raises(RuntimeError, match="does not run"):
        _ = server.url


def test_an_async_block_does_not_stop_the_loop() -> None:
    async def use() -> str:
        async with DevServer() as server:
            return (await httpx.AsyncClient(trust_env=False).get(f"{server.url}/health")).text

    assert '"OK"' in asyncio.run(use())


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_what_it_logs_goes_to_its_file(kind: Any, tmp_path: Path) -> None:
    gone = f"http://127.0.0.1:{free_port()}/api/inngest"
    log = tmp_path / "server.log"
    with DevServer(kind=kind, log_file=log, urls=[gone]):
        eventually(lambda: gone in log.read_text(), what="a line")


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_a_database_outlives_the_server(kind: Any, tmp_path: Path) -> None:
    file = tmp_path / "kept.db"
    for _ in range(2):
        with DevServer(kind=kind, database=file) as server:
            response = httpx.post(f"{server.url}/e/k", json={"name": "a"}, trust_env=False)
            assert response.status_code == 200
            listed = httpx.get(f"{server.url}/v1/events", trust_env=False).json()["data"]
    assert len(listed) == 2


def test_a_client_in_this_process_needs_no_http() -> None:
    port = free_port()
    client = Inngest(
        app_id="inside",
        is_production=False,
        api_base_url=f"http://127.0.0.1:{port}",
        event_api_base_url=f"http://127.0.0.1:{port}",
    )
    seen: list[Any] = []

    @client.create_function(fn_id="f", trigger=TriggerEvent(event="a"))
    def function(ctx: ContextSync) -> None:
        seen.append(ctx.step.run("double", lambda: ctx.event.data["n"]))

    with DevServer(port=port, app=client):
        client.send_sync(Event(name="a", data={"n": 7}))
        eventually(lambda: seen == [7], what="the run")


def test_a_client_of_another_server_is_refused() -> None:
    client = Inngest(app_id="a", is_production=False, api_base_url="http://127.0.0.1:1")
    with pytest.raises(AppNotLoaded, match=r"talks to http://127.0.0.1:1, and this server is"):
        DevServer(app=client).start()


# ---- what cannot run


def test_a_port_in_use_is_told() -> None:
    with DevServer() as first, pytest.raises(CannotListen, match=f"Port {first.port} on"):
        DevServer(port=first.port).start()


def test_another_process_tells_what_it_has_written() -> None:
    with DevServer() as first:
        second = DevServer(kind="process", port=first.port)
        with pytest.raises(ServerNotStarted, match=rf"ended with status 1.(?s:.)*{first.port}"):
            second.start()
        assert not second.running


def test_another_process_cannot_run_a_client_of_this_one() -> None:
    client = Inngest(app_id="a", is_production=False)
    with pytest.raises(ValueError, match='use kind="thread"'):
        DevServer(kind="process", app=client).start()


def test_an_unknown_kind_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="got 'docker'"):
        DevServer(kind="docker")  # type: ignore[arg-type]  # what is tested


# ---- the official binary


def binary(folder: Path, body: str) -> str:
    """A stand-in for the official server: a script that is told the same."""
    file = folder / "inngest"
    file.write_text(f"#!{sys.executable}\n{textwrap.dedent(body)}")
    file.chmod(0o755)
    return str(file)


@pytest.mark.skipif(os.name == "nt", reason="a script is no program there")
def test_the_official_server_has_the_same_face(tmp_path: Path) -> None:
    script = """
        import http.server, json, pathlib, sys
        pathlib.Path(__file__).with_name("told").write_text(json.dumps(sys.argv[1:]))
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
        port = int(sys.argv[sys.argv.index("--port") + 1])
        http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
        """
    options: Any = {"kind": "binary", "binary": binary(tmp_path, script)}
    with DevServer(**options, urls=["http://a/api/inngest"], retry_interval=0.2) as server:
        assert healthy(server.url)
    told = (tmp_path / "told").read_text()
    assert told.startswith('["dev", "--host", "127.0.0.1", "--port", ')
    assert '"--no-discovery"' in told
    assert '"--retry-interval", "1", "-u", "http://a/api/inngest"' in told


@pytest.mark.skipif(os.name == "nt", reason="a script is no program there")
def test_an_official_server_that_fails_shows_why(tmp_path: Path) -> None:
    script = binary(tmp_path, "import sys; print('no such flag'); sys.exit(3)")
    with pytest.raises(ServerNotStarted, match=r"ended with status 3\.\nno such flag"):
        DevServer(kind="binary", binary=script).start()


def test_an_official_server_that_is_not_there_is_told_with_the_remedy() -> None:
    with pytest.raises(ServerNotStarted, match=r'not installed.*kind="thread"'):
        DevServer(kind="binary", binary="no-such-inngest").start()


def test_what_the_official_server_lacks_is_refused() -> None:
    with pytest.raises(ValueError, match="database: the official server has nothing of the kind"):
        DevServer(kind="binary", database="x.db").start()


@pytest.mark.parametrize("retain", ["7 days", "0s", -1])
def test_a_time_to_retain_that_is_none_is_refused(retain: Any) -> None:
    with pytest.raises((ConfigError, ValueError), match="retain: "):
        DevServer(retain=retain)


@pytest.mark.parametrize("kind", ["thread", "process"])
def test_what_has_ended_is_forgotten_where_that_is_asked_for(kind: Any) -> None:
    with DevServer(kind=kind, poll=False, retain="1s") as server:
        httpx.post(f"{server.url}/e/k", json={"name": "f", "data": {}}).raise_for_status()
        eventually(lambda: not httpx.get(f"{server.url}/v1/events").json()["data"])


# ---- one for a session of tests


def test_the_server_of_a_session_follows_its_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    port = free_port()
    server = SessionServer({"DEV_SERVER_PORT": str(port), "DEV_SERVER_LOGS": "1"})
    assert server.port == port
    with server:
        assert healthy(server.origin)
    assert (tmp_path / "artifacts" / "dev_server.log").exists()


def test_it_is_not_started_where_one_runs_already() -> None:
    with DevServer() as first:
        session = SessionServer({"DEV_SERVER_PORT": str(first.port), "DEV_SERVER_ENABLED": "0"})
        with session:
            assert session.origin == first.url
        assert healthy(first.url)


def test_there_is_one_for_the_whole_process() -> None:
    assert package.server is package.server
    assert isinstance(package.server, SessionServer)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing
