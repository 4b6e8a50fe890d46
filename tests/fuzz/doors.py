"""The functions and doors that are tried, and what holds for every reply."""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pydantic

import inngest_core as inngest
from inngest_core.errors import BodyError
from inngest_core.wire.call import parse_body
from inngest_core.wire.canonical import canonical
from inngest_core.wire.http import HttpRequest, HttpResponse
from inngest_core.wire.names import ParallelMode

from ..flow.wiring import EVENT_KEY, FALLBACK, KEY, NOW, Server, client_of, cloud_client, reply
from .amounts import tally

TRIGGER = inngest.TriggerEvent(event="a/b")
WAYS = ["blocking", "awaiting"]
KINDS = ["def", "async"]
MAX_BODY = 40_000
SECRETS = [EVENT_KEY, *(part for key in (KEY, FALLBACK) for part in (key, key.rpartition("-")[2]))]


class Model(pydantic.BaseModel):
    n: int


# ---- functions, in pairs of one shape


def steps(ctx: inngest.ContextSync) -> Any:
    return [ctx.step.run("a", lambda: 1), ctx.step.run("b", lambda *args: list(args))]


async def asteps(ctx: inngest.Context) -> Any:
    return [await ctx.step.run("a", lambda: 1), await ctx.step.run("b", lambda *args: list(args))]


def pauses(ctx: inngest.ContextSync) -> Any:
    ctx.step.sleep("s", 1000)
    event = ctx.step.wait_for_event("w", event="c/d", timeout="1h")
    invoked = ctx.step.invoke_by_id("i", function_id="f", data={"n": 1})
    return [event and event.name, invoked, ctx.step.send_event("c", inngest.Event(name="c/d"))]


async def apauses(ctx: inngest.Context) -> Any:
    await ctx.step.sleep_until("s", datetime.datetime(2030, 1, 1, tzinfo=datetime.timezone.utc))
    event = await ctx.step.wait_for_event("w", event="c/d", timeout="1h")
    invoked = await ctx.step.invoke_by_id("i", function_id="f", data={"n": 1})
    return [event and event.name, invoked, await ctx.step.send_event("c", inngest.Event(name="c"))]


def asks(ctx: inngest.ContextSync) -> Any:
    signal = ctx.step.wait_for_signal("w", signal="s", timeout="1h")
    response = ctx.step.fetch("a", "https://shop.example")
    return [signal and signal.data, response.status, response.ok, dict(response.headers)]


async def aasks(ctx: inngest.Context) -> Any:
    signal = await ctx.step.wait_for_signal("w", signal="s", timeout="1h")
    response = await ctx.step.fetch("a", "https://shop.example")
    return [signal and signal.data, response.status, response.ok, dict(response.headers)]


def group(ctx: inngest.ContextSync) -> Any:
    run = ctx.step.run
    raced = ctx.group.parallel(
        (lambda: run("a", lambda: 1), lambda: run("b", lambda: 2)), parallel_mode=ParallelMode.RACE
    )
    return [raced, ctx.group.parallel((lambda: run("c", lambda: 3), lambda: run("a", lambda: 4)))]


async def agroup(ctx: inngest.Context) -> Any:
    run = ctx.step.run
    with ctx.group.mode(ParallelMode.RACE):
        raced = await asyncio.gather(run("a", lambda: 1), run("b", lambda: 2))
    return [raced, await asyncio.gather(run("c", lambda: 3), run("a", lambda: 4))]


def typed(ctx: inngest.ContextSync) -> Any:
    model = ctx.step.run("a", lambda: Model(n=1), output_type=Model)
    when = ctx.step.run("b", noon)
    return [model.n, when.isoformat()]


async def atyped(ctx: inngest.Context) -> Any:
    model = await ctx.step.run("a", lambda: Model(n=1), output_type=Model)
    when = await ctx.step.run("b", noon)
    return [model.n, when.isoformat()]


def noon() -> datetime.datetime:
    return datetime.datetime(2030, 1, 1, 12)


def echo(ctx: inngest.ContextSync) -> Any:
    return [ctx.event.model_dump(), len(ctx.events), ctx.attempt, ctx.run_id, ctx.job_id]


async def aecho(ctx: inngest.Context) -> Any:
    return [ctx.event.model_dump(), len(ctx.events), ctx.attempt, ctx.run_id, ctx.job_id]


def fails(ctx: inngest.ContextSync) -> Any:
    try:
        ctx.step.run("a", fail, ctx.event.data.get("n"))
    except inngest.StepError as error:
        raise ValueError(error.message) from error
    raise inngest.RetryAfterError("later", 1000)


async def afails(ctx: inngest.Context) -> Any:
    try:
        await ctx.step.run("a", fail, ctx.event.data.get("n"))
    except inngest.StepError as error:
        raise ValueError(error.message) from error
    raise inngest.NonRetriableError("never")


def fail(n: object) -> None:
    raise RuntimeError(f"failed on {n!r}")


BODIES: dict[str, list[Callable[..., Any]]] = {
    "def": [steps, echo, pauses, asks, group, typed, fails],
    "async": [asteps, aecho, apauses, aasks, agroup, atyped, afails],
}
NAMED = {
    kind: [f"shop-{body.__name__}" for body in bodies] + [f"shop-{bodies[0].__name__}-failure"]
    for kind, bodies in BODIES.items()
}
FUNCTIONS = [name for names in NAMED.values() for name in names]


# ---- doors


class Log:
    """A logger that keeps no line, but looks at each: for secrets, and for errors of ours."""

    def __init__(self) -> None:
        self.broken: list[object] = []

    def warning(self, message: str, *args: object, **options: object) -> None:
        line = message % args
        self.broken += [line for secret in SECRETS if secret in line]

    debug = info = error = warning

    def exception(self, message: str, *args: object) -> None:
        import sys

        self.broken.append((message, sys.exc_info()[1]))


@dataclass
class Backstage:
    """What the server answers to requests of ours in one case."""

    actions: bytes = b"{}"
    batch: bytes = b"[]"
    other: HttpResponse = field(default_factory=lambda: reply(200, {"ok": True}))

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.url.endswith("/actions"):
            return HttpResponse(200, {}, self.actions)
        if request.url.endswith("/batch"):
            return HttpResponse(200, {}, self.batch)
        return reply(200, {"ids": ["id"]}) if "/e/" in request.url else self.other


def _client(
    make: Callable[..., inngest.Inngest], log: Log, script: Callable[[HttpRequest], HttpResponse]
) -> inngest.Inngest:
    server = Server(script)
    server.requests = _Forgetful()
    client = make(server, logger=log, signing_key=KEY, signing_key_fallback=FALLBACK)
    for kind, bodies in BODIES.items():
        for body in bodies:
            on_failure = BODIES[kind][1] if body is bodies[0] else None
            client.create_function(fn_id=body.__name__, trigger=TRIGGER, on_failure=on_failure)(
                body
            )
    return client


class _Forgetful(list[Any]):
    def append(self, request: Any) -> None:
        """Thousands of cases need not be remembered."""


class Door:
    """A client in one mode, and a way to ask it."""

    def __init__(self, mode: str, **options: Any) -> None:
        self.mode = mode
        self.log = Log()
        self._stage = Backstage()
        self.client = _client(client_of if mode == "dev" else cloud_client, self.log, self._server)
        self.handler = inngest.CommHandler(
            client=self.client, framework="flask", max_body=MAX_BODY, **options
        )

    def _server(self, request: HttpRequest) -> HttpResponse:
        return self._stage(request)

    def ask(
        self, way: str, request: inngest.CommRequest, stage: Backstage | None = None
    ) -> inngest.CommResponse:
        self._stage = stage or Backstage()
        if way == "blocking":
            return self.handler.answer_sync(request)
        response: inngest.CommResponse = run(_whole(self.handler, request))
        return response


async def _whole(
    handler: inngest.CommHandler, request: inngest.CommRequest
) -> inngest.CommResponse:
    """The reply; of a streamed one, what stands in the stream."""
    response = await handler.answer(request)
    if response.stream is None:
        return response
    assert response.status == 201
    inner = json.loads(b"".join([chunk async for chunk in response.stream]))
    body = json.dumps(inner["body"]).encode()
    return inngest.CommResponse(inner["status"], inner["headers"], body)


_loop = asyncio.new_event_loop()


def run(coroutine: Any) -> Any:
    """Run a coroutine to its end, on a loop that all cases share."""
    return _loop.run_until_complete(coroutine)


DEV, CLOUD = Door("dev"), Door("cloud")
DOORS = {"dev": DEV, "cloud": CLOUD}


# ---- what holds for every reply

CODES = {
    400: {
        "body_invalid",
        "query_param_missing",
        "probe_unknown",
        "server_kind_mismatch",
        "non_retriable_error",
    },
    401: {"header_missing", "sig_verification_failed"},
    405: {"method_not_allowed"},
    413: {"body_too_large"},
    500: {
        "function_not_found",
        "non_retriable_error",
        "output_unserializable",
        "retry_after_error",
        "step_errored",
        "step_unexpected",
        "unknown",
    },
}
OP_KEYS = {"id", "op", "displayName", "name", "userland", "opts", "data", "error"}
_TOKEN = re.compile(r"[a-z0-9-]+\Z")
_FIXED = 8_000
_FACTOR = 14
"""The JSON of a character, \\ud83d\\ude00, is at most as many times as long as in the request."""


def verify(door: Door, response: inngest.CommResponse, *, size: int, method: str = "POST") -> None:
    """Everything that holds for any reply to a request of *size* bytes."""
    check_reply(response, size=size, method=method)
    broken, door.log.broken = door.log.broken, []
    assert not broken, broken
    tally.count += 1


def check_reply(response: inngest.CommResponse, *, size: int, method: str = "POST") -> None:
    text = response.body.decode("utf-8") + str(response.headers)
    assert not any(secret in text for secret in SECRETS)
    assert len(response.body) <= _FIXED + _FACTOR * size
    for name, value in response.headers.items():
        assert _TOKEN.match(name)
        assert value.isprintable()
        assert value.isascii()
    if method != "HEAD":
        _check_body(response, json.loads(response.body, parse_constant=_refuse))


def _refuse(constant: str) -> None:
    raise AssertionError(f"{constant} is not JSON")


def _check_body(response: inngest.CommResponse, doc: Any) -> None:
    status = response.status
    if status == 200:
        return
    if status == 206:
        assert doc
        assert all(op.keys() <= OP_KEYS and op["id"] and op["op"] for op in doc)
    elif status == 403:
        assert doc == {}
    elif status == 500 and "modified" in doc:
        assert doc.keys() == {"message", "modified"}
        assert doc["modified"] is False
    else:
        _check_error(response, doc)


def _check_error(response: inngest.CommResponse, doc: Any) -> None:
    status = response.status
    assert doc["code"] in CODES[status], doc
    assert doc.keys() <= {"code", "message", "name", "stack", "cause"}
    assert isinstance(doc["message"], str)
    if status == 401:
        assert doc == {"code": doc["code"], "message": "Unauthorized"}
        assert not any(name.startswith("x-inngest") for name in response.headers)
    if status == 405:
        assert response.headers["allow"] == "GET, HEAD, POST, PUT"
    if status in (400, 413) and doc["code"] != "non_retriable_error":
        assert "stack" not in doc, doc
    assert "/inngest_core/" not in str(doc.get("stack")), doc["stack"]


def is_signed(header: str | None, body: bytes) -> bool:
    """Whether a signature is good: told by the two parts, the window and both keys."""
    parts = dict(part.partition("=")[::2] for part in (header or "").split("&"))
    moment, signature = parts.get("t", ""), parts.get("s", "")
    if not re.fullmatch("[0-9]+", moment) or abs(int(moment[:20]) - NOW) > 300:
        return False
    forms = [body]
    with contextlib.suppress(BodyError, ValueError, RecursionError):
        forms.append(canonical(parse_body(body)))
    return any(
        hmac.new(
            key.rpartition("-")[2].encode(), form + moment.encode(), hashlib.sha256
        ).hexdigest()
        == signature
        for key in (KEY, FALLBACK)
        for form in forms
    )
