"""
Middleware, in order: before-hooks as registered, after-hooks reversed.

Which methods a middleware overrides is found out once per type; a method that
is not overridden is not in the chain, and a client without middleware has
empty tuples.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import Interrupt, MiddlewareError
from .effect import Do, Effect

Hook = Callable[..., Any]

BEFORE = (
    "transform_input",
    "before_execution",
    "after_memoization",
    "before_response",
    "before_send_events",
)
AFTER = ("after_execution", "transform_output", "after_send_events")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """The hooks of one request, bound to its middleware instances."""

    transform_input: tuple[Hook, ...] = ()
    before_execution: tuple[Hook, ...] = ()
    after_memoization: tuple[Hook, ...] = ()
    before_response: tuple[Hook, ...] = ()
    before_send_events: tuple[Hook, ...] = ()
    after_execution: tuple[Hook, ...] = ()
    transform_output: tuple[Hook, ...] = ()
    after_send_events: tuple[Hook, ...] = ()


EMPTY = Pipeline()


def assemble(middleware: Sequence[Any], client: Any, raw_request: object) -> Pipeline:
    """The hooks of *middleware* for one request: classes and factories become instances."""
    if not middleware:
        return EMPTY
    instances = [_instance(item, client, raw_request) for item in middleware]
    chains = _chains(tuple(map(type, instances)))
    return Pipeline(
        **{
            name: tuple(getattr(instances[index], name) for index in indexes)
            for name, indexes in chains.items()
        }
    )


def has_hook(item: Any) -> bool:
    """Whether *item* has a method of the name of a hook."""
    return any(callable(getattr(item, name, None)) for name in BEFORE + AFTER)


def _instance(item: Any, client: Any, raw_request: object) -> Any:
    if not callable(item):
        return item
    name = getattr(item, "__qualname__", type(item).__qualname__)
    try:
        made = item(client, raw_request)
    except Exception as error:
        raise MiddlewareError(f"middleware {name} could not be made: {error}") from error
    if not has_hook(made):
        raise MiddlewareError(
            f"middleware {name} made a {type(made).__name__}, which has none of the hooks"
        )
    return made


@functools.lru_cache(maxsize=256)
def _chains(types: tuple[type, ...]) -> dict[str, tuple[int, ...]]:
    chains = {name: _overriding(types, name) for name in BEFORE + AFTER}
    return {
        name: indexes[::-1] if name in AFTER else indexes
        for name, indexes in chains.items()
        if indexes
    }


def _overriding(types: tuple[type, ...], name: str) -> tuple[int, ...]:
    methods = [getattr(kind, name, None) for kind in types]
    return tuple(n for n, method in enumerate(methods) if callable(method) and not _noop(method))


def async_hook(middleware: Any) -> str | None:
    """The name of an async method that a class or an instance overrides; None for a factory."""
    if callable(middleware) and not isinstance(middleware, type):
        return None
    kind = middleware if isinstance(middleware, type) else type(middleware)
    for name in BEFORE + AFTER:
        method = getattr(kind, name, None)
        if inspect.iscoroutinefunction(method) and not _noop(method):
            return _title(method)
    return None


def noop(function: Hook) -> Hook:
    """Mark a base class's method that does nothing, so that chains leave it out."""
    function.noop = True  # type: ignore[attr-defined]  # functions take attributes
    return function


def _noop(function: Hook) -> bool:
    return getattr(function, "noop", False)


def each(hooks: tuple[Hook, ...], *args: Any) -> Generator[Effect, Any, None]:
    """Call every hook with the same arguments."""
    for hook in hooks:
        try:
            result = yield Do(hook, args)
        except (MiddlewareError, Interrupt):
            raise
        except Exception as error:
            raise MiddlewareError(f"middleware {_title(hook)} failed: {error}") from error
        if inspect.iscoroutine(result):
            result.close()
            raise MiddlewareError(
                f"middleware {_title(hook)} is async, but the function or send is blocking; "
                "write it as a plain def, or derive from MiddlewareSync"
            )


def _title(hook: Hook) -> str:
    return getattr(hook, "__qualname__", repr(hook))
