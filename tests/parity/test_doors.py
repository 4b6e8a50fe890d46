"""What comes out of an app's one address: introspection, sync, probes, signatures, replies."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from tests.contrib.devserver.live import Call, Reply, stand_in

from .adapters import ADAPTERS, WIRE_NAMES
from .differences import expected_of
from .kits import KITS, Kit

KEY = "signkey-test-0123456789abcdef0123456789abcdef"
OTHER = "signkey-test-fedcba9876543210fedcba9876543210"
CLOUD = {"is_production": True, "signing_key": KEY, "event_key": "demo-event-key"}
DEV = {"is_production": False}
SHOWN = (
    "content-type",
    "x-inngest-expected-server-kind",
    "x-inngest-framework",
    "x-inngest-no-retry",
    "x-inngest-req-version",
    "x-inngest-sync-kind",
)


def signature(body: bytes, *, key: str = KEY, at: int | None = None) -> str:
    """Sign as the server does."""
    stamp = str(int(time.time()) if at is None else at)
    secret = key.removeprefix("signkey-test-").encode()
    return f"t={stamp}&s={hmac.new(secret, body + stamp.encode(), hashlib.sha256).hexdigest()}"


def call_body(**ctx: Any) -> bytes:
    """The body of a first call, canonical as the server writes it."""
    event = {"data": {}, "id": "e1", "name": "a", "ts": 1700000000000, "user": {}}
    context = {
        "attempt": 0,
        "disable_immediate_execution": False,
        "env": "",
        "fn_id": "3fb99263-83df-5fa5-b9bd-c1b658ecc15b",
        "run_id": "01M81CV4SR9WGEDKMNJWE4XNQ5",
        "stack": {"current": 0, "stack": []},
        "step_id": "step",
        "use_api": False,
        **ctx,
    }
    body = {
        "ctx": context,
        "event": event,
        "events": [event],
        "steps": {},
        "use_api": False,
        "version": -1,
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


@dataclass(frozen=True)
class Case:
    """A request, and what must be answered."""

    facts: Mapping[str, Any]
    method: str = "POST"
    path: str = "/api/inngest?fnId=shop-fn&stepId=step"
    client: Mapping[str, Any] = field(default_factory=lambda: DEV)
    serve: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    sign: Callable[[bytes], str] | None = None
    adapters: tuple[str, ...] = tuple(ADAPTERS)
    variables: Mapping[str, str] = field(default_factory=dict)


IN_BAND = {"x-inngest-sync-kind": "in_band", "x-inngest-server-kind": "cloud"}
AT = "/api/inngest"
UNAUTHORIZED = {"message": "Unauthorized"}
CASES: dict[str, Case] = {
    "introspection in dev mode": Case(
        {
            "status": 200,
            "body": {
                "function_count": 1,
                "has_event_key": False,
                "has_signing_key": False,
                "has_signing_key_fallback": False,
                "mode": "dev",
                "schema_version": "2024-05-24",
            },
        },
        method="GET",
        path=AT,
    ),
    "introspection in cloud mode": Case(
        {
            "status": 200,
            "body": {
                "api_origin": "https://api.inngest.com/",
                "app_id": "shop",
                "authentication_succeeded": True,
                "capabilities": {"connect": "v1", "in_band_sync": "v1", "trust_probe": "v1"},
                "env": None,
                "event_api_origin": "https://inn.gs/",
                "event_key_hash": hashlib.sha256(b"demo-event-key").hexdigest(),
                "framework": "<adapter>",
                "function_count": 1,
                "has_event_key": True,
                "has_signing_key": True,
                "has_signing_key_fallback": False,
                "mode": "cloud",
                "schema_version": "2024-05-24",
                "sdk_language": "py",
                "serve_origin": None,
                "serve_path": None,
                "signing_key_fallback_hash": None,
                "signing_key_hash": hashlib.sha256(
                    bytes.fromhex("0123456789abcdef0123456789abcdef")
                ).hexdigest(),
            },
        },
        method="GET",
        path=AT,
        client=CLOUD,
        sign=signature,
    ),
    "unsigned introspection in cloud mode": Case(
        {"status": 401, "message": "Unauthorized"}, method="GET", path=AT, client=CLOUD
    ),
    "trust probe": Case(
        {"status": 200, "body": None, "signed": True},
        path=f"{AT}?probe=trust",
        client=CLOUD,
        sign=signature,
    ),
    "unsigned trust probe": Case(
        {"status": 401, "message": "Unauthorized"}, path=f"{AT}?probe=trust", client=CLOUD
    ),
    "trust probe in dev mode": Case(
        {"status": 200, "body": None, "signed": False}, path=f"{AT}?probe=trust"
    ),
    "in-band sync": Case(
        {"status": 200, "signed": True, "synced": ["fn"]},
        method="PUT",
        path=AT,
        client=CLOUD,
        body=b'{"url":"https://shop.test/api/inngest"}',
        headers=IN_BAND,
        sign=signature,
    ),
    "unsigned in-band sync": Case(
        {"status": 401, "message": "Unauthorized"},
        method="PUT",
        path=AT,
        client=CLOUD,
        body=b'{"url":"https://shop.test/api/inngest"}',
        headers=IN_BAND,
    ),
    "sync of a dev server in cloud mode": Case(
        {"status": 400, "code": "server_kind_mismatch"},
        method="PUT",
        path=AT,
        client=CLOUD,
        headers={"x-inngest-server-kind": "dev"},
    ),
    "a call in dev mode": Case(
        {
            "status": 200,
            "body": {"ok": True},
            "signed": False,
            "headers": {
                "content-type": "application/json",
                "x-inngest-expected-server-kind": "dev",
                "x-inngest-framework": "<adapter>",
                "x-inngest-req-version": "2",
            },
        },
        body=call_body(),
    ),
    "a signed call in cloud mode": Case(
        {"status": 200, "body": {"ok": True}, "signed": True},
        client=CLOUD,
        body=call_body(),
        sign=signature,
    ),
    "an unsigned call in cloud mode": Case(
        {"status": 401, "message": "Unauthorized"}, client=CLOUD, body=call_body()
    ),
    "a call signed with another key": Case(
        {"status": 401, "message": "Unauthorized"},
        client=CLOUD,
        body=call_body(),
        sign=lambda body: signature(body, key=OTHER),
    ),
    "a call signed an hour ago": Case(
        {"status": 401},
        client=CLOUD,
        body=call_body(),
        sign=lambda body: signature(body, at=int(time.time()) - 3600),
    ),
    "a call signed with the fallback key": Case(
        {"status": 200, "body": {"ok": True}},
        client=CLOUD,
        variables={"INNGEST_SIGNING_KEY_FALLBACK": OTHER},
        body=call_body(),
        sign=lambda body: signature(body, key=OTHER),
    ),
    "a sync that must be signed": Case(
        {"status": 401, "message": "Unauthorized"},
        method="PUT",
        path=AT,
        client=CLOUD,
        serve={"enable_unauthed_sync": False},
    ),
    "a sync that must be signed, by a variable": Case(
        {"status": 401, "message": "Unauthorized"},
        method="PUT",
        path=AT,
        client=CLOUD,
        variables={"INNGEST_ENABLE_UNAUTHED_SYNC": "false"},
    ),
    "streaming by a variable": Case(
        {"status": 201, "streamed": {"status": 200, "body": {"ok": True}}},
        path=f"{AT}?fnId=shop-awaited&stepId=step",
        variables={"INNGEST_STREAMING": "force"},
        body=call_body(),
        adapters=("fastapi",),
    ),
    "a call with half a signature": Case(
        {"status": 401},
        client=CLOUD,
        body=call_body(),
        headers={"x-inngest-signature": "t=1700000000"},
    ),
    "a call with a timestamp that is none": Case(
        {"status": 401},
        client=CLOUD,
        body=call_body(),
        headers={"x-inngest-signature": "t=soon&s=00"},
    ),
    "a call of a function that is not there": Case(
        {
            "status": 500,
            "code": "function_not_found",
            "message": "function shop-nothing not found",
            "name": "FunctionNotFoundError",
        },
        path=f"{AT}?fnId=shop-nothing&stepId=step",
        body=call_body(),
    ),
    "a call of no function": Case(
        {"status": 400, "code": "query_param_missing"}, path=AT, body=call_body()
    ),
    "a call without a body": Case({"status": 400, "code": "body_invalid"}),
    "a call with a body that is no JSON": Case(
        {"status": 400, "code": "body_invalid"}, body=b"{nonsense"
    ),
    "a step that is not reached": Case(
        {"status": 500, "code": "step_unexpected", "name": "StepUnexpectedError"},
        path=f"{AT}?fnId=shop-stepped&stepId={'0' * 40}",
        body=call_body(),
    ),
    "a streamed reply": Case(
        {"status": 201, "streamed": {"status": 200, "body": {"ok": True}}},
        path=f"{AT}?fnId=shop-awaited&stepId=step",
        serve={"streaming": "FORCE"},
        body=call_body(),
        adapters=("fastapi",),
    ),
    "a streamed reply of a blocking function": Case(
        {"status": 201, "streamed": {"status": 200, "body": {"ok": True}}},
        serve={"streaming": "FORCE"},
        body=call_body(),
        adapters=("fastapi",),
    ),
    "an address with a slash at its end": Case(
        {"status": 200, "body": {"ok": True}},
        path=f"{AT}/?fnId=shop-fn&stepId=step",
        body=call_body(),
    ),
}


async def _awaited(ctx: Any) -> Any:
    return {"ok": True}


@contextmanager
def served(kit: Kit, adapter: str, case: Case) -> Iterator[str]:
    """Serve two functions."""
    inngest = kit.inngest
    options = dict(case.client)
    client = inngest.Inngest(app_id="shop", **options)
    trigger = inngest.TriggerEvent(event="a")
    one = client.create_function(fn_id="fn", trigger=trigger)(lambda ctx: {"ok": True})
    two = client.create_function(fn_id="stepped", trigger=trigger)(
        lambda ctx: ctx.step.run("a", lambda: 1)
    )
    functions = [one, two] if case.method == "POST" else [one]
    if case.adapters == ("fastapi",):
        functions.append(client.create_function(fn_id="awaited", trigger=trigger)(_awaited))
    serve = dict(case.serve)
    if "streaming" in serve:
        serve["streaming"] = inngest.Streaming[serve["streaming"]]
    with ADAPTERS[adapter](kit.serve(adapter), client, functions, **serve) as origin:
        yield origin


def asked(kit: Kit, adapter: str, case: Case) -> httpx.Response:
    headers = {"content-type": "application/json", **case.headers}
    if case.sign:
        headers["x-inngest-signature"] = case.sign(case.body)
    with served(kit, adapter, case) as origin:
        return httpx.request(
            case.method, origin + case.path, content=case.body, headers=headers, trust_env=False
        )


def facts_of(response: httpx.Response, names: Mapping[str, Any]) -> dict[str, Any]:
    """Tell what a case asks for."""
    found: dict[str, Any] = {"status": response.status_code}
    document = _document(response)
    for name in names:
        if name == "body":
            found[name] = _steady(document)
        elif name == "signed":
            found[name] = _is_signed(response)
        elif name == "headers":
            found[name] = {key: response.headers[key] for key in SHOWN if key in response.headers}
        elif name == "streamed":
            found[name] = {"status": document.get("status"), "body": _loaded(document.get("body"))}
        elif name == "synced":
            found[name] = [one["name"] for one in document["functions"]]
        elif name != "status":
            found[name] = document.get(name) if isinstance(document, dict) else None
    return found


def _document(response: httpx.Response) -> Any:
    try:
        return response.json()
    except ValueError:
        return None


def _loaded(body: Any) -> Any:
    """The body in the last chunk of a stream: JSON, or as well the text of it."""
    return json.loads(body) if isinstance(body, str) else body


def _steady(document: Any) -> Any:
    if isinstance(document, dict):
        return {key: value for key, value in document.items() if key != "sdk_version"}
    return document


def _is_signed(response: httpx.Response) -> bool:
    header = response.headers.get("x-inngest-signature")
    if header is None:
        return False
    stamp = int(header.partition("&")[0].removeprefix("t="))
    assert header == signature(response.content, at=stamp)
    return True


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
@pytest.mark.parametrize(
    ("name", "adapter"),
    [(name, adapter) for name, case in CASES.items() for adapter in case.adapters],
)
def test_a_request_is_answered(
    kit: Kit, name: str, adapter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    for variable, value in case.variables.items():
        monkeypatch.setenv(variable, value)
    response = asked(kit, adapter, case)
    expected = json.loads(
        json.dumps(
            expected_of(kit, f"{name} on {adapter}", expected_of(kit, name, case.facts))
        ).replace("<adapter>", WIRE_NAMES[adapter])
    )
    assert facts_of(response, case.facts) == expected, response.text


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_refused_registration_is_told(kit: Kit, adapter: str) -> None:
    def refuse(call: Call) -> Reply:
        return Reply(400, {"error": "no"})

    with stand_in(refuse) as server:
        origin = server.url.removesuffix(AT)
        case = Case({}, method="PUT", path=AT, client={**DEV, "api_base_url": origin})
        response = asked(kit, adapter, case)
    wanted = expected_of(kit, "a refused registration", {"status": 500})
    assert response.status_code == wanted["status"], response.text


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_a_call_is_timed(kit: Kit, adapter: str) -> None:
    timing = asked(kit, adapter, CASES["a call in dev mode"]).headers["server-timing"]
    parts = dict(one.split(";dur=") for one in timing.split(", "))
    names = {"comm_handler", "function", "mw.transform_input", "mw.transform_output"}
    assert names <= set(parts)
    assert all(value.isdigit() for value in parts.values())
