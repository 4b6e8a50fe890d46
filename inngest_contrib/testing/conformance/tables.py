"""
The two tables of requests, in dev and in cloud mode, each with the reply that any adapter gives.

They are made anew for every test, since a signature is only good for five minutes.
A reply is bytes, or JSON that may have more keys than are named here.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .exchange import CALL, EVENT, FALLBACK, Asked, call, changed, signed
from .functions import PLAIN


class Case(NamedTuple):
    """A request and the reply to it."""

    asked: Asked
    status: int
    reply: Any


UNAUTHORIZED = {"code": "sig_verification_failed", "message": "Unauthorized"}
UNSIGNED = {"code": "header_missing", "message": "Unauthorized"}
INVALID = {"code": "body_invalid"}
REFUSED = {"code": "method_not_allowed"}
STEPPED = [{"op": "StepRun", "data": 1}]

_IN_BAND = {"X-Inngest-Sync-Kind": "in_band"}
_FAR = "https://far.example/api/inngest"


def dev_cases() -> dict[str, Case]:
    """Requests in dev mode, where nothing is signed."""
    return {**_inspections(), **_calls(), **_forms(), **_refusals(), **_bad_bodies(), **_methods()}


def _inspections() -> dict[str, Case]:
    cloud = {"X-Inngest-Server-Kind": "cloud"}
    return {
        "inspect": Case(Asked("GET"), 200, {"mode": "dev", "function_count": 10}),
        "inspect with odd query": Case(Asked("GET", query="a=1&a=2&b"), 200, {"mode": "dev"}),
        "inspect, wrong kind": Case(Asked("GET", headers=cloud), 403, {}),
        "sync": Case(Asked("PUT"), 200, {"ok": True}),
        "sync, wrong kind": Case(
            Asked("PUT", headers=cloud), 400, {"code": "server_kind_mismatch"}
        ),
        "in band is not for dev mode": Case(Asked("PUT", headers=_IN_BAND), 200, {"ok": True}),
        "trust probe": Case(Asked(query="probe=trust"), 200, b"null"),
    }


def _calls() -> dict[str, Case]:
    failed = {"code": "unknown", "name": "ValueError", "message": "bad value"}
    never = {"code": "non_retriable_error", "message": "never"}
    odd = {
        "code": "output_unserializable",
        "message": "returned unserializable data",
        "name": "OutputUnserializableError",
    }
    sent = [{"op": "StepRun", "data": ["id-0"]}]
    return {
        "blocking": Case(call("plain"), 200, PLAIN),
        "async": Case(call("aplain"), 200, PLAIN),
        "blocking step": Case(call("step"), 206, STEPPED),
        "async step": Case(call("astep"), 206, STEPPED),
        "blocking step that sends": Case(call("send"), 206, sent),
        "async step that sends": Case(call("asend"), 206, sent),
        "blocking error": Case(call("fail"), 500, failed),
        "async error": Case(call("afail"), 500, failed),
        "non-retriable": Case(call("never"), 500, never),
        "output that is not JSON": Case(call("odd"), 500, odd),
    }


def _forms() -> dict[str, Case]:
    """Requests that look different and mean the same."""
    body = call("plain").body
    escaped = {**CALL, "event": {**EVENT, "data": {"n": "é\u2028\U0001f600"}}}
    text = '"é\u2028\U0001f600"'
    return {
        "upper-case headers": Case(
            call("plain", headers={"CONTENT-TYPE": "text/html"}), 200, PLAIN
        ),
        "no content type": Case(call("plain", headers={"content-type": ""}), 200, PLAIN),
        "a form's content type": Case(
            call("plain", headers={"content-type": "application/x-www-form-urlencoded"}),
            200,
            PLAIN,
        ),
        "multipart, it says": Case(
            call("plain", headers={"content-type": "multipart/form-data; boundary=x"}), 200, PLAIN
        ),
        "escaped text": Case(call("plain", escaped), 200, f'{{"n":{text},"é":"ü"}}'.encode()),
        "spaces around the body": Case(call("plain", b"\r\n " + body + b"\n"), 200, PLAIN),
        "parameters in another order": Case(
            Asked(query="stepId=step&fnId=shop-plain&x=", body=body), 200, PLAIN
        ),
        "the first of two parameters counts": Case(
            Asked(query="fnId=shop-plain&fnId=shop-nope", body=body), 200, PLAIN
        ),
        "an encoded parameter": Case(Asked(query="fnId=shop%2Dplain", body=body), 200, PLAIN),
    }


def _refusals() -> dict[str, Case]:
    body = call("plain").body
    missing = {"code": "query_param_missing"}
    unknown = {"code": "function_not_found", "name": "FunctionNotFoundError"}
    handler = {
        "code": "function_not_found",
        "message": "function shop-plain-failure not found",
    }
    return {
        "unknown function": Case(call("nope"), 500, unknown),
        "failure handler unknown": Case(call("plain-failure"), 500, handler),
        "target that is not there": Case(
            call("step", step="ffff"), 500, {"code": "step_unexpected"}
        ),
        "no function": Case(Asked(body=body), 400, missing),
        "empty function": Case(Asked(query="fnId=", body=body), 400, missing),
        "unknown probe": Case(Asked(query="probe=life"), 400, {"code": "probe_unknown"}),
    }


def _bad_bodies() -> dict[str, Case]:
    wrong_type = {**INVALID, "message": "ctx.attempt must be of type int, got str"}
    nameless = {**INVALID, "message": "event.name: Field required"}
    return {
        "no body": Case(call("plain", b""), 400, INVALID),
        "broken JSON": Case(call("plain", b'{"ctx":'), 400, INVALID),
        "not UTF-8": Case(call("plain", b"\xff\xfe\xfa"), 400, INVALID),
        "compressed, which no server does": Case(
            call("plain", b"\x1f\x8b\x08\x00", headers={"content-encoding": "gzip"}), 400, INVALID
        ),
        "deep JSON": Case(call("plain", b"[" * 200_000), 400, INVALID),
        "an array": Case(call("plain", b"[]"), 400, INVALID),
        "a wrong type": Case(call("plain", changed(attempt="x")), 400, wrong_type),
        "an event without a name": Case(
            call("plain", {**CALL, "event": {"data": {}}}), 400, nameless
        ),
        "an event whose data is a list": Case(
            call("aplain", {**CALL, "events": [{"name": "a", "data": []}]}), 400, INVALID
        ),
        "an event whose time is a text": Case(
            call("plain", {**CALL, "event": {**EVENT, "ts": "soon"}}), 400, INVALID
        ),
    }


def _methods() -> dict[str, Case]:
    names = ("DELETE", "PATCH", "TRACE", "OPTIONS")
    return {name.lower(): Case(Asked(name), 405, REFUSED) for name in names}


def cloud_cases() -> dict[str, Case]:
    """Requests in cloud mode, with the current and the previous key known."""
    in_band = {"app_id": "shop", "url": _FAR}
    asking = Asked("PUT", headers=_IN_BAND, body=f'{{"url":"{_FAR}"}}'.encode())
    return {
        "unsigned inspect": Case(Asked("GET"), 401, UNSIGNED),
        "signed inspect": Case(signed(Asked("GET")), 200, {"mode": "cloud", "app_id": "shop"}),
        "unsigned sync": Case(Asked("PUT"), 200, {"ok": True}),
        "in band": Case(signed(asking), 200, in_band),
        "in band, unsigned": Case(asking, 401, UNSIGNED),
        "trust probe": Case(signed(Asked(query="probe=trust")), 200, b"null"),
        "unsigned trust probe": Case(Asked(query="probe=trust"), 401, UNSIGNED),
        "delete": Case(Asked("DELETE"), 405, REFUSED),
        **_signed_calls(),
        **_forgeries(),
    }


def _signed_calls() -> dict[str, Case]:
    return {
        "signed call": Case(signed(call("plain")), 200, PLAIN),
        "signed call of an async function": Case(signed(call("aplain")), 200, PLAIN),
        "signed with the fallback": Case(signed(call("step"), FALLBACK), 206, STEPPED),
        "broken JSON, signed": Case(signed(call("plain", b"{")), 400, INVALID),
        "unknown function": Case(signed(call("nope")), 500, {"code": "function_not_found"}),
        "a body that a proxy has written anew": Case(_rewritten(), 200, PLAIN),
    }


def _rewritten() -> Asked:
    """A call whose signature is of its canonical form, as servers send it."""
    canonical = signed(
        call(
            "plain",
            b'{"ctx":{"attempt":0,"run_id":"r"},"event":{"data":{"n":1},'
            b'"name":"a/b"},"events":[{"data":{"n":1},"name":"a/b"}],"steps":{}}',
        )
    )
    spaced = canonical.body.replace(b",", b", ")
    return Asked(query=canonical.query, headers=canonical.headers, body=spaced)


def _forgeries() -> dict[str, Case]:
    of_another = signed(Asked(body=b"{}")).headers
    malformed = {"x-inngest-signature": "t=x&s=y"}
    return {
        "unsigned call": Case(call("plain"), 401, UNSIGNED),
        "signed with another key": Case(signed(call("plain"), "ffff"), 401, UNAUTHORIZED),
        "stale": Case(signed(call("plain"), age=310), 401, UNAUTHORIZED),
        "from the future": Case(signed(call("plain"), age=-330), 401, UNAUTHORIZED),
        "malformed signature": Case(call("plain", headers=malformed), 401, UNAUTHORIZED),
        "signature of another body": Case(call("plain", headers=of_another), 401, UNAUTHORIZED),
        "broken JSON": Case(call("plain", b"{", headers=of_another), 401, UNAUTHORIZED),
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
        return (
            isinstance(found, list)
            and len(found) == len(expected)
            and all(map(matches, found, expected))
        )
    return bool(found == expected)
