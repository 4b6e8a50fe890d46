"""Calls from other threads onto a loop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

from inngest_core.connect.mailbox import Mailbox
from tests.connect.gateway import until
from tests.connect.working import on_a_loop


@on_a_loop
async def test_letters_are_read_in_their_order_also_those_from_before_the_opening() -> None:
    mailbox = Mailbox()
    read: list[int] = []
    mailbox.post(read.append, 1)
    mailbox.open()
    assert read == [1]

    def write() -> None:
        for n in range(2, 100):
            mailbox.post(read.append, n)

    thread = threading.Thread(target=write)
    thread.start()
    await until(lambda: len(read) == 99)
    thread.join()
    assert read == list(range(1, 100))


@on_a_loop
async def test_no_letter_of_many_threads_is_lost() -> None:
    mailbox = Mailbox()
    read: list[int] = []
    mailbox.open()

    def write() -> None:
        for n in range(500):
            mailbox.post(read.append, n)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    await until(lambda: len(read) == 2000)
    for thread in threads:
        thread.join()


@on_a_loop
async def test_a_letter_that_fails_is_reported_and_keeps_back_no_other() -> None:
    mailbox = Mailbox()
    read: list[int] = []
    reported: list[BaseException] = []

    def report(_loop: Any, context: dict[str, Any]) -> None:
        reported.append(context["exception"])

    asyncio.get_running_loop().set_exception_handler(report)
    mailbox.open()
    mailbox.post(lambda: 1 / 0)
    mailbox.post(read.append, 1)
    await until(lambda: read)
    assert [type(error) for error in reported] == [ZeroDivisionError]


def test_a_loop_that_has_ended_takes_nothing() -> None:
    mailbox = Mailbox()
    read: list[int] = []

    async def main() -> None:
        mailbox.open()

    asyncio.run(main())
    mailbox.post(read.append, 1)
    assert read == []
