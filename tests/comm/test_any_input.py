"""Whatever comes in, a documented reply goes out: JSON, no frames of ours, nothing raised."""

from __future__ import annotations

import asyncio
import copy
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import inngest_core as inngest
from inngest_core.wire.ids import hash_step

from ..flow.wiring import KEY, NOW, client_of, cloud_client, served

EVENT = {"data": {"n": 1}, "id": "e", "name": "a/b", "ts": 1, "user": {}, "v": "1"}
CALL: dict[str, Any] = {
    "ctx": {
        "attempt": 0,
        "disable_immediate_execution": False,
        "fn_id": "x",
        "generation_id": 1,
        "job_id": "j",
        "max_attempts": 3,
        "qi_id": "q",
        "request_id": "r",
        "run_id": "run",
        "stack": {"current": 1, "stack": [hash_step("a")]},
    },
    "defers": {},
    "event": EVENT,
    "events": [EVENT],
    "steps": {hash_step("a"): {"data": 1}},
    "version": -1,
}
DOCUMENTED = {
    "body_invalid",
    "function_not_found",
    "probe_unknown",
    "query_param_missing",
    "step_errored",
    "step_unexpected",
}

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=5,
)


def paths(doc: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [here] if here else []
    items = (
        doc.items() if isinstance(doc, dict) else enumerate(doc) if isinstance(doc, list) else ()
    )
    for key, value in items:
        found += paths(value, (*here, key))
    return found


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A call in which something is another value, or is missing."""
    doc = copy.deepcopy(CALL)
    *way, last = draw(st.sampled_from(paths(CALL)))
    place: Any = doc
    for key in way:
        place = place[key]
    if draw(st.booleans()):
        place[last] = draw(json_values)
    else:
        del place[last]
    return json.dumps(doc).encode()


async def awaiting(ctx: inngest.Context) -> Any:
    return [await ctx.step.run("a", lambda: 1), await ctx.step.run("b", lambda: 2)]


def blocking(ctx: inngest.ContextSync) -> Any:
    return [ctx.step.run("a", lambda: 1), ctx.step.run("b", lambda: 2)]


def door(client: inngest.Inngest) -> inngest.CommHandler:
    trigger = inngest.TriggerEvent(event="a/b")
    client.create_function(fn_id="awaiting", trigger=trigger)(awaiting)
    client.create_function(fn_id="blocking", trigger=trigger)(blocking)
    return served(client)


DEV, CLOUD = door(client_of()), door(cloud_client())


def check(response: inngest.CommResponse) -> None:
    assert response.status in (200, 206, 400, 401, 405, 413, 500)
    doc = json.loads(response.body)
    if response.status >= 400:
        assert doc["code"] in DOCUMENTED, doc
        assert "inngest_core/" not in str(doc.get("stack"))


@pytest.mark.parametrize("function", ["shop-blocking", "shop-awaiting"])
@given(body=damaged() | st.binary(max_size=20) | json_values.map(lambda v: json.dumps(v).encode()))
@settings(max_examples=150, deadline=None)
def test_a_damaged_call_is_answered(function: str, body: bytes) -> None:
    request = inngest.CommRequest("POST", "http://a/b", {}, {"fnId": function}, body)
    if function == "shop-blocking":
        check(DEV.answer_sync(request))
    else:
        check(asyncio.run(DEV.answer(request)))


@given(
    query=st.dictionaries(
        st.sampled_from(["fnId", "stepId", "probe", "x"]),
        st.sampled_from(["", "shop-blocking", "step", hash_step("b"), "trust"])
        | st.text(max_size=5),
    )
)
@settings(max_examples=100, deadline=None)
def test_any_query_is_answered(query: dict[str, str]) -> None:
    body = json.dumps(CALL).encode()
    check(DEV.answer_sync(inngest.CommRequest("POST", "http://a/b", {}, query, body)))


@given(
    signature=st.text(max_size=40)
    | st.builds("t={}&s={}".format, st.integers() | st.just(NOW), st.text(max_size=64)),
    body=st.binary(max_size=20),
    method=st.sampled_from(["GET", "POST", "PUT"]),
)
@settings(max_examples=200, deadline=None)
def test_any_signature_is_refused(signature: str, body: bytes, method: str) -> None:
    headers = {"x-inngest-signature": signature}
    response = CLOUD.answer_sync(inngest.CommRequest(method, "http://a/b", headers, {}, body))
    assert response.status == 401
    assert KEY not in response.body.decode()
