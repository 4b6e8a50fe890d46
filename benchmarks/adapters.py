"""
One call through each framework, in process: our endpoint over a bare view, beside the official.

Bytes go in and out as the server of a framework hands them over: a WSGI environ, an ASGI scope,
the parts of a message for Tornado. The bare view reads the body and replies as many bytes. The
function returns at once, has no memo and no middleware, and nothing is signed. The three take
turns, so that a noisy machine disturbs all alike; the figures are medians. On a machine that is
busy with other work, --clock cpu counts the time of all threads of this process instead.

    python -m benchmarks.adapters [--only flask,fastapi,tornado] [--rounds 5] [--calls 400]
        [--clock wall|cpu]
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import inspect
import io
import json
import logging
import statistics
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

PATH = "/api/inngest"
REPLY = b'{"n":1}'
EVENT = {"data": {"n": 1}, "id": "e", "name": "a/b", "ts": 1}
CTX = {
    "attempt": 0,
    "disable_immediate_execution": False,
    "fn_id": "shop-f",
    "run_id": "01M81CV4SR9WGEDKMNJWE4XNQ5",
    "stack": {"current": 0, "stack": []},
    "use_api": False,
}
DOC = {"ctx": CTX, "event": EVENT, "events": [EVENT], "steps": {}, "use_api": False}
BODY = json.dumps(DOC).encode()
QUERY = "fnId=shop-f&stepId=step"
HEADERS = {
    "accept-encoding": "gzip",
    "content-type": "application/json",
    "host": "127.0.0.1:8000",
    "user-agent": "Go-http-client/1.1",
    "x-inngest-server-kind": "dev",
    "x-run-id": "01M81CV4SR9WGEDKMNJWE4XNQ5",
}
SIDES = ("bare", "ours", "official")

Clock = Callable[[], float]
CLOCKS: dict[str, Clock] = {"wall": time.perf_counter, "cpu": time.process_time}

Call = Callable[[], int] | Callable[[], Awaitable[int]]
"""One request; its status."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="flask,fastapi,tornado")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--calls", type=int, default=400)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args()
    now = CLOCKS[options.clock]
    logging.disable(logging.CRITICAL)
    print(
        f"{'framework':>10} {'function':>9} {'bare us':>9} "
        f"{'ours adds':>10} {'official adds':>14} {'ratio':>7}"
    )
    for framework in options.only.split(","):
        if importlib.util.find_spec(f"inngest_contrib.{framework}") is None:
            continue
        for kind in ("sync", "async"):
            report(framework, kind, options.rounds, options.calls, now)


def report(framework: str, kind: str, rounds: int, calls: int, now: Clock) -> None:
    """Measure one cell and print its line."""
    loop = asyncio.new_event_loop()
    sides = [timer(FRAMEWORKS[framework](side, kind), loop, now) for side in SIDES]
    if not answers(sides[-1]):
        # The official package has no async functions on Tornado: it answers with an error.
        sides.pop()
    for side in sides:
        side(calls // 4)
    taken = [[side(calls) for side in sides] for _ in range(rounds)]
    loop.close()
    bare, *others = zip(*taken, strict=True)
    added = [added_to(bare, other) for other in others]
    official = f"{added[1]:14.1f} {added[1] / added[0]:6.1f}x" if added[1:] else f"{'-':>14}"
    print(
        f"{framework:>10} {kind:>9} {statistics.median(bare):9.1f} {added[0]:10.1f} {official}",
        flush=True,
    )


def answers(side: Callable[[int], float]) -> bool:
    """Whether a side answers one request at all."""
    try:
        side(1)
    except AssertionError:
        return False
    return True


def added_to(bare: Sequence[float], side: Sequence[float]) -> float:
    """Median of what a side takes over the bare view, round by round."""
    return statistics.median(one - none for one, none in zip(side, bare, strict=True))


def timer(call: Any, loop: asyncio.AbstractEventLoop, now: Clock) -> Callable[[int], float]:
    """A function that tells the microseconds of one of *count* requests, in a row."""
    if not inspect.iscoroutinefunction(call):
        return lambda count: clocked(call, count, now)
    return lambda count: loop.run_until_complete(aclocked(call, count, now))


def clocked(call: Callable[[], int], count: int, now: Clock) -> float:
    started = now()
    for _ in range(count):
        assert call() == 200
    return (now() - started) / count * 1e6


async def aclocked(call: Callable[[], Awaitable[int]], count: int, now: Clock) -> float:
    started = now()
    for _ in range(count):
        assert await call() == 200
    return (now() - started) / count * 1e6


# ---- what is served


def served(side: str, kind: str) -> tuple[Any, list[Any]]:
    """A client of a package, and one function: sync or async."""
    import inngest

    import inngest_core

    package: Any = inngest_core if side == "ours" else inngest
    client = package.Inngest(app_id="shop", is_production=False)

    def handler(ctx: Any) -> Any:
        return {"n": 1}

    async def awaiting(ctx: Any) -> Any:
        return {"n": 1}

    make = client.create_function(fn_id="f", trigger=package.TriggerEvent(event="a/b"))
    return client, [make(awaiting if kind == "async" else handler)]


# ---- Flask


def flask(side: str, kind: str) -> Call:
    import flask

    app = flask.Flask("bench")
    if side == "bare":

        @app.post(PATH)
        def bare() -> flask.Response:
            flask.request.get_data()
            return flask.Response(REPLY, content_type="application/json")

    else:
        adapter: Any = _adapter(side, "flask", "flask")
        adapter.serve(app, *served(side, kind))
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": PATH,
        "QUERY_STRING": QUERY,
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8000",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(BODY)),
        **{f"HTTP_{k.upper().replace('-', '_')}": v for k, v in HEADERS.items() if k[:2] != "co"},
        "wsgi.url_scheme": "http",
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.errors": io.StringIO(),
    }

    def call() -> int:
        status = 0

        def start_response(line: str, headers: Any, error: Any = None) -> None:
            nonlocal status
            status = int(line[:3])

        chunks: Any = app({**environ, "wsgi.input": io.BytesIO(BODY)}, start_response)  # type: ignore[arg-type]  # as servers call it
        b"".join(chunks)
        chunks.close()
        return status

    return call


# ---- FastAPI


def fastapi(side: str, kind: str) -> Call:
    from fastapi import FastAPI, Request, Response

    app = FastAPI()
    if side == "bare":

        async def bare(request: Request) -> Response:
            await request.body()
            return Response(REPLY, media_type="application/json")

        # FastAPI looks for the names of annotations in the module alone.
        bare.__annotations__ = {"request": Request}
        app.post(PATH, response_model=None)(bare)
    else:
        adapter: Any = _adapter(side, "fastapi", "fast_api")
        adapter.serve(app, *served(side, kind))
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": PATH,
        "raw_path": PATH.encode(),
        "root_path": "",
        "query_string": QUERY.encode(),
        "headers": [(name.encode(), value.encode()) for name, value in _sent_headers()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 8000),
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": BODY, "more_body": False}

    async def call() -> int:
        status = 0

        async def send(message: Any) -> None:
            nonlocal status
            status = message.get("status", status)

        await app(dict(scope), receive, send)
        return status

    return call


# ---- Tornado


def tornado(side: str, kind: str) -> Call:
    from tornado.httputil import HTTPHeaders, RequestStartLine
    from tornado.web import Application, RequestHandler

    class Bare(RequestHandler):
        async def post(self) -> None:
            assert self.request.body
            self.set_header("content-type", "application/json")
            self.finish(REPLY)

    app = Application([(PATH, Bare)] if side == "bare" else [])
    if side != "bare":
        adapter: Any = _adapter(side, "tornado", "tornado")
        adapter.serve(app, *served(side, kind))
    line = RequestStartLine("POST", f"{PATH}?{QUERY}", "HTTP/1.1")
    headers = dict(_sent_headers())

    async def call() -> int:
        connection = _Connection()
        delegate = app.start_request(None, connection)  # type: ignore[arg-type]  # one without a socket
        for given in (
            delegate.headers_received(line, HTTPHeaders(headers)),
            delegate.data_received(BODY),
        ):
            if given is not None:
                await given
        delegate.finish()
        return await connection.replied

    return call


class _Connection:
    """A connection of Tornado without a socket."""

    def __init__(self) -> None:
        self.replied: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.context = type("Context", (), {"remote_ip": "127.0.0.1", "protocol": "http"})
        self._status = 0

    def set_max_body_size(self, size: int) -> None: ...

    def set_close_callback(self, callback: Any) -> None: ...

    def write_headers(self, line: Any, headers: Any, chunk: Any = None) -> asyncio.Future[None]:
        self._status = line.code
        return self.write(chunk)

    def write(self, chunk: bytes) -> asyncio.Future[None]:
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        written.set_result(None)
        return written

    def finish(self) -> None:
        self.replied.set_result(self._status)


FRAMEWORKS: dict[str, Callable[[str, str], Call]] = {
    "fastapi": fastapi,
    "flask": flask,
    "tornado": tornado,
}


def _adapter(side: str, ours: str, official: str) -> Any:
    name = f"inngest_contrib.{ours}" if side == "ours" else f"inngest.{official}"
    return importlib.import_module(name)


def _sent_headers() -> Iterator[tuple[str, str]]:
    yield from HEADERS.items()
    yield "content-length", str(len(BODY))


if __name__ == "__main__":
    main()
