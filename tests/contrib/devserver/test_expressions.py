"""The CEL dialect. Whichever library is installed, the same table holds."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from inngest_contrib.devserver.expressions import ExpressionError, Expressions

EVENT: dict[str, Any] = {
    "name": "shop/order",
    "id": "e-1",
    "ts": 1_795_343_356_572,
    "data": {
        "n": 7,
        "f": 7.5,
        "big": 12_345_678_901,
        "s": "Ada",
        "nothing": None,
        "yes": True,
        "no": False,
        "list": [1, 2, 3],
        "empty": [],
        "words": ["a", "b"],
        "map": {"k": "v", "deep": {"er": 1}},
        "people": [{"name": "Ada", "age": 36}, {"name": "Bob"}],
        "json": '{"a": {"b": 2}}',
        "b64": "aGVsbG8=",
        "when": "2026-11-22T10:00:00Z",
        "accent": "é",
        "odd key": 1,
        "package": "box",
        "in": 3,
    },
}
INCOMING: dict[str, Any] = {
    "name": "shop/paid",
    "data": {"n": 7.0, "s": "Ada", "nothing": None, "other": 8},
}
NOW = 1_795_341_600_000  # 2026-11-22T10:00:00Z

TRUE = [
    "true",
    "event.name == 'shop/order'",
    # numbers
    "event.data.n == 7",
    "event.data.n == 7.0",
    "7 == event.data.n",
    "event.data.n != 8",
    "event.data.n > 5",
    "event.data.n >= 7 && event.data.n <= 7.0",
    "event.data.f > 7 && event.data.f < 8",
    "event.data.big == 12345678901",
    "int(event.data.n) % 2 == 1",
    "event.data.n + 1.0 == 8",
    "-event.data.n == -7",
    "event.data.n in [7, 8]",
    "event.ts > 0",
    "event.data.n == 7 == true",
    "0x7 == event.data.n",
    # missing attributes
    "event.data.nope == null",
    "event.data.nope.deeper.still == null",
    "event.data.s.length == null",
    "event.nope == null",
    "event.user == null",
    "event.data.nope != 'a'",
    "event.data.nope != 1",
    "event.data.nope < 3",
    "event.data.nope <= 3",
    "!(event.data.nope > 3)",
    "!(event.data.nope >= 3)",
    "!(event.data.nope == 'a')",
    "event.data.nothing == null",
    "null == event.data.nope",
    "!(event.data.n in event.data.nope)",
    "event.data.nope == event.data.nada",
    # has
    "has(event.data.n)",
    "!has(event.data.nope)",
    "!has(event.data.nope.deeper)",
    "has(event.data.nothing)",
    "has(event.data.map.k)",
    # text
    "event.data.s == \"Ada\" && event.data.s == 'Ada'",
    "event.data.s.contains('d')",
    "event.data.s.startsWith('A') && event.data.s.endsWith('a')",
    "event.data.s.matches('^A.a$')",
    "event.data.s.size() == 3",
    "size(event.data.s) == 3",
    "size(event.data.accent) == 1",
    "event.data.s + '!' == 'Ada!'",
    "event.data.s < 'B'",
    "lowercase(event.data.s) == 'ada'",
    "uppercase(event.data.s) == 'ADA'",
    "b64decode(event.data.b64) == 'hello'",
    "json_parse(event.data.json).a.b == 2",
    "r'\\d' == '\\\\d'",
    "string(event.data.n) == '7'",
    "string(event.data.f) == '7.5'",
    "string(event.data.yes) == 'true'",
    "int('7') == 7 && double('7.5') == 7.5",
    # lists and maps
    "size(event.data.list) == 3",
    "event.data.list[0] == 1",
    "event.data.list == [1, 2, 3]",
    "2 in event.data.list",
    "!(9 in event.data.list)",
    "'a' in event.data.words",
    "'k' in event.data.map",
    "event.data.map['k'] == 'v'",
    "event.data['map'].deep[\"er\"] == 1",
    "event.data['odd key'] == 1",
    "event['data']['n'] == 7",
    "event.data.package == 'box'",
    "event.data.in == 3",
    "event.data.list.exists(x, x == 2)",
    "event.data.list.all(x, x > 0)",
    "event.data.empty.all(x, x > 100)",
    "event.data.list.exists_one(x, x > 2)",
    "event.data.list.filter(x, x > 1) == [2, 3]",
    "event.data.list.map(x, x * 2.0) == [2, 4, 6]",
    "size(event.data.list.filter(x, x in [1, 2])) == 2",
    "event.data.people.exists(p, p.name == 'Ada' && p.age > 30)",
    "event.data.people.exists(p, has(p.age))",
    "{'a': event.data.n}['a'] == 7",
    # choices
    "event.data.n > 5 ? event.data.yes : event.data.no",
    "event.data.no || event.data.yes",
    "event.data.yes && !event.data.no",
    "event.data.nope.contains('x') || true",
    "true || event.data.nope.contains('x')",
    "event.data.s > 3 || true",
    "(event.data.n == 7)",
    "((event.data.n) == 7)",
    "// a remark\nevent.data.n == 7",
    # time
    "date(event.data.when) == timestamp('2026-11-22T10:00:00Z')",
    "date('2026-11-22') < date(event.data.when)",
    "date(1795341600) == now()",
    "date(1795341600000) == now()",
    "now_plus('1h') > now() && now_minus('1h') < now()",
    "now_plus('2d') == timestamp('2026-11-24T10:00:00Z')",
    "now_minus('1w') == timestamp('2026-11-15T10:00:00Z')",
    "duration('1h') > duration('59m')",
    "timestamp('2026-11-22T10:00:00Z').getFullYear() == 2026",
    # the other event
    "event.data.n == async.data.n",
    "event.data.s == async.data.s && async.name == 'shop/paid'",
    "event.data.n != async.data.other",
    "async.data.nope == null",
]

FALSE = [
    "false",
    "event.data.n == '7'",
    "event.data.n > 7",
    "event.data.nope == 'a'",
    "event.data.nope > 3",
    "event.data.nope != null",
    "event.data.yes == 1",
    "has(event.data.nope)",
    # Two missing attributes of two events are not a match.
    "event.data.nope == async.data.nope",
    "event.data.nope != async.data.nope",
    "event.data.nope == async.data.nothing",
    "event.data.n == async.data.nope",
    # What fails or gives no bool is false.
    "event.data.n",
    "event.data.s",
    "null",
    "event.data.nope",
    "!event.data.nope",
    "event.data.nope && true",
    "event.data.s > 3",
    "event.data.nope.contains('x')",
    "event.data.list[17] == 1",
    "1 / 0 == 1",
    "event.data.people.all(p, p.age > 30)",
    "b64decode('%%%') == 'x'",
    "json_parse('{') == 1",
    "now_plus('soon') == now()",
]

VALUES = [
    ("event.data.n", 7.0),
    ("event.data.s", "Ada"),
    ("event.data.s + '/' + string(event.data.n)", "Ada/7"),
    ("event.data.nope", None),
    ("event.data.list", [1.0, 2.0, 3.0]),
    ("event.data.map", {"k": "v", "deep": {"er": 1.0}}),
    ("event.data.yes", True),
    ("int(event.data.n)", 7),
    ("event.data.n > 5 ? 120 : 0", 120),
    ("'text'", "text"),
    ("event.data", None),
    ("event", None),
]

BROKEN = [
    ("event.data.", "Syntax error"),
    ("event.data.x ===", "Syntax error"),
    ("", "Syntax error"),
    ("event.data.n ==", "Syntax error"),
    ("(event.data.n", "Syntax error"),
    ("event.data.n)", "Syntax error"),
    ("'open", "Syntax error"),
    ("foo.bar == 1", "undeclared reference to 'foo' (in container '')"),
    ("event.data.n == nope", "undeclared reference to 'nope' (in container '')"),
    ("nope(event.data.n)", "undeclared reference to 'nope' (in container '')"),
    ("has(event.data.n == 1)", "invalid argument to has() macro"),
    ("has(event.data.s.size())", "invalid argument to has() macro"),
    ("has(event)", "invalid argument to has() macro"),
    ("has()", "invalid argument to has() macro"),
    ("event.data.list.exists(x, y == 1)", "undeclared reference to 'y' (in container '')"),
    ("(" * 200 + "true" + ")" * 200, "nested more than 48 levels deep"),
    ("true" + " || true" * 4000, "the maximum is 8192"),
]


@pytest.fixture(scope="module")
def expressions() -> Expressions:
    return Expressions(now=lambda: NOW)


@pytest.mark.parametrize("text", TRUE)
def test_true_expressions_match(expressions: Expressions, text: str) -> None:
    assert expressions.problem(text) is None
    assert expressions.evaluate(text, EVENT, INCOMING) is True
    assert expressions.matches(text, EVENT, INCOMING)


@pytest.mark.parametrize("text", FALSE)
def test_false_and_failing_expressions_do_not_match(expressions: Expressions, text: str) -> None:
    assert expressions.problem(text) is None
    assert not expressions.matches(text, EVENT, INCOMING)


@pytest.mark.parametrize(("text", "value"), VALUES)
def test_a_value_comes_back_as_plain_python(
    expressions: Expressions, text: str, value: Any
) -> None:
    got = expressions.evaluate(text, EVENT, INCOMING)
    if value is None and text != "event.data.nope":
        assert isinstance(got, dict)
        return
    assert got == value
    assert type(got) is type(value)


@pytest.mark.parametrize(("text", "problem"), BROKEN)
def test_a_broken_expression_is_explained(
    expressions: Expressions, text: str, problem: str
) -> None:
    told = expressions.problem(text)
    assert told is not None
    assert told.startswith("error compiling expression: ")
    assert problem in told
    assert not expressions.matches(text, EVENT)
    with pytest.raises(ExpressionError):
        expressions.evaluate(text, EVENT)


def test_an_undeclared_name_is_pointed_at_as_the_server_does(expressions: Expressions) -> None:
    assert expressions.problem("foo.bar == 1") == (
        "error compiling expression: ERROR: <input>:1:1: undeclared reference to 'foo'"
        " (in container '')\n | foo.bar == 1\n | ^"
    )


def test_without_a_second_event_its_attributes_are_missing(expressions: Expressions) -> None:
    assert expressions.matches("async.data.n == null", EVENT)
    assert not expressions.matches("event.data.n == async.data.n", EVENT)


def test_a_failing_expression_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    fresh = Expressions()
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert not fresh.matches("event.data.list[9] == 1", EVENT)
            assert not fresh.matches("event.data.n", EVENT)
    assert len(caplog.records) == 2
    assert "counts as false" in caplog.text


@pytest.mark.parametrize(
    ("text", "size", "fits"),
    [
        ("event.data.l.all(a, a > 0.0)", 1000, True),
        ("event.data.l.all(a, event.data.l.all(b, a + b > 0.0))", 50, True),
        ("event.data.l.all(a, event.data.l.all(b, a + b > 0.0))", 2000, False),
        ("event.data.l.map(a, event.data.l).all(b, b.all(c, b.all(d, c + d > 0.0)))", 200, False),
        ("event.data.l.exists(a, [1].exists(b, {'c': [2].all(d, a == 0.0)}.c))", 1000, False),
    ],
)
def test_an_expression_looks_at_so_many_elements_and_no_more(
    expressions: Expressions, text: str, size: int, fits: bool
) -> None:
    event = {"data": {"l": [1.0] * size}}
    assert expressions.matches(text, event) is fits
    if not fits:
        with pytest.raises(ExpressionError, match="elements"):
            expressions.evaluate(text, event)


def test_only_what_is_named_is_converted(expressions: Expressions) -> None:
    class Untouchable(dict[str, Any]):
        def items(self) -> Any:
            raise AssertionError("an attribute that the expression does not name was read")

    event = {"name": "a", "data": {"n": 1, "rest": Untouchable(x=1)}}
    assert expressions.matches("event.data.n == 1", event)


def test_an_attribute_alone_is_read_without_the_library(expressions: Expressions) -> None:
    stranger = object()
    assert expressions.evaluate("event.data.k", {"data": {"k": stranger}}) is stranger
