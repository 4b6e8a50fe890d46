"""Spans in the forms that OpenTelemetry sends: a request of its Python exporter, and JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inngest_contrib.devserver.otlp import NoSpans, read_json, read_protobuf

EXPORTED = (Path(__file__).parents[2] / "samples" / "devserver" / "otlp" / "spans.pb").read_bytes()
TRACE, SPAN, PARENT = "019a0f5a2d5c7a6b8c9d0e1f2a3b4c5d", "abc0000000000001", "1122334455667788"


def request(**span: Any) -> bytes:
    one = {"traceId": TRACE, "spanId": SPAN, **span}
    return json.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [one]}]}]}).encode()


def test_what_an_exporter_sends_in_protobuf_is_read() -> None:
    card, charge = read_protobuf(EXPORTED)
    assert (charge.trace, charge.id, charge.parent) == (TRACE, SPAN, PARENT)
    assert (charge.name, charge.kind, charge.service, charge.scope) == (
        "charge",
        "CLIENT",
        "shop",
        "billing",
    )
    assert charge.attributes == {
        "text": "ü",
        "n": -7,
        "yes": True,
        "share": 0.5,
        "list": ["a", "b"],
    }
    assert (charge.began, charge.ended) == (1795343356572000000, 1795343356600000000)
    assert (card.parent, card.failed, charge.failed) == (SPAN, True, False)


def test_the_same_in_json_is_read() -> None:
    document = {
        "resourceSpans": [
            {
                "resource": {
                    "attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]
                },
                "scopeSpans": [
                    {
                        "scope": {"name": "billing"},
                        "spans": [
                            {
                                "traceId": TRACE.upper(),
                                "spanId": SPAN,
                                "parentSpanId": "ESIzRFVmd4g=",
                                "name": "charge",
                                "kind": "SPAN_KIND_CLIENT",
                                "startTimeUnixNano": "1795343356572000000",
                                "endTimeUnixNano": 1795343356600000000,
                                "status": {"code": 2},
                                "attributes": [
                                    {"key": "n", "value": {"intValue": "-7"}},
                                    {
                                        "key": "list",
                                        "value": {"arrayValue": {"values": [{"boolValue": True}]}},
                                    },
                                    {
                                        "key": "map",
                                        "value": {
                                            "kvlistValue": {
                                                "values": [
                                                    {"key": "a", "value": {"doubleValue": 1.5}}
                                                ]
                                            }
                                        },
                                    },
                                    {"key": "nothing"},
                                ],
                            }
                        ],
                    }
                ],
            }
        ]
    }
    (span,) = read_json(json.dumps(document).encode())
    assert (span.trace, span.parent, span.kind) == (TRACE, PARENT, "CLIENT")
    assert (span.began, span.failed, span.service) == (1795343356572000000, True, "shop")
    assert span.attributes == {"n": -7, "list": [True], "map": {"a": 1.5}, "nothing": None}


def test_times_that_no_store_could_keep_are_cut() -> None:
    (span,) = read_json(request(startTimeUnixNano="-5", endTimeUnixNano=10**30))
    assert (span.began, span.ended) == (0, 2**63 - 1)


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'{"resourceSpans": [1]}',
        b'{"resourceSpans": 5}',
        request(traceId="00"),
        request(spanId=7),
        request(kind=99),
        request(startTimeUnixNano="soon"),
        request(attributes=[{"value": 1}]),
    ],
)
def test_what_is_no_request_in_json_is_refused(body: bytes) -> None:
    with pytest.raises(NoSpans, match="no OTLP/JSON"):
        read_json(body)


@pytest.mark.parametrize(
    "body",
    [b"{}", b"\x0a", b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", b"\x08\x01\x0b"],
)
def test_what_is_no_request_in_protobuf_is_refused(body: bytes) -> None:
    with pytest.raises(NoSpans, match="no OTLP/protobuf"):
        read_protobuf(body)


def test_no_cut_of_a_request_does_more_than_be_refused() -> None:
    for end in range(len(EXPORTED)):
        try:
            read_protobuf(EXPORTED[:end])
        except NoSpans:
            continue


def test_nesting_ends_somewhere() -> None:
    value = b""
    for _ in range(60):
        inner = b"\x0a" + _sized(value)
        value = b"\x2a" + _sized(inner)
    pair = b"\x12" + _sized(value)
    span = b"\x4a" + _sized(pair)
    body = b"\x0a" + _sized(b"\x12" + _sized(b"\x12" + _sized(span)))
    with pytest.raises(NoSpans, match="nested too deeply"):
        read_protobuf(body)


def _sized(content: bytes) -> bytes:
    size, head = len(content), bytearray()
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes([*head, size]) + content
