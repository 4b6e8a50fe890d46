"""
Python values to JSON values and back.

A value stays plain JSON unless a type is given, or (with our default serializer
only) the annotation of the callable names something that JSON lacks.
"""

from __future__ import annotations

import functools
import typing
from collections.abc import Callable
from typing import Any

from ..errors import OutputUnserializableError
from ..plugin.types import Serializer
from ..types import EmptySentinel
from .serializer import DefaultSerializer, PydanticSerializer, beyond_json, validator

_CACHE_SIZE = 1024


class Codec:
    """A client's serializer, and what it remembers of callables."""

    __slots__ = ("_by_annotation", "_by_code", "_loaders", "_new_loader", "_serializer")

    def __init__(self, serializer: Serializer) -> None:
        self._serializer = serializer
        self._loaders: dict[Any, Callable[[Any], Any]] = {}
        own = getattr(type(serializer), "deserialize", None)
        plain = own is PydanticSerializer.deserialize
        self._new_loader = validator if plain else self._deserializer
        self._by_annotation = isinstance(serializer, DefaultSerializer)
        self._by_code: dict[int, tuple[Any, Any]] = {}

    def type_of(self, callable_: Callable[..., Any], output_type: Any = EmptySentinel) -> Any:
        """The type to convert by, or EmptySentinel for plain JSON."""
        if output_type is not EmptySentinel or not self._by_annotation:
            return output_type
        try:
            # Lambdas and closures are made anew at every call, but not their code.
            known = self._by_code.get(id(callable_.__code__))
        except AttributeError:
            return self._type_of_object(callable_)
        return self._learn(callable_) if known is None else known[1]

    def _type_of_object(self, callable_: Any) -> Any:
        """Of a partial, or an object with a ``__call__``."""
        while isinstance(callable_, functools.partial):
            callable_ = callable_.func
        if not hasattr(callable_, "__code__"):
            callable_ = type(callable_).__call__
        return self.type_of(callable_) if hasattr(callable_, "__code__") else EmptySentinel

    def _learn(self, callable_: Any) -> Any:
        annotation = callable_.__annotations__.get("return")
        if annotation is not None and not isinstance(annotation, str):
            # Two closures of one code may name different types.
            return annotation if beyond_json(annotation) else EmptySentinel
        if len(self._by_code) >= _CACHE_SIZE:
            self._by_code.clear()
        found = EmptySentinel if annotation is None else _annotated_type(callable_)
        # The code is kept with it, so that no other can come to have its id.
        self._by_code[id(callable_.__code__)] = callable_.__code__, found
        return found

    def dump(self, value: Any, typ: Any, whose: str = "") -> Any:
        """The JSON value of *value*; OutputUnserializableError naming *whose* it is."""
        if typ is EmptySentinel:
            return value
        try:
            return self._serializer.serialize(value, typ)
        except Exception as error:
            raise OutputUnserializableError(f"{whose}returned unserializable data") from error

    def load(self, value: Any, typ: Any) -> Any:
        """The value of type *typ* behind a JSON value."""
        if typ is EmptySentinel:
            return value
        try:
            loader = self._loaders.get(typ)
        except TypeError:
            # Not hashable, such as Annotated with a list in it.
            return self._serializer.deserialize(value, typ)
        return (loader or self._learn_loader(typ))(value)

    def _learn_loader(self, typ: Any) -> Callable[[Any], Any]:
        if len(self._loaders) >= _CACHE_SIZE:
            self._loaders.clear()
        loader = self._loaders[typ] = self._new_loader(typ)
        return loader

    def _deserializer(self, typ: Any) -> Callable[[Any], Any]:
        return lambda value: self._serializer.deserialize(value, typ)


def _annotated_type(callable_: Callable[..., Any]) -> Any:
    try:
        annotation = typing.get_type_hints(callable_, include_extras=True).get("return")
    except Exception:
        # An annotation that cannot be resolved here means plain JSON.
        return EmptySentinel
    return annotation if beyond_json(annotation) else EmptySentinel
