"""
Compares the public names of both packages: `python -m tests.parity.signatures`.

Every difference must be explained by a row of the tables in docs/coming-from-inngest.md whose first
cell names it; a `*` there stands for anything. A row that explains nothing fails as well.
"""

from __future__ import annotations

import enum
import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pydantic

from .differences import PAGE

MODULES = {
    "inngest": "inngest_core",
    "inngest.flask": "inngest_contrib.flask",
    "inngest.fast_api": "inngest_contrib.fastapi",
    "inngest.django": "inngest_contrib.django",
    "inngest.tornado": "inngest_contrib.tornado",
    "inngest.digital_ocean": "inngest_contrib.digitalocean",
    "inngest.connect": "inngest_core.connect",
    "inngest.experimental": "inngest_core",
    "inngest.experimental.ai": "inngest_core.ai",
    "inngest.experimental.ai.anthropic": "inngest_core.ai.anthropic",
    "inngest.experimental.ai.deepseek": "inngest_core.ai.deepseek",
    "inngest.experimental.ai.gemini": "inngest_core.ai.gemini",
    "inngest.experimental.ai.grok": "inngest_core.ai.grok",
    "inngest.experimental.ai.openai": "inngest_core.ai.openai",
    "inngest.experimental.dev_server": "inngest_contrib.devserver",
    "inngest.experimental.digital_ocean_simulator": "inngest_contrib.digitalocean.simulator",
    "inngest.experimental.mocked": "inngest_contrib.testing.mocked",
    "inngest.experimental.realtime": "inngest_core.realtime",
    "inngest.experimental.remote_state_middleware": "inngest_contrib.remote_state",
    "inngest.experimental.sentry_middleware": "inngest_contrib.sentry",
}
"""Where a module of the official package is in ours."""
WITHOUT_ALL = {
    "inngest.digital_ocean": ["serve"],
    "inngest.django": ["serve"],
    "inngest.experimental.digital_ocean_simulator": ["DigitalOceanSimulator", "FULL_PATH"],
    "inngest.experimental.sentry_middleware": ["SentryMiddleware"],
    "inngest.fast_api": ["serve"],
    "inngest.flask": ["serve"],
    "inngest.tornado": ["serve"],
}
"""The public names of modules that do not say which they are."""
HEADING = "## Every difference in names and signatures"


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is not the same."""

    name: str
    """Dotted, as in the official package."""
    official: str
    ours: str

    def __str__(self) -> str:
        return f"{self.name}\n    official: {self.official}\n    ours:     {self.ours}"


def findings() -> Iterator[Finding]:
    """Compare all there is; the official package must be installed."""
    for theirs, ours in MODULES.items():
        official = _module(theirs)
        if official is None:
            continue
        module = _module(ours)
        if module is None:
            yield Finding(theirs, "a module", f"no module {ours}")
            continue
        yield from _of_module(theirs, official, module)


def _module(name: str) -> Any:
    """The module, or None: it is not built, or needs a framework that is not installed."""
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


def _of_module(name: str, official: Any, ours: Any) -> Iterator[Finding]:
    names = WITHOUT_ALL.get(name) or getattr(official, "__all__", None) or ["Adapter"]
    for one in names:
        dotted = f"{name}.{one}"
        if not hasattr(ours, one):
            yield Finding(dotted, "there", "missing")
            continue
        yield from _of_object(dotted, getattr(official, one), getattr(ours, one))


def _of_object(name: str, official: Any, ours: Any) -> Iterator[Finding]:
    if not inspect.isclass(official):
        yield from _of_callable(name, official, ours)
        return
    if issubclass(official, enum.Enum):
        yield from _compared(name, _values(official), _values(ours))
        return
    yield from _of_callable(name, official, ours)
    if issubclass(official, pydantic.BaseModel):
        yield from _compared(f"{name} fields", _fields(official), _fields(ours))
    for member in sorted(_public(official)):
        yield from _of_member(f"{name}.{member}", official, ours, member)


def _of_member(name: str, official: Any, ours: Any, member: str) -> Iterator[Finding]:
    theirs = inspect.getattr_static(official, member)
    if not hasattr(ours, member):
        yield Finding(name, _kind(theirs), "missing")
        return
    mine = inspect.getattr_static(ours, member)
    if _kind(theirs) == "a method" == _kind(mine):
        yield from _of_callable(name, getattr(official, member), getattr(ours, member))
    else:
        yield from _compared(name, _kind(theirs), _kind(mine))


def _of_callable(name: str, official: Any, ours: Any) -> Iterator[Finding]:
    yield from _compared(name, _signature(official), _signature(ours))
    yield from _compared(f"{name} awaited", _manner(official), _manner(ours))


def _manner(what: Any) -> str:
    return "async" if inspect.iscoroutinefunction(what) else "plain"


def _compared(name: str, official: str, ours: str) -> Iterator[Finding]:
    if official != ours:
        yield Finding(name, official, ours)


# ---- what is compared


def _public(cls: type) -> set[str]:
    """The members that are its own or its own package's: not those of pydantic or a builtin."""
    homes = [one for one in cls.__mro__ if one.__module__.split(".")[0] == "inngest"]
    found = {name for home in homes for name in vars(home) if not name.startswith("_")}
    return found - {"model_config", "model_fields"} - set(getattr(cls, "model_fields", ()))


def _kind(member: Any) -> str:
    if isinstance(member, property):
        return "a property"
    if isinstance(member, (staticmethod, classmethod)) or inspect.isroutine(member):
        return "a method"
    # A slot, a field or a class attribute: all are read alike.
    return "a property"


def _signature(what: Any) -> str:
    """Names, kinds, order of what may be given by place, and defaults; no annotations."""
    try:
        parameters = list(inspect.signature(what).parameters.values())
    except (TypeError, ValueError):
        return "no signature"
    placed = [_parameter(one) for one in parameters if one.kind is not one.KEYWORD_ONLY]
    named = sorted(_parameter(one) for one in parameters if one.kind is one.KEYWORD_ONLY)
    return f"({', '.join([*placed, *(['*'] if named else []), *named])})"


def _parameter(parameter: inspect.Parameter) -> str:
    stars = [parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD]
    star = "*" * (1 + stars.index(parameter.kind)) if parameter.kind in stars else ""
    if parameter.default is parameter.empty:
        return f"{star}{parameter.name}"
    return f"{parameter.name}={_default(parameter.default)}"


def _default(value: Any) -> str:
    text = repr(value)
    return "..." if "EmptySentinel" in text else re.sub(r"<factory>|\[\]|\{\}|\(\)", "empty", text)


def _values(of: Any) -> str:
    return str(sorted((one.name, one.value) for one in of))


def _fields(model: Any) -> str:
    fields = getattr(model, "model_fields", None)
    if fields is None:
        return "no model"
    return ", ".join(f"{name}: {_type(field)}" for name, field in sorted(fields.items()))


def _type(field: Any) -> str:
    default = field.get_default(call_default_factory=True)
    if field.is_required():
        return _annotation(field.annotation)
    return f"{_annotation(field.annotation)} = {_default(default)}"


def _annotation(annotation: Any) -> str:
    """A type as text, without what only narrows it."""
    if typing.get_origin(annotation) is typing.Annotated:
        return _annotation(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return " | ".join(_annotation(one) for one in typing.get_args(annotation))
    if annotation is type(None):
        return "None"
    if isinstance(annotation, type) and not typing.get_args(annotation):
        return annotation.__name__
    return re.sub(r"(\w+\.)+(\w+)", r"\2", str(annotation))


# ---- what the page explains


def explained() -> list[str]:
    """The patterns in the first cells of the tables below the heading."""
    _, _, rest = PAGE.read_text(encoding="utf-8").partition(HEADING)
    section = rest.split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("| `")]
    return [name for row in rows for name in re.findall(r"`([^`]+)`", row.split(" | ")[0])]


def idle(patterns: list[str], found: list[Finding]) -> list[str]:
    """The patterns that explain nothing, though the packages they speak of are there."""
    unseen = [name for name in MODULES if _module(name) is None]
    return [
        pattern
        for pattern in patterns
        if not any(fnmatchcase(one.name, pattern) for one in found)
        and not any(pattern == name or pattern.startswith(f"{name}.") for name in unseen)
    ]


def problems() -> list[str]:
    """What is not explained, and what explains nothing."""
    found, patterns = sorted(set(findings())), explained()
    unexplained = [one for one in found if not any(fnmatchcase(one.name, p) for p in patterns)]
    return [
        *(f"NOT EXPLAINED: {one}" for one in unexplained),
        *(f"EXPLAINS NOTHING: {pattern}" for pattern in idle(patterns, found)),
    ]


def main() -> int:
    """Print each difference; 1 if one is not explained, or an explanation explains nothing."""
    for one in sorted(set(findings())):
        print(one)
    wrong = problems()
    print(*wrong, f"{len(wrong)} problems with {PAGE.name}", sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
