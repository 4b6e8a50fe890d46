"""Settings of frameworks: one table of keys, each an argument that there is."""

from __future__ import annotations

import inspect
import sys
import types
from typing import Any

import pytest

import inngest_core as inngest
from inngest_core import settings

KEY = "signkey-test-0123456789abcdef"


class Quiet(inngest.MiddlewareSync):
    """A middleware to name by its path."""


@pytest.fixture
def shop(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    module = types.ModuleType("settings_shop")
    vars(module).update(
        client=inngest.Inngest(app_id="own"), Quiet=Quiet, Plain=inngest.PydanticSerializer
    )
    monkeypatch.setitem(sys.modules, "settings_shop", module)
    return module


def test_every_key_is_an_argument_that_there_is() -> None:
    client = inspect.signature(inngest.Inngest).parameters
    assert set(settings.CLIENT_ARGUMENTS.values()) == set(client)
    handler = inspect.signature(inngest.CommHandler).parameters
    assert set(settings.ENDPOINT_ARGUMENTS.values()) <= set(handler)


def test_keys_make_a_client() -> None:
    client = settings.read(
        {"APP_ID": "shop", "APP_VERSION": "7", "DEV": False, "SIGNING_KEY": KEY, "ENV": None}
    ).client()
    assert (client.app_id, client.app_version, client.is_production) == ("shop", "7", True)
    assert client.signing_key == KEY


@pytest.mark.parametrize(
    ("dev", "production"),
    [(True, False), (False, True), (1, False), ("1", False), ("true", False), ("0", True)],
)
def test_dev_is_the_other_side_of_production(dev: Any, production: bool) -> None:
    assert settings.read({"APP_ID": "a", "DEV": dev}).client().is_production is production


def test_dev_may_say_where_the_server_is() -> None:
    given = {"APP_ID": "a", "DEV": "http://box:1234", "EVENT_API_BASE_URL": "http://other:1"}
    client = settings.read(given).client()
    assert not client.is_production
    assert client.api_origin == "http://box:1234"
    assert client.event_api_origin == "http://other:1"


@pytest.mark.parametrize("dev", [2, 1.5, ["x"]])
def test_dev_of_another_kind_is_refused(dev: Any) -> None:
    with pytest.raises(inngest.ConfigError, match=r"INNGEST_DEV: expected True, False or the URL"):
        settings.read({"APP_ID": "a", "DEV": dev}, prefix="INNGEST_").client()


def test_without_dev_the_environment_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INNGEST_DEV", "1")
    assert not settings.read({"APP_ID": "a"}).client().is_production


@pytest.mark.parametrize("path", ["settings_shop.client", "settings_shop:client"])
def test_a_client_may_be_named_by_its_path(shop: Any, path: str) -> None:
    assert settings.read({"CLIENT": path}).client() is shop.client


def test_a_client_may_be_given_itself(shop: Any) -> None:
    assert settings.read({"CLIENT": shop.client}).client() is shop.client


def test_what_would_change_nothing_beside_a_client_is_refused(shop: Any) -> None:
    given = {"CLIENT": shop.client, "SIGNING_KEY": KEY}
    with pytest.raises(inngest.ConfigError, match=r"X_SIGNING_KEY: .* beside X_CLIENT") as raised:
        settings.read(given, prefix="X_").client()
    assert KEY not in str(raised.value)


def test_what_is_no_client_is_named() -> None:
    with pytest.raises(inngest.ConfigError, match=r"CLIENT: expected a client.*got int"):
        settings.read({"CLIENT": 3}).client()


def test_middleware_and_serializer_may_be_paths(shop: Any) -> None:
    given = {
        "APP_ID": "a",
        "MIDDLEWARE": ["settings_shop.Quiet", Quiet],
        "SERIALIZER": "settings_shop.Plain",
    }
    arguments = settings.read(given).client_arguments()
    assert arguments["middleware"] == [Quiet, Quiet]
    assert isinstance(arguments["serializer"], inngest.PydanticSerializer)
    assert settings.read(given).client().middleware == [Quiet, Quiet]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"MIDDLEWARE": "settings_shop.Quiet"}, "MIDDLEWARE: expected a list"),
        ({"MIDDLEWARE": ["Quiet"]}, 'MIDDLEWARE: "Quiet" is no dotted path'),
        ({"PLUGINS": ["settings_shop.nope"]}, 'PLUGINS: settings_shop has no "nope"'),
        ({"SERIALIZER": "nowhere_at_all.X"}, "SERIALIZER: there is no module nowhere_at_all"),
    ],
)
def test_what_cannot_be_imported_is_named(shop: Any, given: Any, message: str) -> None:
    with pytest.raises(inngest.ConfigError, match=message):
        settings.read({"APP_ID": "a", **given}).client()


def test_an_error_inside_what_is_imported_is_not_hidden(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "settings_broken.py").write_text("import settings_missing_library\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="settings_missing_library"):
        settings.read({"CLIENT": "settings_broken.client"}).client()


def test_a_client_needs_an_app_id() -> None:
    with pytest.raises(inngest.ConfigError, match=r"INNGEST_APP_ID: .* INNGEST_CLIENT"):
        settings.read({}, prefix="INNGEST_").client()


@pytest.mark.parametrize(
    ("key", "near"),
    [("SIGNIN_KEY", "SIGNING_KEY"), ("app_id", "APP_ID"), ("MAXBODY", "MAX_BODY_SIZE")],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(key: str, near: str) -> None:
    with pytest.raises(inngest.ConfigError, match=rf"X_{key}: .* did you mean X_{near}\?"):
        settings.read({key: 1}, prefix="X_")


def test_a_framework_has_keys_of_its_own() -> None:
    read = settings.read({"SEND_ON_COMMIT": True}, also=["SEND_ON_COMMIT"])
    assert read.get("SEND_ON_COMMIT") is True
    assert read.get("OTHER", "nothing") == "nothing"


def test_endpoint_keys_are_arguments_of_the_handler() -> None:
    given = {"SERVE_PATH": "/x", "MAX_BODY_SIZE": 10, "PUBLIC_PATH": None, "APP_ID": "a"}
    assert settings.read(given).endpoint_arguments() == {"serve_path": "/x", "max_body": 10}


@pytest.mark.parametrize("limit", [0, -1, "16", True, 1.5])
def test_a_limit_that_is_none_is_refused(limit: Any) -> None:
    with pytest.raises(inngest.ConfigError, match="MAX_BODY_SIZE: expected a number of bytes"):
        settings.read({"MAX_BODY_SIZE": limit}).endpoint_arguments()


def test_no_key_is_shown() -> None:
    assert KEY not in repr(settings.read({"SIGNING_KEY": KEY}))
