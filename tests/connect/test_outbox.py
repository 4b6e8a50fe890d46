"""Replies that wait to be confirmed: how many are kept, and for how long."""

from __future__ import annotations

import pytest

from inngest_core.connect import outbox
from inngest_core.connect.outbox import Outbox


def test_the_oldest_replies_go_where_too_much_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_BYTES", 100)
    kept = Outbox()
    for name in ("a", "b", "c"):
        kept.add(name, b"x" * 40)
    assert list(kept.evict()) == ["a"]
    assert (len(kept), kept.size) == (2, 80)
    assert kept.get("a") is None


def test_one_reply_is_kept_however_large_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_BYTES", 100)
    kept = Outbox()
    kept.add("a", b"x" * 400)
    assert list(kept.evict()) == []


def test_only_so_many_settled_requests_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SETTLED_KEPT", 2)
    kept = Outbox()
    for name in ("a", "b", "c"):
        kept.add(name, b"x")
        kept.settle(name)
    assert [kept.is_settled(name) for name in ("a", "b", "c")] == [False, True, True]
    assert (len(kept), kept.size) == (0, 0)


def test_what_was_never_there_is_not_settled() -> None:
    kept = Outbox()
    kept.settle("a")
    assert not kept.is_settled("a")


def test_a_reply_that_rested_and_then_went_over_a_connection_is_not_due() -> None:
    kept = Outbox()
    kept.add("a", b"x")
    kept.flush("a")
    kept.rest("a", 5.0)
    kept.sent("a", 1, 10.0)
    assert list(kept.overdue(6.0)) == []
    assert list(kept.overdue(10.0)) == ["a"]
