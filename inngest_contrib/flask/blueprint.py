"""
The blueprint: configured by ``app.config["INNGEST_*"]``, or made for a client.

Law: ``app.extensions["inngest"]`` is the client of an app. Who finds it there uses it; else it
is made from the configuration and put there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from flask import Blueprint, Flask
from flask.blueprints import BlueprintSetupState

from inngest_core import CommHandler, Function, Inngest
from inngest_core.settings import Settings, read

from .adapter import FRAMEWORK, RULE, path_of, require_free, view_of

EXTENSION = "inngest"
PREFIX = "INNGEST_"


class InngestBlueprint(Blueprint):
    """
    A blueprint that serves functions in every app on which it is registered.

    client: None for that of the app, see ``client_of``. functions: None serves
    everything created on the client. options: as ``serve`` takes them; the configuration
    is asked for those that are not given.
    """

    def __init__(
        self,
        name: str = EXTENSION,
        *,
        client: Inngest | None = None,
        functions: Sequence[Function[Any]] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(name, __name__)
        self._client = client
        self._functions = functions
        self._options = {key: value for key, value in options.items() if value is not None}
        self.record(self._serve)

    def _serve(self, state: BlueprintSetupState) -> None:
        """Add the endpoint to an app."""
        app = cast(Flask, state.app)
        settings = settings_of(app)
        client = client_of(app, settings, self._client)
        options = {**settings.endpoint_arguments(), **self._options}
        path = path_of(client, options.get("serve_path"))
        if state.url_prefix and (options.get("serve_path") or client.config.serve_path):
            options["serve_path"] = state.url_prefix.rstrip("/") + path
        handler = CommHandler(
            client=client, framework=FRAMEWORK, functions=self._functions, **options
        )
        handler.require_key()
        require_free(app, (state.url_prefix or "").rstrip("/") + path)
        state.add_url_rule(path, "endpoint", view_of(handler), **RULE)
        add_commands(app)


inngest_blueprint = InngestBlueprint()
"""The blueprint of the client that the app's configuration makes or names."""


def create_blueprint(
    client: Inngest,
    functions: Sequence[Function[Any]] | None = None,
    *,
    name: str = EXTENSION,
    enable_unauthed_sync: bool | None = None,
    public_path: str | None = None,
    serve_origin: str | None = None,
    serve_path: str | None = None,
) -> InngestBlueprint:
    """
    Make a blueprint that serves functions of a client, all unless some are given.

    name: of the blueprint; several on one app need several. The options are those of
    ``serve``.
    """
    return InngestBlueprint(
        name,
        client=client,
        functions=functions,
        enable_unauthed_sync=enable_unauthed_sync,
        public_path=public_path,
        serve_origin=serve_origin,
        serve_path=serve_path,
    )


def init_app(app: Flask, client: Inngest | None = None, **options: Any) -> Inngest:
    """
    Serve the functions of a client in an app, and return the client.

    client: None makes it from ``app.config``, or takes the one that INNGEST_CLIENT names.
    options: of ``create_blueprint``.
    """
    app.register_blueprint(InngestBlueprint(client=client, **options))
    found: Inngest = app.extensions[EXTENSION] if client is None else client
    return found


def settings_of(app: Flask) -> Settings:
    """The app's settings. Raises ConfigError for an INNGEST_ key that there is not."""
    given = {
        key.removeprefix(PREFIX): value
        for key, value in app.config.items()
        if key.startswith(PREFIX)
    }
    return read(given, prefix=PREFIX)


def client_of(app: Flask, settings: Settings, given: Inngest | None) -> Inngest:
    """The client given, else the app's own; the first of an app becomes its own."""
    client = given or app.extensions.get(EXTENSION) or settings.client()
    own: Inngest = app.extensions.setdefault(EXTENSION, client)
    return given or own


def add_commands(app: Flask) -> None:
    """Give the app ``flask inngest``, about its own client."""
    from inngest_core.cli import build

    if EXTENSION not in app.cli.commands:
        app.cli.add_command(build(lambda: app.extensions[EXTENSION], name=EXTENSION))
