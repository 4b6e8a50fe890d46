"""Claims about middleware, at the client and at the function."""

from __future__ import annotations

import contextvars
from collections.abc import Generator
from typing import Any

import pytest

from inngest_core import Context, ContextSync, Middleware, MiddlewareSync

from .adapter import Adapter
from .exchange import call
from .functions import create
from .server import dev_client

HOOKS = (
    "transform_input",
    "after_memoization",
    "before_execution",
    "after_execution",
    "transform_output",
    "before_response",
)
_tenant: contextvars.ContextVar[str] = contextvars.ContextVar("tenant", default="nobody")


class Hooks(Adapter):
    """Middleware is asked in its order, at both levels, and with the framework's request."""

    @pytest.mark.parametrize("function", ["plain", "aplain"])
    def test_middleware_sees_the_request_of_the_framework(self, function: str) -> None:
        seen: list[object] = []

        class Watching(MiddlewareSync):
            def before_execution(self) -> None:
                seen.append(self.raw_request)

        assert self.answer(dev_client(middleware=[Watching]), call(function)).status == 200
        assert len(seen) == 1
        assert self.is_raw_request(seen[0])

    @pytest.mark.parametrize("function", ["step", "astep"])
    def test_the_clients_middleware_is_around_that_of_the_function(self, function: str) -> None:
        told: list[str] = []
        client = dev_client(middleware=[_telling(told, "client")])
        create(client, function, _STEPS[function], middleware=[_telling(told, "function")])
        assert self.request(self.serve(client), call(function)).status == 206
        before = ["wrap_call", "transform_input", "before_execution", "wrap_step"]
        behind = ["/wrap_step", "after_execution", "/wrap_call", "transform_output"]
        expected = [f"{level} {one}" for one in before for level in ("client", "function")]
        expected += [f"{level} {one}" for one in behind for level in ("function", "client")]
        assert told == [*expected, "client before_response", "function before_response"]

    @pytest.mark.parametrize("level", ["client", "function"])
    def test_async_middleware_works_in_async_functions(self, level: str) -> None:
        seen: list[object] = []

        class Watching(Middleware):
            async def before_execution(self) -> None:
                seen.append(self.raw_request)

        client = dev_client(middleware=[Watching] if level == "client" else [])
        options = {"middleware": [Watching]} if level == "function" else {}
        create(client, "astep", _STEPS["astep"], **options)
        assert self.request(self.serve(client), call("astep")).status == 206
        assert len(seen) == 1
        assert self.is_raw_request(seen[0])

    @pytest.mark.parametrize("function", ["step", "astep"])
    def test_context_variables_of_middleware_reach_function_and_step(self, function: str) -> None:
        class Setting(MiddlewareSync):
            def before_execution(self) -> None:
                _tenant.set(function)

        client = dev_client(middleware=[Setting])
        create(client, function, _STEPS[function])
        answered = self.request(self.serve(client), call(function))
        assert answered.json[0]["data"] == function

    @pytest.mark.parametrize("function", ["plain", "aplain", "step", "astep"])
    @pytest.mark.parametrize("hook", HOOKS)
    def test_a_middleware_that_fails_is_named_in_a_retriable_error(
        self, hook: str, function: str
    ) -> None:
        def fail(self: Any, *args: Any) -> None:
            raise RuntimeError("boom")

        failing = type("Failing", (MiddlewareSync,), {hook: fail})
        fail.__qualname__ = f"Failing.{hook}"
        answered = self.answer(dev_client(middleware=[failing]), call(function))
        assert answered.status == 500
        assert answered.json["code"] == "middleware_failed"
        assert f"Failing.{hook} failed: boom" in answered.json["message"]
        assert answered.headers["x-inngest-no-retry"] == "false"


def _step(ctx: ContextSync) -> Any:
    return ctx.step.run("a", _tenant.get)


async def _astep(ctx: Context) -> Any:
    return await ctx.step.run("a", _tenant.get)


_STEPS = {"step": _step, "astep": _astep}


def _telling(told: list[str], level: str) -> type[MiddlewareSync]:
    """A middleware that tells of each of its methods."""

    class Telling(MiddlewareSync):
        def transform_input(self, ctx: Any, function: Any, steps: Any) -> None:
            told.append(f"{level} transform_input")

        def before_execution(self) -> None:
            told.append(f"{level} before_execution")

        def after_execution(self) -> None:
            told.append(f"{level} after_execution")

        def transform_output(self, result: Any) -> None:
            told.append(f"{level} transform_output")

        def before_response(self) -> None:
            told.append(f"{level} before_response")

        def wrap_call(self, ctx: Any, function: Any) -> Generator[None, Any, Any]:
            return (yield from _around("wrap_call"))

        def wrap_step(self, step: Any) -> Generator[None, Any, Any]:
            return (yield from _around("wrap_step"))

    def _around(what: str) -> Generator[None, Any, Any]:
        told.append(f"{level} {what}")
        outcome = yield
        told.append(f"{level} /{what}")
        return outcome

    return Telling
