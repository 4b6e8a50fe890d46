"""Annotations that every other room uses. No code lives here."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import TypeAlias, TypeVar

JSON: TypeAlias = bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"] | None
"""A value that JSON can carry."""

Duration: TypeAlias = int | datetime.timedelta | str
"""Milliseconds, a timedelta, or text such as ``"1h30m"``."""

T = TypeVar("T")


class EmptySentinel:
    """Stands for an argument that was not given, where None could be one."""
