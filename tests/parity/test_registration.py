"""What is registered with the server, key by key, for every option of a function."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.contrib.devserver.live import Call, Reply, StandIn, stand_in

from .adapters import ADAPTERS, ADDRESS_ENDS, WIRE_NAMES
from .differences import expected_of
from .kits import KITS, Kit

HOUR = datetime.timedelta(hours=1)
OPTIONS: dict[str, tuple[Callable[[Any], dict[str, Any]], dict[str, Any]]] = {
    "nothing": (lambda inngest: {}, {}),
    "name": (lambda inngest: {"name": "A name"}, {"name": "A name"}),
    "retries": (lambda inngest: {"retries": 7}, {"retries": 7}),
    "no retries": (lambda inngest: {"retries": 0}, {"retries": 0}),
    "batch": (
        lambda inngest: {
            "batch_events": inngest.Batch(
                max_size=5, timeout=60_000, key="event.data.k", if_exp="event.data.n > 1"
            )
        },
        {
            "batchEvents": {
                "maxSize": 5,
                "timeout": "1m",
                "key": "event.data.k",
                "if": "event.data.n > 1",
            }
        },
    ),
    "cancel": (
        lambda inngest: {
            "cancel": [
                inngest.Cancel(event="a", if_exp="event.data.n == 1", timeout=HOUR),
                inngest.Cancel(event="b"),
            ]
        },
        {
            "cancel": [
                {"event": "a", "if": "event.data.n == 1", "timeout": "1h"},
                {"event": "b"},
            ]
        },
    ),
    "concurrency": (
        lambda inngest: {
            "concurrency": [
                inngest.Concurrency(limit=2),
                inngest.Concurrency(limit=3, key="event.data.k", scope="account"),
            ]
        },
        {"concurrency": [{"limit": 2}, {"limit": 3, "key": "event.data.k", "scope": "account"}]},
    ),
    "debounce": (
        lambda inngest: {
            "debounce": inngest.Debounce(key="event.data.k", period=5_000, timeout=HOUR)
        },
        {"debounce": {"key": "event.data.k", "period": "5s", "timeout": "1h"}},
    ),
    "idempotency": (
        lambda inngest: {"idempotency": "event.data.k"},
        {"idempotency": "event.data.k"},
    ),
    "priority": (
        lambda inngest: {"priority": inngest.Priority(run="event.data.p")},
        {"priority": {"run": "event.data.p"}},
    ),
    "rate limit": (
        lambda inngest: {"rate_limit": inngest.RateLimit(limit=3, period=HOUR, key="event.data.k")},
        {"rateLimit": {"limit": 3, "period": "1h", "key": "event.data.k"}},
    ),
    "singleton": (
        lambda inngest: {"singleton": inngest.Singleton(mode="cancel", key="event.data.k")},
        {"singleton": {"mode": "cancel", "key": "event.data.k"}},
    ),
    "throttle": (
        lambda inngest: {
            "throttle": inngest.Throttle(limit=3, period=HOUR, key="event.data.k", burst=2)
        },
        {"throttle": {"limit": 3, "period": "1h", "key": "event.data.k", "burst": 2}},
    ),
    "small throttle": (
        lambda inngest: {"throttle": inngest.Throttle(limit=3, period=90_000)},
        {"throttle": {"limit": 3, "period": "1m30s", "burst": 1}},
    ),
    "timeouts": (
        lambda inngest: {
            "timeouts": inngest.Timeouts(start=10_000, finish=datetime.timedelta(days=1))
        },
        {"timeouts": {"start": "10s", "finish": "1d"}},
    ),
    "an expression": (
        lambda inngest: {
            "trigger": inngest.TriggerEvent(event="a/b", expression="event.data.n > 1")
        },
        {"triggers": [{"event": "a/b", "expression": "event.data.n > 1"}]},
    ),
    "cron": (
        lambda inngest: {"trigger": inngest.TriggerCron(cron="TZ=Europe/Paris 0 4 * * *")},
        {"triggers": [{"cron": "TZ=Europe/Paris 0 4 * * *"}]},
    ),
    "cron with jitter": (
        lambda inngest: {"trigger": inngest.TriggerCron(cron="0 4 * * *", jitter="30s")},
        {"triggers": [{"cron": "0 4 * * *", "jitter": "30s"}]},
    ),
    "several triggers": (
        lambda inngest: {
            "trigger": [inngest.TriggerEvent(event="a"), inngest.TriggerCron(cron="0 4 * * *")]
        },
        {"triggers": [{"event": "a"}, {"cron": "0 4 * * *"}]},
    ),
}


def registered(kit: Kit, options: dict[str, Any], adapter: str = "flask", **more: Any) -> Call:
    """Serve one function and sync; return what the server got."""

    def answer(call: Call) -> Reply:
        return Reply(200, {"ok": True, "modified": True})

    with stand_in(answer) as server:
        return _registered(kit, server, options, adapter, more)


def _registered(
    kit: Kit, server: StandIn, options: dict[str, Any], adapter: str, more: dict[str, Any]
) -> Call:
    origin = server.url.removesuffix("/api/inngest")
    client = kit.inngest.Inngest(
        app_id="shop", is_production=False, api_base_url=origin, app_version="1.2"
    )
    options.setdefault("trigger", kit.inngest.TriggerEvent(event="a"))
    function = client.create_function(fn_id="fn", **options)(lambda ctx: None)
    path = more.pop("asked", None) or more.get("serve_path", "/api/inngest")
    with ADAPTERS[adapter](kit.serve(adapter), client, [function], **more) as url:
        response = httpx.put(url + path, headers={"x-forwarded-for": "1.2.3.4"}, trust_env=False)
        assert response.status_code == 200, response.text
    (call,) = server.calls
    return call


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_is_registered(kit: Kit, option: str) -> None:
    make, expected = OPTIONS[option]
    (config,) = registered(kit, make(kit.inngest)).json["functions"]
    retries = expected.get("retries")
    (step,) = config.pop("steps").values()
    url = step["runtime"].pop("url")
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/api/inngest?fnId=shop-fn&stepId=step")
    expected_step = {"id": "step", "name": "step", "runtime": {"type": "http"}}
    if retries is not None:
        expected_step["retries"] = {"attempts": retries}
    assert step == expected_step
    wanted = {"id": "shop-fn", "name": "fn", "triggers": [{"event": "a"}], **expected}
    wanted.pop("retries", None)
    assert config == expected_of(kit, option, wanted)


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
def test_a_failure_handler_is_registered(kit: Kit) -> None:
    functions = registered(kit, {"on_failure": lambda ctx: None}).json["functions"]
    failure = functions[1]
    (step,) = failure.pop("steps").values()
    assert step["retries"] == {"attempts": 0}
    assert step["runtime"]["url"].endswith("?fnId=shop-fn-failure&stepId=step")
    trigger = {
        "event": "inngest/function.failed",
        "expression": "event.data.function_id == 'shop-fn'",
    }
    wanted = {"id": "shop-fn-failure", "name": "fn (failure)", "triggers": [trigger]}
    assert failure == expected_of(kit, "a failure handler", wanted)


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
@pytest.mark.parametrize("adapter", ADAPTERS)
def test_what_surrounds_the_functions(kit: Kit, adapter: str) -> None:
    call = registered(kit, {}, adapter)
    document = call.json
    url = document.pop("url")
    document.pop("functions")
    sdk = document.pop("sdk")
    assert call.path == "/fn/register"
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith(ADDRESS_ENDS.get(adapter, "/api/inngest"))
    assert sdk.startswith("py:v")
    wanted = {
        "appname": "shop",
        "appversion": "1.2",
        "capabilities": {"connect": "v1", "in_band_sync": "v1", "trust_probe": "v1"},
        "deploytype": "ping",
        "framework": WIRE_NAMES[adapter],
        "v": "0.1",
    }
    wanted = {key: v for key, v in expected_of(kit, "the registration", wanted).items() if v}
    assert {key.lower(): value for key, value in document.items()} == wanted


HEADERS = [
    "x-inngest-sdk",
    "x-inngest-framework",
    "x-inngest-expected-server-kind",
    "content-type",
]


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
def test_the_headers_of_a_registration(kit: Kit) -> None:
    headers = registered(kit, {}).headers
    found = {name: headers.get(name) for name in HEADERS}
    sdk = found.pop("x-inngest-sdk")
    assert sdk is not None
    assert sdk.startswith("inngest-py:v")
    wanted = {
        "x-inngest-framework": "flask",
        "x-inngest-expected-server-kind": "dev",
        "content-type": "application/json",
    }
    assert found == expected_of(kit, "headers of a registration", wanted)


PLACES = {
    "an origin": ({"serve_origin": "https://shop.test"}, "https://shop.test", "/api/inngest"),
    "an origin without a scheme": (
        {"serve_origin": "shop.test"},
        "https://shop.test",
        "/api/inngest",
    ),
    "an origin with a port": (
        {"serve_origin": "http://shop.test:8000"},
        "http://shop.test:8000",
        "/api/inngest",
    ),
    "a path": ({"serve_path": "/other"}, "", "/other"),
    "a public path": ({"public_path": "/seen/here"}, "", "/seen/here"),
    "both": (
        {"serve_origin": "https://shop.test", "serve_path": "/other"},
        "https://shop.test",
        "/other",
    ),
    "a path and a public path": ({"serve_path": "/other", "public_path": "/seen"}, "", "/seen"),
}
"""Options, and the origin and path that are registered; an origin is empty where it is any."""


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
@pytest.mark.parametrize("adapter", ADAPTERS)
@pytest.mark.parametrize("place", PLACES)
def test_where_an_app_says_it_is(kit: Kit, adapter: str, place: str) -> None:
    options, origin, path = PLACES[place]
    document = registered(kit, {}, adapter, **options).json
    (step,) = document["functions"][0]["steps"].values()
    end = ADDRESS_ENDS.get(adapter, path) if path == "/api/inngest" else path
    assert document["url"].startswith(origin)
    assert document["url"].endswith(end)
    assert step["runtime"]["url"] == f"{document['url']}?fnId=shop-fn&stepId=step"
    if origin and end == path:
        assert document["url"] == f"{origin}{path}"


@pytest.mark.parametrize("kit", KITS, ids=lambda kit: kit.name)
def test_a_deployment_is_named_on(kit: Kit) -> None:
    call = registered(kit, {}, asked="/api/inngest?deployId=d1")
    assert call.query == {"deployId": "d1"}
