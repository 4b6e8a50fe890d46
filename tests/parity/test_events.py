"""The same web events of DigitalOcean, handed to the `main` of each package: the same replies."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import pytest

from .differences import expected_of
from .kits import KITS, Kit
from .test_doors import CLOUD, DEV, SHOWN, call_body, signature

CONTEXT = SimpleNamespace(api_host="https://faas.test", function_name="/fn-1/sample/shop")
RESULTS: dict[str, Any] = {
    "object": {"b": 1, "a": [None, "é"]},
    "array": [1, {"c": 2}],
    "text": "done",
    "null": None,
    "number": 7,
}
HEADERS = {
    "content-type": "application/json",
    "x-inngest-expected-server-kind": "dev",
    "x-inngest-framework": "digitalocean",
    "x-inngest-req-version": "2",
}


def event(method: str, query: str = "", body: bytes = b"", **headers: str) -> dict[str, Any]:
    """Make the raw event of a request."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    http = {"headers": named, "method": method, "path": "", "queryString": query}
    return {"http": {**http, "body": body.decode()}}


def replied(kit: Kit, handed: Mapping[str, Any], **client: Any) -> dict[str, Any]:
    """What the `main` of a package returns."""
    made = kit.inngest.Inngest(app_id="shop", **(client or DEV))
    trigger = kit.inngest.TriggerEvent(event="a")
    functions = [
        made.create_function(fn_id=name, trigger=trigger)(lambda ctx, value=value: value)
        for name, value in RESULTS.items()
    ]
    found: dict[str, Any] = kit.serve("digitalocean")(made, functions)(handed, CONTEXT)
    return found


def read(body: Any) -> Any:
    """The body as it arrives: what is no object and no array may be in base64."""
    try:
        return json.loads(base64.b64decode(body, validate=True))
    except (TypeError, ValueError):
        return body


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
@pytest.mark.parametrize("result", RESULTS)
def test_a_result_is_returned(kit: Kit, result: str) -> None:
    reply = replied(kit, event("POST", f"fnId=shop-{result}&stepId=step", call_body()))
    assert reply["statusCode"] == 200
    assert read(reply["body"]) == RESULTS[result]
    assert {name: reply["headers"].get(name) for name in HEADERS} == HEADERS
    assert set(reply["headers"]) & set(SHOWN) == set(HEADERS)


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
def test_objects_and_arrays_are_handed_over_as_such(kit: Kit) -> None:
    for result in ("object", "array"):
        reply = replied(kit, event("POST", f"fnId=shop-{result}&stepId=step", call_body()))
        assert reply["body"] == RESULTS[result]
    inspected = replied(kit, event("GET"))["body"]
    assert (inspected["mode"], inspected["function_count"]) == ("dev", len(RESULTS))


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
def test_a_signed_event_is_answered_signed(kit: Kit) -> None:
    body = call_body()
    handed = event("POST", "fnId=shop-array&stepId=step", body, x_inngest_signature=signature(body))
    reply = replied(kit, handed, **CLOUD)
    assert reply["statusCode"] == 200
    assert read(reply["body"]) == RESULTS["array"]
    stamp = reply["headers"]["x-inngest-signature"].partition("&")[0]
    assert abs(int(stamp.removeprefix("t=")) - time.time()) < 60


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
def test_an_unsigned_event_is_refused(kit: Kit) -> None:
    handed = event("POST", "fnId=shop-array&stepId=step", call_body())
    reply = replied(kit, handed, **CLOUD)
    assert reply["statusCode"] == 401
    assert read(reply["body"])["message"] == "Unauthorized"


REFUSED: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "an event without http": ({}, {"status": 400, "code": "body_invalid"}),
    "an event without headers": (
        {"http": {"method": "GET", "queryString": ""}},
        {"status": 400, "code": "body_invalid"},
    ),
    "an event that was parsed": (
        {"http": {"headers": {}, "method": "POST", "path": ""}, "fnId": "shop-object"},
        {"status": 400, "code": "body_invalid"},
    ),
    "an event of no function": (
        event("POST", "", call_body()),
        {"status": 400, "code": "query_param_missing"},
    ),
    "an event of an unknown function": (
        event("POST", "fnId=shop-none&stepId=step", call_body()),
        {"status": 500, "code": "function_not_found"},
    ),
    "an event of another method": (
        event("DELETE"),
        {"status": 405, "code": "method_not_allowed"},
    ),
}


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
@pytest.mark.parametrize("name", REFUSED)
def test_an_event_is_refused(kit: Kit, name: str) -> None:
    handed, facts = REFUSED[name]
    reply = replied(kit, handed)
    found = {"status": reply["statusCode"], "code": read(reply["body"])["code"]}
    assert found == expected_of(kit, name, facts)
