"""The public names: sorted, present, each fetched from where the type checker is told it lives."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import inngest_core

SOURCE = Path(inngest_core.__file__).read_text(encoding="utf-8")

# What users of the official package know, and what ours adds to it; the width
# that is built so far.
PROMISED = [
    "Batch",
    "Cancel",
    "Cipher",
    "CipherError",
    "CommHandler",
    "CommRequest",
    "CommResponse",
    "Concurrency",
    "ConfigError",
    "Context",
    "ContextSync",
    "Debounce",
    "Event",
    "EventKeyUnspecifiedError",
    "EventSeed",
    "FetchResponse",
    "Framework",
    "Function",
    "FunctionConfig",
    "FunctionOpts",
    "Group",
    "GroupSync",
    "Inngest",
    "InngestError",
    "JSON",
    "Middleware",
    "MiddlewareSync",
    "NonRetriableError",
    "Opcode",
    "ParallelMode",
    "Priority",
    "PydanticSerializer",
    "RateLimit",
    "RetryAfterError",
    "Sealer",
    "SendEventsError",
    "SendEventsResult",
    "Serializer",
    "Signal",
    "SigningKeyMissingError",
    "Singleton",
    "Step",
    "StepError",
    "StepMemos",
    "StepSync",
    "Streaming",
    "Throttle",
    "Timeouts",
    "TransformOutputResult",
    "TransformOutputStepInfo",
    "TriggerCron",
    "TriggerEvent",
    "__version__",
    "framework",
    "frameworks",
    "get_step_context",
    "hookimpl",
    "set_step_context",
    "step",
]


def for_the_type_checker() -> dict[str, str]:
    """Every name below TYPE_CHECKING, with its module."""
    found = {}
    for node in ast.parse(SOURCE).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom)
                for alias in statement.names:
                    found[alias.asname or alias.name] = statement.module or ""
    return found


def test_the_list_is_sorted_and_says_nothing_twice() -> None:
    names = inngest_core.__all__
    constants = [name for name in names if name.isupper()]
    classes = [name for name in names if name[0].isupper() and not name.isupper()]
    rest = [name for name in names if not name[0].isupper()]
    assert names == sorted(constants) + sorted(classes) + sorted(rest)
    assert len(set(names)) == len(names)
    assert dir(inngest_core) == sorted(names)


@pytest.mark.parametrize("name", inngest_core.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(inngest_core, name) is not None


@pytest.mark.parametrize("name", PROMISED)
def test_every_promised_name_is_public(name: str) -> None:
    assert name in inngest_core.__all__


def test_the_type_checker_is_told_what_the_table_says() -> None:
    told = for_the_type_checker()
    assert told.pop("__version__") == "version"
    assert told == inngest_core._MODULES
    assert {*told, "__version__"} == set(inngest_core.__all__)


@pytest.mark.parametrize("name", sorted(inngest_core._MODULES))
def test_a_class_lives_where_the_table_says(name: str) -> None:
    value = getattr(inngest_core, name)
    home = getattr(value, "__module__", None)
    if home is not None and home.startswith("inngest_core"):
        assert (
            home == f"inngest_core.{inngest_core._MODULES[name]}"
            or home.startswith(f"inngest_core.{inngest_core._MODULES[name]}.")
            or inngest_core._MODULES[name] == "comm"
        )


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'Nope'"):
        _ = inngest_core.Nope
