"""
Middleware, in order: before-hooks and wrappers as registered, after-hooks reversed.

Which methods a middleware overrides is found out once per type; a method that
is not overridden is not in the chain, and a client without middleware has
empty tuples.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Interrupt, MiddlewareError
from .effect import Do, Flow
from .onion import async_in_blocking, title

Hook = Callable[..., Any]

BEFORE = (
    "transform_input",
    "before_execution",
    "after_memoization",
    "before_response",
    "before_send_events",
    "before_send_request",
)
AFTER = ("after_execution", "transform_output", "after_send_events")
WRAPPERS = ("wrap_call", "wrap_step", "wrap_send")
HOOKS = BEFORE + AFTER + WRAPPERS


@dataclass(slots=True)
class MiddlewareManager:
    """The hooks of one request, bound to its middleware instances."""

    transform_input: tuple[Hook, ...] = ()
    before_execution: tuple[Hook, ...] = ()
    after_memoization: tuple[Hook, ...] = ()
    before_response: tuple[Hook, ...] = ()
    before_send_events: tuple[Hook, ...] = ()
    before_send_request: tuple[Hook, ...] = ()
    after_execution: tuple[Hook, ...] = ()
    transform_output: tuple[Hook, ...] = ()
    after_send_events: tuple[Hook, ...] = ()
    wrap_call: tuple[Hook, ...] = ()
    wrap_step: tuple[Hook, ...] = ()
    wrap_send: tuple[Hook, ...] = ()


EMPTY = MiddlewareManager()


def assemble(middleware: Sequence[Any], client: Any, raw_request: object) -> MiddlewareManager:
    """The hooks of *middleware* for one request: classes and factories become instances."""
    if not middleware:
        return EMPTY
    instances = [_instance(item, client, raw_request) for item in middleware]
    manager = MiddlewareManager()
    for name, indexes in _chains(tuple(map(type, instances))):
        setattr(manager, name, tuple([getattr(instances[index], name) for index in indexes]))
    return manager


def has_hook(item: Any) -> bool:
    """Whether *item* has a method of the name of a hook."""
    return any(callable(getattr(item, name, None)) for name in HOOKS)


def _instance(item: Any, client: Any, raw_request: object) -> Any:
    if not callable(item):
        return item
    try:
        made = item(client, raw_request)
    except Exception as error:
        raise MiddlewareError(f"middleware {title(item)} could not be made: {error}") from error
    if not has_hook(made):
        raise MiddlewareError(
            f"middleware {title(item)} made a {type(made).__name__}, which has none of the hooks"
        )
    return made


@functools.lru_cache(maxsize=256)
def _chains(types: tuple[type, ...]) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """By hook, which of the middleware override it, in the order in which they are called."""
    chains = ((name, _overriding(types, name)) for name in HOOKS)
    return tuple(
        (name, indexes[::-1] if name in AFTER else indexes) for name, indexes in chains if indexes
    )


def _overriding(types: tuple[type, ...], name: str) -> tuple[int, ...]:
    methods = [getattr(kind, name, None) for kind in types]
    return tuple(n for n, method in enumerate(methods) if callable(method) and not _noop(method))


def async_hook(middleware: Any) -> str | None:
    """The name of an async method that a class or an instance overrides; None for a factory."""
    if callable(middleware) and not isinstance(middleware, type):
        return None
    kind = middleware if isinstance(middleware, type) else type(middleware)
    for name in HOOKS:
        method = getattr(kind, name, None)
        if method is not None and _awaits(method) and not _noop(method):
            return title(method)
    return None


def _awaits(method: Hook) -> bool:
    return inspect.iscoroutinefunction(method) or inspect.isasyncgenfunction(method)


def noop(function: Hook) -> Hook:
    """Mark a base class's method that does nothing, so that chains leave it out."""
    function.noop = True  # type: ignore[attr-defined]  # functions take attributes
    return function


def _noop(function: Hook) -> bool:
    return getattr(function, "noop", False)


def each(hooks: tuple[Hook, ...], *args: Any) -> Iterable[Any]:
    """Call every hook with the same arguments; to be used with ``yield from``."""
    return _each(hooks, args) if hooks else ()


def _each(hooks: tuple[Hook, ...], args: tuple[Any, ...]) -> Flow[None]:
    for hook in hooks:
        try:
            result = hook(*args)
            if inspect.iscoroutine(result):
                result = yield Do(_given, (result,))
        except (MiddlewareError, Interrupt):
            raise
        except Exception as error:
            raise MiddlewareError(f"middleware {title(hook)} failed: {error}") from error
        if inspect.iscoroutine(result):
            # Only a blocking driver leaves it unawaited.
            result.close()
            raise MiddlewareError(async_in_blocking(hook))


def _given(coroutine: Any) -> Any:
    return coroutine
