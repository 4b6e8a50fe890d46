"""As a plugin: there is a cipher where there are options, and only there."""

from __future__ import annotations

import json
import logging
import traceback
from typing import Any

import pytest
from inngest_core import ConfigError, Event, Inngest, hookimpl
from inngest_core.wire.http import HttpRequest, HttpResponse

from inngest_core_encryption import SecretBoxCipher, plugin

from .sides import Ours, play

KEY = "a secret that is long enough"
OLD = "the secret of the year before"
SECRET = "the patient is well"


def opened(found: Any, key: str = KEY) -> Any:
    """The value that the server does not see."""
    assert found["__ENCRYPTED__"] is True
    assert found["__STRATEGY__"] == "inngest/libsodium"
    return json.loads(SecretBoxCipher(key).decrypt(found["data"]))


def sealed(value: Any, key: str = KEY) -> dict[str, Any]:
    text = SecretBoxCipher(key).encrypt(json.dumps(value).encode())
    return {"__ENCRYPTED__": True, "__STRATEGY__": "inngest/libsodium", "data": text}


def ours(**options: Any) -> Ours:
    """A client with the plugin as it is installed, and a function of one step."""
    handlers = {"f": lambda ctx: ctx.step.run("a", lambda: SECRET)}
    return Ours(handlers, options={"encryption": options} if options else None)


def test_it_is_found_and_encrypts_where_it_has_a_key() -> None:
    _, (op,) = play(ours(key=KEY))
    assert opened(op["data"]) == SECRET
    assert opened(play(ours(key=KEY), steps={"a": {"data": op["data"]}})[1]) == SECRET


def test_installed_is_not_active() -> None:
    _, (op,) = play(ours())
    assert op["data"] == SECRET


def test_it_may_be_given_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNGEST_LOAD_PLUGINS", "")
    found = Ours({"f": lambda ctx: 1}, plugins=[plugin], options={"encryption": {"key": KEY}})
    assert opened(play(found)[1]) == 1


def test_the_environment_may_hold_the_options(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNGEST_OPTIONS__ENCRYPTION__KEY", KEY)
    monkeypatch.setenv("INNGEST_OPTIONS__ENCRYPTION__FALLBACK_KEYS", OLD)
    memo = {"data": sealed(SECRET, OLD)}
    assert opened(play(ours(), steps={"a": memo})[1]) == SECRET
    monkeypatch.setenv("INNGEST_OPTIONS__ENCRYPTION__DECRYPT_ONLY", "true")
    assert play(ours(), steps={"a": memo})[1] == SECRET


def test_keys_are_rotated_by_fallback_keys() -> None:
    rotated = ours(key=KEY, fallback_keys=[OLD])
    assert opened(play(rotated, steps={"a": {"data": sealed(1, OLD)}})[1]) == 1


def test_with_decrypt_only_nothing_is_encrypted_any_more() -> None:
    found = ours(key=KEY, decrypt_only=True)
    assert play(found, steps={"a": {"data": sealed(1)}})[1] == 1
    assert play(found)[1][0]["data"] == SECRET


def test_the_field_of_events_may_have_another_name() -> None:
    handlers = {
        "f": lambda ctx: ctx.step.invoke_by_id("i", function_id="g", data={"private": 1, "open": 2})
    }
    found = Ours(handlers, options={"encryption": {"key": KEY, "event_field": "private"}})
    data = play(found)[1][0]["opts"]["payload"]["data"]
    assert (opened(data["private"]), data["open"]) == (1, 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kye": KEY}, 'no option "kye"; did you mean "key"?'),
        ({"key": KEY, "colour": 1}, "there are decrypt_only, event_field, fallback_keys, key"),
        ({}, "the key is missing; give Inngest"),
        ({"fallback_keys": [KEY]}, "the key is missing; give Inngest"),
        ({"key": ""}, "options for encryption: key: it is empty"),
        ({"key": KEY, "decrypt_only": "perhaps"}, "decrypt_only: expected true or false"),
        ({"key": KEY, "decrypt_only": 1.5}, "decrypt_only: expected true or false"),
        ({"key": KEY, "fallback_keys": 7}, "fallback_keys: expected a list of keys, got int"),
        ({"key": b"short"}, "as bytes a key is the hex text"),
    ],
)
def test_wrong_options_stop_the_client_and_show_no_key(
    options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        Inngest(app_id="shop", is_production=False, options={"encryption": options})
    assert message in str(caught.value)
    assert KEY not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(("key", "warned"), [("hunter2", True), ("x" * 15, True), (KEY, False)])
def test_a_short_key_is_told_of_once_and_not_shown(
    key: str, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    found = ours(key=key)
    play(found)
    play(found)
    lines = [record.getMessage() for record in caplog.records if "can be guessed" in record.message]
    assert len(lines) == int(warned)
    assert key not in caplog.text


def test_nothing_shows_a_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        found = ours(key=KEY, fallback_keys=[OLD])
        status, error = play(found, steps={"a": {"data": sealed(1, "a key of nobody here")}})
    shown = [repr(found.client), repr(found.client.config), str(vars(found.client)), caplog.text]
    assert not any(key in text for key in (KEY, OLD) for text in [*shown, json.dumps(error)])
    assert status == 500
    assert "step 86f7" in error["message"]


class Nowhere:
    """A transport that keeps what it is given, and the plugin that brings it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    def send(self, request: HttpRequest) -> HttpResponse:
        self.bodies.append(request.body)
        return HttpResponse(200, {}, b'{"ids":["1"],"status":200}')

    def close(self) -> None: ...

    @hookimpl
    def inngest_transport(self, kind: str) -> Any:
        return self if kind == "blocking" else None


def test_events_are_sealed_where_middleware_is_skipped_too() -> None:
    nowhere = Nowhere()
    client = Inngest(
        app_id="shop",
        is_production=False,
        plugins=[nowhere],
        options={"encryption": {"key": KEY}},
    )
    client.send_sync(Event(name="a", data={"encrypted": SECRET, "open": 1}), skip_middleware=True)
    ((sent,),) = map(json.loads, nowhere.bodies)
    assert opened(sent["data"]["encrypted"]) == SECRET
    assert sent["data"]["open"] == 1
