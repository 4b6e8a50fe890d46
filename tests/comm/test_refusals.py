"""What the door answers where a router could not refuse to be built, and what nobody may learn."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import pytest

import inngest_core as inngest

from ..flow.wiring import (
    KEY,
    NOW,
    ask,
    call_of,
    client_of,
    cloud_client,
    document,
    request_of,
    served,
)

TRIGGER = inngest.TriggerEvent(event="a/b")


def with_function(client: inngest.Inngest) -> inngest.Inngest:
    client.create_function(fn_id="f", trigger=TRIGGER)(lambda ctx: "done")
    return client


@pytest.mark.parametrize("request_", [request_of("GET"), request_of("PUT"), call_of("shop-f")])
def test_without_a_signing_key_the_cloud_gets_a_500_that_says_so(request_: Any) -> None:
    client = with_function(cloud_client(signing_key=None))
    response = ask(client, request_)
    assert response.status == 500
    assert document(response)["code"] == "signing_key_unspecified"
    assert "INNGEST_SIGNING_KEY" in document(response)["message"]
    assert "x-inngest-signature" not in response.headers


@pytest.mark.parametrize("name", ["INNGEST_SIGNING_KEY", "INNGEST_SIGNING_KEY_FALLBACK"])
def test_a_malformed_key_is_refused_before_anything_is_served(name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(name, "signkey-prod-top-secret")
        client = cloud_client(signing_key=None if name == "INNGEST_SIGNING_KEY" else KEY)
    with pytest.raises(inngest.ConfigError) as raised:
        served(client).require_key()
    assert "top-secret" not in repr(raised.value)


def test_the_clock_of_the_machine_is_asked_at_each_request() -> None:
    client = with_function(cloud_client())
    request = call_of("shop-f", key=KEY)
    assert ask(client, request).status == 200
    client.engine.home.clock = lambda: NOW + 600
    assert ask(client, request).status == 401


def test_an_unauthorized_outsider_learns_nothing_and_the_log_tells_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING, "inngest"):
        response = ask(cloud_client(), call_of("shop-f", key="ffff"))
    assert document(response) == {"code": "sig_verification_failed", "message": "Unauthorized"}
    assert "does not match any of our signing keys" in caplog.text
    assert KEY.rpartition("-")[2] not in caplog.text


@pytest.mark.parametrize("method", ["DELETE", "get", ""])
def test_other_methods_are_refused_on_either_side(method: str) -> None:
    door = served(client_of())
    for response in (
        door.answer_sync(request_of(method)),
        asyncio.run(door.answer(request_of(method))),
    ):
        assert response.status == 405
        assert response.headers["allow"] == "GET, HEAD, POST, PUT"


def test_head_is_answered_as_get_without_its_body() -> None:
    door = served(client_of())
    get = door.answer_sync(request_of("GET"))
    for head in (
        door.answer_sync(request_of("HEAD")),
        asyncio.run(door.answer(request_of("HEAD"))),
    ):
        assert (head.status, head.body) == (200, b"")
        assert head.headers["content-length"] == str(len(get.body))
        assert head.headers.keys() - get.headers.keys() == {"content-length"}


def test_a_bug_of_a_plugin_is_told_by_its_name() -> None:
    class Odd:
        @inngest.hookimpl
        def inngest_transport(self, kind: str) -> Any:
            raise ZeroDivisionError("plugin bug")

    client = inngest.Inngest(app_id="shop", is_production=False, plugins=[Odd()])
    response = ask(client, request_of("PUT"))
    assert response.status == 500
    assert document(response)["message"] == (
        'plugin "test_a_bug_of_a_plugin_is_told_by_its_name.<locals>.Odd" failed in '
        "inngest_transport: ZeroDivisionError: plugin bug"
    )


def test_the_limit_of_the_body_is_the_doors() -> None:
    client = with_function(client_of())
    door = served(client, max_body=1000)
    assert door.max_body == 1000
    response = door.answer_sync(request_of("POST", b" " * 1001, query={"fnId": "shop-f"}))
    assert response.status == 413
    assert document(response) == {
        "code": "body_too_large",
        "message": "the body has 1001 bytes; this endpoint reads at most 1000",
        "name": "BodyError",
    }
