"""
Who imports whom, read from the syntax trees; and what an import costs.

The table is that of the design: each room lists the rooms below it that it may use.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

GROUND = {"errors", "result", "types", "version"}
WIRE = GROUND | {"wire"}
ENV = WIRE | {"env"}
EXECUTION = WIRE | {"execution"}
PLUGIN = ENV | {"execution", "plugin"}
FLOW = ENV | {"execution", "flow", "plugin.types"}
NET = ENV | {"flow.effect", "net", "plugin.types"}
FACES = {
    "asking",
    "client",
    "context",
    "engine",
    "function",
    "groups",
    "middleware",
    "steps",
    "surroundings",
}
ABOVE = FACES | {"ai", "cli", "comm", "connect", "realtime", "settings"}
EVERYTHING = ENV | {"execution", "plugin", "flow", "net"} | ABOVE

MAY_IMPORT: dict[str, set[str]] = {
    "errors": GROUND,
    "types": GROUND,
    "result": GROUND,
    "version": set(),
    "wire": WIRE,
    "env": WIRE,
    "execution": EXECUTION,
    "plugin": PLUGIN,
    "flow": FLOW,
    "net": NET,
    **dict.fromkeys(ABOVE, EVERYTHING),
}
NEVER: dict[str, set[str]] = {
    "wire": {"asyncio", "httpx", "os", "random", "threading", "time"},
    "execution": {"asyncio", "httpx", "pluggy", "threading", "time"},
    "flow": {"asyncio", "httpx", "pluggy", "threading"},
}
FOREIGN: dict[str, set[str]] = {
    "errors": set(),
    "types": {"typing_extensions"},
    "result": set(),
    "version": set(),
    "wire": {"jcs", "pydantic", "pydantic_core", "typing_extensions"},
    "env": set(),
    "execution": set(),
    "plugin": {"pluggy"},
    "flow": {"pydantic"},
    "net": {"h11", "httpx"},
}
RUN_TIME_ORDER = [
    "function",
    "asking",
    "steps",
    "groups",
    "surroundings",
    "context",
    "middleware",
    "client",
]

CONTRIB = {"", "comm", "plugin", "plugin.types", "settings"}
CONTRIB_EXTRA: dict[str, set[str]] = {
    "django": {"cli"},
    "flask": {"cli"},
    "devserver": {"wire", "connect", "version"},
    "testing": {"wire"},
}


@dataclass(frozen=True)
class Import:
    """One import: who, whom, and whether it is only for types or only inside a function."""

    importer: str
    imported: str
    typing: bool
    lazy: bool
    line: int

    def __str__(self) -> str:
        return f"{self.importer}:{self.line} imports {self.imported}"


def module_name(path: Path) -> str:
    parts = list(path.relative_to(ROOT).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def modules(package: str) -> dict[str, Path]:
    return {module_name(path): path for path in (ROOT / package).rglob("*.py")}


CORE = modules("inngest_core")
EVERY = {**CORE, **modules("inngest_contrib")}


def imports(name: str, path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    yield from _walk(tree, name, package, typing=False, lazy=False)


def _walk(node: ast.AST, name: str, package: str, typing: bool, lazy: bool) -> Iterator[Import]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            for alias in child.names:
                yield Import(name, alias.name, typing, lazy, child.lineno)
        elif isinstance(child, ast.ImportFrom):
            base = _base(child, package)
            for alias in child.names:
                full = f"{base}.{alias.name}"
                yield Import(name, full if full in EVERY else base, typing, lazy, child.lineno)
        else:
            inside = lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            yield from _walk(child, name, package, typing or _for_types(child), inside)


def _base(node: ast.ImportFrom, package: str) -> str:
    if not node.level:
        return node.module or ""
    parent = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*parent, *([node.module] if node.module else [])])


def _for_types(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def all_imports(names: dict[str, Path]) -> list[Import]:
    return [found for name, path in names.items() for found in imports(name, path)]


def within(core: str) -> str:
    """The path of a module inside inngest_core."""
    return core.partition(".")[2]


def room(module: str) -> str:
    return within(module).partition(".")[0]


CORE_IMPORTS = all_imports(CORE)
BETWEEN_ROOMS = [
    found
    for found in CORE_IMPORTS
    if found.imported.startswith("inngest_core") and room(found.importer)
]


def test_the_trees_are_read() -> None:
    assert len(CORE) > 40
    assert len(BETWEEN_ROOMS) > 100
    assert {room(name) for name in CORE} - {""} <= set(MAY_IMPORT)


def test_no_import_leads_upward() -> None:
    wrong = []
    for found in BETWEEN_ROOMS:
        target, home = within(found.imported), room(found.importer)
        between_faces = found.typing and {home, room(found.imported)} <= FACES
        allowed = MAY_IMPORT[home]
        if not (between_faces or target in allowed or room(found.imported) in allowed):
            wrong.append(str(found))
    assert wrong == []


def test_the_faces_import_each_other_in_their_order_at_run_time() -> None:
    wrong = [
        str(found)
        for found in BETWEEN_ROOMS
        if not found.typing
        and room(found.importer) in RUN_TIME_ORDER
        and room(found.imported) in RUN_TIME_ORDER
        and RUN_TIME_ORDER.index(room(found.importer)) < RUN_TIME_ORDER.index(room(found.imported))
    ]
    assert wrong == []


@pytest.mark.parametrize("home", NEVER)
def test_a_pure_room_imports_no_clock_no_thread_and_no_network(home: str) -> None:
    wrong = [
        str(found)
        for found in CORE_IMPORTS
        if room(found.importer) == home and found.imported.partition(".")[0] in NEVER[home]
    ]
    assert wrong == []


@pytest.mark.parametrize("home", FOREIGN)
def test_a_room_imports_only_the_distributions_it_may(home: str) -> None:
    wrong = [
        str(found)
        for found in CORE_IMPORTS
        if room(found.importer) == home
        and (top := found.imported.partition(".")[0]) not in sys.stdlib_module_names
        and top not in {"inngest_core", *FOREIGN[home]}
    ]
    assert wrong == []


def test_the_core_never_imports_contrib() -> None:
    assert [str(one) for one in CORE_IMPORTS if one.imported.startswith("inngest_contrib")] == []


def test_only_env_reads_the_environment() -> None:
    wrong = [
        f"{name}:{node.lineno}"
        for name, path in CORE.items()
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in ("os.environ", "os.getenv")
        and within(name) != "env"
    ]
    assert wrong == []


def test_contrib_uses_the_public_names_the_door_and_the_plugin_types() -> None:
    wrong = []
    for found in all_imports(modules("inngest_contrib")):
        if not found.imported.startswith("inngest_core"):
            continue
        own = found.importer.split(".")[1] if "." in found.importer else ""
        allowed = CONTRIB | CONTRIB_EXTRA.get(own, set())
        if not (within(found.imported) in allowed or room(found.imported) in allowed):
            wrong.append(str(found))
    assert wrong == []


def test_one_integration_does_not_import_another() -> None:
    shared = {"asgi", "wsgi"}
    wrong = []
    for found in all_imports(modules("inngest_contrib")):
        own, other = (name.split(".")[1:2] for name in (found.importer, found.imported))
        foreign = found.imported.startswith("inngest_contrib.") and own != other
        if foreign and other[0] not in shared and (own, other) != (["testing"], ["devserver"]):
            wrong.append(str(found))
    assert wrong == []


PLUGINS = sorted((ROOT / "plugins").glob("*/inngest_*/**/*.py"))


def ours(path: Path) -> Iterator[tuple[int, str]]:
    """What a plugin imports of our packages, as dotted names."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        found: list[str] = []
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in found:
            if name.partition(".")[0] in ("inngest_core", "inngest_contrib"):
                yield node.lineno, name  # type: ignore[attr-defined]  # imports stand in lines


def test_a_plugin_of_ours_uses_public_names_only_as_a_stranger_would() -> None:
    import inngest_core

    public = {"inngest_core", *(f"inngest_core.{name}" for name in inngest_core.__all__)}
    imports = [(path.name, line, name) for path in PLUGINS for line, name in ours(path)]
    assert len(imports) > 20
    assert [found for found in imports if found[2] not in public] == []


def test_there_is_no_circle() -> None:
    """Imports inside functions count; those for types count unless they are between faces."""
    edges: dict[str, set[str]] = {name: set() for name in CORE}
    for found in BETWEEN_ROOMS:
        between_faces = {room(found.importer), room(found.imported)} <= FACES | {"comm"}
        if found.imported in edges and not (found.typing and between_faces):
            edges[found.importer].add(found.imported)
    assert circle(edges) is None


def circle(edges: dict[str, set[str]]) -> list[str] | None:
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str] | None:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        for other in sorted(edges[name] - {name}):
            found = visit(other, [*path, name])
            if found:
                return found
        done.add(name)
        return None

    for name in sorted(edges):
        if found := visit(name, []):
            return found
    return None


def test_a_circle_would_be_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]


# ---- what an import costs


def loaded_after(code: str) -> set[str]:
    """The modules of a fresh interpreter after *code*."""
    script = f"{code}\nimport sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-S", "-c", f"import sys; sys.path[:] = {sys.path!r}\n{script}"],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    return set(done.stdout.split())


HEAVY = {"asyncio", "click", "h11", "httpx", "importlib.metadata", "jcs", "pluggy", "pydantic"}
LATER = {"click", "h11", "httpx", "importlib.metadata", "jcs", "pluggy", "websockets"}


def test_importing_the_package_imports_nothing_else() -> None:
    plain = loaded_after("import typing, __future__")
    loaded = loaded_after("import inngest_core") - plain
    assert loaded == {"inngest_core"}
    assert not loaded & HEAVY


def test_touching_the_usual_names_imports_nothing_that_is_used_later() -> None:
    loaded = loaded_after("from inngest_core import Inngest, Event, TriggerEvent")
    assert "pydantic" in loaded
    assert loaded & LATER == set()
    assert not any(
        name.startswith(("inngest_core.net.aio", "inngest_core.comm")) for name in loaded
    )


def test_importing_contrib_imports_no_framework() -> None:
    loaded = loaded_after("import inngest_contrib, inngest_contrib.asgi")
    assert not loaded & {"django", "fastapi", "flask", "starlette", "tornado"}
