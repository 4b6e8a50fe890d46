"""
Beside the official package: each reads what the other wrote, and runs change hands between them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import inngest_encryption
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inngest_contrib.devserver import DevServer

from inngest_core_encryption import EncryptionMiddleware

from .sides import Official, Ours, play
from .stage import Stage, ended, served

KEY = "a secret that is long enough"
HEX = b"00112233445566778899aabbccddeeff" * 2
OLD = "the secret of the year before"
SECRET = "the patient is well"


def official(handlers: Any, key: Any, **options: Any) -> Official:
    factory = inngest_encryption.EncryptionMiddleware.factory
    return Official(handlers, middleware=[factory(key, **_theirs(options))], **_where(options))


def plugin(handlers: Any, key: Any, **options: Any) -> Ours:
    return Ours(
        handlers, options={"encryption": {"key": key, **_plain(options)}}, **_where(options)
    )


def middleware(handlers: Any, key: Any, **options: Any) -> Ours:
    factory = EncryptionMiddleware.factory
    return Ours(handlers, middleware=[factory(key, **_theirs(options))], **_where(options))


def _where(options: dict[str, Any]) -> dict[str, Any]:
    url = options.get("url")
    return {"api_base_url": url, "event_api_base_url": url} if url else {}


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name != "url"}


def _theirs(options: dict[str, Any]) -> dict[str, Any]:
    names = {"fallback_keys": "fallback_decryption_keys", "event_field": "event_encryption_field"}
    return {names.get(name, name): value for name, value in _plain(options).items()}


PAIRS = [(official, plugin), (official, middleware), (plugin, official), (middleware, official)]
WAYS = pytest.mark.parametrize(
    ("writer", "reader"), PAIRS, ids=[f"{one.__name__}-{two.__name__}" for one, two in PAIRS]
)


# ---- one call


def step(value: Any) -> dict[str, Any]:
    return {"f": lambda ctx: ctx.step.run("a", lambda: value)}


def tell(ctx: Any) -> Any:
    return {"data": dict(ctx.event.data), "memo": ctx.step.run("a", lambda: None)}


def told(reader: Any, key: Any, memo: Any, data: Any, **options: Any) -> Any:
    """What a function is given of a memo and event data; its own output is not encrypted."""
    side = reader({"f": tell}, key, decrypt_only=True, **options)
    status, document = play(side, steps={"a": {"data": memo}}, data=data)
    assert status == 200, document
    return document


def sent(writer: Any, key: Any, data: Any, **options: Any) -> Any:
    """What the server gets of data that another function is invoked with."""

    def handler(ctx: Any) -> None:
        ctx.step.invoke_by_id("i", function_id="g", data=data)

    return play(writer({"f": handler}, key, **options))[1][0]["opts"]["payload"]["data"]


@WAYS
@pytest.mark.parametrize("key", [KEY, HEX], ids=["text", "hex"])
@pytest.mark.parametrize("value", [SECRET, None, 0, [], {"a": [1.5, "ü😀"]}, {"data": {}}])
def test_each_reads_what_the_other_wrote(writer: Any, reader: Any, key: Any, value: Any) -> None:
    _, (op,) = play(writer(step(value), key))
    assert op["data"].keys() == {"__ENCRYPTED__", "__STRATEGY__", "data"}
    data = sent(writer, key, {"encrypted": value, "open": value})
    assert data["open"] == value
    found = told(reader, key, op["data"], data)
    assert found == {"data": {"encrypted": value, "open": value}, "memo": value}


FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | FLOATS | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@WAYS
def test_whatever_json_it_is(writer: Any, reader: Any) -> None:
    holder: dict[str, Any] = {}
    write = writer({"f": lambda ctx: ctx.step.run("a", lambda: holder["value"])}, KEY)
    read = reader({"f": lambda ctx: ctx.step.run("a", lambda: None)}, KEY, decrypt_only=True)

    @settings(max_examples=50, deadline=None, database=None)
    @given(value=JSON)
    def check(value: Any) -> None:
        holder["value"] = value
        _, (op,) = play(write)
        assert play(read, steps={"a": {"data": op["data"]}})[1] == value

    check()


@WAYS
def test_what_a_function_returned_is_read_as_the_result_of_an_invoke(
    writer: Any, reader: Any
) -> None:
    _, output = play(writer({"f": lambda ctx: SECRET}, KEY))
    assert told(reader, KEY, output, {})["memo"] == SECRET


@WAYS
def test_fields_of_other_names_are_read(writer: Any, reader: Any) -> None:
    data = sent(writer, KEY, {"private": SECRET, "open": 1}, event_field="private")
    assert SECRET not in json.dumps(data)
    assert told(reader, KEY, None, data)["data"] == {"private": SECRET, "open": 1}


@WAYS
def test_keys_are_rotated_alike(writer: Any, reader: Any) -> None:
    _, (op,) = play(writer(step(SECRET), OLD))
    assert told(reader, KEY, op["data"], {}, fallback_keys=[HEX, OLD])["memo"] == SECRET


@WAYS
def test_a_wrong_key_fails_the_call_alike(writer: Any, reader: Any) -> None:
    _, (op,) = play(writer(step(SECRET), OLD))
    status, _ = play(reader(step(SECRET), KEY), steps={"a": {"data": op["data"]}})
    assert status == 500


# ---- runs that change hands


@pytest.fixture(scope="module")
def server() -> Iterator[DevServer]:
    with DevServer(poll=False, retry_interval=0.05) as found:
        yield found


@pytest.fixture
def stage(server: DevServer) -> Iterator[Stage]:
    with served(Stage(server)) as found:
        yield found


def main(ctx: Any) -> Any:
    first = ctx.step.run("first", lambda: {"got": ctx.event.data["encrypted"]})
    second = ctx.step.invoke_by_id(
        "second", function_id="child", data={"encrypted": first, "open": 1}
    )
    return ctx.step.run("third", lambda: [first, second])


def child(ctx: Any) -> Any:
    return {"child": ctx.step.run("inner", lambda: ctx.event.data["encrypted"])}


HANDLERS = {"main": main, "child": child}
EXPECTED = [{"got": SECRET}, {"child": {"got": SECRET}}]


@WAYS
@pytest.mark.parametrize("cut", [1, 2, 3])
def test_a_run_changes_hands(stage: Stage, writer: Any, reader: Any, cut: int) -> None:
    url = stage.server.url
    stage.sides = [writer(HANDLERS, KEY, url=url), reader(HANDLERS, KEY, url=url)]
    stage.cut = cut
    stage.register()
    (event_id,) = send(stage.sides[1], {"encrypted": SECRET, "open": 1})
    output = ended(url, event_id)
    assert told(official, KEY, output, {})["memo"] == EXPECTED
    assert told(plugin, KEY, output, {})["memo"] == EXPECTED
    assert stage.answered == {0, 1}
    # Neither what the apps said nor what the server tells of the run shows it.
    said = b"".join(stage.said) + httpx.get(f"{url}/v1/events/{event_id}", trust_env=False).content
    assert SECRET.encode() not in said


def send(side: Any, data: Any) -> list[str]:
    found: list[str] = side.client.send_sync(side.package.Event(name="shop/main", data=data))
    return found
