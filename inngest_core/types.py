"""Annotations that every other room uses. No code lives here."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from typing import TypeVar, Union

from typing_extensions import TypeAlias

JSON: TypeAlias = Union[
    None, bool, int, float, str, Sequence["JSON"], Mapping[str, "JSON"]
]
"""A value that JSON can carry."""

Duration: TypeAlias = Union[int, datetime.timedelta, str]
"""Milliseconds, a timedelta, or text such as ``"1h30m"``."""

T = TypeVar("T")


class EmptySentinel:
    """Stands for an argument that was not given, where None could be one."""
