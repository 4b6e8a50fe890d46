"""Keys, hashes and signatures, by the vectors of the protocol and by recorded requests."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inngest_core.errors import ConfigError, SignatureError
from inngest_core.wire.signing import hash_event_key, hash_signing_key, sign, split_key, verify

SAMPLES = Path(__file__).parents[1] / "samples" / "wire"
KEY = "signkey-test-0123456789abcdef0123456789abcdef"
OTHER = "signkey-prod-12345678"
NOW = 1700000000


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        (KEY, "signkey-test-223e0a160af9da0a03e6dd2c4719c56f5d66a633cbe84e78aaa9f3735865522a"),
        (OTHER, "signkey-prod-b2ed992186a5cb19f6668aade821f502c1d00970dfd0e35128d51bac4649916c"),
        (
            "signkey-test-DEADBEEF",
            "signkey-test-5f78c33274e43fa9de5659265c1d917e25c03722dcb0b8d27db8d5feaa813953",
        ),
        (
            "0123456789abcdef0123456789abcdef",
            "223e0a160af9da0a03e6dd2c4719c56f5d66a633cbe84e78aaa9f3735865522a",
        ),
    ],
)
def test_a_signing_key_has_the_hash_that_the_server_knows(key: str, hashed: str) -> None:
    assert hash_signing_key(key) == hashed
    assert hash_signing_key(key, prefixed=False) == hashed.rpartition("-")[2]


@pytest.mark.parametrize(
    ("key", "hashed"),
    [
        ("demo-event-key", "3822ae64221566e44db8ef091f0fdcc5770a14f2eb3ef578047639c89db5a6e6"),
        ("a", "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"),
        ("NO_EVENT_KEY_SET", "669e1caf5896c31b5198e8dce29f1f4a53e079f14fdffd1aa48aeee3fd37bc22"),
    ],
)
def test_an_event_key_has_the_hash_that_the_server_knows(key: str, hashed: str) -> None:
    assert hash_event_key(key) == hashed


@pytest.mark.parametrize("key", ["signkey-prod-xyz", "signkey-prod-123", "secret"])
def test_a_key_that_is_not_hex_is_a_config_error_that_does_not_show_it(key: str) -> None:
    with pytest.raises(ConfigError, match="signing_key") as raised:
        hash_signing_key(key)
    assert key not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("key", "prefix", "rest"),
    [
        (KEY, "signkey-test-", "0123456789abcdef0123456789abcdef"),
        ("abcd", "", "abcd"),
        ("signkey-a_1-ff", "signkey-a_1-", "ff"),
    ],
)
def test_a_key_is_split_behind_its_prefix(key: str, prefix: str, rest: str) -> None:
    assert split_key(key) == (prefix, rest)


VECTORS = [
    (KEY, b"", "6458320a3e327061ab7bfe28ace9cb02bb2b840c75b483a0c002831176bd6256"),
    (KEY, b'{"a":1,"b":[1,2]}', "89299f23193813d9c530c7528ae5c13da0847e30f79f35d5c7b1f107505e5059"),
    (KEY, b'"ok"\n', "2fc00f9e50ce32a99ea9f856c86765f996db1a2026c60f78db14b680244f7574"),
    (
        KEY,
        '{"é":"ü"}'.encode(),
        "6252684275605dfade7cb4752f96ec0802ef0247b6830522910a663f2a2a3529",
    ),
    (KEY, b"null", "3fa04cdd12c17cc3b37925d4c247df90b010492f912a1298b34045fda2ac981d"),
    (
        OTHER,
        b'{"a":1,"b":[1,2]}',
        "3a02d2e8a00eb0f19d3d4b6811750dbbe462c78f0e2723d0ea89c475c65bca46",
    ),
]


@pytest.mark.parametrize(("key", "body", "signature"), VECTORS)
def test_signatures_are_those_of_the_protocol(key: str, body: bytes, signature: str) -> None:
    header = f"t={NOW}&s={signature}"
    assert sign(key, body, NOW) == header
    assert verify(header, body, [key], NOW) == key


def test_the_two_parts_may_come_in_either_order() -> None:
    moment, signature = sign(KEY, b"{}", NOW).split("&")
    assert verify(f"{signature}&{moment}", b"{}", [KEY], NOW) == KEY


def test_a_body_that_a_proxy_reformatted_is_canonicalised() -> None:
    header = sign(KEY, b'{"a":1,"b":[1,2]}', NOW)
    assert verify(header, b'{ "b": [1, 2], "a": 1.0 }\n', [KEY], NOW) == KEY


def test_the_fallback_key_is_tried_after_the_current_one() -> None:
    assert verify(sign(OTHER, b"1", NOW), b"1", [KEY, OTHER], NOW) == OTHER


@pytest.mark.parametrize("drift", [-300, -1, 0, 299.9, 300])
def test_five_minutes_of_drift_are_allowed(drift: float) -> None:
    assert verify(sign(KEY, b"", NOW), b"", [KEY], NOW + drift) == KEY


@pytest.mark.parametrize("drift", [-301, 301, 3600, -86400])
def test_stale_and_future_signatures_are_refused(drift: float) -> None:
    with pytest.raises(SignatureError, match="five minutes") as refused:
        verify(sign(KEY, b"", NOW), b"", [KEY], NOW + drift)
    assert refused.value.code == "sig_verification_failed"


@pytest.mark.parametrize("header", [None, ""])
def test_a_missing_signature_has_a_code_of_its_own(header: str | None) -> None:
    with pytest.raises(SignatureError) as refused:
        verify(header, b"", [KEY], NOW)
    assert refused.value.code == "header_missing"


@pytest.mark.parametrize(
    "header",
    [
        "nonsense",
        "t=&s=",
        f"t={NOW}",
        f"s={'0' * 64}",
        f"t={NOW}&s=",
        f"t=&s={'0' * 64}",
        f"t=+{NOW}&s={'0' * 64}",
        f"t=-{NOW}&s={'0' * 64}",
        f"t={NOW}.5&s={'0' * 64}",
        f"t= {NOW}&s={'0' * 64}",
        f"t=1_700_000_000&s={'0' * 64}",
        f"t=nan&s={'0' * 64}",
        f"t=inf&s={'0' * 64}",
        f"t=٣&s={'0' * 64}",
        f"t={'9' * 5000}&s={'0' * 64}",
        f"t={NOW}&s=é",
        f"t={NOW};s={'0' * 64}",
        "&&==&&",
    ],
)
def test_a_malformed_signature_is_refused_and_nothing_else_is_raised(header: str) -> None:
    with pytest.raises(SignatureError) as refused:
        verify(header, b"{}", [KEY], NOW)
    assert refused.value.code == "sig_verification_failed"


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b"",
        b"\xff\xfe",
        b'{"a":NaN}',
        b"[" * 100_000,
        b'"\\ud800"',
        b"1" * 400,
        b"1" * 10_000,
        b"[1e309]",
        b"{" + b'"a":{' * 5000,
    ],
)
def test_a_forged_signature_over_any_bytes_is_refused_and_nothing_else_is_raised(
    body: bytes,
) -> None:
    with pytest.raises(SignatureError, match="does not match"):
        verify(f"t={NOW}&s={'0' * 64}", body, [KEY, OTHER], NOW)


def test_no_key_at_all_verifies_nothing() -> None:
    with pytest.raises(SignatureError):
        verify(sign(KEY, b"", NOW), b"", [], NOW)


def test_no_refusal_shows_a_key_or_the_signature_that_was_expected() -> None:
    good = sign(KEY, b"{}", NOW)
    for header in (None, "t=1&s=2", f"t={NOW}&s=0", "x"):
        with pytest.raises(SignatureError) as refused:
            verify(header, b"{}", [KEY], NOW)
        assert split_key(KEY)[1] not in repr(refused.value)
        assert good[-64:] not in repr(refused.value)


RECORDED = json.loads((SAMPLES / "signed-requests.json").read_text())


@pytest.mark.parametrize("request_", RECORDED["requests"], ids=lambda r: r["method"])
def test_recorded_requests_of_a_real_server_verify(request_: dict[str, Any]) -> None:
    key, header = RECORDED["key"], request_["signature"]
    body = request_["body"].encode()
    moment = int(header.partition("&")[0].removeprefix("t="))
    assert verify(header, body, [key], moment) == key
    # ... and as a proxy may have passed them on.
    assert verify(header, json.dumps(json.loads(body), indent=1).encode(), [key], moment) == key
    with pytest.raises(SignatureError):
        verify(header, body + b" 1", [key], moment)
