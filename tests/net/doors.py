"""The event loops that there are, and a way to answer calls on each."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from typing import Any

from inngest_core import CommResponse
from tests.support import Answer, Run, endpoint, on_loop, post

Handler = Callable[[Any], Any]

NEW_LOOPS: dict[str, Callable[[], Any]] = {"asyncio": asyncio.new_event_loop}
with contextlib.suppress(ImportError):
    import uvloop

    NEW_LOOPS["uvloop"] = uvloop.new_event_loop


def new_eager_loop() -> Any:
    loop = asyncio.new_event_loop()
    loop.set_task_factory(asyncio.eager_task_factory)  # type: ignore[attr-defined,unused-ignore]
    return loop


if sys.version_info >= (3, 12):
    NEW_LOOPS["eager"] = new_eager_loop


class Door:
    """Answers calls of a handler on one kind of loop."""

    def __init__(self, new_loop: Callable[[], Any]) -> None:
        self.new_loop = new_loop

    @contextlib.contextmanager
    def answering(self, handler: Handler) -> Iterator[Answer]:
        with on_loop(endpoint(handler), self.new_loop) as answer:
            yield answer

    def ask(self, handler: Handler, *args: Any, **options: Any) -> CommResponse:
        with self.answering(handler) as answer:
            return answer(post(*args, **options))

    def play(self, handler: Handler, **options: Any) -> Run:
        with self.answering(handler) as answer:
            return Run(answer, **options).play()
