"""
The middleware: step outputs go to a store, and come back as memos.

Drivers block. In a blocking function they are called where they are needed, in an async one in
a thread, so that the loop goes on. Which of the two it is shows in the context alone, so what
``factory`` makes are plain hooks that return something to await where the function is async.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable, Sequence
from typing import Any

from inngest_core import (
    ConfigError,
    Context,
    ContextSync,
    Function,
    Inngest,
    MiddlewareSync,
    Opcode,
    StepMemos,
    TransformOutputResult,
)

from .driver import NotJSON, RemoteStateError, StateDriver, encode, strategy_of


class RemoteStateMiddleware(MiddlewareSync):
    """
    Keeps the outputs of ``step.run`` and ``step.send_event`` in a store; memos carry a marker.

    Errors, pauses and what a function returns stay where they are. threshold: outputs of fewer
    bytes of JSON stay, too; 0 moves them all. also_read: drivers that only load, for runs that
    began when values were kept elsewhere.

    Give clients and functions what ``factory`` returns. An instance that is made otherwise
    blocks the loop while an async function loads and saves.
    """

    def __init__(
        self,
        client: Inngest,
        raw_request: object,
        driver: StateDriver,
        *,
        threshold: int = 0,
        also_read: Sequence[StateDriver] = (),
    ) -> None:
        super().__init__(client, raw_request)
        self._driver = driver
        self._threshold = threshold
        self._readers = (driver, *also_read)
        self._run_id = ""

    @classmethod
    def factory(
        cls,
        driver: StateDriver,
        *,
        threshold: int = 0,
        also_read: Sequence[StateDriver] = (),
    ) -> Callable[[Inngest, object], RemoteStateMiddleware]:
        """What ``middleware=[...]`` takes, for blocking and async functions alike."""
        _require_threshold(threshold)
        _require_drivers(driver, also_read)
        off_the_loop = _off_the_loop(cls)
        # Left out where they say nothing: a derived class may know of neither.
        given: dict[str, Any] = {"threshold": threshold, "also_read": also_read}
        options = {name: value for name, value in given.items() if value}

        def make(client: Inngest, raw_request: object) -> RemoteStateMiddleware:
            return off_the_loop(client, raw_request, driver, **options)

        return make

    def transform_input(
        self, ctx: Context | ContextSync, function: Function[Any], steps: StepMemos
    ) -> None:
        """Put values in the place of markers; RemoteStateError if one is not to be had."""
        self._run_id = ctx.run_id
        markers = [(memo, memo.data) for memo in steps.values() if strategy_of(memo.data)]
        for driver in self._readers:
            self._load(driver, steps)
        for memo, marker in markers:
            if memo.data is marker:
                raise RemoteStateError(
                    f"run {ctx.run_id}, step {memo.hashed_id}: its output is kept with the "
                    f'strategy "{strategy_of(marker)}", and no driver here loads that; give the '
                    "driver that saved it in also_read=[...]"
                )

    def transform_output(self, result: TransformOutputResult) -> None:
        """Put a marker in the place of a step's output."""
        if result.step is None or result.step.op is not Opcode.STEP_RUN or not result.has_output():
            return
        try:
            if self._stays(result.output):
                return
            result.output = self._driver.save_step(self._run_id, result.output)
        except NotJSON:
            # Left as it is, the core refuses it, naming the step.
            return

    def _load(self, driver: StateDriver, steps: StepMemos) -> None:
        try:
            driver.load_steps(steps)
        except RemoteStateError as error:
            raise RemoteStateError(f"run {self._run_id}, {error}") from error
        except Exception as error:
            raise RemoteStateError(
                f"run {self._run_id}: {type(driver).__name__} could not load: {error!r}"
            ) from error

    def _stays(self, output: object) -> bool:
        # An output that looks like a marker would be taken for one, so it never stays.
        small = self._threshold > 0 and len(encode(output)) < self._threshold
        return small and strategy_of(output) is None


def _off_the_loop(kind: type[RemoteStateMiddleware]) -> type[RemoteStateMiddleware]:
    """A class like *kind* whose hooks, also those of a derived class, leave the loop alone."""

    class OffTheLoop(kind):  # type: ignore[misc, valid-type]  # a class that is only known here
        _is_async = False

        @functools.wraps(kind.transform_input)
        def transform_input(self, ctx: Any, function: Any, steps: StepMemos) -> Any:
            self._is_async = isinstance(ctx, Context)
            hook = super().transform_input
            if not self._is_async or not steps.size:
                return hook(ctx, function, steps)
            return asyncio.to_thread(hook, ctx, function, steps)

        @functools.wraps(kind.transform_output)
        def transform_output(self, result: TransformOutputResult) -> Any:
            hook = super().transform_output
            if not self._is_async or not result.has_output():
                return hook(result)
            return asyncio.to_thread(hook, result)

    OffTheLoop.__name__, OffTheLoop.__qualname__ = kind.__name__, kind.__qualname__
    return OffTheLoop


def _require_drivers(driver: object, also_read: object) -> None:
    if not isinstance(also_read, (list, tuple)):
        raise ConfigError(f"also_read: expected a list of drivers, got {type(also_read).__name__}")
    for one in (driver, *also_read):
        _require_driver(one)


def _require_driver(driver: object) -> None:
    methods = (getattr(driver, name, None) for name in ("load_steps", "save_step"))
    if isinstance(driver, type):
        got = f"the class {driver.__name__}"
    elif not all(map(callable, methods)):
        got = f"a {type(driver).__name__}"
    else:
        return
    raise ConfigError(
        f"driver: expected an object with the methods load_steps and save_step, got {got}"
    )


def _require_threshold(threshold: object) -> None:
    if not isinstance(threshold, int) or threshold < 0:
        raise ConfigError(f"threshold: expected a number of bytes, 0 or more, got {threshold!r}")
