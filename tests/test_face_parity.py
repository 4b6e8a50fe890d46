"""What is there twice, awaited and blocking, takes the same arguments."""

from __future__ import annotations

import dataclasses
import inspect
import sys
from typing import Any

import pytest
import typing_extensions

from inngest_core import (
    Context,
    ContextSync,
    Group,
    GroupSync,
    Inngest,
    Middleware,
    MiddlewareSync,
    Step,
    StepSync,
)
from inngest_core.steps import AI, AISync

PAIRS: list[tuple[Any, Any]] = [
    (Step, StepSync),
    (AI, AISync),
    (Group, GroupSync),
    (Middleware, MiddlewareSync),
]


def methods(kind: type) -> dict[str, Any]:
    return {
        name: found
        for name, found in inspect.getmembers(kind, callable)
        if not name.startswith("_")
    }


def shape(function: Any) -> list[tuple[str, Any, Any]]:
    parameters = inspect.signature(function).parameters.values()
    return [(one.name, one.kind, one.default) for one in parameters]


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].__name__)
def test_both_have_the_same_methods_with_the_same_parameters(pair: tuple[Any, Any]) -> None:
    awaited, blocking = map(methods, pair)
    assert awaited.keys() == blocking.keys()
    assert len(awaited) >= 2
    for name in awaited:
        assert shape(awaited[name]) == shape(blocking[name]), name


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[0].__name__)
def test_one_is_awaited_and_the_other_is_not(pair: tuple[Any, Any]) -> None:
    for name, method in methods(pair[0]).items():
        # A wrapper may be either kind of generator, so its base is the plain one.
        if name != "mode" and not name.startswith("wrap_"):
            assert inspect.iscoroutinefunction(method), name
    for name, method in methods(pair[1]).items():
        assert not inspect.iscoroutinefunction(method), name


def annotated(function: Any) -> dict[str, str]:
    """The annotations of what one passes; callables differ, and not what comes back."""
    found = dict(function.__annotations__)
    return {k: v for k, v in found.items() if k not in ("return", "handler", "callables")}


@pytest.mark.parametrize("pair", PAIRS[1:], ids=lambda pair: pair[0].__name__)
def test_both_are_annotated_alike(pair: tuple[Any, Any]) -> None:
    awaited, blocking = map(methods, pair)
    for name in awaited:
        assert annotated(awaited[name]) == annotated(blocking[name]), name


def test_steps_are_annotated_alike_but_for_run_which_is_overloaded() -> None:
    awaited, blocking = methods(Step), methods(StepSync)
    for name in awaited.keys() - {"run"}:
        assert awaited[name].__annotations__ == blocking[name].__annotations__, name


def test_both_kinds_of_steps_call_models() -> None:
    getters = [inspect.getattr_static(kind, "ai").fget for kind in (Step, StepSync)]
    assert [one.__annotations__["return"] for one in getters] == ["AI", "AISync"]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="overloads are not kept before 3.11")
def test_an_awaited_run_takes_async_and_plain_callables() -> None:
    assert len(typing_extensions.get_overloads(Step.run)) == 2


def test_both_contexts_have_the_same_fields() -> None:
    awaited, blocking = (
        {field.name: field.type for field in dataclasses.fields(kind)}
        for kind in (Context, ContextSync)
    )
    assert {name: str(kind).replace("Sync", "") for name, kind in blocking.items()} == awaited


@pytest.mark.parametrize(
    ("awaited", "blocking"),
    [
        (Inngest.send, Inngest.send_sync),
        (Inngest.send_signal, Inngest.send_signal_sync),
    ],
)
def test_both_ways_to_send_take_the_same(awaited: Any, blocking: Any) -> None:
    assert shape(awaited) == shape(blocking)
    assert awaited.__annotations__ == blocking.__annotations__
    assert inspect.iscoroutinefunction(awaited)
    assert not inspect.iscoroutinefunction(blocking)


OFFICIAL_CLIENT = [
    "api_base_url",
    "app_id",
    "app_version",
    "env",
    "event_api_base_url",
    "event_key",
    "is_production",
    "logger",
    "middleware",
    "request_timeout",
    "serializer",
    "signing_key",
]
OFFICIAL_FUNCTION = [
    "batch_events",
    "cancel",
    "concurrency",
    "debounce",
    "fn_id",
    "idempotency",
    "middleware",
    "name",
    "on_failure",
    "output_type",
    "priority",
    "rate_limit",
    "retries",
    "throttle",
    "timeouts",
    "singleton",
    "trigger",
]


@pytest.mark.parametrize(
    ("function", "names"),
    [(Inngest.__init__, OFFICIAL_CLIENT), (Inngest.create_function, OFFICIAL_FUNCTION)],
)
def test_every_argument_of_the_official_package_is_taken(function: Any, names: list[str]) -> None:
    parameters = inspect.signature(function).parameters
    assert set(names) <= set(parameters)
    for name in names:
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    required = {name for name in names if parameters[name].default is inspect.Parameter.empty}
    assert required in ({"app_id"}, {"fn_id", "trigger"})
