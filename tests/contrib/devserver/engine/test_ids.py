"""Ids rise, differ between engines, and are the same for the same seed."""

from __future__ import annotations

from inngest_contrib.devserver.engine.ids import Ids, stable_uuid
from inngest_core.wire.ids import is_ulid, ulid


def test_ulids_rise_whatever_the_clock_does() -> None:
    ids = Ids(b"seed")
    made = [ids.ulid(now) for now in [5, 5, 5, 9, 3, 9, 10] * 100]
    assert made == sorted(set(made))
    assert all(map(is_ulid, made))


def test_a_ulid_holds_its_time() -> None:
    assert Ids(b"seed").ulid(1_795_343_356_572)[:10] == ulid(1_795_343_356_572, bytes(10))[:10]


def test_the_seed_decides() -> None:
    assert Ids(b"a").ulid(1) == Ids(b"a").ulid(1)
    assert Ids(b"a").ulid(1) != Ids(b"b").ulid(1)
    assert Ids(b"a").job() != Ids(b"b").job()


def test_stable_uuids_tell_words_apart() -> None:
    assert stable_uuid("a", "b") == stable_uuid("a", "b")
    assert stable_uuid("a", "bc") != stable_uuid("ab", "c")
