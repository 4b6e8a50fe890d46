"""Strategies: real bodies with something in them changed, and whatever else may come in."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from inngest_core.wire.ids import hash_step

from .samples import CALLS, EVENT

IDS = [*(hash_step(name) for name in ("a", "b", "c", "s", "w", "i", "a:1")), "step", ""]


@dataclass(frozen=True)
class Raw:
    """Bytes that no JSON library writes, put where a value stands."""

    content: bytes


RAWS = [
    b"",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    b"1e999",
    b"-1e999",
    b"1e-999",
    b"-0",
    b"-0.0",
    b"01",
    b"+1",
    b".5",
    b"0x10",
    b"9" * 30,
    b"9" * 5000,
    b"0." + b"3" * 5000,
    b"1e5",
    b"'a'",
    b"tru",
    b"undefined",
    b'"\\ud800"',
    b'"\\udfff\\ud800"',
    b'{"\\ud800": 1}',
    b'"\\u0000"',
    b'"\x00"',
    b'"\n"',
    b'"\\x"',
    b'"\xff\xfe"',
    b'"\xed\xa0\x80"',
    b'"\xc0\xaf"',
    b'{"a": 1, "a": [2]}',
    b'{"data": 1, "data": {"data": null}}',
    b"[" * 150 + b"]" * 150,
    b"[" * 5000 + b"]" * 5000,
    b'{"a":' * 150 + b"1" + b"}" * 150,
    b'{"a":' * 5000 + b"1" + b"}" * 5000,
    b"[" * 5000,
    b'"' + b"x" * 50_000 + b'"',
    b'{"' + b"k" * 20_000 + b'": 1}',
    b"[" + b",".join([b"1"] * 5000) + b"]",
    b"[1,]",
    b"{,}",
    b"/**/1",
]

ODD: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**53 + 1,
    2**64,
    -(2**63) - 1,
    10**300,
    1.5,
    1e308,
    5e-324,
    "",
    "0",
    "true",
    "a\x00b",
    "\r\nset-cookie: a=b",
    "é\u2028\ufeff",
    "\U0001f600",
    "../../etc/passwd",
    "%00%ff",
    "x" * 300,
    [],
    {},
    [None],
    [[]],
    {"": None},
    {"data": 1},
    {"data": None},
    {"data": {"data": {}}},
    {"error": None},
    {"error": "text"},
    {"error": {}},
    {"error": {"name": 1, "message": [], "stack": {}, "cause": {"cause": {"cause": 3}}}},
    {"error": {"name": "NonRetriableError", "message": "é", "stack": None}},
    {"input": []},
    {"input": [1, 2, 3, 4]},
    {"input": "text"},
    {"input": {"a": 1}},
    {"data": {}, "error": {}},
    {"data": {"signal": 1, "data": 2}},
    {"data": {"status_code": 200, "headers": {"A": ["b"]}, "body": "c", "url": "d"}},
    {"data": {"status_code": "x", "headers": [1]}},
    EVENT,
    [EVENT, EVENT],
    *({"data": odd} for odd in ("text", [1], {"n": "1"}, 1e300)),
]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=4,
)
values = st.one_of(
    st.sampled_from(ODD), st.sampled_from(ODD), st.sampled_from(RAWS).map(Raw), json_values
)
KEYS = ["", "ctx", "steps", "stack", "data", "error", "input", "use_api", "é", "__proto__", *IDS]


@st.composite
def documents(draw: st.DrawFn) -> Any:
    """A real call in which up to three things are another value, missing, renamed or more."""
    doc = json.loads(draw(st.sampled_from(CALLS)))
    for _ in range(draw(st.integers(0, 3))):
        draw(st.sampled_from(CHANGES))(draw, doc)
    return doc


def _replace(draw: st.DrawFn, doc: Any) -> None:
    place, key = _somewhere(draw, doc)
    place[key] = copy.deepcopy(draw(values))


def _remove(draw: st.DrawFn, doc: Any) -> None:
    place, key = _somewhere(draw, doc)
    del place[key]


def _rename(draw: st.DrawFn, doc: Any) -> None:
    place, key = _somewhere(draw, doc)
    value = place.pop(key)
    if isinstance(place, dict):
        place[draw(st.sampled_from(KEYS))] = value


def _add(draw: st.DrawFn, doc: Any) -> None:
    place, _ = _somewhere(draw, doc)
    value = copy.deepcopy(draw(values))
    if isinstance(place, dict):
        place[draw(st.sampled_from(KEYS))] = value
    else:
        place.append(value)


def _remember(draw: st.DrawFn, doc: Any) -> None:
    """Put in a memo of a step that the functions know, in the stack or not."""
    step = draw(st.sampled_from(IDS))
    if isinstance(doc.get("steps"), dict):
        doc["steps"][step] = copy.deepcopy(draw(values))
    stack = doc["ctx"].get("stack") if isinstance(doc.get("ctx"), dict) else None
    if isinstance(stack, dict) and isinstance(stack.get("stack"), list) and draw(st.booleans()):
        stack["stack"].append(step)


Change = Callable[[Any, Any], None]
CHANGES: list[Change] = [_replace, _replace, _replace, _remove, _rename, _add, _remember, _remember]


def _somewhere(draw: st.DrawFn, doc: Any) -> tuple[Any, Any]:
    """A container in *doc*, and a key or index that it has."""
    found: list[tuple[Any, Any]] = []
    pending = [doc]
    while pending:
        place = pending.pop()
        items = list(place.items() if isinstance(place, dict) else enumerate(place))
        found += ((place, key) for key, _ in items)
        pending += (value for _, value in items if isinstance(value, (dict, list)) and value)
    return draw(st.sampled_from(found)) if found else ({"": None}, "")


def encoded(doc: Any, ascii_only: bool = False) -> bytes:
    """The JSON of a document that may hold raw bytes."""
    raws: list[bytes] = []

    def placed(value: Any) -> Any:
        if not isinstance(value, Raw):
            raise TypeError(value)
        raws.append(value.content)
        return f"\x01{len(raws) - 1}\x01"

    body = json.dumps(doc, default=placed, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    for number, raw in enumerate(raws):
        body = body.replace(b'"\\u0001%d\\u0001"' % number, raw)
    return body


bodies = st.builds(encoded, documents(), st.booleans())


@st.composite
def damaged(draw: Any) -> Any:
    """A body whose bytes were damaged on their way."""
    return draw(st.sampled_from(DAMAGES))(draw, draw(bodies))


def _cut(draw: st.DrawFn, body: bytes) -> bytes:
    return body[: draw(st.integers(0, len(body)))]


def _flip(draw: st.DrawFn, body: bytes) -> bytes:
    at = draw(st.integers(0, max(0, len(body) - 1)))
    return body[:at] + draw(st.binary(min_size=1, max_size=3)) + body[at + 1 :]


def _twice(draw: st.DrawFn, body: bytes) -> bytes:
    """The same key twice."""
    key = draw(st.sampled_from(["ctx", "event", "events", "steps", "use_api"]))
    extra = encoded({key: draw(values)})[1:-1]
    return (
        body[:1] + extra + b"," + body[1:]
        if draw(st.booleans())
        else body[:-1] + b"," + extra + b"}"
    )


DAMAGES: list[Callable[[Any, bytes], bytes]] = [
    _cut,
    _flip,
    _flip,
    _twice,
    _twice,
    lambda draw, body: draw(st.binary(max_size=40)),
    lambda draw, body: encoded(draw(values)),
    lambda draw, body: b"\xef\xbb\xbf" + body,
    lambda draw, body: b" \r\n\t" + body + b"\n",
    lambda draw, body: body + body,
    lambda draw, body: body.decode("utf-8", "replace").encode("utf-16"),
    lambda draw, body: body.decode("utf-8", "replace").encode("latin-1", "replace"),
    lambda draw, body: gzip.compress(body, 1),
    lambda draw, body: b"payload=" + body,
]

# ---- the rest of a request

texts = st.one_of(
    st.sampled_from([odd for odd in ODD if isinstance(odd, str)]),
    st.text(max_size=12),
    st.text(st.characters(), max_size=6),
    st.just("\ud800"),
    st.just("x" * 10_000),
)


def queries(functions: list[str]) -> st.SearchStrategy[dict[str, str]]:
    """Parameters that are known and others, their values good or bad."""
    good = st.sampled_from([*functions, *IDS, "trust", "1"])
    names = st.sampled_from(["fnId", "stepId", "probe", "deployId", "fnid", ""])
    return st.dictionaries(names | texts, good | good | texts, max_size=4)


@st.composite
def query_strings(draw: st.DrawFn, functions: list[str]) -> bytes:
    """Parameters as they stand in a URL: missing, repeated, long, badly escaped."""
    good = [name.encode() for name in functions] + [b"step", b"trust", hash_step("b").encode()]
    name = st.sampled_from([b"fnId", b"fnId", b"stepId", b"probe", b"deployId", b"", b"fnId[]"])
    junk = st.sampled_from(
        [
            b"",
            b"%",
            b"%zz",
            b"%00",
            b"%ff%fe",
            b"%ed%a0%80",
            b"+",
            b"%25",
            b"a=b",
            b"\xff",
            b"\xc3\xa9",
        ]
    )
    value = st.sampled_from(good) | junk | st.just(b"x" * 5000) | st.binary(max_size=6)
    pairs = draw(st.lists(st.tuples(name, value), max_size=4))
    return draw(st.sampled_from([b"&", b"&", b"&&", b";"])).join(b"=".join(pair) for pair in pairs)


NAMES = [
    "x-inngest-signature",
    "x-inngest-server-kind",
    "x-inngest-sync-kind",
    "x-inngest-req-version",
    "x-inngest-step-id",
    "x-run-id",
    "content-type",
    "content-encoding",
    "accept-encoding",
    "host",
    "traceparent",
    "x-forwarded-host",
    "x-forwarded-proto",
]
header_values = st.one_of(
    st.sampled_from(["dev", "cloud", "in_band", "out_of_band", "gzip", "application/json", "2"]),
    st.text(st.characters(max_codepoint=255, exclude_characters="\r\n\0"), max_size=12),
    st.just("x" * 5000),
)
headers = st.dictionaries(st.sampled_from(NAMES), header_values, max_size=3)
known_methods = st.sampled_from(
    ["GET", "PUT", "POST", "HEAD", "OPTIONS", "PATCH", "DELETE", "TRACE"],
)
methods = known_methods | st.sampled_from(["CONNECT", "get", "BREW", "P"])
