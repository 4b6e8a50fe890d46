"""As a plugin: active where it is enabled, and in front of all other middleware."""

from __future__ import annotations

from typing import Any

import pytest
from inngest_core import ConfigError, Inngest, MiddlewareSync

from .spans import Tracing, call, door


def client_of(**options: Any) -> Inngest:
    return Inngest(app_id="shop", is_production=False, options={"otel": options})


def test_it_is_found_and_works_where_it_is_enabled() -> None:
    tracing = Tracing()
    client = client_of(enabled=True, tracer_provider=tracing.provider)
    door(client, lambda ctx: 1).answer_sync(call())
    assert tracing.names == ["shop-f"]


@pytest.mark.parametrize("options", [{}, {"enabled": False}, {"enabled": "0"}])
def test_installed_is_not_active(options: dict[str, Any]) -> None:
    assert client_of(**options).middleware == []


def test_the_environment_may_enable_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNGEST_OPTIONS__OTEL__ENABLED", "true")
    assert len(Inngest(app_id="shop", is_production=False).middleware) == 1


def test_it_stands_in_front() -> None:
    class Mine(MiddlewareSync):
        def before_execution(self) -> None: ...

    found = Inngest(
        app_id="shop",
        is_production=False,
        middleware=[Mine],
        options={"otel": {"enabled": True}},
    )
    assert found.middleware[1] is Mine


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"enable": True}, 'no option "enable"; there are enabled, tracer_provider'),
        ({"enabled": "perhaps"}, "enabled: expected true or false"),
        ({"enabled": 2}, "enabled: expected true or false"),
        ({"enabled": True, "tracer_provider": 7}, "tracer_provider: expected one"),
    ],
)
def test_wrong_options_are_refused_by_name(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        client_of(**options)
