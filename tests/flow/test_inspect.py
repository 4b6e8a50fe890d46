"""Introspection: who sees what, and no key in it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from inngest_core import Inngest, TriggerEvent
from inngest_core.version import VERSION

from .wiring import EVENT_KEY, FALLBACK, KEY, ask, client_of, cloud_client, document, request_of

HASH = "223e0a160af9da0a03e6dd2c4719c56f5d66a633cbe84e78aaa9f3735865522a"


def with_function(client: Inngest) -> Inngest:
    client.create_function(fn_id="f", trigger=TriggerEvent(event="a/b"))(lambda ctx: None)
    return client


def test_in_dev_mode_anyone_sees_the_short_document() -> None:
    response = ask(with_function(client_of()), request_of("GET"))
    assert response.status == 200
    assert document(response) == {
        "schema_version": "2024-05-24",
        "function_count": 1,
        "has_event_key": False,
        "has_signing_key": False,
        "has_signing_key_fallback": False,
        "mode": "dev",
    }
    assert "x-inngest-signature" not in response.headers


def test_in_the_cloud_a_signed_request_sees_everything_with_hashes_for_keys() -> None:
    client = with_function(cloud_client(env="branch"))
    response = ask(client, request_of("GET", key=KEY))
    assert response.status == 200
    assert document(response) == {
        "schema_version": "2024-05-24",
        "api_origin": "https://api.inngest.com/",
        "app_id": "shop",
        "authentication_succeeded": True,
        "capabilities": {"connect": "v1", "in_band_sync": "v1", "trust_probe": "v1"},
        "env": "branch",
        "event_api_origin": "https://inn.gs/",
        "event_key_hash": "3822ae64221566e44db8ef091f0fdcc5770a14f2eb3ef578047639c89db5a6e6",
        "framework": "flask",
        "function_count": 1,
        "has_event_key": True,
        "has_signing_key": True,
        "has_signing_key_fallback": False,
        "mode": "cloud",
        "sdk_language": "py",
        "sdk_version": VERSION,
        "serve_origin": None,
        "serve_path": None,
        "signing_key_fallback_hash": None,
        "signing_key_hash": HASH,
    }
    assert "x-inngest-signature" in response.headers


def test_serve_options_and_variables_are_shown() -> None:
    response = ask(cloud_client(), request_of("GET", key=KEY), serve_origin="a.b", serve_path="/x")
    shown = document(response)
    assert (shown["serve_origin"], shown["serve_path"]) == ("https://a.b", "/x")


@pytest.mark.parametrize("key", [None, "signkey-test-ffff"])
def test_in_the_cloud_others_see_nothing(key: str | None) -> None:
    response = ask(cloud_client(), request_of("GET", key=key))
    assert response.status == 401
    code = "header_missing" if key is None else "sig_verification_failed"
    assert document(response) == {"code": code, "message": "Unauthorized"}
    assert set(response.headers) == {"content-type"}


@pytest.mark.parametrize(("kind", "client"), [("cloud", client_of()), ("dev", cloud_client())])
def test_the_wrong_kind_of_server_is_refused(kind: str, client: Any) -> None:
    response = ask(client, request_of("GET", headers={"x-inngest-server-kind": kind}, key=KEY))
    assert (response.status, document(response)) == (403, {})


def test_no_key_is_shown() -> None:
    client = cloud_client(signing_key_fallback=FALLBACK)
    shown = json.dumps(document(ask(client, request_of("GET", key=FALLBACK))))
    for secret in (KEY, FALLBACK, EVENT_KEY, KEY.rpartition("-")[2], FALLBACK.rpartition("-")[2]):
        assert secret not in shown
