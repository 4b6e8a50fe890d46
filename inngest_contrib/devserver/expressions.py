"""
Expressions: does an event fit, and which value does it give?

One small adapter over two libraries: common-expression-language where there is one (Python 3.11
and later), cel-python on 3.10. `dialect.py` turns an expression of the server into plain CEL,
`meanings.py` says what its functions do; so both libraries give the same answers, and one table of
test expressions holds them to it.
"""

from __future__ import annotations

import importlib
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from inngest_contrib.devserver.dialect import DialectError, Path, Rewritten, rewrite
from inngest_contrib.devserver.meanings import Function, as_doubles, table

logger = logging.getLogger("inngest.devserver")
CACHE_SIZE = 4096
MAX_TURNS = 200_000
"""How often what stands in macros may be evaluated for one event: seconds, at the worst."""
Event = Mapping[str, Any]


class ExpressionError(ValueError):
    """An expression does not compile, or fails when it runs."""


class Program(Protocol):
    """One compiled expression."""

    def __call__(self, variables: dict[str, Any]) -> Any: ...


class Library(Protocol):
    """What compiles plain CEL. Raises ValueError with the reason if it cannot."""

    def __call__(self, text: str) -> Program: ...


class Expressions:
    """Compile each expression once and evaluate it on events. Not to be shared by threads."""

    def __init__(self, *, now: Callable[[], int] | None = None) -> None:
        """`now` gives unix milliseconds; the default is the machine's clock."""
        self._compile_plain = library(table(now or _wall_clock))
        self._cache: dict[str, _Compiled | ExpressionError] = {}
        self._reported: set[str] = set()

    def matches(self, text: str, event: Event, incoming: Event | None = None) -> bool:
        """Say whether an expression is true. What fails or gives no bool is false, logged once."""
        try:
            value = self.evaluate(text, event, incoming)
        except ExpressionError as error:
            self._report(text, str(error))
            return False
        if not isinstance(value, bool):
            self._report(text, f"it gives {type(value).__name__}, not true or false")
        return value is True

    def evaluate(self, text: str, event: Event, incoming: Event | None = None) -> Any:
        """Return the value of an expression as plain Python; the numbers of an event are floats.

        `incoming` is what the expression calls `async`. Raises ExpressionError.
        """
        compiled = self._compiled(text)
        try:
            return compiled.evaluate({"event": event, "async": incoming or {}})
        except Exception as error:  # The libraries raise a dozen classes of their own.
            raise ExpressionError(f"error evaluating expression '{text}': {error}") from error

    def problem(self, text: str) -> str | None:
        """Return why an expression does not compile, in the server's words, or None."""
        try:
            self._compiled(text)
        except ExpressionError as error:
            return str(error)
        return None

    def _compiled(self, text: str) -> _Compiled:
        known = self._cache.get(text)
        if known is None:
            if len(self._cache) >= CACHE_SIZE:
                self._cache.clear()
            known = self._cache[text] = self._compile(text)
        if isinstance(known, ExpressionError):
            raise known
        return known

    def _compile(self, text: str) -> _Compiled | ExpressionError:
        try:
            rewritten = rewrite(text)
            return _Compiled(self._compile_plain(rewritten.text), rewritten)
        except ValueError as error:
            return ExpressionError(f"error compiling expression: {self._reason(text, error)}")

    def _reason(self, text: str, error: ValueError) -> str:
        """Prefer the library's word on the text as the user wrote it: it points at the place."""
        if isinstance(error, DialectError) and not str(error).startswith("Syntax error"):
            return str(error)
        try:
            self._compile_plain(text)
        except ValueError as original:
            return str(original)
        return str(error)

    def _report(self, text: str, reason: str) -> None:
        if text not in self._reported:
            self._reported.add(text)
            logger.warning("Expression '%s' counts as false: %s", text, reason)


@dataclass(frozen=True)
class _Compiled:
    program: Program
    source: Rewritten

    def evaluate(self, roots: dict[str, Event]) -> Any:
        variables = {
            name: as_doubles(_look_up(roots, path)) for name, path in self.source.values.items()
        }
        if self.source.text in variables:
            # An attribute and nothing else, as most keys are: no need to ask the library.
            return variables[self.source.text]
        for name, path in self.source.presences.items():
            variables[name] = _is_present(roots, path)
        self._check_size(variables)
        return self.program(variables)

    def _check_size(self, variables: dict[str, Any]) -> None:
        """Refuse what would look at too many elements: nothing else goes on meanwhile."""
        if self.source.loops == 0:
            return
        # Lists that it writes out are no longer than it is; added up, they are as many times that.
        count = len(self.source.text) + sum(map(_elements, variables.values()))
        count *= 1 + self.source.text.count("+")
        if count**self.source.loops > MAX_TURNS:
            raise ExpressionError(
                f"it may look at {count} elements within each of {count}: too many to go on"
                if self.source.loops > 1
                else f"it may look at {count} elements, and {MAX_TURNS} are too many"
            )


def _elements(value: Any) -> int:
    """How many values a value holds."""
    if isinstance(value, Mapping):
        return len(value) + sum(map(_elements, value.values()))
    if isinstance(value, list):
        return len(value) + sum(map(_elements, value))
    return 0


def _look_up(roots: dict[str, Event], path: Path) -> Any:
    """Find an attribute. Missing, at whatever height, is None."""
    value: Any = roots[path.root]
    for key in path.keys:
        if not isinstance(value, Mapping):
            return None
        value = value.get(key)
    return value


def _is_present(roots: dict[str, Event], path: Path) -> bool:
    holder = _look_up(roots, Path(path.root, path.keys[:-1]))
    return isinstance(holder, Mapping) and path.keys[-1] in holder


def _wall_clock() -> int:
    return int(time.time() * 1000)


def library(functions: dict[str, Function]) -> Library:
    """Choose the installed CEL library. Raise ExpressionError, with the remedy, if none is."""
    for load in (_rust_library, _python_library):
        try:
            return load(functions)
        except ImportError:
            continue
    raise ExpressionError(
        "Expressions need a CEL library and none is installed. "
        "Install the extra: pip install 'inngest-core[dev]'."
    )


def _rust_library(functions: dict[str, Function]) -> Library:
    """common-expression-language, module `cel`: plain Python values go in and come out."""
    cel: Any = importlib.import_module("cel")

    def compile_text(text: str) -> Program:
        try:
            program = cel.compile(text)
        except ValueError as error:
            raise ValueError(str(error).partition(": ")[2] or str(error)) from error
        return lambda variables: program.execute(cel.Context(variables, functions))

    return compile_text


def _python_library(functions: dict[str, Function]) -> Library:
    """cel-python, module `celpy`: every value is wrapped in a class of its own, in and out."""
    celpy: Any = importlib.import_module("celpy")
    environment = celpy.Environment()
    wrapped = {name: _wrap(function, celpy) for name, function in functions.items()}

    def compile_text(text: str) -> Program:
        try:
            program = environment.program(environment.compile(text), functions=wrapped)
        except celpy.CELParseError as error:
            raise ValueError(
                f"ERROR: <input>:{error.line}:{error.column}: Syntax error\n{error}"
            ) from error
        except RecursionError as error:
            raise ValueError("expression is nested too deeply") from error
        return lambda variables: _plain(
            _raised(program.evaluate(celpy.json_to_cel(variables))), celpy
        )

    return compile_text


def _wrap(function: Function, celpy: Any) -> Function:
    """Let a function of ours take and give cel-python's values; errors are values there too."""

    def call(*arguments: Any) -> Any:
        for argument in arguments:
            if isinstance(argument, Exception):
                return argument
        return celpy.json_to_cel(function(*(_plain(argument, celpy) for argument in arguments)))

    return call


def _raised(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


def _plain(value: Any, celpy: Any) -> Any:
    """Undo cel-python's wrapping: its classes derive from Python's, its bool from int."""
    types = celpy.celtypes
    if isinstance(value, types.BoolType):
        return bool(value)
    if isinstance(value, list):
        return [_plain(item, celpy) for item in value]
    if isinstance(value, dict):
        return {_plain(key, celpy): _plain(item, celpy) for key, item in value.items()}
    plain: Any
    for plain in (int, float, str, bytes):
        if isinstance(value, plain):
            return plain(value)
    return value
