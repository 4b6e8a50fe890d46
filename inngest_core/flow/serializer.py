"""
Serializers: the one that users may choose, and the default one, which is a plugin.

Adapters are kept in a bounded cache: building one costs a thousand times its use.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import functools
import typing
import uuid
from collections.abc import Callable
from typing import Any

from ..plugin.types import Serializer, hookimpl

_CACHE_SIZE = 256
_BEYOND_JSON = (
    datetime.date,
    datetime.time,
    datetime.timedelta,
    decimal.Decimal,
    enum.Enum,
    frozenset,
    set,
    uuid.UUID,
)


@functools.lru_cache(maxsize=_CACHE_SIZE)
def _cached_adapter(typ: Any) -> Any:
    import pydantic

    return pydantic.TypeAdapter(typ)


def _adapter(typ: Any) -> Any:
    try:
        return _cached_adapter(typ)
    except TypeError:
        # Not hashable, such as Annotated with a list in it.
        import pydantic

        return pydantic.TypeAdapter(typ)


def validator(typ: Any) -> Callable[[object], object]:
    """What makes a value of type *typ* of a JSON value, without a detour."""
    validate: Callable[[object], object] = _adapter(typ).validator.validate_python
    return validate


class PydanticSerializer:
    """Serializes everything that pydantic knows, by ``output_type``."""

    def serialize(self, obj: object, typ: object) -> object:
        return _adapter(typ).dump_python(obj, mode="json")

    def deserialize(self, obj: object, typ: object) -> object:
        return validator(typ)(obj)


class DefaultSerializer(PydanticSerializer):
    """The one that also serves annotations, where they name something that JSON lacks."""


def beyond_json(annotation: Any) -> bool:
    """Whether an annotation names something that JSON lacks, at any depth."""
    try:
        return _beyond_json(annotation)
    except TypeError:
        # Not hashable, so not cached.
        return _names_beyond_json(annotation)


def _names_beyond_json(annotation: Any) -> bool:
    kind = typing.get_origin(annotation) or annotation
    if isinstance(kind, type):
        if issubclass(kind, _BEYOND_JSON) or dataclasses.is_dataclass(kind):
            return True
        if hasattr(kind, "__pydantic_core_schema__") or hasattr(kind, "__pydantic_validator__"):
            return True
    return any(map(beyond_json, typing.get_args(annotation)))


_beyond_json = functools.lru_cache(maxsize=_CACHE_SIZE)(_names_beyond_json)


@hookimpl(trylast=True)
def inngest_serializer(config: Any) -> Serializer:
    """The serializer of a client whose user and plugins name no other."""
    return DefaultSerializer()
