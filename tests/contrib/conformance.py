"""
One table of requests, fed to every adapter: whatever the framework, the same replies.

A framework's tests derive from Conformance and say how to serve and how to ask.
"""

from __future__ import annotations

import abc
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

import inngest_core as inngest
from inngest_core.wire.names import MAX_EVENT_BYTES
from inngest_core.wire.signing import sign, verify

from ..flow.wiring import FALLBACK, KEY, NOW, Server, client_of, cloud_client, reply

PATH = "/api/inngest"
EVENT = {"data": {"n": 1}, "id": "e", "name": "a/b", "ts": 1}
CALL: dict[str, Any] = {
    "ctx": {"attempt": 0, "run_id": "r", "stack": {"current": 0, "stack": []}},
    "event": EVENT,
    "events": [EVENT],
    "steps": {},
}
SECRETS = (KEY, FALLBACK, KEY.rpartition("-")[2], FALLBACK.rpartition("-")[2])


@dataclass
class Asked:
    """A request as a client of the framework makes it."""

    method: str = "POST"
    path: str = PATH
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass
class Answered:
    """What came back. headers: lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def dumped(doc: Any) -> bytes:
    return doc if isinstance(doc, bytes) else json.dumps(doc).encode()


def call(function: str, doc: Any = CALL, *, step: str = "step", **more: Any) -> Asked:
    """Make a call of a function."""
    return Asked(query=f"fnId=shop-{function}&stepId={step}", body=dumped(doc), **more)


def signed(asked: Asked, key: str = KEY, at: int = NOW) -> Asked:
    """Sign a request as the server does."""
    headers = {**asked.headers, "x-inngest-signature": sign(key, asked.body, at)}
    return Asked(asked.method, asked.path, asked.query, headers, asked.body)


def changed(**ctx: Any) -> dict[str, Any]:
    return {**CALL, "ctx": {**CALL["ctx"], **ctx}}


def functions(client: inngest.Inngest) -> list[inngest.Function[Any]]:
    """Sync and async functions that return, step, fail."""

    def make(fn_id: str, handler: Any) -> inngest.Function[Any]:
        trigger = inngest.TriggerEvent(event="a/b")
        return client.create_function(fn_id=fn_id, trigger=trigger)(handler)

    async def aplain(ctx: inngest.Context) -> Any:
        return {"n": ctx.event.data["n"], "é": "ü"}

    async def astep(ctx: inngest.Context) -> Any:
        return await ctx.step.run("a", lambda: 1)

    async def afail(ctx: inngest.Context) -> Any:
        raise ValueError("bad value")

    def fail(ctx: inngest.ContextSync) -> Any:
        raise ValueError("bad value")

    def never(ctx: inngest.ContextSync) -> Any:
        raise inngest.NonRetriableError("never")

    return [
        make("plain", lambda ctx: {"n": ctx.event.data["n"], "é": "ü"}),
        make("step", lambda ctx: ctx.step.run("a", lambda: 1)),
        make("fail", fail),
        make("never", never),
        make("odd", lambda ctx: object()),
        make("aplain", aplain),
        make("astep", astep),
        make("afail", afail),
    ]


HOOKS = [
    "transform_input",
    "after_memoization",
    "before_execution",
    "after_execution",
    "transform_output",
    "before_response",
]
PLAIN = '{"n":1,"é":"ü"}'.encode()
UNAUTHORIZED = {"code": "sig_verification_failed", "message": "Unauthorized"}
UNSIGNED = {"code": "header_missing", "message": "Unauthorized"}

DEV: dict[str, tuple[Asked, int, Any]] = {
    "inspect": (Asked("GET"), 200, {"mode": "dev", "function_count": 8}),
    "inspect with odd query": (Asked("GET", query="a=1&a=2&b"), 200, {"mode": "dev"}),
    "inspect, wrong kind": (Asked("GET", headers={"X-Inngest-Server-Kind": "cloud"}), 403, {}),
    "sync": (Asked("PUT"), 200, {"ok": True}),
    "sync, wrong kind": (
        Asked("PUT", headers={"x-inngest-server-kind": "cloud"}),
        400,
        {"code": "server_kind_mismatch"},
    ),
    "blocking": (call("plain"), 200, PLAIN),
    "async": (call("aplain"), 200, PLAIN),
    "upper-case headers": (call("plain", headers={"CONTENT-TYPE": "text/html"}), 200, PLAIN),
    "trailing slash": (call("plain", path=f"{PATH}/"), 200, PLAIN),
    "parameters in another order": (
        Asked(query="stepId=step&fnId=shop-plain&x=", body=dumped(CALL)),
        200,
        PLAIN,
    ),
    "the first of two parameters counts": (
        Asked(query="fnId=shop-plain&fnId=shop-nope", body=dumped(CALL)),
        200,
        PLAIN,
    ),
    "an encoded parameter": (Asked(query="fnId=shop%2Dplain", body=dumped(CALL)), 200, PLAIN),
    "blocking step": (call("step"), 206, [{"op": "StepRun", "data": 1}]),
    "async step": (call("astep"), 206, [{"op": "StepRun", "data": 1}]),
    "blocking error": (call("fail"), 500, {"code": "unknown", "name": "ValueError"}),
    "async error": (call("afail"), 500, {"code": "unknown", "name": "ValueError"}),
    "non-retriable": (call("never"), 500, {"code": "non_retriable_error", "message": "never"}),
    "output that is not JSON": (
        call("odd"),
        500,
        {
            "code": "output_unserializable",
            "message": "returned unserializable data",
            "name": "OutputUnserializableError",
        },
    ),
    "failure handler unknown": (
        call("plain-failure"),
        500,
        {"code": "function_not_found", "message": "function shop-plain-failure not found"},
    ),
    "unknown function": (
        call("nope"),
        500,
        {"code": "function_not_found", "name": "FunctionNotFoundError"},
    ),
    "target that is not there": (call("step", step="ffff"), 500, {"code": "step_unexpected"}),
    "no function": (Asked(body=dumped(CALL)), 400, {"code": "query_param_missing"}),
    "empty function": (
        Asked(query="fnId=", body=dumped(CALL)),
        400,
        {"code": "query_param_missing"},
    ),
    "unknown probe": (Asked(query="probe=life"), 400, {"code": "probe_unknown"}),
    "trust probe": (Asked(query="probe=trust"), 200, b"null"),
    "no body": (call("plain", b""), 400, {"code": "body_invalid"}),
    "broken JSON": (call("plain", b'{"ctx":'), 400, {"code": "body_invalid"}),
    "not UTF-8": (call("plain", b"\xff\xfe\xfa"), 400, {"code": "body_invalid"}),
    "deep JSON": (call("plain", b"[" * 200_000), 400, {"code": "body_invalid"}),
    "an array": (call("plain", b"[]"), 400, {"code": "body_invalid"}),
    "a wrong type": (
        call("plain", changed(attempt="x")),
        400,
        {"code": "body_invalid", "message": "ctx.attempt must be of type int, got str"},
    ),
    "an event without a name": (
        call("plain", {**CALL, "event": {"data": {}}}),
        400,
        {"code": "body_invalid", "message": "event.name: Field required"},
    ),
    "an event whose data is a list": (
        call("aplain", {**CALL, "events": [{"name": "a", "data": []}]}),
        400,
        {"code": "body_invalid"},
    ),
    "an event whose time is a text": (
        call("plain", {**CALL, "event": {**EVENT, "ts": "soon"}}),
        400,
        {"code": "body_invalid"},
    ),
    "oversized": (
        call("plain", b" " * (16 * 1024 * 1024 + 1)),
        413,
        {"code": "body_too_large"},
    ),
    "delete": (Asked("DELETE"), 405, {"code": "method_not_allowed"}),
    "patch": (Asked("PATCH"), 405, {"code": "method_not_allowed"}),
    "trace": (Asked("TRACE"), 405, {"code": "method_not_allowed"}),
    "options": (Asked("OPTIONS"), 405, {"code": "method_not_allowed"}),
}

CLOUD: dict[str, tuple[Asked, int, Any]] = {
    "unsigned inspect": (Asked("GET"), 401, UNSIGNED),
    "signed inspect": (signed(Asked("GET")), 200, {"mode": "cloud", "app_id": "shop"}),
    "unsigned sync": (Asked("PUT"), 200, {"ok": True}),
    "in band": (
        signed(
            Asked(
                "PUT",
                headers={"X-Inngest-Sync-Kind": "in_band"},
                body=b'{"url":"https://far.example/api/inngest"}',
            )
        ),
        200,
        {"app_id": "shop", "url": "https://far.example/api/inngest"},
    ),
    "in band, unsigned": (
        Asked("PUT", headers={"X-Inngest-Sync-Kind": "in_band"}, body=b"{}"),
        401,
        UNSIGNED,
    ),
    "unsigned call": (call("plain"), 401, UNSIGNED),
    "signed call": (signed(call("plain")), 200, PLAIN),
    "signed call of an async function": (signed(call("aplain")), 200, PLAIN),
    "signed with the fallback": (signed(call("step"), FALLBACK), 206, [{"op": "StepRun"}]),
    "signed with another key": (signed(call("plain"), "ffff"), 401, UNAUTHORIZED),
    "stale": (signed(call("plain"), at=NOW - 301), 401, UNAUTHORIZED),
    "from the future": (signed(call("plain"), at=NOW + 301), 401, UNAUTHORIZED),
    "malformed signature": (
        call("plain", headers={"x-inngest-signature": "t=x&s=y"}),
        401,
        UNAUTHORIZED,
    ),
    "signature of another body": (
        call("plain", headers={"x-inngest-signature": sign(KEY, b"{}", NOW)}),
        401,
        UNAUTHORIZED,
    ),
    "broken JSON": (
        call("plain", b"{", headers={"x-inngest-signature": sign(KEY, b"{}", NOW)}),
        401,
        UNAUTHORIZED,
    ),
    "broken JSON, signed": (signed(call("plain", b"{")), 400, {"code": "body_invalid"}),
    "unknown function": (signed(call("nope")), 500, {"code": "function_not_found"}),
    "trust probe": (signed(Asked(query="probe=trust")), 200, b"null"),
    "unsigned trust probe": (Asked(query="probe=trust"), 401, UNSIGNED),
    "delete": (Asked("DELETE"), 405, {"code": "method_not_allowed"}),
}


def matches(found: Any, expected: Any) -> bool:
    """Whether *found* has everything that is *expected*; objects may have more."""
    if isinstance(expected, dict):
        if not expected:
            return bool(found == {})
        return isinstance(found, dict) and all(
            key in found and matches(found[key], value) for key, value in expected.items()
        )
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(matches, found, expected))
    return bool(found == expected)


class Conformance(abc.ABC):
    """The tests of every adapter."""

    framework: str

    @abc.abstractmethod
    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        """Serve *functions* in a new app of the framework."""

    @abc.abstractmethod
    def ask(self, app: Any, asked: Asked) -> Answered:
        """Make a request of the app."""

    @abc.abstractmethod
    def is_raw_request(self, raw: object) -> bool:
        """Whether *raw* is what middleware is promised as its request."""

    def answer(self, client: inngest.Inngest, asked: Asked, **options: Any) -> Answered:
        return self.ask(self.serve(client, functions(client), **options), asked)

    @staticmethod
    def registering() -> Server:
        return Server([reply(200, {"ok": True, "modified": True})])

    # ---- the table

    @pytest.mark.parametrize("name", DEV)
    def test_in_dev_mode(self, name: str) -> None:
        asked, status, body = DEV[name]
        self.check(self.answer(client_of(self.registering()), asked), status, body)

    @pytest.mark.parametrize("name", CLOUD)
    def test_in_the_cloud(self, name: str) -> None:
        asked, status, body = CLOUD[name]
        client = cloud_client(self.registering(), signing_key_fallback=FALLBACK)
        answered = self.answer(client, asked)
        self.check(answered, status, body)
        key = FALLBACK if "fallback" in name else KEY
        header = answered.headers.get("x-inngest-signature")
        is_signed = "x-inngest-signature" in asked.headers and status not in (401, 405)
        assert (header is not None) == is_signed
        if header is not None:
            assert verify(header, answered.body, [key], NOW) == key

    def check(self, answered: Answered, status: int, body: Any) -> None:
        assert answered.status == status, answered.body[:500]
        assert answered.headers["content-type"] == "application/json"
        assert int(answered.headers["content-length"]) == len(answered.body)
        assert not answered.body.endswith(b"\n")
        if isinstance(body, bytes):
            assert answered.body == body
        else:
            assert matches(answered.json, body), answered.body[:500]
        for secret in SECRETS:
            assert secret not in f"{answered.headers} {answered.body!r}"
        if status == 405:
            assert answered.headers["allow"] == "GET, POST, PUT"
        if status not in (401, 405):
            self.check_headers(answered)
        else:
            assert not [name for name in answered.headers if name.startswith("x-inngest")]

    def check_headers(self, answered: Answered) -> None:
        headers = answered.headers
        assert re.fullmatch(r"inngest-py:v\d\S*", headers["x-inngest-sdk"])
        assert headers["x-inngest-framework"] == self.framework
        assert headers["x-inngest-req-version"] == "2"
        assert headers["x-inngest-sdk-handled"] == "true"
        assert headers["x-inngest-expected-server-kind"] in ("dev", "cloud")
        timing = r"[a-z_.]+;dur=\d+"
        assert re.fullmatch(rf"{timing}(, {timing})*", headers["server-timing"])

    # ---- headers of errors

    @pytest.mark.parametrize(
        ("function", "no_retry"),
        [
            ("fail", "false"),
            ("afail", "false"),
            ("never", "true"),
            ("odd", "true"),
            ("nope", "false"),
        ],
    )
    def test_errors_say_whether_another_attempt_may_help(
        self, function: str, no_retry: str
    ) -> None:
        answered = self.answer(client_of(), call(function))
        assert answered.headers["x-inngest-no-retry"] == no_retry

    def test_a_call_tells_how_long_its_parts_took(self) -> None:
        timing = self.answer(client_of(), call("plain")).headers["server-timing"]
        names = re.findall(r"([a-z_.]+);dur=\d+", timing)
        assert names[0] == "comm_handler"
        assert set(names) - {"async_block"} == {
            "comm_handler",
            "function",
            "mw.transform_input",
            "mw.transform_output",
        }

    # ---- where it is served

    @pytest.mark.parametrize("path", ["/elsewhere", "elsewhere", "/elsewhere/", "/a/b"])
    def test_serve_path_is_the_route_and_what_is_registered(self, path: str) -> None:
        server = self.registering()
        client = client_of(server)
        route = "/" + path.strip("/")
        app = self.serve(client, functions(client), serve_path=path)
        assert self.ask(app, call("plain", path=route)).status == 200
        assert self.ask(app, Asked("PUT", path=route)).status == 200
        assert server.bodies[0]["url"].rstrip("/").endswith(route)

    def test_a_variable_is_the_route_unless_an_option_is(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("INNGEST_SERVE_PATH", "/variable")
        client = client_of()
        app = self.serve(client, functions(client))
        assert self.ask(app, call("plain", path="/variable")).status == 200
        app = self.serve(client, client.functions, serve_path="/option")
        assert self.ask(app, call("plain", path="/option")).status == 200

    def test_public_path_is_only_what_is_registered(self) -> None:
        server = self.registering()
        client = client_of(server)
        asked = Asked("PUT", headers={"host": "app.example"})
        assert self.answer(client, asked, public_path="/public").status == 200
        assert server.bodies[0]["url"] == "http://app.example/public"

    def test_the_registered_address_is_the_one_asked_for_without_its_query(self) -> None:
        server = self.registering()
        asked = Asked("PUT", query="deployId=d", headers={"host": "app.example:8000"})
        self.answer(client_of(server), asked)
        assert server.bodies[0]["url"] == f"http://app.example:8000{PATH}"
        assert server.bodies[0]["framework"] == self.framework
        assert server.requests[0].url.endswith("/fn/register?deployId=d")

    def test_without_a_list_everything_on_the_client_is_served_later_functions_too(self) -> None:
        client = client_of()
        app = self.serve(client)
        assert self.ask(app, call("plain")).status == 500
        functions(client)
        assert self.ask(app, call("plain")).status == 200

    def test_an_explicit_list_wins(self) -> None:
        client = client_of()
        app = self.serve(client, functions(client)[:1])
        assert self.ask(app, call("plain")).status == 200
        assert self.ask(app, call("step")).json["code"] == "function_not_found"

    def test_without_a_signing_key_the_cloud_cannot_be_served(self) -> None:
        with pytest.raises(inngest.SigningKeyMissingError, match="INNGEST_SIGNING_KEY"):
            self.serve(cloud_client(signing_key=None))

    def test_a_malformed_signing_key_is_said_at_once_and_not_shown(self) -> None:
        with pytest.raises(inngest.ConfigError, match="signing_key") as raised:
            self.serve(cloud_client(signing_key="signkey-test-secret"))
        assert "secret" not in str(raised.value)

    # ---- middleware

    def test_middleware_sees_the_request_of_the_framework(self) -> None:
        seen: list[object] = []

        class Watching(inngest.MiddlewareSync):
            def before_execution(self) -> None:
                seen.append(self.raw_request)

        for function in ("plain", "aplain"):
            assert self.answer(client_of(middleware=[Watching]), call(function)).status == 200
        assert len(seen) == 2
        assert all(map(self.is_raw_request, seen))

    @pytest.mark.parametrize("function", ["plain", "aplain", "step", "astep"])
    @pytest.mark.parametrize("hook", HOOKS)
    def test_a_middleware_that_fails_is_named_in_a_retriable_error(
        self, hook: str, function: str
    ) -> None:
        def fail(self: Any, *args: Any) -> None:
            raise RuntimeError("boom")

        failing = type("Failing", (inngest.MiddlewareSync,), {hook: fail})
        fail.__qualname__ = f"Failing.{hook}"
        answered = self.answer(client_of(middleware=[failing]), call(function))
        assert answered.status == 500
        assert answered.json["code"] == "middleware_failed"
        assert f"Failing.{hook} failed: boom" in answered.json["message"]
        assert answered.headers["x-inngest-no-retry"] == "false"

    # ---- nothing is shown, nothing is lost

    def test_no_key_is_logged(self, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.DEBUG)
        client = cloud_client(signing_key_fallback=FALLBACK)
        app = self.serve(client, functions(client))
        for asked, _, _ in CLOUD.values():
            self.ask(app, asked)
        for secret in SECRETS:
            assert secret not in caplog.text

    def test_after_bad_requests_it_goes_on_working(self) -> None:
        client = client_of()
        app = self.serve(client, functions(client))
        for asked, status, _ in DEV.values():
            if status >= 400:
                self.ask(app, asked)
        assert self.ask(app, call("plain")).body == PLAIN

    def test_a_large_body_within_the_limit_is_read_whole(self) -> None:
        event = {**EVENT, "data": {"n": "x" * MAX_EVENT_BYTES}}
        answered = self.answer(client_of(), call("plain", {**CALL, "event": event}))
        assert answered.status == 200
        assert len(answered.json["n"]) == MAX_EVENT_BYTES
