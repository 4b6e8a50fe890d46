"""
The types of a function's registration, field by field.

A wrong type is told in the words of the server's parser. null counts as absent; what is unknown
passes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from inngest_contrib.devserver.durations import go_duration
from inngest_contrib.devserver.engine.options import is_limit
from inngest_contrib.devserver.events import kind

Shape = Any
"""A name of a type, a list of one shape, a dict of fields, or a function that checks."""

_GO_TYPES = {"string": (str,), "int": (int,), "bool": (bool,)}
_SCOPES = frozenset({"", "fn", "env", "account", "app"})
_MODES = frozenset({"", "skip", "cancel"})


class ShapeError(ValueError):
    """A field has the wrong type, or a word that is not one of the allowed."""


def check_function(function: Any) -> None:
    """Raise ShapeError at the first field that does not fit."""
    _check(function, _FUNCTION, "")


def _check(value: Any, shape: Shape, path: str) -> None:
    if value is None and path:
        return
    if callable(shape):
        shape(value, path)
    elif isinstance(shape, str):
        _check_plain(value, shape, path)
    elif isinstance(shape, list):
        _check_list(value, shape[0], path)
    else:
        _check_object(value, shape, path)


def _check_plain(value: Any, name: str, path: str) -> None:
    if not isinstance(value, _GO_TYPES[name]) or (isinstance(value, bool) and name != "bool"):
        raise _mismatch(value, path, name)


def _check_list(value: Any, shape: Shape, path: str) -> None:
    if not isinstance(value, list):
        raise _mismatch(value, path, "list")
    for item in value:
        if item is None:
            raise _mismatch(item, path, "object")
        _check(item, shape, path)


def _check_object(value: Any, shape: Mapping[str, Shape], path: str) -> None:
    if not isinstance(value, dict):
        raise _mismatch(value, path, "object")
    for key, item in value.items():
        wanted = shape.get(key, shape.get("*"))
        if wanted is not None:
            _check(item, wanted, f"{path}.{key}" if path else key)


def _mismatch(value: Any, path: str, name: str) -> ShapeError:
    found = "null" if value is None else kind(value)
    where = f"SDKFunction.functions.{path}" if path else "SDKFunction.functions"
    return ShapeError(f"json: cannot unmarshal {found} into Go struct field {where} of type {name}")


def _check_concurrency(value: Any, path: str) -> None:
    """Accept a number, a limit, a list of limits, or limits for steps and for runs apart."""
    if is_limit(value):
        _check(value, _LIMIT, path)
    elif isinstance(value, list):
        _check(value, [_LIMIT], path)
    elif isinstance(value, dict):
        _check(value, {"step": [_LIMIT], "fn": [_LIMIT]}, path)
    else:
        _check(value, "int", path)


def _one_of(words: frozenset[str], name: str) -> Callable[[Any, str], None]:
    def check(value: Any, path: str) -> None:
        _check_plain(value, "string", path)
        if value.lower() not in words:
            raise ShapeError(f"{value} does not belong to {name} values")

    return check


def _check_throttle(value: Any, path: str) -> None:
    # The server reads this one period while it parses, so a bad one is an invalid request.
    _check_object(
        value, {"limit": "int", "period": "string", "burst": "int", "key": "string"}, path
    )
    try:
        go_duration(value.get("period") or "")
    except ValueError as error:
        raise ShapeError(str(error)) from error


_LIMIT = {"limit": "int", "key": "string", "scope": _one_of(_SCOPES, "ConcurrencyScope")}
_FUNCTION: Shape = {
    "id": "string",
    "name": "string",
    "retries": "int",
    "triggers": [{"event": "string", "expression": "string", "cron": "string", "jitter": "string"}],
    "concurrency": _check_concurrency,
    "batchEvents": {"maxSize": "int", "timeout": "string", "key": "string", "if": "string"},
    "idempotency": "string",
    "rateLimit": {"limit": "int", "period": "string", "key": "string"},
    "throttle": _check_throttle,
    "debounce": {"period": "string", "key": "string", "timeout": "string"},
    "priority": {"run": "string"},
    "timeouts": {"start": "string", "finish": "string"},
    "cancel": [{"event": "string", "if": "string", "timeout": "string"}],
    "singleton": {"mode": _one_of(_MODES, "SingletonMode"), "key": "string"},
    "steps": {
        "*": {
            "id": "string",
            "name": "string",
            "runtime": {"type": "string", "url": "string"},
            "retries": {"attempts": "int"},
        }
    },
}
