"""
The kit on a real server: its process on this machine, the embedded Inngest server beside it.

Everything is signed. Needs the extra ``dev`` of inngest-core.
"""

from __future__ import annotations

import abc
import contextlib
import json
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any, ClassVar, TypeVar

import httpx
import pytest

from inngest_contrib.devserver import DevServer
from inngest_core.wire.signing import hash_signing_key

from .exchange import CALL, EVENT, EVENT_KEY, KEY, PATH, Asked, call, signed
from .live_app import WARMING

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds, on a machine that is busy with other things."""
_HEX_KEY = KEY.rpartition("-")[2]
_ENDED = ("Completed", "Failed", "Cancelled")


class Live:
    """A server under test and the Inngest server that calls it. folder: for files of theirs."""

    def __init__(self, server: DevServer, url: str, folder: Path) -> None:
        self.server = server
        self.url = url
        self.folder = folder
        self.http = httpx.Client(timeout=PATIENCE, trust_env=False)

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the server under test."""
        url = httpx.URL(self.url)
        return url.host, int(url.port or 80)

    def ask(self, asked: Asked) -> httpx.Response:
        """Make a signed request of the server under test."""
        sent = signed(asked, _HEX_KEY)
        return self.http.request(
            sent.method, self.url + sent.target, headers=dict(sent.headers), content=sent.body
        )

    def raw(self, asked: Asked) -> bytes:
        """The bytes of a signed request, to be written to a socket by hand."""
        sent = signed(asked, _HEX_KEY)
        headers = {"host": "127.0.0.1", "content-length": str(len(sent.body)), **sent.headers}
        lines = [f"{sent.method} {sent.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode() + sent.body

    def send(self, name: str, data: Mapping[str, Any]) -> str:
        """Send an event; its id."""
        event = {"name": name, "data": dict(data)}
        reply = self.http.post(f"{self.server.url}/e/{EVENT_KEY}", json=event).raise_for_status()
        return str(reply.json()["ids"][0])

    def run(self, function: str, data: Mapping[str, Any]) -> Any:
        """Send the event of a live function; the output of its run, which must complete."""
        return self.output(self.send(f"live/{function}", data))

    def output(self, event_id: str) -> Any:
        """The output of the run that an event started, once it has completed."""
        run = until(lambda: self._ended(event_id), "the end of a run")
        assert run["status"] == "Completed", run
        return run["output"]

    def _ended(self, event_id: str) -> dict[str, Any] | None:
        reply = self.http.get(
            f"{self.server.url}/v1/events/{event_id}/runs",
            headers={"authorization": f"Bearer {hash_signing_key(_HEX_KEY)}"},
        ).raise_for_status()
        return next((run for run in reply.json()["data"] if run["status"] in _ENDED), None)


def until(ask: Callable[[], T | None], what: str) -> T:
    """Ask until there is an answer."""
    deadline = time.monotonic() + PATIENCE
    while (answer := ask()) is None:
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE:.0f} seconds"
        time.sleep(0.02)
    return answer


class LiveConformance(abc.ABC):
    """
    The tests of an adapter on a real server, which is started once for all of them.

    path: where the app serves. streams: whether it streams when INNGEST_STREAMING says so.
    preloads: whether the server makes the app before it forks. environment: further
    variables of the server's process. folder: where it is started.
    """

    path: ClassVar[str] = PATH
    streams: ClassVar[bool] = False
    preloads: ClassVar[bool] = False
    environment: ClassVar[Mapping[str, str]] = {}
    folder: ClassVar[str | None] = None

    _live: ClassVar[Live]
    _opened: ClassVar[contextlib.ExitStack]

    @abc.abstractmethod
    def command(self, port: int) -> Sequence[str]:
        """The command that serves an app of ``live_client()`` on this port of 127.0.0.1."""

    @classmethod
    def setup_class(cls) -> None:
        """Start both servers and have the app registered."""
        with contextlib.ExitStack() as opened:
            server = opened.enter_context(
                DevServer(signing_key=_HEX_KEY, event_keys=[EVENT_KEY], retry_interval=0.05)
            )
            folder = Path(opened.enter_context(tempfile.TemporaryDirectory()))
            port = _free_port()
            log = opened.enter_context((folder / "server.log").open("wb"))
            process = opened.enter_context(_running(cls._started(server, port, log)))
            cls._live = Live(server, f"http://127.0.0.1:{port}", folder)
            opened.callback(cls._live.http.close)
            _await_answer(cls._live, process, Asked("GET", cls.path))
            registered = cls._live.ask(Asked("PUT", cls.path))
            assert registered.status_code == 200, registered.text
            cls._opened = opened.pop_all()

    @classmethod
    def teardown_class(cls) -> None:
        """Stop both."""
        cls._opened.close()

    @classmethod
    def _started(cls, server: DevServer, port: int, log: IO[bytes]) -> subprocess.Popen[bytes]:
        given = {key: value for key, value in os.environ.items() if not key.startswith("INNGEST_")}
        streaming = {"INNGEST_STREAMING": "force"} if cls.streams else {}
        warming = {WARMING: "1"} if cls.preloads else {}
        return subprocess.Popen(
            cls().command(port),
            cwd=cls.folder,
            env={**given, **server.environment, **streaming, **warming, **cls.environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )

    def _asked(self, function: str, n: object = 1, **data: object) -> Asked:
        event = {**EVENT, "data": {"n": n, **data}}
        return call(function, {**CALL, "event": event, "events": [event]}, path=self.path)

    def _reply(self, response: httpx.Response) -> tuple[int, Any]:
        """Status and JSON of a reply, of a streamed one what it tells."""
        if response.status_code != 201:
            return response.status_code, response.json()
        told = response.json()
        return told["status"], told["body"]

    # ---- runs

    @pytest.mark.parametrize("function", ["count", "acount"])
    def test_a_run_goes_through_all_its_steps_and_attempts(self, function: str) -> None:
        assert self._live.run(function, {"n": 1}) == {"total": 10, "attempt": 1}

    def test_many_runs_at_once_do_not_mix(self) -> None:
        numbers = range(10)
        sent = [
            self._live.send(f"live/{function}", {"n": n})
            for n in numbers
            for function in ("count", "acount")
        ]
        totals = [self._live.output(one)["total"] for one in sent]
        assert totals == [5 * (n + 1) for n in numbers for _ in ("count", "acount")]

    def test_loops_and_threads_are_those_of_the_process_that_serves(self) -> None:
        seen = self._live.run("whereabouts", {})
        assert (seen["pid"] != seen["made_in"]) == self.preloads
        assert seen["threads"].count("inngest-loop") <= 1

    # ---- calls

    @pytest.mark.parametrize("function", ["gate", "agate"])
    def test_calls_run_at_the_same_time(self, function: str) -> None:
        files = [self._live.folder / f"{function}-{number}" for number in range(2)]
        with ThreadPoolExecutor(2) as threads:
            waiting = [
                threads.submit(self._live.ask, self._asked(function, file=str(file)))
                for file in files
            ]
            for file in files:
                until(lambda file=file: _exists(f"{file}.begun"), "a call")  # type: ignore[misc]
            for file in files:
                file.touch()
            assert [self._reply(one.result()) for one in waiting] == [(200, "open")] * 2

    def test_a_large_body_is_read_whole(self) -> None:
        text = "x" * (4 * 1024 * 1024)
        assert self._reply(self._live.ask(self._asked("echo", text))) == (200, text)

    def test_a_body_in_chunks_is_read_whole(self) -> None:
        asked = signed(self._asked("echo", "ab"), _HEX_KEY)
        parts = (asked.body[start : start + 7] for start in range(0, len(asked.body), 7))
        url = self._live.url + asked.target
        reply = self._live.http.post(url, headers=dict(asked.headers), content=parts)
        assert self._reply(reply) == (200, "ab")

    def test_a_body_beyond_the_limit_does_not_stay_in_the_way(self) -> None:
        asked = Asked(path=self.path, query=call("echo").query, body=b" " * (16 * 1024 * 1024 + 1))
        # Some servers close the connection before all of it is written.
        with contextlib.suppress(httpx.TransportError):
            reply = self._live.ask(asked)
            assert reply.status_code == 413 or self._reply(reply)[0] == 413
        assert self._reply(self._live.ask(self._asked("echo"))) == (200, 1)

    def test_upper_case_headers_and_several_calls_on_one_connection(self) -> None:
        raw = self._live.raw(self._asked("echo", "again"))
        head, _, body = raw.partition(b"\r\n\r\n")
        first, *lines = head.split(b"\r\n")
        loud = b"\r\n".join([first, *(_loud(line) for line in lines)])
        with socket.create_connection(self._live.address, PATIENCE) as connection:
            for _ in range(2):
                connection.sendall(loud + b"\r\n\r\n" + body)
                assert b"again" in _until_seen(connection, b"again")

    @pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("OPTIONS", 405)])
    def test_other_methods_are_answered_without_harm(self, method: str, status: int) -> None:
        assert self._live.ask(Asked(method, self.path)).status_code == status
        assert self._live.ask(Asked("GET", self.path)).json()["app_id"] == "shop"

    # ---- clients that leave

    def test_who_leaves_in_the_middle_of_a_body_harms_nobody(self) -> None:
        raw = self._live.raw(self._asked("echo", "x" * 1000))
        for end in (40, len(raw) - 500, len(raw) - 1):
            with socket.create_connection(self._live.address, PATIENCE) as connection:
                connection.sendall(raw[:end])
        assert self._reply(self._live.ask(self._asked("echo"))) == (200, 1)

    @pytest.mark.parametrize("function", ["gate", "agate"])
    def test_who_leaves_before_the_reply_harms_nobody(self, function: str) -> None:
        file = self._live.folder / f"{function}-left"
        with socket.create_connection(self._live.address, PATIENCE) as connection:
            connection.sendall(self._live.raw(self._asked(function, file=str(file))))
            until(lambda: _exists(f"{file}.begun"), "the call")
        file.touch()
        assert self._reply(self._live.ask(self._asked("echo"))) == (200, 1)
        assert self._live.run("acount", {"n": 1})["total"] == 10

    # ---- streams

    @pytest.mark.parametrize("function", ["gate", "agate"])
    def test_a_stream_begins_before_the_function_has_ended(self, function: str) -> None:
        if not self.streams:
            pytest.skip("this server does not stream")
        file = self._live.folder / f"{function}-stream"
        asked = signed(self._asked(function, file=str(file)), _HEX_KEY)
        url, headers = self._live.url + asked.target, dict(asked.headers)
        with self._live.http.stream("POST", url, headers=headers, content=asked.body) as reply:
            assert reply.status_code == 201
            chunks = reply.iter_raw()
            assert next(chunks) == b" "
            file.touch()
            told = json.loads(b"".join(chunks))
        assert told["status"] == 200


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def _running(process: subprocess.Popen[bytes]) -> Iterator[subprocess.Popen[bytes]]:
    """Let a process run for a block, and end it."""
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _await_answer(live: Live, process: subprocess.Popen[bytes], asked: Asked) -> None:
    """Wait until the server under test answers. What it has logged is in the failure."""

    def answers() -> bool | None:
        if process.poll() is not None:
            log = (live.folder / "server.log").read_text(errors="replace")
            raise AssertionError(f"the server has ended with {process.returncode}:\n{log}")
        with contextlib.suppress(httpx.TransportError):
            return live.ask(asked).status_code == 200 or None
        return None

    until(answers, "an answer of the server under test")


def _exists(path: str) -> bool | None:
    return Path(path).exists() or None


def _loud(line: bytes) -> bytes:
    name, _, value = line.partition(b":")
    return name.upper() + b":" + value


def _until_seen(connection: socket.socket, wanted: bytes) -> bytes:
    """What arrives, up to the end of what is wanted."""
    seen = b""
    while wanted not in seen:
        part = connection.recv(65536)
        assert part, seen
        seen += part
    return seen
