"""Signatures on what is sent to apps, and on what they answer."""

from __future__ import annotations

import json
import time

import pytest

from inngest_contrib.devserver.engine.commands import Replied
from inngest_contrib.devserver.signatures import Signer
from inngest_core.wire.signing import sign, verify

KEY = "0123456789abcdef0123456789abcdef"
OTHER = "ff" * 16
SDK = {"x-inngest-sdk": "test:v1"}


def now() -> int:
    return int(time.time())


def problem(
    body: bytes, signature: str | None, *, status: int = 200, sdk: bool = True
) -> str | None:
    headers = dict(SDK) if sdk else {}
    if signature is not None:
        headers["x-inngest-signature"] = signature
    return Signer(KEY).problem(Replied("job", status, headers, body))


def streamed(inner: bytes, signature: str, *, name: str = "x-inngest-signature") -> bytes:
    headers = json.dumps({name: signature}).encode()
    return b'   {"body": %b , "headers":%b,"status":206}' % (inner, headers)


def test_a_request_is_signed_over_its_bytes() -> None:
    headers = Signer(KEY).headers({"a": "b"}, b"{}")
    assert headers["a"] == "b"
    assert verify(headers["x-inngest-signature"], b"{}", [KEY], time.time()) == KEY
    assert Signer(None).headers({"a": "b"}, b"{}") == {"a": "b"}


@pytest.mark.parametrize("body", [b'"ok"', b'"ok"\n', b"", b'{ "b": 1, "a": 2 }'])
def test_what_the_app_signed_is_believed(body: bytes) -> None:
    assert problem(body, sign(KEY, body, now())) is None


def test_a_line_break_may_be_left_out_of_what_is_signed() -> None:
    assert problem(b"not json\n", sign(KEY, b"not json", now())) is None


@pytest.mark.parametrize(
    ("signature", "text"),
    [
        (None, "not signed"),
        ("", "not signed"),
        ("nonsense", "malformed"),
    ],
)
def test_a_reply_without_a_signature_is_refused(signature: str | None, text: str) -> None:
    assert text in str(problem(b"1", signature))


@pytest.mark.parametrize(
    ("key", "body", "age", "text"),
    [
        (OTHER, b"1", 0, "does not match"),
        (KEY, b"2", 0, "does not match"),
        (KEY, b"1", 1000, "more than five minutes"),
    ],
)
def test_a_wrong_signature_is_refused_by_name(key: str, body: bytes, age: int, text: str) -> None:
    found = problem(b"1", sign(key, body, now() - age))
    assert found is not None
    assert found.startswith("InvalidReplySignature: ")
    assert text in found
    assert KEY not in found


def test_a_reply_of_something_else_than_an_sdk_needs_no_signature() -> None:
    assert problem(b"<html>", None, status=502, sdk=False) is None


def test_without_a_key_nothing_is_verified() -> None:
    assert Signer(None).problem(Replied("job", 200, SDK, b"1")) is None


@pytest.mark.parametrize(
    "inner", [b'[{"op":"StepRun","id":"a"}]', b'"[1, 2]"', b'{"z":1, "a":"\xc3\xbc"}', b"null"]
)
def test_a_streamed_reply_is_signed_inside(inner: bytes) -> None:
    signed = json.loads(inner).encode() if inner.startswith(b'"') else inner
    good, bad = sign(KEY, signed, now()), sign(OTHER, signed, now())
    assert problem(streamed(inner, good), None, status=201) is None
    assert problem(streamed(inner, good, name="X-Inngest-Signature"), None, status=201) is None
    assert "does not match" in str(problem(streamed(inner, bad), None, status=201))


@pytest.mark.parametrize(
    "body", [b"", b"   ", b"[]", b"{", b'{"a"', b'{"headers":3}', b"[" * 100_000, b'{"body":']
)
def test_a_streamed_reply_that_is_none_is_not_signed(body: bytes) -> None:
    assert "not signed" in str(problem(body, None, status=201))
