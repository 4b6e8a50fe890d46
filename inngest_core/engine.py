"""Everything a client runs with: its resolved self, its drivers, one loop and its threads."""

from __future__ import annotations

import contextvars
import os
import threading
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from .flow.effect import Flow
from .flow.site import Home
from .net.blocking import BlockingDriver

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from .net.aio import AsyncDriver
    from .net.background import BackgroundLoop, Wait
    from .plugin.manager import Plugins

T = TypeVar("T")


class Engine:
    """
    Runs flows where they belong.

    A blocking flow runs in the thread that asks, or from a loop in a thread of
    the pool; an awaiting flow on the loop that asks, or from a thread on the one
    background loop. Threads and loops are made at first use, and anew after a fork.
    """

    def __init__(self, home: Home, plugins: Plugins) -> None:
        self.home = home
        self.plugins = plugins
        self._lock = threading.Lock()
        self._blocking = BlockingDriver(plugins.blocking_transport)
        self._async: AsyncDriver | None = None
        self._background: BackgroundLoop | None = None
        self._pool: ThreadPoolExecutor | None = None
        self._pool_pid = 0

    def run(self, flow: Flow[T]) -> T:
        """Perform a flow in this thread."""
        return self._blocking.run(flow)

    async def run_in_thread(self, flow: Flow[T]) -> T:
        """Perform a flow in a thread of the pool, with the caller's context variables."""
        import asyncio

        loop = asyncio.get_running_loop()
        context = contextvars.copy_context()
        return await loop.run_in_executor(self._threads(), context.run, self._blocking.run, flow)

    def arun(self, flow: Flow[T]) -> Coroutine[Any, Any, T]:
        """Perform a flow on the running loop."""
        return self._awaiting().run(flow)

    def run_in_background(self, flow: Flow[T], wait: Wait | None = None) -> T:
        """
        Perform an awaiting flow on the background loop, and wait for it in this thread.

        wait: what this thread does meanwhile; None for nothing.
        """
        return self._loop().run(self.arun(flow), wait)

    async def aclose(self) -> None:
        """Give back everything that was opened, also on the running loop."""
        await self._close_async()
        if self._background is not None:
            import asyncio

            # In a thread: the loop that asks is not to wait for the other one.
            await asyncio.to_thread(self._background.close)
        self.close()

    def close(self) -> None:
        """Give back everything that was opened but by running loops other than our own."""
        if self._background is not None:
            self._background.close()
        self._blocking.close()
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None and self._pool_pid == os.getpid():
            pool.shutdown(wait=False)
        self.plugins.close()

    async def _close_async(self) -> None:
        """Close what the async transport opened for the running loop."""
        if self._async is not None:
            await self._async.close()

    def _awaiting(self) -> AsyncDriver:
        with self._lock:
            if self._async is None:
                from .net.aio import AsyncDriver

                self._async = AsyncDriver(self.plugins.async_transport)
            return self._async

    def _loop(self) -> BackgroundLoop:
        with self._lock:
            if self._background is None:
                from .net.background import BackgroundLoop

                self._background = BackgroundLoop(self._close_async)
            return self._background

    def _threads(self) -> ThreadPoolExecutor:
        with self._lock:
            if self._pool is None or self._pool_pid != os.getpid():
                from concurrent.futures import ThreadPoolExecutor

                self._pool_pid = os.getpid()
                self._pool = ThreadPoolExecutor(
                    self.home.config.thread_pool_size, thread_name_prefix="inngest"
                )
            return self._pool
