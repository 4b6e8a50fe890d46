"""A function as its user holds it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from .wire.register import FunctionConfig, failure_id

T = TypeVar("T")


class Function(Generic[T]):
    """What ``create_function`` returns: to be served, and to be invoked by other functions."""

    def __init__(
        self,
        *,
        config: FunctionConfig,
        handler: Callable[[Any], Any],
        on_failure: Callable[[Any], Any] | None,
        output_type: object,
        middleware: tuple[Any, ...],
    ) -> None:
        self.config = config
        self.handler = handler
        self.on_failure = on_failure
        self.output_type = output_type
        self.middleware = middleware

    @property
    def id(self) -> str:
        """The id on the server: ``<app id>-<function id>``."""
        return self.config.id

    @property
    def local_id(self) -> str:
        """The id as it was given."""
        return self.config.opts.fn_id

    @property
    def name(self) -> str:
        return self.config.opts.name

    @property
    def is_handler_async(self) -> bool:
        return is_async(self.handler)

    @property
    def is_on_failure_handler_async(self) -> bool | None:
        """Whether the failure handler is async; None if there is none."""
        return None if self.on_failure is None else is_async(self.on_failure)

    @property
    def on_failure_fn_id(self) -> str | None:
        """The id under which the failure handler is registered; None if there is none."""
        return None if self.on_failure is None else failure_id(self.config)

    def __repr__(self) -> str:
        return f"<Function {self.id}>"


def is_async(handler: Callable[..., Any]) -> bool:
    """Whether calling *handler* makes a coroutine."""
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(
        getattr(handler, "__call__", None)  # noqa: B004  # an object with an async __call__
    )
