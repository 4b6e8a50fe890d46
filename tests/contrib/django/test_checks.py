"""Each known mistake has a system check, with an id that stays."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.checks import CheckMessage, run_checks
from django.core.checks.registry import registry
from django.test import Client, override_settings
from django.urls import path

import inngest_core as inngest
from inngest_contrib.django import checks, client, discovery, serve
from inngest_contrib.testing.conformance import dev_client, functions

from .conftest import ROOT

ANY = inngest.TriggerEvent(event="a/b")
GIVEN = {"APP_ID": "shop", "DEV": True}
KEY = "signkey-test-0123456789abcdef"


@pytest.fixture(autouse=True)
def _as_before(project: Any) -> Iterator[None]:
    kept = list(discovery.problems)
    yield
    discovery.problems[:] = kept


def found(*, deploy: bool = False, **settings: Any) -> dict[str, CheckMessage]:
    """What the checks say, by id."""
    with override_settings(**settings):
        messages = run_checks(tags=["inngest"], include_deployment_checks=deploy)
    return {str(message.id): message for message in messages}


def urls(*patterns: Any) -> ModuleType:
    module = ModuleType("urls")
    module.urlpatterns = list(patterns)  # type: ignore[attr-defined]
    return module


def test_a_project_that_is_right_hears_nothing() -> None:
    assert found() == {}


def test_e001_no_app_id() -> None:
    for given in ({}, {"APP_ID": ""}, {"DEV": True}):
        assert list(found(INNGEST=given)) == ["inngest.E001"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"APPID": "x"},
        {"DEV": 7},
        {"MIDDLEWARE": ["nowhere.X"]},
        {"MAX_BODY_SIZE": "1"},
        {"API_BASE_URL": "http://"},
        {"SEND_ON_COMMIT": 1},
    ],
)
def test_e002_a_setting_is_wrong(wrong: dict[str, Any]) -> None:
    messages = found(INNGEST={**GIVEN, **wrong})
    assert list(messages) == ["inngest.E002"]
    assert next(iter(wrong)).lower() in messages["inngest.E002"].msg.lower()


def test_w003_and_w005_no_keys_in_cloud_mode() -> None:
    messages = found(INNGEST={"APP_ID": "shop", "DEV": False})
    assert list(messages) == ["inngest.W003", "inngest.W005"]
    assert "INNGEST_SIGNING_KEY" in messages["inngest.W003"].msg


def test_e004_a_malformed_key_that_is_not_shown() -> None:
    given = {"APP_ID": "shop", "DEV": False, "EVENT_KEY": "k", "SIGNING_KEY": "signkey-test-secret"}
    messages = found(INNGEST=given)
    assert list(messages) == ["inngest.E004"]
    assert "secret" not in str(messages)


def test_good_keys_are_good() -> None:
    given = {"APP_ID": "shop", "DEV": False, "EVENT_KEY": "k", "SIGNING_KEY": KEY}
    assert found(INNGEST=given) == {}


def broken(monkeypatch: pytest.MonkeyPatch, body: str) -> None:
    """Let an app have a module of functions with this in it."""
    import tests.contrib.django.shop as shop

    source = f"import inngest_core as i\nfrom inngest_contrib.django import client\n{body}\n"
    folder = Path(str(shop.__file__)).parent
    name = f"{shop.__name__}.broken_for_a_test"
    monkeypatch.delitem(sys.modules, name, raising=False)
    file = folder / "broken_for_a_test.py"
    file.write_text(source)
    try:
        with override_settings(INNGEST={**GIVEN, "AUTODISCOVER_MODULES": ["broken_for_a_test"]}):
            discovery.discover()
    finally:
        file.unlink()
        monkeypatch.delitem(sys.modules, name, raising=False)


FUNCTION = "client.create_function(fn_id='{id}', trigger={trigger})(print)"
EVENT = "i.TriggerEvent(event='a')"


@pytest.mark.parametrize(
    ("check", "body", "said"),
    [
        ("E006", FUNCTION.format(id="found", trigger=EVENT), 'two functions "shop-found"'),
        ("E007", FUNCTION.format(id="x", trigger="i.TriggerCron(cron='at noon')"), "cron"),
        ("E008", FUNCTION.format(id="", trigger=EVENT), "fn_id"),
    ],
)
def test_e006_e007_e008_a_function_that_cannot_be_created(
    monkeypatch: pytest.MonkeyPatch, check: str, body: str, said: str
) -> None:
    broken(monkeypatch, body)
    messages = found()
    assert list(messages) == [f"inngest.{check}"]
    message = messages[f"inngest.{check}"].msg
    assert "shop.broken_for_a_test" in message
    assert said in message


def test_functions_that_could_not_be_created_are_told_by_the_endpoint(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broken(monkeypatch, FUNCTION.format(id="", trigger=EVENT))
    with override_settings(INNGEST={**GIVEN, "APP_VERSION": "2"}):
        response = Client(raise_request_exception=False).put("/api/inngest")
    assert response.status_code == 500
    assert "broken_for_a_test" in json.loads(response.content)["message"]


def test_any_other_error_of_a_module_is_raised_and_the_module_named(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(ModuleNotFoundError, match="nonsense"):
        broken(monkeypatch, "import nonsense")
    assert "shop.broken_for_a_test" in caplog.text
    with pytest.raises(ZeroDivisionError):
        broken(monkeypatch, "1 / 0")


@pytest.mark.parametrize("where", ["trigger", "cancel", "key"])
def test_w009_an_expression_that_cannot_be_read(where: str) -> None:
    pytest.importorskip("cel", reason="of common-expression-language, on Python 3.11 and later")
    wrong = "event.data.total = "
    choices: dict[str, dict[str, Any]] = {
        "trigger": {"trigger": inngest.TriggerEvent(event="a", expression=wrong)},
        "cancel": {"trigger": ANY, "cancel": [inngest.Cancel(event="a", if_exp=wrong)]},
        "key": {"trigger": ANY, "throttle": inngest.Throttle(limit=1, period="1m", key=wrong)},
    }
    client.create_function(fn_id="worded", **choices[where])(print)
    messages = found()
    assert list(messages) == ["inngest.W009"]
    assert "shop-worded" in messages["inngest.W009"].msg


def test_expressions_that_can_be_read_are_right() -> None:
    good = "async.data.order_id == event.data.order_id && event.data.n > 1"
    options = {"trigger": ANY, "cancel": [inngest.Cancel(event="a", if_exp=good)]}
    client.create_function(fn_id="worded", **options)(print)  # type: ignore[arg-type]
    assert found() == {}


def test_w010_no_url_leads_to_the_functions() -> None:
    assert list(found(ROOT_URLCONF=urls())) == ["inngest.W010"]


def test_serve_is_a_url_that_leads_there() -> None:
    own = dev_client()
    assert found(ROOT_URLCONF=urls(path("x/", lambda r: r), serve(own, functions(own)))) == {}


def test_w011_a_plugin_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.metadata
    from importlib.metadata import EntryPoint

    point = EntryPoint("rusty", "nowhere.at_all", "inngest")
    monkeypatch.setattr(
        importlib.metadata,
        "entry_points",
        lambda **wanted: [point] if wanted.get("group") == "inngest" else [],
    )
    messages = found(INNGEST={**GIVEN, "OPTIONS": {"rusty": {}}, "APP_VERSION": "3"})
    assert list(messages) == ["inngest.W011"] or "inngest.E002" in messages
    assert "rusty" in str(messages)


class Reads:
    """A plugin in the place of the one that encrypts."""

    @inngest.hookimpl
    def inngest_configure(self, config: Any) -> None:
        assert config.options("encryption")


@pytest.mark.parametrize(
    ("key", "told"), [("hunter2", True), (b"\x01" * 15, True), ("k" * 16, False)]
)
def test_w014_an_encryption_key_that_is_too_short(key: Any, told: bool) -> None:
    options = {"encryption": {"key": key}}
    messages = found(INNGEST={**GIVEN, "PLUGINS": [Reads()], "OPTIONS": options})
    assert list(messages) == (["inngest.W014"] if told else [])
    assert "hunter2" not in str(messages)


def test_w020_dev_mode_in_production() -> None:
    assert "inngest.W020" in found(deploy=True, DEBUG=False)
    assert "inngest.W020" not in found(deploy=True, DEBUG=True)
    assert "inngest.W020" not in found(DEBUG=False)


def test_i021_async_functions_under_wsgi_only() -> None:
    messages = found(deploy=True)
    assert "shop-afound" in messages["inngest.I021"].msg
    assert "inngest.I021" not in found(deploy=True, ASGI_APPLICATION="shop.asgi.application")


def test_w022_the_registered_host_is_not_allowed() -> None:
    given = {**GIVEN, "SERVE_ORIGIN": "shop.example"}
    messages = found(deploy=True, INNGEST=given, ALLOWED_HOSTS=["other.example"])
    assert "shop.example is not in ALLOWED_HOSTS" in messages["inngest.W022"].msg
    allowed = found(deploy=True, INNGEST=given, ALLOWED_HOSTS=[".shop.example"])
    assert "inngest.W022" not in allowed


def test_w023_the_registered_address_is_redirected() -> None:
    given = {**GIVEN, "SERVE_ORIGIN": "http://shop.example"}
    assert "inngest.W023" in found(deploy=True, INNGEST=given, SECURE_SSL_REDIRECT=True)
    assert "inngest.W023" not in found(deploy=True, INNGEST=given)


def test_every_check_is_of_the_tag() -> None:
    ours = [
        check
        for check in registry.get_checks(include_deployment_checks=True)
        if check.__module__ == checks.__name__
    ]
    assert len(ours) == 11
    assert all(check.tags == ("inngest",) for check in ours)


def test_the_page_lists_every_id_and_no_other() -> None:
    code = Path(checks.__file__).read_text(encoding="utf-8")
    page = (ROOT / "docs" / "django.md").read_text(encoding="utf-8")
    pattern = r"\b[EWI]0\d\d\b"
    in_code = set(re.findall(pattern, code))
    assert in_code
    assert set(re.findall(pattern, page)) == in_code
