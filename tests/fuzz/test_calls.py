"""Whatever call comes in, a documented reply goes out, on every path through the core."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st

import inngest_core as inngest
from inngest_core.wire.signing import sign

from ..flow.wiring import FALLBACK, KEY, NOW, URL
from . import damage
from .amounts import fuzzed
from .doors import DOORS, KINDS, NAMED, WAYS, Backstage, Door, verify

modes = pytest.mark.parametrize("mode", list(DOORS))
ways = pytest.mark.parametrize("way", WAYS)
kinds = pytest.mark.parametrize("kind", KINDS)
numbers = st.integers(0, len(NAMED["def"]) - 1)


def ask(
    door: Door,
    way: str,
    body: bytes,
    query: dict[str, str],
    *,
    key: str = KEY,
    state: tuple[bytes, bytes] = (b"{}", b"[]"),
) -> None:
    """Make a call, signed where that is demanded, and look at the reply."""
    headers = {"x-inngest-signature": sign(key, body, NOW)} if door.mode == "cloud" else {}
    request = inngest.CommRequest("POST", URL, headers, query, body)
    response = door.ask(way, request, Backstage(*state))
    assert response.status != 401
    signed = "x-inngest-signature" in response.headers
    # What is too large is refused before its signature is looked at.
    assert signed == (door.mode == "cloud" and response.status != 413)
    verify(door, response, size=sum(map(len, (body, *state, *query.values()))))


@modes
@ways
@kinds
@fuzzed(
    body=damage.bodies,
    function=numbers,
    step=st.sampled_from(damage.IDS),
    key=st.sampled_from([KEY, FALLBACK]),
)
def test_a_call_with_other_values(
    mode: str, way: str, kind: str, body: bytes, function: int, step: str, key: str
) -> None:
    ask(DOORS[mode], way, body, {"fnId": NAMED[kind][function], "stepId": step}, key=key)


@modes
@ways
@kinds
@fuzzed(body=damage.damaged(), function=numbers)
def test_a_call_with_damaged_bytes(
    mode: str, way: str, kind: str, body: bytes, function: int
) -> None:
    ask(DOORS[mode], way, body, {"fnId": NAMED[kind][function], "stepId": "step"})


@st.composite
def kept_back(draw: st.DrawFn) -> tuple[bytes, bytes]:
    """The memos and the events of a damaged call, as the server hands them over."""
    doc = draw(damage.documents())
    parts = doc if isinstance(doc, dict) else {}
    memos = damage.encoded(parts.get("steps"))
    return memos, damage.encoded(parts.get("events")) if draw(st.booleans()) else draw(
        damage.damaged()
    )


CALL_FOR_STATE = (
    b'{"ctx":{"run_id":"r","attempt":0,"stack":{"stack":["86f7e437faa5a7fce15d1ddcb9eaeaea377667b8"]}},'
    b'"event":{"name":"a/b"},"use_api":true}'
)


@modes
@ways
@kinds
@fuzzed(state=kept_back(), function=numbers)
def test_a_call_whose_state_was_kept_back(
    mode: str, way: str, kind: str, state: tuple[bytes, bytes], function: int
) -> None:
    door = DOORS[mode]
    ask(door, way, CALL_FOR_STATE, {"fnId": NAMED[kind][function]}, state=state)


STREAMING = Door("dev", streaming=inngest.Streaming.FORCE)


@kinds
@fuzzed(
    body=damage.bodies | damage.damaged(),
    function=numbers,
    step=st.sampled_from(damage.IDS),
)
def test_a_streamed_call(kind: str, body: bytes, function: int, step: str) -> None:
    ask(STREAMING, "awaiting", body, {"fnId": NAMED[kind][function], "stepId": step})
