"""The serializers, and the fast cache of adapters behind them."""

from __future__ import annotations

import datetime
from typing import Any

import pydantic
import pytest

import inngest_core as inngest
from inngest_core.flow import serializer as serializing

from .wiring import ask, call_of, client_of, document


class Order(pydantic.BaseModel):
    id: int
    day: datetime.date


DAY = datetime.date(2026, 1, 2)
TRIGGER = inngest.TriggerEvent(event="a/b")


def test_it_is_a_serializer_by_the_protocol() -> None:
    assert isinstance(inngest.PydanticSerializer(), inngest.Serializer)
    assert not isinstance(object(), inngest.Serializer)


def test_a_value_that_does_not_fit_its_type_is_an_error_on_the_way_in() -> None:
    with pytest.raises(pydantic.ValidationError):
        inngest.PydanticSerializer().deserialize({"id": "x"}, Order)


def test_an_adapter_is_built_once_for_a_type(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[Any] = []
    real = pydantic.TypeAdapter

    def counting(typ: Any) -> Any:
        built.append(typ)
        return real(typ)

    monkeypatch.setattr(pydantic, "TypeAdapter", counting)
    serializing._cached_adapter.cache_clear()
    for _ in range(3):
        inngest.PydanticSerializer().serialize([DAY], list[datetime.date])
    assert built == [list[datetime.date]]


def step_of_order(ctx: inngest.ContextSync) -> Any:
    def load() -> Order:
        return Order(id=1, day=DAY)

    found = ctx.step.run("load", load, output_type=Order)
    assert isinstance(found, Order)
    return found.day.isoformat()


def test_a_step_returns_on_replay_what_it_returned_at_first() -> None:
    client = client_of()
    client.create_function(fn_id="f", trigger=TRIGGER)(step_of_order)
    (op,) = document(ask(client, call_of("shop-f")))
    assert op["data"] == {"id": 1, "day": "2026-01-02"}
    replayed = ask(client, call_of("shop-f", steps={op["id"]: {"data": op["data"]}}))
    assert document(replayed) == "2026-01-02"


def test_a_function_has_an_output_type_too() -> None:
    client = client_of()
    client.create_function(fn_id="f", trigger=TRIGGER, output_type=Order)(
        lambda ctx: Order(id=2, day=DAY)
    )
    assert document(ask(client, call_of("shop-f"))) == {"id": 2, "day": "2026-01-02"}


def test_without_a_type_a_model_is_not_json() -> None:
    client = client_of()
    client.create_function(fn_id="f", trigger=TRIGGER)(lambda ctx: Order(id=2, day=DAY))
    response = ask(client, call_of("shop-f"))
    assert document(response)["code"] == "output_unserializable"
    assert response.headers["x-inngest-no-retry"] == "true"


def test_a_serializer_of_the_user_does_the_work() -> None:
    class Tagging:
        def serialize(self, obj: object, typ: object) -> object:
            return {"tagged": obj}

        def deserialize(self, obj: Any, typ: object) -> object:
            return obj["tagged"]

    client = client_of(serializer=Tagging())

    def handler(ctx: inngest.ContextSync) -> Any:
        return ctx.step.run("a", lambda: 1, output_type=int)

    client.create_function(fn_id="f", trigger=TRIGGER)(handler)
    (op,) = document(ask(client, call_of("shop-f")))
    assert op["data"] == {"tagged": 1}
    assert document(ask(client, call_of("shop-f", steps={op["id"]: {"data": op["data"]}}))) == 1
