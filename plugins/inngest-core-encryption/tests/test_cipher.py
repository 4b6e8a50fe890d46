"""Keys, ciphertexts and what is said where they do not fit."""

from __future__ import annotations

import base64
import json
import logging
import pickle
from typing import Any

import pytest
from inngest_core import CipherError, ConfigError

from inngest_core_encryption import SecretBoxCipher

KEY = "a secret that is long enough"
HEX = b"00112233445566778899aabbccddeeff" * 2
TEXT = b'{"patient":"is well"}'
VECTOR = {
    KEY: "hdMCyeFgtgkh0rT+aJLBB7PtG1Iadq81yBiK6scfcE7cAC2fG51yPwhQ2/qjT/cUFF77ZJWrRdiTa0HnxM4=",
    HEX: "cAVv1gnTmCFZOwa7CZhiJne19w0KquXcTQELnK4P1nYRp/0FROgpOzD50KOzt6j9jlz4ZKSLF5zGlhFK0VI=",
}
"""What inngest-encryption 0.1.0 made of TEXT under these keys."""


def cipher(key: Any = KEY, **options: Any) -> SecretBoxCipher:
    return SecretBoxCipher(key, **options)


@pytest.mark.parametrize("key", [KEY, HEX, "schlüssel " * 40])
def test_a_text_comes_back(key: Any) -> None:
    assert cipher(key).decrypt(cipher(key).encrypt(TEXT)) == TEXT


@pytest.mark.parametrize("key", VECTOR)
def test_what_the_official_package_once_encrypted_is_read(key: Any) -> None:
    assert json.loads(cipher(key).decrypt(VECTOR[key])) == json.loads(TEXT)


def test_the_same_text_never_looks_the_same() -> None:
    assert cipher().encrypt(TEXT) != cipher().encrypt(TEXT)


def test_fallback_keys_decrypt_and_do_not_encrypt() -> None:
    rotated = cipher("a new secret, long as well", fallback_keys=[HEX, KEY])
    assert rotated.decrypt(cipher(KEY).encrypt(TEXT)) == TEXT
    assert rotated.decrypt(cipher(HEX).encrypt(TEXT)) == TEXT
    assert cipher("a new secret, long as well").decrypt(rotated.encrypt(TEXT)) == TEXT
    with pytest.raises(CipherError):
        cipher(KEY).decrypt(rotated.encrypt(TEXT))


SEALED = cipher().encrypt(TEXT)
RAW = base64.b64decode(SEALED)


def changed(position: int) -> str:
    raw = bytearray(RAW)
    raw[position] ^= 1
    return base64.b64encode(raw).decode()


@pytest.mark.parametrize("position", [0, 23, 24, 39, 40, -1])
def test_what_was_tampered_with_is_refused(position: int) -> None:
    with pytest.raises(CipherError, match=r"changed since\. Give the key of then") as caught:
        cipher().decrypt(changed(position))
    assert_silent(caught.value)


@pytest.mark.parametrize("length", [0, 1, 24, 39])
def test_what_was_cut_off_is_refused(length: int) -> None:
    with pytest.raises(CipherError, match="it was cut off") as caught:
        cipher().decrypt(base64.b64encode(RAW[:length]).decode())
    assert_silent(caught.value)


@pytest.mark.parametrize(("before", "after"), [("", "!"), ("ü", ""), ("\n", ""), ("", "A")])
def test_what_is_no_base64_any_more_is_refused(before: str, after: str) -> None:
    with pytest.raises(CipherError, match="no base64 any more") as caught:
        cipher().decrypt(before + SEALED + after)
    assert_silent(caught.value)


def test_a_wrong_key_is_told_as_such() -> None:
    with pytest.raises(CipherError, match="with none of the keys") as caught:
        cipher("another secret, long enough", fallback_keys=[HEX]).decrypt(SEALED)
    assert_silent(caught.value)


def assert_silent(error: BaseException) -> None:
    """Neither text nor key nor cause."""
    shown = f"{error!r} {error} {pickle.dumps(error)!r}"
    for secret in (KEY, "another secret", HEX.decode(), "patient"):
        assert secret not in shown
    assert error.__cause__ is None


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        ("", "key: it is empty"),
        ("  ", "key: it is empty"),
        ("\ud800", "key: it is no Unicode text"),
        (b"", "key: as bytes a key is the hex text of 32 bytes"),
        (HEX[:-2], "this one has 62 bytes"),
        (b"z" * 64, "this one has 64 bytes"),
        (bytes(32), "this one has 32 bytes"),
        (None, "key: expected a text, or bytes in hex, got NoneType"),
    ],
)
def test_what_is_no_key_is_refused_by_name(key: Any, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        cipher(key)
    with pytest.raises(ConfigError, match=r"fallback_keys\[1\]"):
        cipher(fallback_keys=[KEY, key])


@pytest.mark.parametrize(
    ("options", "field"),
    [({"fallback_keys": KEY}, "fallback_keys"), ({"event_field": ""}, "event_field")],
)
def test_other_arguments_are_refused_by_name_too(options: Any, field: str) -> None:
    with pytest.raises(ConfigError, match=f"^{field}: ") as caught:
        cipher(**options)
    assert KEY not in str(caught.value)


def test_nothing_shows_a_key(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        found = cipher(fallback_keys=[HEX])
        found.decrypt(found.encrypt(TEXT))
    assert repr(found) == "<SecretBoxCipher inngest/libsodium>"
    assert caplog.text == ""
