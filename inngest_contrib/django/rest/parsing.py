"""Reading JSON that anybody may have written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.utils.translation import gettext_lazy as _
from rest_framework import status
from rest_framework.exceptions import APIException, ParseError
from rest_framework.parsers import JSONParser

MAX_BODY = 4 * 1024 * 1024
"""Bytes of a request; the event API takes 3 MB of events."""
MAX_DEPTH = 64


class BodyTooLarge(APIException):
    """The body has more bytes than are read."""

    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = _(
        "The body is too large; see DATA_UPLOAD_MAX_MEMORY_SIZE, and the most is 4 MB."
    )
    default_code = "body_too_large"


class EventParser(JSONParser):
    """As JSONParser, within bounds of size and depth."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """The value of a body. Raises ParseError and BodyTooLarge."""
        try:
            found = super().parse(_Bounded(stream), media_type, parser_context)  # type: ignore[arg-type]
            require_shallow(found)
        except (RecursionError, UnicodeError) as error:
            raise ParseError(f"The body cannot be read: {type(error).__name__}.") from error
        return found


class _Bounded:
    """A stream that ends with BodyTooLarge where it is longer than is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._left = MAX_BODY

    def read(self, size: int = -1) -> bytes:
        wanted = self._left + 1 if size < 0 else min(size, self._left + 1)
        found = self._stream.read(wanted)
        self._left -= len(found)
        if self._left < 0:
            raise BodyTooLarge()
        return found


def require_shallow(value: Any) -> None:
    """Raise ParseError where a value is nested too deeply."""
    level, depth = [value], 0
    while level:
        if depth > MAX_DEPTH:
            raise ParseError(f"The body is nested more than {MAX_DEPTH} levels deep.")
        level = [inner for outer in level for inner in _inside(outer)]
        depth += 1


def _inside(value: Any) -> Any:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
