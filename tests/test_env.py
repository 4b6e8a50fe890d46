"""Arguments and environment, resolved: which source wins, and what is said of a wrong one."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from typing import Any

import pytest

from inngest_core import Inngest
from inngest_core.env import Config, resolve
from inngest_core.errors import ConfigError
from inngest_core.wire.names import ServerKind, Streaming

KEY = "signkey-test-0123456789abcdef"
SECRETS = (KEY, "signkey-test-fedcba98", "very-secret-event-key")


def of(environ: Mapping[str, str] | None = None, **arguments: Any) -> Config:
    return resolve(app_id="app", environ=environ or {}, **arguments)


def test_without_anything_it_is_the_cloud() -> None:
    config = of()
    assert config.is_production
    assert config.kind is ServerKind.CLOUD
    assert config.shown_api_origin == "https://api.inngest.com/"
    assert config.shown_event_origin == "https://inn.gs/"
    assert config.api_origin == "https://api.inngest.com"
    assert config.event_origin == "https://inn.gs"
    assert config.sending_key is None
    assert config.signing_keys == ()
    assert config.request_timeout == 30.0
    assert config.streaming is Streaming.DISABLE
    assert config.allow_in_band_sync
    assert config.enable_unauthed_sync
    assert config.load_plugins is None
    assert config.disable_plugins == ()


@pytest.mark.parametrize("app_id", ["", None, 1])
def test_a_client_needs_an_app_id(app_id: Any) -> None:
    with pytest.raises(ConfigError, match=r"^app_id: "):
        resolve(app_id=app_id, environ={})


@pytest.mark.parametrize(
    ("value", "dev"),
    [
        ("1", True),
        ("true", True),
        ("TRUE", True),
        ("yes", True),
        ("http://localhost:9000", True),
        ("localhost:9000", True),
        ("0", False),
        ("false", False),
        ("False", False),
        ("", False),
    ],
)
def test_inngest_dev_chooses_the_mode(value: str, dev: bool) -> None:
    assert of({"INNGEST_DEV": value}).is_production is not dev


@pytest.mark.parametrize("chosen", [True, False])
def test_the_argument_beats_inngest_dev(chosen: bool) -> None:
    environ = {"INNGEST_DEV": "1" if chosen else "0"}
    assert of(environ, is_production=chosen).is_production is chosen


def test_base_urls_do_not_change_the_mode() -> None:
    assert of({"INNGEST_BASE_URL": "http://localhost:8288"}).is_production
    assert of(api_base_url="http://localhost:8288").is_production


@pytest.mark.parametrize(
    ("value", "origin"),
    [
        ("1", "http://127.0.0.1:8288/"),
        ("yes", "http://127.0.0.1:8288/"),
        ("localhost", "http://127.0.0.1:8288/"),
        ("localhost:9000", "http://localhost:9000"),
        ("dev.example", "http://dev.example"),
        ("https://dev.example/x/", "https://dev.example/x/"),
    ],
)
def test_an_address_in_inngest_dev_is_the_server(value: str, origin: str) -> None:
    config = of({"INNGEST_DEV": value})
    assert config.shown_api_origin == config.shown_event_origin == origin
    assert config.api_origin == origin.rstrip("/")


SOURCES = {
    "INNGEST_API_BASE_URL": "http://api.var",
    "INNGEST_EVENT_API_BASE_URL": "http://event.var",
    "INNGEST_BASE_URL": "http://base.var",
    "INNGEST_DEV": "http://dev.var",
}


@pytest.mark.parametrize(
    ("dropped", "api", "event"),
    [
        ((), "http://api.var", "http://event.var"),
        (("INNGEST_API_BASE_URL",), "http://base.var", "http://event.var"),
        (("INNGEST_EVENT_API_BASE_URL",), "http://api.var", "http://base.var"),
        (
            ("INNGEST_API_BASE_URL", "INNGEST_EVENT_API_BASE_URL", "INNGEST_BASE_URL"),
            "http://dev.var",
            "http://dev.var",
        ),
    ],
)
def test_base_urls_have_their_order_of_sources(
    dropped: tuple[str, ...], api: str, event: str
) -> None:
    environ = {name: value for name, value in SOURCES.items() if name not in dropped}
    assert (of(environ).api_origin, of(environ).event_origin) == (api, event)
    given = of(environ, api_base_url="http://a.arg", event_api_base_url="http://e.arg")
    assert (given.api_origin, given.event_origin) == ("http://a.arg", "http://e.arg")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "nope",
        "http://nope",
        "https://nope/a.b:1",
        "ftp://a.b",
        "http://",
        "//a.b",
        "http://a:b",
    ],
)
def test_a_base_url_that_is_none_is_refused_by_field(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^api_base_url: "):
        of(api_base_url=url)
    with pytest.raises(ConfigError, match=r"^event_api_base_url: "):
        of(event_api_base_url=url)


@pytest.mark.parametrize(
    ("url", "production", "complete"),
    [
        ("foo.test", True, "https://foo.test"),
        ("foo.test", False, "http://foo.test"),
        ("foo:8080", False, "http://foo:8080"),
        ("http://foo:8080", True, "http://foo:8080"),
        ("http://[::1]", True, "http://[::1]"),
        (" https://foo.test/x\n", True, "https://foo.test/x"),
    ],
)
def test_a_base_url_without_a_scheme_gets_that_of_the_mode(
    url: str, production: bool, complete: str
) -> None:
    assert of(is_production=production, api_base_url=url).shown_api_origin == complete
    environ = {"INNGEST_BASE_URL": url}
    assert of(environ, is_production=production).shown_event_origin == complete


@pytest.mark.parametrize(
    "name", ["INNGEST_API_BASE_URL", "INNGEST_EVENT_API_BASE_URL", "INNGEST_BASE_URL"]
)
def test_a_variable_that_is_no_url_is_refused_by_name(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"^{name}: "):
        of({name: "nope"})


def test_an_empty_variable_is_none() -> None:
    names = ("INNGEST_API_BASE_URL", "INNGEST_BASE_URL", "INNGEST_EVENT_KEY", "INNGEST_ENV")
    assert of(dict.fromkeys(names, "")) == of()


def test_keys_come_from_arguments_before_variables() -> None:
    environ = {
        "INNGEST_EVENT_KEY": "e-var",
        "INNGEST_SIGNING_KEY": "s-var",
        "INNGEST_SIGNING_KEY_FALLBACK": "f-var",
    }
    config = of(environ)
    assert (config.event_key, config.sending_key) == ("e-var", "e-var")
    assert config.signing_keys == ("s-var", "f-var")
    given = of(environ, event_key="e", signing_key="s", signing_key_fallback="f")
    assert (given.event_key, given.signing_keys) == ("e", ("s", "f"))


def test_a_line_break_behind_a_key_is_not_part_of_it() -> None:
    config = of({"INNGEST_SIGNING_KEY": f"{KEY}\n", "INNGEST_EVENT_KEY": " e \n"})
    assert (config.signing_key, config.event_key) == (KEY, "e")
    assert of(signing_key=f"{KEY}\r\n").signing_key == KEY


def test_in_dev_mode_any_event_key_will_do() -> None:
    assert of(is_production=False).sending_key == "NO_EVENT_KEY_SET"
    assert of(is_production=False).event_key is None


@pytest.mark.parametrize(
    "name",
    ["INNGEST_ENV", "RAILWAY_GIT_BRANCH", "RENDER_GIT_BRANCH", "VERCEL_GIT_COMMIT_REF"],
)
def test_the_environment_is_named_by_variables(name: str) -> None:
    assert of({name: "branch"}).env == "branch"
    assert of({name: "branch"}, env="given").env == "given"


def test_inngest_env_beats_what_a_platform_says() -> None:
    assert of({"VERCEL_GIT_COMMIT_REF": "v", "INNGEST_ENV": "i"}).env == "i"


@pytest.mark.parametrize("name", ["zweig-ü", "two\nlines", "日本"])
def test_an_environment_that_no_header_can_carry_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^env: .*cannot be a header"):
        of({"INNGEST_ENV": name})


@pytest.mark.parametrize(
    ("environ", "platform"),
    [
        ({}, None),
        ({"VERCEL": "1"}, "vercel"),
        ({"VERCEL": "0"}, None),
        ({"NETLIFY": "true"}, "netlify"),
        ({"CF_PAGES": "1"}, "cloudflare-pages"),
        ({"RENDER": "true"}, "render"),
        ({"RAILWAY_ENVIRONMENT": "production"}, "railway"),
    ],
)
def test_platforms_are_known_by_their_variables(
    environ: dict[str, str], platform: str | None
) -> None:
    assert of(environ).platform == platform


def test_where_the_app_is_served() -> None:
    config = of({"INNGEST_SERVE_ORIGIN": "https://a.b", "INNGEST_SERVE_PATH": "/x"})
    assert (config.serve_origin, config.serve_path) == ("https://a.b", "/x")
    assert of({"INNGEST_SERVE_HOST": "https://old"}).serve_origin == "https://old"
    both = {"INNGEST_SERVE_HOST": "https://old", "INNGEST_SERVE_ORIGIN": "https://new"}
    assert of(both).serve_origin == "https://new"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("force", Streaming.FORCE),
        ("FORCE", Streaming.FORCE),
        ("allow", Streaming.FORCE),
        ("true", Streaming.FORCE),
        ("false", Streaming.DISABLE),
        ("disable", Streaming.DISABLE),
        ("", Streaming.DISABLE),
    ],
)
def test_streaming_is_forced_or_not(value: str, expected: Streaming) -> None:
    assert of({"INNGEST_STREAMING": value}).streaming is expected


def test_another_word_for_streaming_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r'^INNGEST_STREAMING: expected "force" or "disable"'):
        of({"INNGEST_STREAMING": "sometimes"})


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("INNGEST_ALLOW_IN_BAND_SYNC", "allow_in_band_sync"),
        ("INNGEST_ENABLE_UNAUTHED_SYNC", "enable_unauthed_sync"),
    ],
)
def test_what_is_allowed_is_allowed_unless_denied(name: str, field: str) -> None:
    for value, allowed in [("1", True), ("true", True), ("0", False), ("FALSE", False)]:
        assert getattr(of({name: value}), field) is allowed
    assert getattr(of({name: ""}), field), "an empty variable is as good as none"


@pytest.mark.parametrize(
    ("environ", "given", "size"),
    [
        ({}, None, None),
        ({"INNGEST_THREAD_POOL_MAX_WORKERS": "8"}, None, 8),
        ({"INNGEST_THREAD_POOL_MAX_WORKERS": "8"}, 2, 2),
        ({"INNGEST_THREAD_POOL_MAX_WORKERS": ""}, None, None),
    ],
)
def test_the_size_of_the_thread_pool(
    environ: dict[str, str], given: int | None, size: int | None
) -> None:
    assert of(environ, thread_pool_size=given).thread_pool_size == size


@pytest.mark.parametrize("text", ["many", "-1", "1.5", "²"])
def test_a_thread_pool_that_is_no_number_is_refused_by_name(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^INNGEST_THREAD_POOL_MAX_WORKERS: "):
        of({"INNGEST_THREAD_POOL_MAX_WORKERS": text})


def test_a_thread_pool_has_a_thread() -> None:
    with pytest.raises(ConfigError, match=r"^thread_pool_size: "):
        of(thread_pool_size=0)
    with pytest.raises(ConfigError, match=r"^thread_pool_size: "):
        of({"INNGEST_THREAD_POOL_MAX_WORKERS": "0"})


@pytest.mark.parametrize(
    ("value", "names"),
    [("", ()), ("a", ("a",)), (" a , b ,, ", ("a", "b"))],
)
def test_plugins_are_named_in_lists(value: str, names: tuple[str, ...]) -> None:
    assert of({"INNGEST_LOAD_PLUGINS": value}).load_plugins == names
    assert of({"INNGEST_DISABLE_PLUGINS": value}).disable_plugins == names


def test_the_request_timeout_is_a_duration() -> None:
    assert of(request_timeout=1500).request_timeout == 1.5
    assert of(request_timeout="2m").request_timeout == 120
    with pytest.raises(ConfigError, match=r"^request_timeout: "):
        of(request_timeout="soon")


def test_options_are_given_out_by_plugin() -> None:
    config = of(options={"encryption": {"key": "k"}})
    assert config.options("encryption") == {"key": "k"}
    assert config.options("other") == {}


def test_options_come_from_the_environment_as_well_and_the_nearest_source_beats_the_next() -> None:
    environ = {
        "INNGEST_OPTIONS": '{"my-audit": {"path": "a", "level": 1, "days": 3}}',
        "INNGEST_OPTIONS__MY_AUDIT__LEVEL": "2",
        "INNGEST_OPTIONS__MY_AUDIT__PATH": "b",
        "INNGEST_OPTIONS__OTHER__A__B": "c",
    }
    config = of(environ, options={"My-Audit": {"path": "c"}})
    assert config.options("my-audit") == {"path": "c", "level": "2", "days": 3}
    assert config.options("my_audit") == config.options("my-audit")
    assert config.options("other") == {"a__b": "c"}


@pytest.mark.parametrize(
    ("environ", "options", "said"),
    [
        ({"INNGEST_OPTIONS": '{"x": hidden'}, None, "INNGEST_OPTIONS: this is no JSON"),
        ({"INNGEST_OPTIONS": '["hidden"]'}, None, "INNGEST_OPTIONS: expected options by plugin"),
        ({"INNGEST_OPTIONS": '{"x": "hidden"}'}, None, 'INNGEST_OPTIONS["x"]: expected'),
        ({"INNGEST_OPTIONS__KEY": "hidden"}, None, "INNGEST_OPTIONS__<PLUGIN>__<OPTION>"),
        ({}, {"x": "hidden"}, 'options["x"]: expected options by name, got str'),
        ({}, {1: {"key": "hidden"}}, "options: a plugin's name is a text, not int"),
        ({}, ["hidden"], "options: expected"),
    ],
)
def test_options_of_a_wrong_shape_are_refused_without_showing_them(
    environ: dict[str, str], options: Any, said: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(said)) as raised:
        of(environ, options=options)
    assert "hidden" not in str(raised.value)
    assert raised.value.__cause__ is None


def test_no_key_is_shown() -> None:
    config = of(signing_key=SECRETS[0], signing_key_fallback=SECRETS[1], event_key=SECRETS[2])
    with_options = of(options={"x": {"key": SECRETS[2]}})
    for secret in SECRETS:
        assert secret not in repr(config)
        assert secret not in repr(with_options)


@pytest.mark.parametrize(
    ("value", "level"),
    [
        ("fatal", logging.CRITICAL),
        ("error", logging.ERROR),
        ("warn", logging.WARNING),
        ("INFO", logging.INFO),
        ("debug", logging.DEBUG),
        ("silent", logging.CRITICAL + 1),
    ],
)
def test_the_level_of_our_own_logger(
    monkeypatch: pytest.MonkeyPatch, value: str, level: int
) -> None:
    logger = logging.getLogger("inngest")
    before = logger.level
    try:
        monkeypatch.setenv("INNGEST_LOG_LEVEL", value)
        assert Inngest(app_id="a").logger is logger
        assert logger.level == level
        monkeypatch.delenv("INNGEST_LOG_LEVEL")
        assert Inngest(app_id="a").logger.level == level
    finally:
        logger.setLevel(before)


def test_an_unknown_level_is_refused_with_those_that_are_known() -> None:
    with pytest.raises(
        ConfigError, match=r'INNGEST_LOG_LEVEL: expected one of fatal, .*got "loud"'
    ):
        resolve(app_id="a", environ={"INNGEST_LOG_LEVEL": "loud"})


def test_sessions_go_along_unless_they_are_told_not_to() -> None:
    assert resolve(app_id="a", environ={}).propagate_sessions
    off = {"INNGEST_SESSION_PROPAGATION": "false"}
    assert not resolve(app_id="a", environ=off).propagate_sessions


def test_a_worker_may_be_told_its_gateway_and_its_concurrency_by_variables() -> None:
    config = of(
        {
            "INNGEST_CONNECT_GATEWAY_URL": "ws://gateway:8289/v0/connect",
            "INNGEST_CONNECT_MAX_WORKER_CONCURRENCY": "12",
        }
    )
    assert config.connect_gateway_url == "ws://gateway:8289/v0/connect"
    assert config.connect_max_worker_concurrency == 12


def test_a_concurrency_that_is_no_number_is_refused_by_the_name_of_its_variable() -> None:
    with pytest.raises(ConfigError, match=r"^INNGEST_CONNECT_MAX_WORKER_CONCURRENCY: .*\"many\""):
        of({"INNGEST_CONNECT_MAX_WORKER_CONCURRENCY": "many"})
    with pytest.raises(ConfigError, match=r"^INNGEST_CONNECT_MAX_WORKER_CONCURRENCY: .*got 0"):
        of({"INNGEST_CONNECT_MAX_WORKER_CONCURRENCY": "0"})
