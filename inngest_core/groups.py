"""Parallel steps, as users call for them: ``ctx.group``."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from contextlib import contextmanager
from typing import Any

from .errors import Interrupt
from .flow.running import Running
from .flow.step import gathered_flow
from .flow.step import parallel_mode as mode_variable
from .net.blocking import run
from .wire.names import ParallelMode


@contextmanager
def _mode(mode: ParallelMode | None) -> Generator[None, None, None]:
    """Mark the steps found in here; None leaves the surrounding mode."""
    if mode is None:
        yield
        return
    token = mode_variable.set(mode)
    try:
        yield
    finally:
        mode_variable.reset(token)


class Group:
    """Parallel steps of an async function. Plain ``asyncio.gather`` does as well."""

    __slots__ = ()

    @staticmethod
    def mode(mode: ParallelMode) -> Any:
        """Mark the steps in a ``with`` block, and in the tasks made there, as wait or race."""
        return _mode(mode)

    async def parallel(
        self,
        callables: tuple[Callable[[], Awaitable[Any]], ...],
        *,
        parallel_mode: ParallelMode | None = None,
    ) -> tuple[Any, ...]:
        """Call all of *callables*; their results, in their order."""
        with _mode(parallel_mode):
            return tuple(await asyncio.gather(*(one() for one in callables)))


class GroupSync:
    """Parallel steps of a blocking function."""

    __slots__ = ("_running",)

    def __init__(self, running: Running) -> None:
        self._running = running

    @staticmethod
    def mode(mode: ParallelMode) -> Any:
        """Mark the steps in a ``with`` block as wait or race."""
        return _mode(mode)

    def parallel(
        self,
        callables: tuple[Callable[[], Any], ...],
        *,
        parallel_mode: ParallelMode | None = None,
    ) -> tuple[Any, ...]:
        """
        Call all of *callables*; their results, in their order.

        Each may run several steps; new ones of all callables run in parallel.
        """
        machine = self._running.machine
        results: list[Any] = []
        left = False
        race = (parallel_mode or mode_variable.get()) is ParallelMode.RACE
        with _mode(parallel_mode), machine.gathering(race=race):
            for one in callables:
                try:
                    results.append(one())
                except (Exception, Interrupt):
                    # One that is left stands at a new step, and the others go on.
                    if not machine.leaving:
                        raise
                left = machine.end_branch() or left
        if left:
            run(gathered_flow(self._running), self._running.perform)
        return tuple(results)
