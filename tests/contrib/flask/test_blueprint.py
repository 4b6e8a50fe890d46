"""The Flask blueprint: the kit once more, configuration, several of them, and the command."""

from __future__ import annotations

import sys
import types
from typing import Any

import flask
import pytest

import inngest_core as inngest
from inngest_contrib.flask import (
    InngestBlueprint,
    create_blueprint,
    init_app,
    inngest_blueprint,
    serve,
)
from inngest_contrib.testing.conformance import (
    KEY,
    Answered,
    Asked,
    RecordedServer,
    call,
    dev_client,
    functions,
    signed,
)
from inngest_contrib.testing.conformance.functions import PLAIN

from .test_adapter import TestFlask as Table


class TestBlueprint(Table):
    """Everything that holds for ``serve`` holds for a blueprint."""

    def serve(self, client: inngest.Inngest, functions: Any = None, **options: Any) -> Any:
        app = flask.Flask("shop")
        app.register_blueprint(create_blueprint(client, functions, **options))
        return app


def app_of(**config: Any) -> flask.Flask:
    app = flask.Flask("shop")
    app.config.update(config)
    return app


def ask(app: flask.Flask, asked: Asked) -> Answered:
    return Table().ask(app, asked)


# ---- configured by the app


def test_the_configuration_makes_the_client() -> None:
    app = app_of(INNGEST_APP_ID="shop", INNGEST_DEV=False, INNGEST_SIGNING_KEY=KEY)
    app.register_blueprint(inngest_blueprint)
    client = app.extensions["inngest"]
    assert isinstance(client, inngest.Inngest)
    functions(client)
    assert ask(app, call("plain")).status == 401
    assert ask(app, signed(call("plain"))).body == PLAIN


def test_the_configuration_may_name_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    module = types.ModuleType("flask_jobs")
    client = module.client = dev_client()  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "flask_jobs", module)
    app = app_of(INNGEST_CLIENT="flask_jobs.client")
    app.register_blueprint(inngest_blueprint)
    assert app.extensions["inngest"] is client


def test_a_client_among_the_extensions_is_taken() -> None:
    app = app_of()
    client = app.extensions["inngest"] = dev_client()
    functions(client)
    app.register_blueprint(inngest_blueprint)
    assert ask(app, call("plain")).body == PLAIN


def test_where_to_serve_is_configured_too() -> None:
    server = RecordedServer()
    app = app_of(
        INNGEST_SERVE_PATH="/jobs",
        INNGEST_SERVE_ORIGIN="https://shop.example",
        INNGEST_MAX_BODY_SIZE=500,
    )
    app.extensions["inngest"] = dev_client(server)
    app.register_blueprint(inngest_blueprint)
    assert ask(app, Asked("PUT", path="/jobs")).status == 200
    assert server.bodies[0]["url"] == "https://shop.example/jobs"
    assert ask(app, call("plain", b" " * 501, path="/jobs")).status == 413


def test_what_a_blueprint_was_told_beats_the_configuration() -> None:
    app = app_of(INNGEST_SERVE_PATH="/configured")
    app.register_blueprint(create_blueprint(dev_client(), serve_path="/told"))
    assert ask(app, Asked("GET", path="/told")).status == 200
    assert ask(app, Asked("GET", path="/configured")).status == 404


def test_an_unknown_key_is_an_error_that_names_the_nearest() -> None:
    app = app_of(INNGEST_APPID="shop")
    with pytest.raises(inngest.ConfigError, match=r"INNGEST_APPID: .* INNGEST_APP_ID\?"):
        app.register_blueprint(inngest_blueprint)


def test_without_a_name_for_the_app_it_is_said_what_to_do() -> None:
    with pytest.raises(inngest.ConfigError, match="INNGEST_APP_ID: name your app"):
        app_of().register_blueprint(inngest_blueprint)


# ---- app factories, prefixes, several


def test_the_same_blueprint_serves_each_app_its_own_client() -> None:
    apps = [app_of(INNGEST_APP_ID=name, INNGEST_DEV=True) for name in ("one", "two")]
    for app in apps:
        app.register_blueprint(inngest_blueprint)
    ids = [app.extensions["inngest"].app_id for app in apps]
    assert ids == ["one", "two"]
    assert [ask(app, Asked("GET")).status for app in apps] == [200, 200]


def test_init_app_serves_and_returns_the_client() -> None:
    app = app_of(INNGEST_APP_ID="shop", INNGEST_DEV=True)
    client = init_app(app)
    functions(client)
    assert app.extensions["inngest"] is client
    assert ask(app, call("plain")).body == PLAIN
    own = dev_client()
    assert init_app(app_of(), own, serve_path="/x") is own


def test_a_prefix_is_part_of_route_and_registered_address() -> None:
    server = RecordedServer()
    app = app_of()
    blueprint = create_blueprint(dev_client(server), serve_path="/inngest")
    app.register_blueprint(blueprint, url_prefix="/jobs")
    assert ask(app, Asked("PUT", path="/jobs/inngest")).status == 200
    assert server.bodies[0]["url"].endswith("/jobs/inngest")


def test_several_blueprints_live_in_one_app() -> None:
    app = app_of()
    first, second = dev_client(), dev_client(app_id="other")
    functions(first)
    app.register_blueprint(create_blueprint(first))
    app.register_blueprint(create_blueprint(second, name="second", serve_path="/second"))
    assert ask(app, call("plain")).status == 200
    assert ask(app, call("plain", path="/second")).status == 500
    assert app.extensions["inngest"] is first


def test_a_path_that_is_taken_is_refused_by_name() -> None:
    app = app_of()
    serve(app, dev_client())
    with pytest.raises(inngest.ConfigError, match=r"/api/inngest.* is served by this app already"):
        serve(app, dev_client())
    with pytest.raises(inngest.ConfigError, match=r"/api/inngest.* is served by this app already"):
        app.register_blueprint(create_blueprint(dev_client()))


def test_what_a_user_checks_before_requests_can_tell_the_blueprint() -> None:
    app = app_of()
    app.register_blueprint(create_blueprint(dev_client()))

    @app.before_request
    def only_inngest() -> Any:
        return None if flask.request.blueprint == "inngest" else ("no", 403)

    assert ask(app, Asked("GET")).status == 200
    assert ask(app, Asked("GET", path="/other")).status == 403


# ---- the command


def test_the_app_has_the_command_about_its_own_client() -> None:
    app = app_of(INNGEST_APP_ID="shop", INNGEST_DEV=True)
    app.register_blueprint(inngest_blueprint)
    app.register_blueprint(InngestBlueprint("again", serve_path="/again"))
    result = app.test_cli_runner().invoke(args=["inngest", "plugins"])
    assert result.exit_code == 0, result.output
    assert "flask" in result.output
    result = app.test_cli_runner().invoke(args=["inngest", "--help"])
    assert "plugins" in result.output
