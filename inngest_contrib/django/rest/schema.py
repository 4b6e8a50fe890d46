"""What drf-spectacular is told beyond what it sees; nothing where it is not installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def described(*, request: Any, answers: dict[int, Any]) -> Callable[[F], F]:
    """Say what an action takes and gives."""
    try:
        from drf_spectacular.utils import extend_schema
    except ImportError:
        return lambda function: function
    decorate: Callable[[F], F] = extend_schema(request=request, responses=answers)
    return decorate
