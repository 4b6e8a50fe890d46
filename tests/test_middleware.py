"""The base classes of middleware: what an instance has, and that they do nothing."""

from __future__ import annotations

import asyncio
import inspect
from typing import Any

import pytest

from inngest_core import ConfigError, Inngest, Middleware, MiddlewareSync, Ok
from inngest_core.flow.pipeline import HOOKS, WRAPPERS

from .flow.wiring import client_of

WATCHING = [hook for hook in HOOKS if hook not in WRAPPERS]


@pytest.mark.parametrize("base", [Middleware, MiddlewareSync])
def test_an_instance_has_the_client_and_the_request(base: Any) -> None:
    client = client_of()
    instance = base(client, "raw")
    assert (instance.client, instance.raw_request) == (client, "raw")


@pytest.mark.parametrize("base", [Middleware, MiddlewareSync])
def test_every_hook_is_there_and_none_other(base: type) -> None:
    public = {name for name in vars(base) if not name.startswith("_")}
    assert public == set(HOOKS)


@pytest.mark.parametrize("base", [Middleware, MiddlewareSync])
@pytest.mark.parametrize("hook", WATCHING)
def test_a_hook_that_is_called_through_super_does_nothing(base: Any, hook: str) -> None:
    method = getattr(base(client_of(), None), hook)
    arguments = [None] * len(inspect.signature(method).parameters)
    result = method(*arguments)
    if base is Middleware:
        result = asyncio.run(result)
    assert result is None


@pytest.mark.parametrize("base", [Middleware, MiddlewareSync])
@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapper_that_is_called_through_super_keeps_the_outcome(base: Any, wrapper: str) -> None:
    method = getattr(base(client_of(), None), wrapper)
    generator = method(*[None] * len(inspect.signature(method).parameters))
    assert next(generator) is None
    with pytest.raises(StopIteration) as end:
        generator.send(outcome := Ok(1))
    assert end.value.value is outcome


@pytest.mark.parametrize("wrong", ["x", 5, object()])
def test_what_is_no_middleware_is_refused_where_it_is_given(wrong: Any) -> None:
    with pytest.raises(ConfigError, match=rf"middleware\[0\]: .*got {type(wrong).__name__}"):
        Inngest(app_id="shop", is_production=False, middleware=[wrong])
