"""As middleware: what the server sees, and what the function does."""

from __future__ import annotations

import inspect
import json
import logging
from typing import Any

import inngest_encryption
import pytest
from inngest_core import ConfigError, Context, Event, Inngest, MiddlewareSync

from inngest_core_encryption import EncryptionMiddleware

from .sides import Ours, play
from .test_plugin import KEY, OLD, SECRET, opened, sealed


def ours(handler: Any, key: Any = KEY, **options: Any) -> Ours:
    return Ours({"f": handler}, middleware=[EncryptionMiddleware.factory(key, **options)])


def step(ctx: Any) -> Any:
    return ctx.step.run("a", lambda: SECRET)


def test_outputs_of_steps_and_functions_are_sealed_and_opened() -> None:
    _, (op,) = play(ours(step))
    assert opened(op["data"]) == SECRET
    assert opened(play(ours(step), steps={"a": {"data": op["data"]}})[1]) == SECRET


def test_an_async_function_is_served_alike() -> None:
    async def handler(ctx: Context) -> str:
        return await ctx.step.run("a", lambda: SECRET)

    _, (op,) = play(ours(handler))
    assert opened(op["data"]) == SECRET
    assert opened(play(ours(handler), steps={"a": {"data": op["data"]}})[1]) == SECRET


def test_with_checkpointing_the_function_never_sees_what_is_sealed() -> None:
    def handler(ctx: Any) -> Any:
        return ctx.step.run("b", lambda found: found, ctx.step.run("a", lambda: SECRET))

    found = Ours({"f": handler}, middleware=[EncryptionMiddleware.factory(KEY)], checkpoint=True)
    _, (op,) = play(found, fn_id="f", attempt=0)
    assert (op["displayName"], opened(op["data"])) == ("a", SECRET)


def test_of_what_another_function_is_invoked_with_one_field_is_sealed() -> None:
    data = {"encrypted": SECRET, "open": 1}

    def handler(ctx: Any) -> None:
        ctx.step.invoke_by_id("i", function_id="g", data=data)

    sent = play(ours(handler))[1][0]["opts"]["payload"]["data"]
    assert (opened(sent["encrypted"]), sent["open"]) == (SECRET, 1)
    assert data == {"encrypted": SECRET, "open": 1}


def test_of_what_another_function_is_deferred_with_too() -> None:
    def handler(ctx: Any) -> None:
        ctx.step.defer("d", function_id="g", data={"encrypted": SECRET})

    (deferral, _) = play(ours(handler))[1]
    assert opened(deferral["opts"]["input"]["encrypted"]) == SECRET


def test_events_that_start_a_run_and_those_waited_for_are_opened() -> None:
    def handler(ctx: Any) -> Any:
        event = ctx.step.wait_for_event("w", event="x", timeout=1000)
        return [ctx.event.data, ctx.events[0].data, event.data]

    memo = {"name": "x", "id": "i", "ts": 1, "data": {"encrypted": sealed(2)}}
    found = play(ours(handler), data={"other": sealed(1)}, steps={"w": memo})[1]
    assert opened(found) == [{"other": 1}, {"other": 1}, {"encrypted": 2}]


def test_events_are_sealed_on_their_way_and_stay_what_they_were() -> None:
    seen: list[Event] = []

    class Behind(MiddlewareSync):
        def before_send_events(self, events: list[Event]) -> None:
            seen.extend(events)
            raise LookupError

    factory = EncryptionMiddleware.factory(KEY)
    client = Inngest(app_id="shop", is_production=False, middleware=[factory, Behind])
    event = Event(name="a", data={"encrypted": SECRET, "open": 1})
    with pytest.raises(Exception, match="Behind"):
        client.send_sync(event)
    assert opened(seen[0].data["encrypted"]) == SECRET
    assert event.data == {"encrypted": SECRET, "open": 1}


@pytest.mark.parametrize("key", [KEY, OLD])
def test_fallback_keys_only_decrypt(key: str) -> None:
    found = ours(step, fallback_decryption_keys=[OLD])
    assert opened(play(found, steps={"a": {"data": sealed(1, key)}})[1]) == 1


def test_with_decrypt_only_nothing_is_encrypted() -> None:
    found = ours(step, decrypt_only=True)
    assert play(found, steps={"a": {"data": sealed(1)}})[1] == 1
    assert play(found)[1][0]["data"] == SECRET


def test_an_error_stays_an_error() -> None:
    def handler(ctx: Any) -> Any:
        with pytest.raises(Exception, match="broken"):
            step(ctx)

    memo = {"error": {"name": "ValueError", "message": "broken"}}
    assert opened(play(ours(handler), steps={"a": memo})[1]) is None


def test_a_wrong_key_fails_the_call_and_shows_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        status, error = play(ours(step), steps={"a": {"data": sealed(SECRET, OLD)}})
    assert status == 500
    assert "step 86f7" in error["message"]
    assert "none of the keys" in error["message"]
    shown = json.dumps(error) + caplog.text
    assert not any(secret in shown for secret in (KEY, OLD, SECRET))


def test_what_is_not_json_is_refused_by_its_step() -> None:
    status, error = play(ours(lambda ctx: ctx.step.run("a", object)))
    assert (status, error["message"]) == (500, '"a" returned unserializable data')


def test_no_key_is_refused_when_the_middleware_is_named() -> None:
    with pytest.raises(ConfigError, match="key: it is empty"):
        EncryptionMiddleware.factory("")
    with pytest.raises(ConfigError, match=r"fallback_keys\[0\]"):
        EncryptionMiddleware.factory(KEY, fallback_decryption_keys=[b"zz"])


def test_a_short_key_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    EncryptionMiddleware.factory("hunter2")
    assert "can be guessed" in caplog.text
    assert "hunter2" not in caplog.text


def test_an_instance_shows_no_key() -> None:
    client = Inngest(app_id="shop", is_production=False)
    made = EncryptionMiddleware.factory(KEY)(client, None)
    assert KEY not in repr(made) + repr(vars(made))


@pytest.mark.parametrize("name", ["__init__", "factory"])
def test_the_signature_is_the_official_one(name: str) -> None:
    mine = inspect.signature(getattr(EncryptionMiddleware, name)).parameters
    theirs = inspect.signature(getattr(inngest_encryption.EncryptionMiddleware, name)).parameters
    assert [(one.name, one.kind, one.default) for one in mine.values()] == [
        (one.name, one.kind, one.default) for one in theirs.values()
    ]
