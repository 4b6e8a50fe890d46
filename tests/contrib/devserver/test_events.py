"""Events as they are sent, against what a real server answered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from inngest_contrib.devserver.events import EventRefused, read_batch, read_event

SAMPLES = Path(__file__).parents[2] / "samples" / "devserver"
CASES = json.loads((SAMPLES / "event-api.json").read_text())["cases"]
SEED = "1743130137367,eii2YKXRVTJPuA=="


def refusal(raw: Any) -> str:
    with pytest.raises(EventRefused) as refused:
        read_event(raw)
    return str(refused.value)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_a_body_is_accepted_or_refused_as_recorded(case: dict[str, Any]) -> None:
    batch = read_batch(case["body"].encode(), case["seed"])
    reply = case["reply"]
    assert batch.error == reply.get("error")
    assert len(batch.events) == len([one for one in reply["ids"] if one])


@pytest.mark.parametrize(
    "case", [case for case in CASES if case["case"].startswith("seed")], ids=lambda c: c["case"]
)
def test_a_seed_gives_the_recorded_ids(case: dict[str, Any]) -> None:
    batch = read_batch(case["body"].encode(), case["seed"])
    expected = [""] if case["case"] == "seed bad" else case["reply"]["ids"]
    assert [event.internal_id for event in batch.events] == expected


def test_an_event_is_read_whole() -> None:
    event = read_event(
        {
            "name": "shop/order",
            "data": {"n": 1, "_inngest": {"x": 1}},
            "id": "order-1",
            "ts": 1_700_000_000_000,
            "v": "2",
            "user": {"id": 7},
            "meta": {"sessions": {"a": "1", "z": None}, "propagated_sessions": {"b": 2, "z": 9}},
            "unknown": True,
        }
    )
    assert event.name == "shop/order"
    assert event.data == {"n": 1}
    assert (event.id, event.ts, event.v, event.user) == (
        "order-1",
        1_700_000_000_000,
        "2",
        {"id": 7},
    )
    assert event.meta == {"sessions": {"a": "1", "b": 2}}


def test_a_bare_name_is_an_event() -> None:
    event = read_event({"name": "a", "data": None, "ts": 0, "id": ""})
    assert (event.data, event.ts, event.id, event.v, event.user, event.meta) == (
        {},
        0,
        "",
        None,
        None,
        None,
    )


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        ({"name": ["a"]}, "cannot unmarshal array into Go struct field raw.name of type string"),
        ({"name": True}, "cannot unmarshal bool into Go struct field raw.name of type string"),
        (
            {"name": "a", "ts": True},
            "cannot unmarshal bool into Go struct field raw.ts of type int64",
        ),
        ({"name": "a", "ts": -1}, "timestamp is before Jan 1, 1980"),
        ({"name": "a", "meta": 3}, "cannot unmarshal number into Go struct field raw.meta of type"),
        ({"name": "a", "meta": {"sessions": []}}, "raw.meta.sessions of type map"),
        (3, "Request body must contain an event object"),
        (None, "event name is empty"),
    ],
)
def test_a_bad_event_is_refused_by_field(raw: Any, text: str) -> None:
    assert text in refusal(raw)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (b"null", "Request body must contain an event object or an array of event objects"),
        (b'"text"', "Request body must contain an event object or an array of event objects"),
        (b'{"name":', "unexpected end of JSON input"),
        (b'[{"name":"a"},', "EOF"),
        (b'{"name": "a", "data": {"x": NaN}}', "invalid JSON: "),
        (b'{"name": "a", "data": {"x": 1e999}}', "invalid JSON: the number 1e999 is too large"),
        (b'{"name": "a", "data": {"x": -1E+0400}}', "invalid JSON: the number -1E+0400 is too"),
        (b'{"name": "a", "data": {"x": ' + b"9" * 320 + b".5}}", "invalid JSON: the number 9"),
        (b'{"name": "a", "data": {"x": ' + b"9" * 230 + b"e90}}", "invalid JSON: the number 9"),
        (b'{"name": "a"} trailing', "invalid JSON: "),
        (b"\xff\xfe{}", "invalid JSON: "),
        (b"[" * 100_000, "invalid JSON: "),
        (b'{"name": "\xff"}', "invalid JSON: "),
    ],
)
def test_a_body_that_is_no_event_is_refused(body: bytes, error: str) -> None:
    batch = read_batch(body)
    assert batch.events == []
    assert batch.error is not None
    assert batch.error.startswith(error)


@pytest.mark.parametrize("number", ["1e300", "1e-999", "1" + "0" * 210, "0." + "1" * 220])
def test_large_and_exact_numbers_are_kept(number: str) -> None:
    batch = read_batch(f'{{"name": "a", "data": {{"x": {number}, "s": "1e999"}}}}'.encode())
    assert batch.error is None
    assert batch.events[0].data == {"x": json.loads(number), "s": "1e999"}


def test_the_size_of_an_event_is_limited_alone_and_in_a_list() -> None:
    large = {"name": "a", "data": {"s": "x" * 3_145_728}}
    body = json.dumps(large, separators=(",", ":")).encode()
    error = f"Event is over the max size: Max 3145728 bytes / Size {len(body)} bytes"
    assert read_batch(body).error == error
    batch = read_batch(b'[{"name":"b"},' + body + b"]")
    assert batch.error == error
    assert [event.name for event in batch.events] == ["b"]
    smaller = json.dumps({"name": "a", "data": {"s": "x" * 2_969_600}}).encode()
    assert read_batch(smaller).error is None


def test_the_first_5000_events_of_a_longer_list_are_accepted() -> None:
    batch = read_batch(json.dumps([{"name": "a"}] * 5001).encode(), SEED)
    assert batch.error == "Cannot have more than 5000 events in a batch"
    assert len(batch.events) == 5000
    assert len({event.internal_id for event in batch.events}) == 5000


def test_half_a_character_is_replaced_and_the_event_kept() -> None:
    body = json.dumps({"name": "a", "data": {"half": "x\ud800y", "whole": "\U0001f600"}}).encode()
    batch = read_batch(body)
    assert batch.error is None
    assert batch.events[0].data == {"half": "x\ufffdy", "whole": "\U0001f600"}


def test_half_a_character_does_not_make_other_faults_good() -> None:
    for body in (b'{"name":"\\ud800","data":{"x":NaN}}', b'["\\ud800"' + b"[" * 100_000):
        error = read_batch(body).error
        assert error is not None
        assert error.startswith("invalid JSON: ") or error == "EOF"
