"""
What a scenario is, and how a scenario written once is told in both colours.

A file of scenarios is plain awaiting code, as a user would write it. Its blocking form is the same
syntax tree without `async` and `await`, and with the blocking name of whatever has one.
"""

from __future__ import annotations

import ast
import functools
import sys
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .stage import Run, Stage

COLOURS = ("async", "sync")
FOLDER = Path(__file__).with_name("scenarios")
_BLOCKING = {
    "Context": "ContextSync",
    "Middleware": "MiddlewareSync",
    "get_subscription_token": "get_subscription_token_sync",
    "publish": "publish_sync",
}


@dataclass(frozen=True)
class Expected:
    """What becomes of a scenario: the facts named here, and who brings them about."""

    facts: Mapping[str, Any]
    by: Callable[[Stage], Run | Mapping[str, Any]] | None = None


def expect(by: Callable[[Stage], Any] | None = None, **facts: Any) -> Expected:
    """Say what must become of a scenario. Without `by` its event is sent and its run awaited."""
    return Expected(facts, by)


@dataclass(frozen=True)
class Scenario:
    """A claim, and the functions that show it."""

    name: str
    define: Callable[[Stage], Expected]
    colours: tuple[str, ...]


def scenario(*colours: str) -> Callable[[Callable[[Stage], Expected]], Scenario]:
    """Make a function a scenario, in both colours unless some are named."""

    def build(define: Callable[[Stage], Expected]) -> Scenario:
        return Scenario(define.__name__, define, colours or COLOURS)

    return build


class _Blocking(ast.NodeTransformer):
    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        self.generic_visit(node)
        fields = {name: getattr(node, name) for name in node._fields if hasattr(node, name)}
        return ast.copy_location(ast.FunctionDef(**fields), node)

    def visit_Await(self, node: ast.Await) -> ast.AST:
        self.generic_visit(node)
        return node.value

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        node.attr = _BLOCKING.get(node.attr, node.attr)
        if node.attr == "send" and ast.unparse(node.value).endswith("client"):
            node.attr = "send_sync"
        return node


def _load(path: Path, colour: str) -> types.ModuleType:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if colour == "sync":
        tree = ast.fix_missing_locations(_Blocking().visit(tree))
    module = types.ModuleType(f"tests.parity.scenarios.{path.stem}_{colour}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # Dataclasses and models look for their module there.
    exec(compile(tree, str(path), "exec"), module.__dict__)
    return module


@functools.cache
def load(colour: str) -> dict[str, Scenario]:
    """Load every scenario of a colour, by name."""
    found: dict[str, Scenario] = {}
    for path in sorted(FOLDER.glob("*.py")):
        for one in vars(_load(path, colour)).values():
            if not isinstance(one, Scenario) or colour not in one.colours:
                continue
            assert one.name not in found, f"there are two scenarios {one.name}"
            found[one.name] = one
    return found
