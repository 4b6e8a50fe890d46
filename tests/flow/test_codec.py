"""By which type a value is converted: the given one, or an annotation that JSON lacks words for."""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import functools
import uuid
from collections.abc import Callable
from typing import Annotated, Any, Optional

import pydantic
import pytest

from inngest_core import PydanticSerializer
from inngest_core.errors import OutputUnserializableError
from inngest_core.flow.codec import Codec
from inngest_core.flow.serializer import DefaultSerializer, beyond_json
from inngest_core.types import EmptySentinel


class Order(pydantic.BaseModel):
    id: int
    when: datetime.datetime


@dataclasses.dataclass
class Line:
    amount: decimal.Decimal


class Color(enum.Enum):
    RED = "red"


MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.timezone.utc)
ORDER = Order(id=1, when=MOMENT)
ID = uuid.UUID(int=7)


def codec() -> Codec:
    return Codec(DefaultSerializer())


def returning(annotation: Any) -> Callable[[], Any]:
    def function() -> Any: ...

    function.__annotations__["return"] = annotation
    return function


VALUES: list[tuple[Any, Any, Any]] = [
    (Order, ORDER, {"id": 1, "when": "2026-01-02T03:04:05Z"}),
    (Line, Line(decimal.Decimal("1.10")), {"amount": "1.10"}),
    (list[Order], [ORDER], [{"id": 1, "when": "2026-01-02T03:04:05Z"}]),
    (dict[str, Order | None], {"a": None}, {"a": None}),
    (Optional[Order], None, None),  # noqa: UP045  # this form has a type of its own
    (Order | None, ORDER, {"id": 1, "when": "2026-01-02T03:04:05Z"}),
    (datetime.datetime, MOMENT, "2026-01-02T03:04:05Z"),
    (datetime.date, MOMENT.date(), "2026-01-02"),
    (datetime.timedelta, datetime.timedelta(hours=1), "PT1H"),
    (decimal.Decimal, decimal.Decimal("1.1"), "1.1"),
    (uuid.UUID, ID, str(ID)),
    (Color, Color.RED, "red"),
    (set[int], {1}, [1]),
    (frozenset[str], frozenset({"a"}), ["a"]),
    (tuple[Order, int], (ORDER, 1), [{"id": 1, "when": "2026-01-02T03:04:05Z"}, 1]),
]


@pytest.mark.parametrize(("annotation", "value", "plain"), VALUES)
def test_what_json_lacks_goes_out_and_comes_back_by_its_annotation(
    annotation: Any, value: Any, plain: Any
) -> None:
    chosen = codec().type_of(returning(annotation))
    assert chosen is not EmptySentinel
    assert codec().dump(value, chosen) == plain
    assert codec().load(plain, chosen) == value


@pytest.mark.parametrize(
    "annotation",
    [None, Any, object, int, str, bool, dict, list[Any], int | None, "NotThere", "Order if"],
)
def test_any_other_annotation_means_plain_json(annotation: Any) -> None:
    assert codec().type_of(returning(annotation)) is EmptySentinel
    if not isinstance(annotation, str):
        assert not beyond_json(annotation)


def test_without_an_annotation_it_is_plain_json() -> None:
    assert codec().type_of(lambda: 1) is EmptySentinel
    assert codec().type_of(print) is EmptySentinel


def order() -> Order:
    return ORDER


class Service:
    def order(self) -> Order:
        return ORDER

    def __call__(self) -> Order:
        return ORDER


async def aorder() -> Order:
    return ORDER


@pytest.mark.parametrize(
    "callable_",
    [
        order,
        aorder,
        Service().order,
        Service(),
        functools.partial(order),
        functools.partial(functools.partial(Service().order)),
    ],
)
def test_annotations_are_found_through_methods_partials_and_objects(callable_: Any) -> None:
    assert codec().type_of(callable_) is Order


def test_closures_of_one_code_may_return_different_types() -> None:
    one = codec()
    assert one.type_of(returning(Order)) is Order
    assert one.type_of(returning(Line)) is Line
    assert one.type_of(returning(int)) is EmptySentinel
    assert one.type_of(returning(Order)) is Order


def test_a_given_type_beats_the_annotation() -> None:
    assert codec().type_of(order, int) is int
    assert codec().type_of(order, None) is None


def test_a_serializer_of_the_user_is_asked_only_where_a_type_is_given() -> None:
    own = Codec(PydanticSerializer())
    assert own.type_of(order) is EmptySentinel
    assert own.type_of(order, Order) is Order


def test_a_value_without_a_type_is_passed_on_untouched() -> None:
    value = object()
    assert codec().dump(value, EmptySentinel) is value
    assert codec().load(value, EmptySentinel) is value


def test_what_cannot_be_serialized_is_said_of_its_step() -> None:
    class Refusing:
        def serialize(self, obj: object, typ: object) -> object:
            raise RuntimeError("no")

        def deserialize(self, obj: object, typ: object) -> object:
            return obj

    with pytest.raises(OutputUnserializableError, match='"a" returned unserializable data') as no:
        Codec(Refusing()).dump(1, int, '"a" ')
    assert isinstance(no.value.__cause__, RuntimeError)


def test_a_type_that_cannot_be_hashed_is_converted_too() -> None:
    odd = Annotated[Order, ["unhashable"]]
    assert codec().dump(ORDER, odd) == {"id": 1, "when": "2026-01-02T03:04:05Z"}
    assert codec().type_of(returning(odd)) == odd
