"""
Arguments and environment variables, resolved once into one frozen record.

Law: nothing else of ours reads the environment, and nothing here fails because a
key is absent: that is said where the key is needed.
"""

from __future__ import annotations

import datetime
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

from .errors import ConfigError
from .wire.config import Checkpoint, chosen_checkpoint
from .wire.names import (
    API_ORIGIN,
    DEV_ORIGIN,
    EVENT_ORIGIN,
    NO_EVENT_KEY,
    ServerKind,
    Streaming,
)
from .wire.time import to_ms

_TRUE = ("1", "true")
_FALSE = ("0", "false", "")
_STREAM = (*_TRUE, Streaming.FORCE.value, "allow")
"""Other SDKs have other words for it; one environment may serve several."""
_LOG_LEVELS = {
    "fatal": "CRITICAL",
    "error": "ERROR",
    "warn": "WARNING",
    "info": "INFO",
    "debug": "DEBUG",
    "silent": "SILENT",
}
_ENV_SOURCES = ("INNGEST_ENV", "RAILWAY_GIT_BRANCH", "RENDER_GIT_BRANCH", "VERCEL_GIT_COMMIT_REF")
_PLATFORMS = (
    ("VERCEL", "1", "vercel"),
    ("NETLIFY", "true", "netlify"),
    ("CF_PAGES", "1", "cloudflare-pages"),
    ("RENDER", "true", "render"),
    ("RAILWAY_ENVIRONMENT", None, "railway"),
)
_DEFAULT_TIMEOUT = 30.0
_OPTIONS = "INNGEST_OPTIONS"


@dataclass(frozen=True, slots=True)
class Config:
    """
    Everything that a client was told, with its defaults filled in.

    request_timeout: seconds. api_origin and event_origin: without a trailing
    slash; the shown_ ones are as introspection reports them.
    """

    app_id: str
    app_version: str | None
    env: str | None
    is_production: bool
    platform: str | None
    event_key: str | None = field(repr=False)
    signing_key: str | None = field(repr=False)
    signing_key_fallback: str | None = field(repr=False)
    shown_api_origin: str
    shown_event_origin: str
    serve_origin: str | None
    serve_path: str | None
    request_timeout: float
    thread_pool_size: int | None
    connect_gateway_url: str | None
    connect_max_worker_concurrency: int | None
    streaming: Streaming
    checkpoint: Checkpoint | None
    log_level: str | None
    propagate_sessions: bool
    allow_in_band_sync: bool
    enable_unauthed_sync: bool
    load_plugins: tuple[str, ...] | None
    disable_plugins: tuple[str, ...]
    strict_plugins: bool
    trace_plugins: bool
    plugin_options: Mapping[str, Mapping[str, Any]] = field(repr=False)

    @property
    def kind(self) -> ServerKind:
        return ServerKind.CLOUD if self.is_production else ServerKind.DEV

    @property
    def api_origin(self) -> str:
        return self.shown_api_origin.rstrip("/")

    @property
    def event_origin(self) -> str:
        return self.shown_event_origin.rstrip("/")

    @property
    def signing_keys(self) -> tuple[str, ...]:
        """The keys that a request may be signed with, the current one first."""
        return tuple(k for k in (self.signing_key, self.signing_key_fallback) if k)

    @property
    def sending_key(self) -> str | None:
        """The event key to send with; in dev mode any text will do."""
        return self.event_key or (None if self.is_production else NO_EVENT_KEY)

    def options(self, plugin: str) -> Mapping[str, Any]:
        """What ``Inngest(options={plugin: {...}})`` and the variables say; empty if nothing."""
        return self.plugin_options.get(option_name(plugin), {})


def option_name(text: str) -> str:
    """A plugin's name or an option's, in the one form in which they are compared."""
    return text.lower().replace("-", "_")


def resolve(
    *,
    app_id: str,
    environ: Mapping[str, str] = os.environ,
    api_base_url: str | None = None,
    app_version: str | None = None,
    checkpoint: bool | Checkpoint | None = None,
    env: str | None = None,
    event_api_base_url: str | None = None,
    event_key: str | None = None,
    is_production: bool | None = None,
    options: Mapping[str, Mapping[str, Any]] | None = None,
    request_timeout: int | datetime.timedelta | str | None = None,
    signing_key: str | None = None,
    signing_key_fallback: str | None = None,
    strict_plugins: bool | None = None,
    thread_pool_size: int | None = None,
) -> Config:
    """The Config of these arguments; each beats its variable. ConfigError names what is wrong."""
    _require_app_id(app_id)
    _require("is_production", is_production, bool, "True, False or None")
    _require("options", options, Mapping, "options by plugin name")
    _require("strict_plugins", strict_plugins, bool, "True, False or None")
    _require_texts(
        api_base_url=api_base_url,
        app_version=app_version,
        env=env,
        event_api_base_url=event_api_base_url,
        event_key=event_key,
        signing_key=signing_key,
        signing_key_fallback=signing_key_fallback,
    )
    read = _Reader(environ)
    production = read.production() if is_production is None else is_production
    return Config(
        app_id=app_id,
        app_version=app_version,
        env=_header_text("env", env or read.first(*_ENV_SOURCES)),
        is_production=production,
        platform=read.platform(),
        event_key=read.key("INNGEST_EVENT_KEY", event_key),
        signing_key=read.key("INNGEST_SIGNING_KEY", signing_key),
        signing_key_fallback=read.key("INNGEST_SIGNING_KEY_FALLBACK", signing_key_fallback),
        shown_api_origin=read.origin("INNGEST_API_BASE_URL", api_base_url, production, API_ORIGIN),
        shown_event_origin=read.origin(
            "INNGEST_EVENT_API_BASE_URL", event_api_base_url, production, EVENT_ORIGIN
        ),
        serve_origin=read.first("INNGEST_SERVE_ORIGIN", "INNGEST_SERVE_HOST"),
        serve_path=read.first("INNGEST_SERVE_PATH"),
        request_timeout=_seconds(request_timeout),
        thread_pool_size=read.count(
            "INNGEST_THREAD_POOL_MAX_WORKERS", thread_pool_size, field="thread_pool_size"
        ),
        connect_gateway_url=read.first("INNGEST_CONNECT_GATEWAY_URL"),
        connect_max_worker_concurrency=read.count("INNGEST_CONNECT_MAX_WORKER_CONCURRENCY"),
        streaming=read.streaming(),
        checkpoint=chosen_checkpoint(
            read.flag("INNGEST_CHECKPOINTING", False) if checkpoint is None else checkpoint
        ),
        log_level=read.log_level(),
        propagate_sessions=read.flag("INNGEST_SESSION_PROPAGATION", True),
        allow_in_band_sync=read.flag("INNGEST_ALLOW_IN_BAND_SYNC", True),
        enable_unauthed_sync=read.flag("INNGEST_ENABLE_UNAUTHED_SYNC", True),
        load_plugins=read.names("INNGEST_LOAD_PLUGINS"),
        disable_plugins=read.names("INNGEST_DISABLE_PLUGINS") or (),
        strict_plugins=(
            read.flag("INNGEST_STRICT_PLUGINS", False) if strict_plugins is None else strict_plugins
        ),
        trace_plugins=read.flag("INNGEST_TRACE_PLUGINS", False),
        plugin_options=MappingProxyType(read.plugin_options(options or {})),
    )


def _require_app_id(app_id: object) -> None:
    if not (isinstance(app_id, str) and app_id):
        raise ConfigError("app_id: a client needs a non-empty app id")


def _require_texts(**values: object) -> None:
    for name, value in values.items():
        _require(name, value, str, "text")


def _require(field: str, value: object, kind: type, wanted: str) -> None:
    # The value is not shown: it may be a key.
    if value is not None and not isinstance(value, kind):
        raise ConfigError(f"{field}: expected {wanted}, got {type(value).__name__}")


def _header_text(field: str, value: str | None) -> str | None:
    if value is not None and not (value.isascii() and value.isprintable()):
        raise ConfigError(f"{field}: {value!r} cannot be a header; only visible ASCII can")
    return value


def _with_scheme(url: str, *, production: bool) -> str:
    if "://" in url:
        return url
    return f"{'https' if production else 'http'}://{url}"


def _base_url(field: str, url: str, production: bool) -> str:
    """*url* with a scheme; ConfigError where it has neither a domain nor a port."""
    complete = check_origin(field, _with_scheme(url.strip(), production=production))
    parts = urlsplit(complete)
    if parts.port is None and not any(c in (parts.hostname or "") for c in ".:"):
        raise ConfigError(
            f'{field}: "{url}" has neither a domain nor a port; if you mean a machine called '
            f'"{parts.hostname}", add its port, like {parts.scheme}://{parts.hostname}:8288'
        )
    return complete


def check_origin(field: str, url: str) -> str:
    """*url* if it has a scheme and a host; ConfigError naming *field* if not."""
    try:
        parts = urlsplit(url)
        complete = parts.scheme in ("http", "https") and bool(parts.hostname)
        _ = parts.port
    except ValueError:
        complete = False
    if not complete:
        raise ConfigError(f'{field}: "{url}" is not a URL with scheme and host, like https://a.b')
    return url


def _seconds(timeout: int | datetime.timedelta | str | None) -> float:
    return _DEFAULT_TIMEOUT if timeout is None else to_ms(timeout, "request_timeout") / 1000


def _checked(field: str, options: object) -> Mapping[str, Mapping[str, Any]]:
    """Options by plugin; ConfigError, without a value, where they have another shape."""
    if not isinstance(options, Mapping):
        raise ConfigError(f"{field}: expected options by plugin name, got {type(options).__name__}")
    for plugin, values in options.items():
        if not isinstance(plugin, str):
            raise ConfigError(f"{field}: a plugin's name is a text, not {type(plugin).__name__}")
        if not isinstance(values, Mapping):
            kind = type(values).__name__
            raise ConfigError(f'{field}["{plugin}"]: expected options by name, got {kind}')
    return options


class _Reader:
    """The environment, read with its defaults and complaints."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ

    def first(self, *names: str) -> str | None:
        """The first of these variables that has a value."""
        return next((value for name in names if (value := self._environ.get(name))), None)

    def key(self, name: str, given: str | None) -> str | None:
        """A key, without the line break that a file or a copy may have left behind it."""
        return (given or self.first(name) or "").strip() or None

    def production(self) -> bool:
        # A URL or host means dev, at that address. Other text means dev as well.
        return self._environ.get("INNGEST_DEV", "").lower() in _FALSE

    def origin(self, name: str, given: str | None, production: bool, default: str) -> str:
        if given is not None:
            return _base_url(name.removeprefix("INNGEST_").lower(), given, production)
        for source in (name, "INNGEST_BASE_URL"):
            if value := self.first(source):
                return _base_url(source, value, production)
        return self._dev_url() or (default if production else DEV_ORIGIN)

    def _dev_url(self) -> str | None:
        value = self._environ.get("INNGEST_DEV", "")
        if value.lower() in (*_TRUE, *_FALSE) or not any(c in value for c in ".:/"):
            return None
        return check_origin("INNGEST_DEV", _with_scheme(value, production=False))

    def flag(self, name: str, default: bool) -> bool:
        value = self.first(name)
        return default if value is None else value.lower() not in _FALSE

    def count(self, name: str, given: int | None = None, *, field: str | None = None) -> int | None:
        """How many of something there may be, at least one; of a variable unless given."""
        text = self.first(name)
        if given is None and text is not None:
            if not (text.isascii() and text.isdigit()):
                raise ConfigError(f'{name}: expected a number, got "{text}"')
            given = int(text)
        if given is not None and given < 1:
            raise ConfigError(f"{field or name}: at least one is needed, got {given}")
        return given

    def streaming(self) -> Streaming:
        value = (self.first("INNGEST_STREAMING") or "").strip().lower()
        if value in _STREAM:
            return Streaming.FORCE
        if value in (*_FALSE, Streaming.DISABLE.value):
            return Streaming.DISABLE
        raise ConfigError(f'INNGEST_STREAMING: expected "force" or "disable", got "{value}"')

    def log_level(self) -> str | None:
        """The level of our own logger, as the standard library calls it; None leaves it."""
        value = (self.first("INNGEST_LOG_LEVEL") or "").strip().lower()
        if value and value not in _LOG_LEVELS:
            known = ", ".join(_LOG_LEVELS)
            raise ConfigError(f'INNGEST_LOG_LEVEL: expected one of {known}, got "{value}"')
        return _LOG_LEVELS.get(value)

    def names(self, name: str) -> tuple[str, ...] | None:
        value = self._environ.get(name)
        return None if value is None else tuple(n.strip() for n in value.split(",") if n.strip())

    def plugin_options(self, given: Mapping[Any, Any]) -> dict[str, Mapping[str, Any]]:
        """By plugin; what is given beats a variable of its own, and that one beats the document."""
        merged: dict[str, dict[str, Any]] = {}
        checked = _checked("options", given)
        for source in (self._options_document(), self._single_options(), checked):
            for plugin, options in source.items():
                merged.setdefault(option_name(plugin), {}).update(options)
        return {plugin: MappingProxyType(options) for plugin, options in merged.items()}

    def _options_document(self) -> Mapping[str, Mapping[str, Any]]:
        text = self.first(_OPTIONS)
        if text is None:
            return {}
        try:
            document = json.loads(text)
        except ValueError:
            # The reason could show a part of the text, and that may be a key.
            raise ConfigError(f"{_OPTIONS}: this is no JSON") from None
        return _checked(_OPTIONS, document)

    def _single_options(self) -> Mapping[str, Mapping[str, Any]]:
        found: dict[str, dict[str, str]] = {}
        for variable, value in self._environ.items():
            if variable.startswith(f"{_OPTIONS}__"):
                _, plugin, option = [*variable.split("__", 2), "", ""][:3]
                if not (plugin and option):
                    raise ConfigError(
                        f"{variable}: write it as {_OPTIONS}__<PLUGIN>__<OPTION>, such as "
                        f"{_OPTIONS}__ENCRYPTION__KEY"
                    )
                found.setdefault(plugin, {})[option_name(option)] = value
        return found

    def platform(self) -> str | None:
        for variable, expected, platform in _PLATFORMS:
            value = self._environ.get(variable)
            if value and expected in (None, value):
                return platform
        return None
