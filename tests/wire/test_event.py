"""Events as users construct them, and the record that is sent."""

from __future__ import annotations

import types
from typing import Any

import pydantic
import pytest

from inngest_core.wire.event import Event, event_record

NOW = 1_700_000_000_000


def test_an_event_needs_a_name_only() -> None:
    event = Event(name="a/b")
    assert (event.data, event.id, event.ts, event.user, event.v) == ({}, "", 0, {}, None)


def test_unknown_keys_are_ignored_and_null_data_is_empty() -> None:
    event = Event.model_validate({"name": "a", "data": None, "user": None, "meta": {}})
    assert event.data == {}
    assert event.user == {}


@pytest.mark.parametrize("data", [[], "x", 1, True, [("a", 1)]])
def test_data_that_is_no_object_is_refused_by_field(data: Any) -> None:
    with pytest.raises(pydantic.ValidationError, match=r"(?s)data\n.*must be an object"):
        Event(name="a", data=data)


@pytest.mark.parametrize("fields", [{}, {"name": None}, {"name": 1}])
def test_a_name_that_is_missing_or_no_text_is_refused_by_field(fields: Any) -> None:
    with pytest.raises(pydantic.ValidationError, match="name"):
        Event(**fields)


def test_an_empty_id_is_left_out_and_no_time_is_now() -> None:
    assert event_record(Event(name="a"), NOW) == {"data": {}, "name": "a", "ts": NOW}


def test_everything_that_is_set_is_sent() -> None:
    event = Event(name="a", data={"n": 1}, id="i", ts=5, user={"u": 1}, v="2")
    assert event_record(event, NOW) == {
        "data": {"n": 1},
        "id": "i",
        "name": "a",
        "ts": 5,
        "user": {"u": 1},
        "v": "2",
    }


def test_any_mapping_is_data() -> None:
    event = Event(name="a", data=types.MappingProxyType({"n": 1}))
    assert event.data == {"n": 1}
    assert type(event.data) is dict
