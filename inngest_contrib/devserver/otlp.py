"""
Spans as OpenTelemetry sends them (OTLP over HTTP): JSON, or protobuf.

Of protobuf only what a span is made of is read, field by field, so that no generated code and no
library is needed. What is unknown is passed over, as its rules want it.
"""

from __future__ import annotations

import binascii
import math
import struct
from base64 import b64decode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from inngest_contrib.devserver.engine import text

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_ERROR = 2
_MAX_DEPTH = 20
_MAX_NS = 2**63 - 1
_WRONG = (AttributeError, LookupError, TypeError, ValueError)
"""What reading raises where a value is not of the kind it should be."""


class NoSpans(ValueError):
    """A body is no export of spans; the text says why."""


@dataclass(slots=True, kw_only=True)
class OtlpSpan:
    """One span. Ids in hex, times in unix ns."""

    trace: str
    id: str
    parent: str = ""
    name: str = ""
    kind: str = KINDS[0]
    began: int = 0
    ended: int = 0
    failed: bool = False
    service: str = ""
    scope: str = ""
    attributes: dict[str, Any] = field(default_factory=dict)


def read_json(body: bytes) -> list[OtlpSpan]:
    """The spans of a request in JSON. Raises NoSpans."""
    try:
        return list(_spans(text.read(body)))
    except (*_WRONG, RecursionError) as error:
        raise NoSpans(f"the body is no OTLP/JSON request: {error}") from error


def read_protobuf(body: bytes) -> list[OtlpSpan]:
    """The spans of a request in protobuf. Raises NoSpans."""
    try:
        return list(_spans(_request(body)))
    except _WRONG as error:
        raise NoSpans(f"the body is no OTLP/protobuf request: {error}") from error


# --- JSON -----------------------------------------------------------------------------------


def _spans(request: Mapping[str, Any]) -> Iterator[OtlpSpan]:
    for group in request.get("resourceSpans") or ():
        resource = _attributes((group.get("resource") or {}).get("attributes"))
        service = str(resource.get("service.name") or "")
        for scoped in group.get("scopeSpans") or ():
            scope = str((scoped.get("scope") or {}).get("name") or "")
            for span in scoped.get("spans") or ():
                yield _span(span, service, scope)


def _span(span: Mapping[str, Any], service: str, scope: str) -> OtlpSpan:
    return OtlpSpan(
        trace=_hex(span["traceId"], 16),
        id=_hex(span["spanId"], 8),
        parent=_hex(span["parentSpanId"], 8) if span.get("parentSpanId") else "",
        name=text.clean(str(span.get("name") or "")),
        kind=_kind(span.get("kind")),
        began=_instant(span.get("startTimeUnixNano")),
        ended=_instant(span.get("endTimeUnixNano")),
        failed=(span.get("status") or {}).get("code") in (_ERROR, "STATUS_CODE_ERROR"),
        service=text.clean(service),
        scope=text.clean(scope),
        attributes=_attributes(span.get("attributes")),
    )


def _hex(given: str, size: int) -> str:
    """An id in hex. Some exporters write it as JSON writes bytes, in base64."""
    if len(given) != 2 * size:
        given = b64decode(given, validate=True).hex()
    if len(binascii.unhexlify(given)) != size:
        raise ValueError(f"an id has {size} bytes")
    return given.lower()


def _instant(ns: Any) -> int:
    return min(max(int(ns or 0), 0), _MAX_NS)


def _kind(kind: Any) -> str:
    if isinstance(kind, str):
        return kind.removeprefix("SPAN_KIND_")
    return KINDS[kind] if kind else KINDS[0]


def _attributes(pairs: Any) -> dict[str, Any]:
    return {str(pair["key"]): _value(pair.get("value") or {}) for pair in pairs or ()}


def _value(value: Mapping[str, Any]) -> Any:
    if "intValue" in value:
        return int(value["intValue"])
    if "arrayValue" in value:
        return [_value(one) for one in value["arrayValue"].get("values") or ()]
    if "kvlistValue" in value:
        return _attributes(value["kvlistValue"].get("values"))
    return next(iter(value.values()), None)


# --- protobuf -------------------------------------------------------------------------------


def _fields(body: bytes) -> Iterator[tuple[int, Any]]:
    """The fields of a message: number and content, an int or bytes. Raises ValueError."""
    at = 0
    while at < len(body):
        tag, at = _varint(body, at)
        number, form = tag >> 3, tag & 7
        if form == 0:
            content: Any
            content, at = _varint(body, at)
        elif form in (1, 5):
            size = 8 if form == 1 else 4
            content, at = int.from_bytes(_cut(body, at, size), "little"), at + size
        elif form == 2:
            size, at = _varint(body, at)
            content, at = _cut(body, at, size), at + size
        else:
            raise ValueError(f"a field of the form {form}")
        yield number, content


def _varint(body: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = body[at]
        at += 1
        number |= (byte & 0x7F) << shift
        if byte < 0x80:
            return number, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def _cut(body: bytes, at: int, size: int) -> bytes:
    if at + size > len(body):
        raise ValueError("it ends in the middle of a field")
    return body[at : at + size]


def _message(body: bytes, shape: Mapping[int, tuple[str, Any]], depth: int = 0) -> dict[str, Any]:
    """
    A message as its JSON form would be.

    shape: for each field its name, and a function that reads its content; a list of one: repeated.
    """
    if depth > _MAX_DEPTH:
        raise ValueError("it is nested too deeply")
    found: dict[str, Any] = {}
    for number, content in _fields(body):
        name, read = shape.get(number, ("", None))
        if isinstance(read, list):
            found.setdefault(name, []).append(_read(content, read[0], depth))
        elif name:
            found[name] = _read(content, read, depth)
    return found


def _read(content: Any, read: Any, depth: int) -> Any:
    return _message(content, read, depth + 1) if isinstance(read, dict) else read(content)


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def _signed(content: int) -> int:
    return content - (1 << 64) if content >> 63 else content


def _double(content: int) -> float | str:
    number = float(struct.unpack("<d", content.to_bytes(8, "little"))[0])
    return number if math.isfinite(number) else str(number)


_VALUE: dict[int, tuple[str, Any]] = {
    1: ("stringValue", _text),
    2: ("boolValue", bool),
    3: ("intValue", _signed),
    4: ("doubleValue", _double),
    7: ("bytesValue", bytes.hex),
}
_PAIR: dict[int, tuple[str, Any]] = {1: ("key", _text), 2: ("value", _VALUE)}
_VALUE[5] = ("arrayValue", {1: ("values", [_VALUE])})
_VALUE[6] = ("kvlistValue", {1: ("values", [_PAIR])})
_SPAN: dict[int, tuple[str, Any]] = {
    1: ("traceId", bytes.hex),
    2: ("spanId", bytes.hex),
    4: ("parentSpanId", bytes.hex),
    5: ("name", _text),
    6: ("kind", int),
    7: ("startTimeUnixNano", int),
    8: ("endTimeUnixNano", int),
    9: ("attributes", [_PAIR]),
    15: ("status", {3: ("code", int)}),
}
_SCOPED: dict[int, tuple[str, Any]] = {1: ("scope", {1: ("name", _text)}), 2: ("spans", [_SPAN])}
_GROUP: dict[int, tuple[str, Any]] = {
    1: ("resource", {1: ("attributes", [_PAIR])}),
    2: ("scopeSpans", [_SCOPED]),
}
_EXPORT: dict[int, tuple[str, Any]] = {1: ("resourceSpans", [_GROUP])}


def _request(body: bytes) -> dict[str, Any]:
    return _message(body, _EXPORT)
