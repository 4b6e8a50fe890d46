"""Ids: ULIDs, the seed of a send, step hashes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from inngest_core.wire.ids import (
    format_seed,
    hash_step,
    is_ulid,
    parse_seed,
    seeded_ulid,
    ulid,
)

SEED = "1743130137367,eii2YKXRVTJPuA=="


def test_a_seed_gives_the_ids_of_the_protocol() -> None:
    parsed = parse_seed(SEED)
    assert parsed is not None
    assert [seeded_ulid(*parsed, index) for index in range(3)] == [
        "01JQDAE4RQF8MBCR55T5AK4KXS",
        "01JQDAE4RQF8MBCR55T5AK4KXT",
        "01JQDAE4RQF8MBCR55T5AK4KXV",
    ]


def test_the_count_wraps_without_a_carry() -> None:
    entropy = b"\x01" * 6 + b"\xff\xff\xff\xff"
    assert seeded_ulid(0, entropy, 0) == ulid(0, b"\x01" * 6 + b"\0\0\0\0")


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_a_seed_that_is_written_reads_the_same(ms: int, entropy: bytes) -> None:
    assert parse_seed(format_seed(ms, entropy)) == (ms, entropy)
    assert is_ulid(ulid(ms, entropy))


@pytest.mark.parametrize(
    "text",
    ["", ",", "1", "x,eii2YKXRVTJPuA==", "1,eii2", "1,%%", "-1,eii2YKXRVTJPuA==", f"{SEED},1"],
)
def test_a_malformed_seed_is_none(text: str) -> None:
    assert parse_seed(text) is None


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("01JQDAE4RQF8MBCR55T5AK4KXS", True),
        ("01jqdae4rqf8mbcr55t5ak4kxs", False),
        ("81JQDAE4RQF8MBCR55T5AK4KXS", False),
        ("01JQDAE4RQF8MBCR55T5AK4KX", False),
        ("01JQDAE4RQF8MBCR55T5AK4KXU", False),
        ("", False),
    ],
)
def test_a_ulid_is_recognised(text: str, is_one: bool) -> None:
    assert is_ulid(text) is is_one


def test_a_step_is_known_by_the_sha1_of_its_id() -> None:
    assert hash_step("a") == "86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"
    assert hash_step("a:1") == "de89bfaf06245091a7873290a793604612302247"
    assert hash_step("é") == "bf15be717ac1b080b4f1c456692825891ff5073d"
