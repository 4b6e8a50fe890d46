"""
The server's dialect of CEL, written as plain CEL that any library can run.

The real server reads a missing attribute as null, lets null be compared with everything, and sees
every JSON number as a double. The Python libraries do none of this, each in its own way. So an
expression is rewritten before it is compiled:

- `event.data.a.b` becomes a variable of ours. Its value is looked up in the event when the
  expression runs: missing is null, and only what the expression names is converted, however large
  the event is.
- `a < b` becomes `_lt(a, b)`, and so on for every comparison and for `in`. What they mean is said
  once, for all libraries, in `meanings.py`.
- Names that nothing declares are found here, because the libraries notice them only when the
  expression runs.

Law: this file knows the grammar of CEL and no library; it evaluates nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, NamedTuple

ROOTS = frozenset({"event", "async"})
FUNCTIONS = {
    "lowercase": "_lowercase",
    "uppercase": "_uppercase",
    "b64decode": "_b64decode",
    "json_parse": "_json_parse",
    "date": "_date",
    "now": "_now",
    "now_plus": "_now_plus",
    "now_minus": "_now_minus",
    "string": "_string",
    "size": "_size",
}
COMPARISONS = {
    "==": "_eq",
    "!=": "_ne",
    "<": "_lt",
    "<=": "_le",
    ">": "_gt",
    ">=": "_ge",
    "in": "_in",
}
MAX_LENGTH = 8192
MAX_DEPTH = 48

_PLAIN_FUNCTIONS = frozenset(
    {"bytes", "double", "duration", "dyn", "int", "timestamp", "type", "uint"}
)
_TYPES = frozenset({"bool", "bytes", "double", "int", "list", "map", "null_type", "string", "uint"})
_PLAIN_NAMES = frozenset({"true", "false", "null", "type"}) | _TYPES
_MACROS = frozenset({"all", "exists", "exists_one", "filter", "map"})
_SEPARATORS = frozenset({"&&", "||", "?", ":", ","})
_ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "!"})
_PAIRS = {"(": ")", "[": "]", "{": "}"}

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|//[^\n]*)
    | (?P<string>[rRbB]{0,2}(?:
          \"\"\"(?:\\.|[^\\])*?\"\"\" | \'\'\'(?:\\.|[^\\])*?\'\'\'
        | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'))
    | (?P<number>0[xX][0-9a-fA-F]+[uU]? | \d*\.\d+(?:[eE][+-]?\d+)? | \d+[eE][+-]?\d+ | \d+[uU]?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<sign>&&|\|\||[=!<>]=|[-+*/%!<>?:.,()\[\]{}])
    """,
    re.VERBOSE | re.DOTALL,
)


class DialectError(ValueError):
    """An expression cannot be read. The text is written as the server writes it."""


class Path(NamedTuple):
    """An attribute that an expression reads: `event.data.a` is Path("event", ("data", "a"))."""

    root: str
    keys: tuple[str, ...]


@dataclass(frozen=True)
class Rewritten:
    """An expression as plain CEL, with the attributes its variables stand for."""

    text: str
    values: dict[str, Path]
    presences: dict[str, Path]
    loops: int = 0
    """How deep macros that look at each element are nested."""


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


class _Group(NamedTuple):
    opening: str
    items: list[Any]


_Item = _Token | _Group


def rewrite(text: str) -> Rewritten:
    """Rewrite an expression. Raise DialectError if a name in it is not declared, or if it is too
    long or too deep.

    What is merely not grammatical may pass: the library that compiles the result refuses it.
    """
    if len(text) > MAX_LENGTH:
        raise DialectError(
            f"expression is {len(text)} characters long, the maximum is {MAX_LENGTH}"
        )
    items = _tree(_tokens(text))
    rewriter = _Rewriter(text, _bound_names(items))
    plain = rewriter.expression(items)
    return Rewritten(plain, rewriter.values, rewriter.presences, _loops(items))


def _loops(items: list[_Item]) -> int:
    """How deep macros are nested; their arguments are evaluated for each element."""
    deepest = 0
    for index, item in enumerate(items):
        if isinstance(item, _Group):
            before = items[index - 1] if index else None
            loop = item.opening == "(" and isinstance(before, _Token) and before.text in _MACROS
            deepest = max(deepest, _loops(item.items) + loop)
    return deepest


def _tokens(text: str) -> list[_Token]:
    found = []
    at = 0
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise _pointing(text, at, f"Syntax error: token recognition error at: '{text[at]}'")
        if match.lastgroup != "space":
            found.append(_Token(str(match.lastgroup), match.group(), at))
        at = match.end()
    return found


def _tree(tokens: list[_Token]) -> list[_Item]:
    """Put the tokens between two brackets into one group: a list of items is at one height."""
    top: list[_Item] = []
    open_groups: list[_Group] = []
    items = top
    for token in tokens:
        if token.text in _PAIRS:
            group = _Group(token.text, [])
            items.append(group)
            open_groups.append(group)
        elif open_groups and token.text == _PAIRS[open_groups[-1].opening]:
            open_groups.pop()
        else:
            items.append(token)
        if len(open_groups) > MAX_DEPTH:
            raise DialectError(f"expression is nested more than {MAX_DEPTH} levels deep")
        items = open_groups[-1].items if open_groups else top
    if open_groups:
        raise DialectError("Syntax error: a bracket is not closed")
    return top


def _bound_names(items: list[_Item]) -> set[str]:
    """List the names that macros declare: the x of `list.exists(x, x > 1)`."""
    names = set()
    for before, item in zip([None, *items], items, strict=False):
        if isinstance(item, _Group):
            if isinstance(before, _Token) and before.text in _MACROS and item.items:
                names.add(_text_of(item.items[0]))
            names |= _bound_names(item.items)
    return names


def _text_of(item: _Item) -> str:
    return item.text if isinstance(item, _Token) else item.opening


def _pointing(text: str, at: int, message: str) -> DialectError:
    """Say where in the expression something is wrong, the way the server does."""
    before = text[:at]
    line, column = before.count("\n") + 1, at - (before.rfind("\n") + 1)
    source = text.split("\n")[line - 1]
    return DialectError(
        f"ERROR: <input>:{line}:{column + 1}: {message}\n | {source}\n | {'.' * column}^"
    )


@dataclass
class _Rewriter:
    text: str
    bound: set[str]
    values: dict[str, Path] = field(default_factory=dict)
    presences: dict[str, Path] = field(default_factory=dict)

    def expression(self, items: list[_Item]) -> str:
        """Rewrite what stands between two brackets: comparisons, between `&&`, `||`, `?`, `:`."""
        parts: list[str] = []
        part: list[_Item] = []
        for item in items:
            if isinstance(item, _Token) and item.text in _SEPARATORS:
                parts += [self._comparison(part), item.text]
                part = []
            else:
                part.append(item)
        return " ".join([*parts, self._comparison(part)])

    def _comparison(self, items: list[_Item]) -> str:
        """Rewrite `a < b` as a call. A chain of comparisons is read from the left, as CEL does."""
        operands: list[list[_Item]] = [[]]
        signs = []
        for index, item in enumerate(items):
            if (
                isinstance(item, _Token)
                and item.text in COMPARISONS
                and not _after_dot(items, index)
            ):
                signs.append(item.text)
                operands.append([])
            else:
                operands[-1].append(item)
        left = self._operand(operands[0])
        for index, sign in enumerate(signs):
            right = self._operand(operands[index + 1])
            left = f"{self._function(sign, operands[index], operands[index + 1])}({left}, {right})"
        return left

    def _function(self, sign: str, left: list[_Item], right: list[_Item]) -> str:
        """Name a comparison's function. Missing in both events of a wait is not a match."""
        one, end = _path(left, 0)
        other, other_end = _path(right, 0)
        bare = one and other and end == len(left) and other_end == len(right)
        if bare and one and other and one.root != other.root and sign in ("==", "!="):
            return COMPARISONS[sign] + "_known"
        return COMPARISONS[sign]

    def _operand(self, items: list[_Item]) -> str:
        parts = []
        index = 0
        while index < len(items):
            part, index = self._item(items, index)
            parts.append(part)
        return " ".join(parts)

    def _item(self, items: list[_Item], index: int) -> tuple[str, int]:
        item = items[index]
        if isinstance(item, _Group):
            return self._group(item), index + 1
        if item.kind != "name" or _after_dot(items, index):
            return item.text, index + 1
        path, end = _path(items, index)
        if path:
            return _name(self.values, "_v", path), end
        called = index + 1 < len(items) and _text_of(items[index + 1]) == "("
        return self._call(item, items, index) if called else (self._plain_name(item), index + 1)

    def _group(self, group: _Group) -> str:
        return f"{group.opening}{self.expression(group.items)}{_PAIRS[group.opening]}"

    def _call(self, name: _Token, items: list[_Item], index: int) -> tuple[str, int]:
        arguments = items[index + 1]
        assert isinstance(arguments, _Group)
        if name.text == "has":
            return self._presence(name, arguments), index + 2
        if name.text not in FUNCTIONS and name.text not in _PLAIN_FUNCTIONS:
            raise self._undeclared(name)
        return FUNCTIONS.get(name.text, name.text), index + 1

    def _presence(self, name: _Token, arguments: _Group) -> str:
        path, end = _path(arguments.items, 0)
        if path and path.keys and end == len(arguments.items):
            return _name(self.presences, "_h", path)
        if not _is_selection(arguments.items):
            # One of the libraries would take anything here.
            raise _pointing(self.text, name.at, "invalid argument to has() macro")
        return "has" + self._group(arguments)

    def _plain_name(self, name: _Token) -> str:
        if name.text in _PLAIN_NAMES or name.text in self.bound:
            return name.text
        raise self._undeclared(name)

    def _undeclared(self, name: _Token) -> DialectError:
        return _pointing(
            self.text, name.at, f"undeclared reference to '{name.text}' (in container '')"
        )


def _name(names: dict[str, Path], prefix: str, path: Path) -> str:
    """Name the variable of a path; the same path has one variable, wherever it stands."""
    for name, known in names.items():
        if known == path:
            return name
    name = f"{prefix}{len(names)}"
    names[name] = path
    return name


def _after_dot(items: list[_Item], index: int) -> bool:
    return index > 0 and _text_of(items[index - 1]) == "."


def _is_selection(items: list[_Item]) -> bool:
    """Whether items are `<something>.<name>` and nothing looser."""
    signs = {_text_of(item) for item in items} & (_SEPARATORS | COMPARISONS.keys() | _ARITHMETIC)
    last = items[-1] if items else None
    named = isinstance(last, _Token) and last.kind == "name"
    return named and not signs and _after_dot(items, len(items) - 1)


def _path(items: list[_Item], index: int) -> tuple[Path | None, int]:
    """Read an attribute of an event at a place; return it with the place behind it."""
    root = items[index] if index < len(items) else None
    if not isinstance(root, _Token) or root.text not in ROOTS or _after_dot(items, index):
        return None, index
    keys: list[str] = []
    index += 1
    while index < len(items):
        key, behind = _key(items, index)
        if key is None:
            break
        keys.append(key)
        index = behind
    return Path(root.text, tuple(keys)), index


def _key(items: list[_Item], index: int) -> tuple[str | None, int]:
    """Read `.name` or `["name"]`. A name that is called is a method, not a key."""
    item = items[index]
    if isinstance(item, _Group):
        inner = item.items[0] if item.opening == "[" and len(item.items) == 1 else None
        literal = isinstance(inner, _Token) and inner.kind == "string" and _is_simple(inner.text)
        return (
            (inner.text[1:-1], index + 1)
            if literal and isinstance(inner, _Token)
            else (None, index)
        )
    after = items[index + 1] if index + 1 < len(items) else None
    if item.text != "." or not isinstance(after, _Token) or after.kind != "name":
        return None, index
    called = index + 2 < len(items) and _text_of(items[index + 2]) == "("
    return (None, index) if called else (after.text, index + 2)


def _is_simple(literal: str) -> bool:
    return literal[0] in "'\"" and literal[:3] not in ("'''", '"""') and "\\" not in literal
