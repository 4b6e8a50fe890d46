"""What is read of environment variables, and what beats them."""

from __future__ import annotations

from typing import Any

import pytest

from .differences import expected_of
from .kits import KITS, Kit
from .test_registration import registered

SHOWN = ("is_production", "env", "event_key", "signing_key", "signing_key_fallback")
LOCAL = "http://127.0.0.1:8288/"
API, EVENTS = "https://api.inngest.com/", "https://inn.gs/"
CASES: dict[str, tuple[dict[str, str], dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}, {"is_production": True, "api": API, "events": EVENTS}),
    "dev": (
        {"INNGEST_DEV": "1"},
        {},
        {"is_production": False, "api": LOCAL, "events": LOCAL},
    ),
    "dev by a word": ({"INNGEST_DEV": "TRUE"}, {}, {"is_production": False}),
    "not dev": ({"INNGEST_DEV": "0"}, {}, {"is_production": True, "api": API}),
    "not dev by a word": ({"INNGEST_DEV": "false"}, {}, {"is_production": True}),
    "an address for dev": (
        {"INNGEST_DEV": "http://dev.test:8000"},
        {},
        {
            "is_production": False,
            "api": "http://dev.test:8000",
            "events": "http://dev.test:8000",
        },
    ),
    "an argument beats dev": (
        {"INNGEST_DEV": "1"},
        {"is_production": True},
        {"is_production": True, "api": API},
    ),
    "a base address": (
        {"INNGEST_BASE_URL": "https://own.test"},
        {},
        {"is_production": True, "api": "https://own.test", "events": "https://own.test"},
    ),
    "an address for each": (
        {
            "INNGEST_BASE_URL": "https://own.test",
            "INNGEST_API_BASE_URL": "https://api.test",
            "INNGEST_EVENT_API_BASE_URL": "https://e.test",
        },
        {},
        {"api": "https://api.test", "events": "https://e.test"},
    ),
    "arguments beat addresses": (
        {"INNGEST_API_BASE_URL": "https://api.test"},
        {"api_base_url": "https://mine.test"},
        {"api": "https://mine.test"},
    ),
    "keys": (
        {
            "INNGEST_EVENT_KEY": "e",
            "INNGEST_SIGNING_KEY": "s",
            "INNGEST_SIGNING_KEY_FALLBACK": "f",
        },
        {},
        {"event_key": "e", "signing_key": "s", "signing_key_fallback": "f"},
    ),
    "arguments beat keys": (
        {"INNGEST_EVENT_KEY": "e", "INNGEST_SIGNING_KEY": "s"},
        {"event_key": "mine", "signing_key": "own"},
        {"event_key": "mine", "signing_key": "own"},
    ),
    "an environment": ({"INNGEST_ENV": "branch"}, {}, {"env": "branch"}),
    "an environment of a platform": (
        {"RAILWAY_GIT_BRANCH": "branch"},
        {},
        {"env": "branch"},
    ),
    "an environment of another platform": (
        {"VERCEL_GIT_COMMIT_REF": "branch"},
        {},
        {"env": "branch"},
    ),
}


@pytest.fixture(params=KITS, ids=lambda kit: kit.name)
def kit(request: pytest.FixtureRequest) -> Kit:
    found: Kit = request.param
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_client_reads_its_environment(
    kit: Kit, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    variables, options, facts = CASES[name]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    client = kit.inngest.Inngest(app_id="shop", **options)
    known = {key: getattr(client, key) for key in SHOWN}
    known |= {"api": client.api_origin, "events": client.event_api_origin}
    assert {key: known[key] for key in facts} == expected_of(kit, f"variables: {name}", facts)


SERVED = {
    "an origin": (
        {"INNGEST_SERVE_ORIGIN": "https://shop.test"},
        {},
        "https://shop.test/api/inngest",
    ),
    "an origin beaten": (
        {"INNGEST_SERVE_ORIGIN": "https://shop.test"},
        {"serve_origin": "https://mine.test"},
        "https://mine.test/api/inngest",
    ),
    "a path": ({"INNGEST_SERVE_PATH": "/other"}, {}, "/other"),
}


@pytest.mark.parametrize("name", SERVED)
def test_an_app_reads_where_it_is(kit: Kit, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variables, options, expected = SERVED[name]
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    if "INNGEST_SERVE_PATH" in variables:
        options = {**options, "asked": variables["INNGEST_SERVE_PATH"]}
    url = registered(kit, {}, **options).json["url"]
    assert url.endswith(expected)
