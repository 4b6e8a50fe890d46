"""A function as its user holds it."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import pytest

import inngest_core as inngest
from inngest_core.wire.register import failure_config

from .flow.wiring import ask, call_of, client_of, document

TRIGGER = inngest.TriggerEvent(event="a/b")


def plain(ctx: Any) -> str:
    return "plain"


async def awaited(ctx: Any) -> str:
    return "awaited"


class Plain:
    def __call__(self, ctx: Any) -> str:
        return "plain"

    async def method(self, ctx: Any) -> str:
        return "awaited"


class Awaited:
    async def __call__(self, ctx: Any) -> str:
        return "awaited"


def with_two(other: Any, ctx: Any) -> str:
    return "plain"


async def awaited_with_two(other: Any, ctx: Any) -> str:
    return "awaited"


HANDLERS = [
    (plain, False),
    (lambda ctx: "plain", False),
    (Plain(), False),
    (functools.partial(with_two, 1), False),
    (awaited, True),
    (Awaited(), True),
    (Plain().method, True),
    (functools.partial(awaited_with_two, 1), True),
]


@pytest.mark.parametrize(("handler", "is_async"), HANDLERS)
def test_every_kind_of_callable_is_known_for_async_or_not(handler: Any, is_async: bool) -> None:
    client = client_of()
    function = client.create_function(fn_id="f", trigger=TRIGGER)(handler)
    assert function.is_handler_async is is_async
    assert document(ask(client, call_of("shop-f"))) == ("awaited" if is_async else "plain")


def test_a_failure_handler_has_an_id_of_its_own_and_is_served() -> None:
    client = client_of()
    function = client.create_function(fn_id="f", trigger=TRIGGER, on_failure=awaited)(plain)
    assert function.on_failure_fn_id == "shop-f-failure"
    assert function.is_on_failure_handler_async
    assert document(ask(client, call_of("shop-f-failure"))) == "awaited"


def test_without_one_there_is_none() -> None:
    function = client_of().create_function(fn_id="f", trigger=TRIGGER)(plain)
    assert function.on_failure_fn_id is None
    assert function.is_on_failure_handler_async is None


@dataclasses.dataclass
class Apology:
    to: str


class Naming:
    """A serializer that names the type by which it was asked."""

    def serialize(self, obj: object, typ: object) -> object:
        return [str(obj), getattr(typ, "__name__", None)]

    def deserialize(self, obj: object, typ: object) -> object:
        return obj


def apologise(ctx: Any) -> Any:
    return Apology("you")


def test_what_a_failure_handler_returns_passes_the_serializer_without_a_type() -> None:
    def answered(**arguments: Any) -> Any:
        client = client_of(**arguments)
        options: dict[str, Any] = {"on_failure": apologise, "output_type": int}
        client.create_function(fn_id="f", trigger=TRIGGER, **options)(plain)
        return document(ask(client, call_of("shop-f-failure")))

    assert answered() == {"to": "you"}
    assert answered(serializer=Naming()) == ["Apology(to='you')", "object"]


def test_a_failure_handler_is_registered_for_the_failures_of_its_function_only() -> None:
    client = client_of(app_id="it's")
    function = client.create_function(fn_id="f", trigger=TRIGGER, name="Eff")(plain)
    config = failure_config(function.config)
    assert config.to_wire("http://a/b") == {
        "id": "it's-f-failure",
        "name": "Eff (failure)",
        "steps": {
            "step": {
                "id": "step",
                "name": "step",
                "retries": {"attempts": 0},
                "runtime": {
                    "type": "http",
                    "url": "http://a/b?fnId=it%27s-f-failure&stepId=step",
                },
            }
        },
        "triggers": [
            {
                "event": "inngest/function.failed",
                "expression": "event.data.function_id == 'it\\'s-f'",
            }
        ],
    }


def test_it_is_subscriptable_as_a_type_and_shows_its_id() -> None:
    assert inngest.Function[int] is not None
    function = client_of().create_function(fn_id="f", trigger=TRIGGER)(plain)
    assert repr(function) == "<Function shop-f>"
