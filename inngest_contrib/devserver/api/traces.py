"""Spans that apps have traced themselves, as OpenTelemetry sends them."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response

from inngest_contrib.devserver.api.context import Api, read_body
from inngest_contrib.devserver.api.replies import JSON, ApiError
from inngest_contrib.devserver.engine import text
from inngest_contrib.devserver.engine.commands import NoteSpans
from inngest_contrib.devserver.engine.limits import MAX_METADATA, MAX_REPLY, MAX_RUN_SPANS
from inngest_contrib.devserver.engine.state import Span
from inngest_contrib.devserver.engine.tracing import run_of
from inngest_contrib.devserver.otlp import NoSpans, OtlpSpan, read_json, read_protobuf

PROTOBUF = "application/x-protobuf"


async def take(api: Api, request: Request) -> Response:
    """POST /v1/traces/userland: keep spans with their runs; those of no run are passed over."""
    body = await read_body(request)
    if len(body) > MAX_REPLY:
        raise ApiError(413, f"The body has {len(body)} bytes; at most {MAX_REPLY} are taken")
    media = request.headers.get("content-type", "").partition(";")[0].strip()
    try:
        spans = read_protobuf(body) if media == PROTOBUF else read_json(body)
    except NoSpans as error:
        raise ApiError(400, f"Invalid request: {error}") from error
    kept = _kept(api, spans)
    if kept:
        await api.server.submit(NoteSpans(kept))
    return _answer(media, len(spans) - len(kept))


def _kept(api: Api, spans: Sequence[OtlpSpan]) -> list[Span]:
    """The spans that belong to a run which has room for them."""
    room: dict[str, int] = {}
    found = []
    for span in spans:
        run_id = run_of(span.trace)
        if run_id not in room:
            room[run_id] = _room(api, run_id)
        written = text.write(span.attributes)
        if room[run_id] > 0 and len(written) <= MAX_METADATA:
            room[run_id] -= 1
            found.append(_record(run_id, span, written))
    return found


def _room(api: Api, run_id: str) -> int:
    known = api.reads.run(run_id) is not None
    return MAX_RUN_SPANS - api.reads.count_spans(run_id) if known else 0


def _record(run_id: str, span: OtlpSpan, attributes: bytes) -> Span:
    return Span(
        run_id=run_id,
        id=span.id,
        parent=span.parent,
        name=span.name,
        kind=span.kind,
        began_at=span.began // 1_000_000,
        ended_at=span.ended // 1_000_000,
        failed=span.failed,
        service=span.service,
        scope=span.scope,
        attributes=attributes,
    )


def _answer(media: str, refused: int) -> Response:
    """What an exporter expects, in its own form: how many spans were not kept."""
    if media != PROTOBUF:
        told = f'{{"partialSuccess":{{"rejectedSpans":"{refused}"}}}}' if refused else "{}"
        return Response(told, media_type=JSON)
    counted = _varint(refused)
    told_bytes = b"\x0a" + _varint(1 + len(counted)) + b"\x08" + counted if refused else b""
    return Response(told_bytes, media_type=PROTOBUF)


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])
