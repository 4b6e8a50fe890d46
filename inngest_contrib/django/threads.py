"""
Which thread runs what, so that Django finds its connections again and closes them.

asgiref's rule is kept: code that is sensitive to its thread runs in that of the request,
under WSGI and under ASGI, in blocking and in async functions. So the ORM uses the
request's own connection (in a TestCase, that of the test), and none is left open.
"""

from __future__ import annotations

import contextvars
import queue
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from asgiref.sync import AsyncToSync, SyncToAsync, ThreadSensitiveContext, sync_to_async

T = TypeVar("T")


async def to_thread(function: Callable[..., T], *args: Any) -> T:
    """Run a blocking function in the thread of the request, from its loop."""
    return await sync_to_async(function, thread_sensitive=True)(*args)


def wait(start: Callable[[], Future[T]]) -> T:
    """
    Wait for a coroutine that runs on another thread's loop.

    What it hands to ``sync_to_async``, as the async ORM does, runs meanwhile in this thread.
    """
    return contextvars.copy_context().run(_wait, start)


def _wait(start: Callable[[], Future[T]]) -> T:
    here, context = _Here(), ThreadSensitiveContext()
    SyncToAsync.context_to_thread_executor[context] = here
    SyncToAsync.thread_sensitive_context.set(context)
    # An async middleware outside would be handed the work instead: this thread, which waits.
    outer = getattr(AsyncToSync.executors, "current", None)
    AsyncToSync.executors.current = None
    try:
        future = start()
        here.work_until(future)
        return future.result()
    finally:
        AsyncToSync.executors.current = outer


class _Here(Executor):
    """Runs what other threads submit in the one that waits in ``work_until``."""

    def __init__(self) -> None:
        self._works: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._ended = False

    def submit(self, function: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """See Executor.submit. Raises RuntimeError once nobody waits any more."""
        if self._ended:
            raise RuntimeError(
                "the call of the function has ended, and with it the thread for its database "
                "work; await all of that before the function returns"
            )
        future: Future[T] = Future()
        self._works.put(lambda: _perform(future, function, args, kwargs))
        return future

    def work_until(self, end: Future[Any]) -> None:
        """Work until *end* is done."""
        end.add_done_callback(lambda _: self._works.put(None))
        while (work := self._works.get()) is not None:
            work()
        self._ended = True
        while not self._works.empty():
            if (late := self._works.get()) is not None:
                late()


def _perform(
    future: Future[T], function: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function(*args, **kwargs)
    except BaseException as error:
        future.set_exception(error)
    else:
        future.set_result(result)
