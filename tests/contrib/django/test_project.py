"""The project's client: made from INNGEST when it is first used, and again when that changes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.test import Client, override_settings

import inngest_core as inngest
from inngest_contrib.django import client, conf
from inngest_contrib.django.urls import endpoint
from inngest_contrib.testing.conformance import RecordedServer, call, dev_client

from .conftest import Alone

ANY = inngest.TriggerEvent(event="a/b")
OWN = dev_client()
GIVEN = {"APP_ID": "shop", "DEV": True}


class Silent(inngest.MiddlewareSync):
    """Middleware to be named by its path."""


def given(**more: Any) -> Any:
    return override_settings(INNGEST={**GIVEN, **more})


def test_it_is_an_inngest() -> None:
    assert isinstance(client, inngest.Inngest)
    assert client.app_id == "shop"
    assert not client.is_production


def test_importing_the_package_needs_no_settings_and_loads_nothing(alone: Alone) -> None:
    loaded = alone(
        """
        import sys
        import inngest_contrib.django
        print([name for name in sys.modules if name == "django" or name.startswith("django.")])
        from inngest_contrib.django import client, serve, send_on_commit
        from inngest_contrib.django.urls import urlpatterns
        print(repr(client))
        """
    )
    assert loaded.splitlines() == ["[]", "<the project's Inngest, not used yet>"]


def test_serve_works_without_the_app_without_inngest_and_without_databases(alone: Alone) -> None:
    code = """
        import sys, types
        from django.conf import settings
        settings.configure(ROOT_URLCONF="urls", ALLOWED_HOSTS=["*"])
        import django; django.setup()
        import inngest_core as inngest
        from inngest_contrib.django import serve
        own = inngest.Inngest(app_id="shop", is_production=False)
        @own.create_function(fn_id="plain", trigger=inngest.TriggerEvent(event="a"))
        def plain(ctx): return 1
        @own.create_function(fn_id="aplain", trigger=inngest.TriggerEvent(event="a"))
        async def aplain(ctx): return 2
        sys.modules["urls"] = types.ModuleType("urls")
        sys.modules["urls"].urlpatterns = [serve(own, [plain, aplain])]
        from django.test import AsyncClient, Client
        from inngest_contrib.testing.conformance import call
        import asyncio
        for name in ("plain", "aplain"):
            asked = call(name)
            options = dict(data=asked.body, content_type="application/json")
            print(Client().post(asked.target, **options).content)
            print(asyncio.run(AsyncClient().post(asked.target, **options)).content)
        """
    assert alone(code).splitlines() == ["b'1'", "b'1'", "b'2'", "b'2'"]


def test_functions_can_be_written_before_apps_are_ready(alone: Alone) -> None:
    code = """
        from django.conf import settings
        settings.configure(
            INNGEST={
                "APP_ID": "shop", "DEV": True,
                "MIDDLEWARE": ["tests.contrib.django.needs_apps.NeedsModels"],
            },
            INSTALLED_APPS=["tests.contrib.django.shop", "inngest_contrib.django"],
        )
        import inngest_core as inngest
        from inngest_contrib.django import client
        client.create_function(fn_id="early", trigger=inngest.TriggerEvent(event="a"))(print)
        print([one.__name__ for one in client.middleware])
        import django; django.setup()
        print([one.__name__ for one in client.middleware])
        print([one.id for one in client.functions])
        """
    before, after, functions = alone(code).splitlines()
    assert before == "['CallMiddleware']"
    assert after == "['CallMiddleware', 'NeedsModels']"
    assert functions == "['shop-early', 'shop-found', 'shop-afound']"


def test_settings_are_read_again_when_they_change(project: Any) -> None:
    with given(APP_ID="other", APP_VERSION="7"):
        assert client.app_id == "other"
        assert client.app_version == "7"
        assert {one.id for one in client.functions} >= {"other-found", "other-afound"}
    assert client.app_id == "shop"


def test_what_was_created_before_a_change_is_served_after_it(project: Any) -> None:
    client.create_function(fn_id="kept", trigger=ANY)(lambda ctx: "kept")
    asked = call("kept")
    for version in ("1", "2"):
        with given(APP_VERSION=version):
            response = Client().post(asked.target, asked.body, content_type="application/json")
            assert response.json() == "kept"
            assert client.app_version == version


def test_the_projects_own_client_may_take_its_place(project: Any) -> None:
    with override_settings(INNGEST={"CLIENT": f"{__name__}.OWN"}):
        assert client.functions == OWN.functions
        client.create_function(fn_id="mine", trigger=ANY)(lambda ctx: 1)
        assert [one.id for one in OWN.functions] == ["shop-mine"]
        assert OWN.middleware[-1].__name__ == "CallMiddleware"
    assert "shop-mine" not in [one.id for one in client.functions]
    with override_settings(INNGEST={"CLIENT": f"{__name__}.OWN"}):
        assert [one.id for one in client.functions] == ["shop-mine"]


def test_every_setting_reaches_its_place(project: Any) -> None:
    server = RecordedServer()
    with given(
        API_BASE_URL="http://api.example",
        CHECKPOINT=True,
        ENV="branch",
        EVENT_API_BASE_URL="http://events.example",
        EVENT_KEY="key",
        MIDDLEWARE=[f"{__name__}.Silent"],
        OPTIONS={"audit": {"path": "x"}},
        PLUGINS=[server],
        PUBLIC_PATH="/public",
        SERIALIZER="inngest_core.PydanticSerializer",
        SERVE_ORIGIN="https://shop.example",
        THREAD_POOL_SIZE=3,
    ):
        assert client.api_origin == "http://api.example"
        assert client.event_api_origin == "http://events.example"
        assert (client.env, client.event_key) == ("branch", "key")
        assert client.config.checkpoint is not None
        assert client.config.thread_pool_size == 3
        assert client.config.options("audit") == {"path": "x"}
        assert Silent in client.middleware
        assert Client().put("/api/inngest").status_code == 200
        assert server.bodies[0]["url"] == "https://shop.example/public"
        assert server.bodies[0]["framework"] == "django"


def test_a_body_beyond_max_body_size_is_refused_in_json(project: Any) -> None:
    asked = call("found", b" " * 101)
    with given(MAX_BODY_SIZE=100):
        response = Client().post(asked.target, asked.body, content_type="application/json")
    assert response.status_code == 413
    assert response.json()["code"] == "body_too_large"


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown": (
        {"APPID": "x"},
        "INNGEST.APPID: there is no such setting; did you mean INNGEST.APP_ID",
    ),
    "nearest": ({"SEND_ON_COMIT": True}, "did you mean INNGEST.SEND_ON_COMMIT?"),
    "no app id": ({"APP_ID": None}, "INNGEST.APP_ID: name your app"),
    "modules": ({"AUTODISCOVER_MODULES": "tasks"}, "AUTODISCOVER_MODULES: expected a list"),
    "flag": ({"SEND_ON_COMMIT": "yes"}, "SEND_ON_COMMIT: expected True or False"),
    "path": ({"MIDDLEWARE": ["nowhere.Nothing"]}, "INNGEST.MIDDLEWARE: there is no module nowhere"),
    "limit": ({"MAX_BODY_SIZE": 0}, "INNGEST.MAX_BODY_SIZE: expected a number of bytes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_setting_is_a_reply_that_says_so(project: Any, name: str) -> None:
    wrong, message = WRONG[name]
    with given(**wrong):
        response = Client(raise_request_exception=False).put("/api/inngest")
        assert response.status_code == 500
        assert response["content-type"] == "application/json"
        assert message in json.loads(response.content)["message"]


def test_something_that_is_no_dict_is_refused() -> None:
    with override_settings(INNGEST=["APP_ID"]), pytest.raises(inngest.ConfigError, match="a dict"):
        conf.current()


def test_no_key_is_in_a_repr(project: Any) -> None:
    with given(SIGNING_KEY="signkey-test-secret", EVENT_KEY="secret"):
        assert "secret" not in repr(client) + repr(conf.current()) + repr(endpoint)
