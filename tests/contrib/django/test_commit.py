"""Events wait for the end of the transaction, under ids that are known at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import SynchronousOnlyOperation
from django.db import transaction
from django.test import TestCase, TransactionTestCase, override_settings

import inngest_core as inngest
from inngest_contrib.django import client, send_on_commit
from inngest_contrib.testing.conformance import RecordedServer, cloud_client, dev_client
from inngest_core.wire.http import HttpResponse

EVENT = inngest.Event(name="shop/ordered", data={"n": 1})


class Undone(Exception):
    """Rolls a transaction back."""


@contextmanager
def undone(using: str | None = None) -> Iterator[None]:
    """A transaction that is rolled back."""
    with suppress(Undone), transaction.atomic(using=using):
        yield
        raise Undone


class Sending:
    """A project whose client talks to a server in memory."""

    on_commit = False

    def setUp(self) -> None:
        self.server = RecordedServer()
        given = {"APP_ID": "shop", "DEV": True, "PLUGINS": [self.server]}
        self.settings_of_test = override_settings(
            INNGEST={**given, "SEND_ON_COMMIT": self.on_commit}
        )
        self.settings_of_test.enable()

    def tearDown(self) -> None:
        self.settings_of_test.disable()

    @property
    def sent(self) -> list[str]:
        return [event["name"] for body in self.server.bodies for event in body]


class TestSendOnCommit(Sending, TransactionTestCase):
    databases = {"default", "other"}  # noqa: RUF012  # as Django has it

    def test_nothing_is_sent_before_the_commit_and_the_ids_are_those_of_the_server(self) -> None:
        with transaction.atomic():
            ids = client.send_on_commit([EVENT, EVENT])
            assert self.sent == []
        assert self.sent == ["shop/ordered"] * 2
        assert len(set(ids)) == 2
        seed = self.server.requests[0].headers["x-inngest-event-id-seed"]
        assert seed.startswith(f"{_ms(ids[0])},")

    def test_nothing_is_sent_after_a_rollback(self) -> None:
        with undone():
            client.send_on_commit(EVENT)
        assert self.sent == []

    def test_an_inner_block_that_is_undone_takes_its_events_with_it(self) -> None:
        with transaction.atomic():
            client.send_on_commit(inngest.Event(name="outer"))
            with undone():
                client.send_on_commit(inngest.Event(name="inner, undone"))
            with transaction.atomic():
                client.send_on_commit(inngest.Event(name="inner"))
            assert self.sent == []
        assert self.sent == ["outer", "inner"]

    def test_outside_a_transaction_it_is_sent_now(self) -> None:
        client.send_on_commit(EVENT)
        assert self.sent == ["shop/ordered"]

    def test_every_database_with_a_transaction_must_commit(self) -> None:
        with transaction.atomic():
            with transaction.atomic(using="other"):
                client.send_on_commit(EVENT)
            assert self.sent == []
        assert self.sent == ["shop/ordered"]

    def test_one_database_that_is_rolled_back_is_enough(self) -> None:
        with transaction.atomic(), undone("other"):
            client.send_on_commit(EVENT)
        with undone(), transaction.atomic(using="other"):
            client.send_on_commit(EVENT)
        assert self.sent == []

    def test_the_database_that_counts_may_be_named(self) -> None:
        with undone():
            with transaction.atomic(using="other"):
                client.send_on_commit(EVENT, using="other")
                assert self.sent == []
            assert self.sent == ["shop/ordered"]

    def test_what_is_sent_is_what_was_given(self) -> None:
        event = inngest.Event(name="a", data={"list": [1]})
        with transaction.atomic():
            client.send_on_commit(event)
            event.data["list"].append(2)  # type: ignore[union-attr]
            event.name = "b"
        assert self.server.bodies[0][0]["data"] == {"list": [1]}
        assert self.sent == ["a"]

    def test_what_cannot_be_sent_is_refused_before_the_commit(self) -> None:
        with transaction.atomic():
            with pytest.raises(inngest.ConfigError, match=r"events\[1\]: expected an Event"):
                send_on_commit([EVENT, "x"])  # type: ignore[list-item]
            with pytest.raises(inngest.ConfigError, match="needs a name"):
                send_on_commit(inngest.Event(name=""))
            with pytest.raises(inngest.EventKeyUnspecifiedError):
                send_on_commit(EVENT, client=cloud_client(event_key=None))
            assert send_on_commit([]) == []

    def test_another_client_may_send(self) -> None:
        server = RecordedServer()
        with transaction.atomic():
            send_on_commit(EVENT, client=dev_client(server))
        assert len(server.bodies) == 1
        assert self.sent == []

    def test_a_send_that_fails_raises_after_the_commit_unless_it_is_robust(self) -> None:
        self.server.take = refuse  # type: ignore[method-assign]
        done: list[int] = []
        with transaction.atomic():
            client.send_on_commit(EVENT, robust=True)
            transaction.on_commit(lambda: done.append(1))
        assert done == [1]
        with pytest.raises(inngest.SendEventsError), transaction.atomic():
            client.send_on_commit(EVENT)

    def test_by_default_sends_do_not_wait(self) -> None:
        with transaction.atomic():
            client.send_sync(EVENT)
            assert self.sent == ["shop/ordered"]

    def test_on_a_loop_it_is_refused_as_any_database_work(self) -> None:
        async def sending() -> Any:
            return client.send_on_commit(EVENT)

        with pytest.raises(SynchronousOnlyOperation):
            asyncio.run(sending())


class TestTheSetting(Sending, TransactionTestCase):
    databases = {"default", "other"}  # noqa: RUF012  # as Django has it
    on_commit = True

    def test_sends_wait_for_the_commit(self) -> None:
        with transaction.atomic():
            ids = client.send_sync(EVENT)
            assert self.sent == []
        assert self.sent == ["shop/ordered"]
        assert len(ids[0]) == 26

    def test_an_awaited_send_waits_for_the_transaction_around_its_caller(self) -> None:
        with transaction.atomic():
            ids = async_to_sync(client.send)(EVENT)
            assert self.sent == []
        assert self.sent == ["shop/ordered"]
        assert len(ids) == 1

    def test_another_database_counts_too(self) -> None:
        with transaction.atomic(using="other"):
            client.send_sync(EVENT)
            assert self.sent == []
        assert self.sent == ["shop/ordered"]

    def test_outside_a_transaction_they_are_sent_now(self) -> None:
        client.send_sync(EVENT)
        asyncio.run(client.send(EVENT))
        assert self.sent == ["shop/ordered"] * 2


class TestInATestCase(Sending, TestCase):
    """A TestCase never commits; Django's own way to look behind that works."""

    databases = {"default", "other"}  # noqa: RUF012  # as Django has it
    on_commit = True

    def test_what_would_be_sent_is_captured(self) -> None:
        with self.captureOnCommitCallbacks() as callbacks:
            client.send_on_commit(EVENT)
        assert len(callbacks) == 1
        assert self.sent == []

    def test_captured_callbacks_send(self) -> None:
        with self.captureOnCommitCallbacks(execute=True), transaction.atomic():
            client.send_sync(EVENT)
        assert self.sent == ["shop/ordered"]


def refuse(request: Any) -> HttpResponse:
    return HttpResponse(400, {}, b'{"error": "no"}')


def _ms(ulid: str) -> int:
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    number = 0
    for letter in ulid[:10]:
        number = number * 32 + alphabet.index(letter)
    return number
