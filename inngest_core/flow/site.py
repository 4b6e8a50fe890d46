"""What every flow knows of its surroundings: the client, resolved, and what it serves."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..env import Config, check_origin
from ..wire.http import CommRequest
from ..wire.names import REQUEST_VERSION, Header, SyncKind
from ..wire.register import SDK_NAME, AppConfig, FunctionConfig
from .cipher import Sealer
from .codec import Codec
from .pipeline import MiddlewareManager, assemble

DEFAULT_MAX_BODY = 16 * 1024 * 1024


@dataclass(slots=True)
class Home:
    """
    A client, as flows see it.

    client: handed to middleware and factories. clock: Unix seconds. sealer: None where
    nothing is encrypted.
    working_signing_key: the fallback, once the server refused the current key.
    """

    config: Config
    codec: Codec
    client: Any
    middleware: tuple[Any, ...]
    clock: Callable[[], float] = time.time
    working_signing_key: str | None = None
    sealer: Sealer | None = None

    @property
    def logger(self) -> Any:
        return self.client.logger

    def pipeline(self, raw_request: object = None) -> MiddlewareManager:
        """The hooks of one send outside a call."""
        return assemble(self.middleware, self.client, raw_request)


@dataclass(frozen=True, slots=True)
class Served:
    """One function as it is served: its handler, and whether that is blocking."""

    config: FunctionConfig
    function: Any
    handler: Callable[[Any], Any]
    blocking: bool
    output_type: Any
    middleware: tuple[Any, ...]


@dataclass(slots=True)
class Site:
    """
    One endpoint: what is served there, and how it presents itself.

    trusted: nothing arrives there but from the server itself, so nothing needs a signature.
    """

    home: Home
    framework: str
    functions: Mapping[str, Served]
    new_context: Callable[[Any, Any, Served], Any]
    enter_step_context: Callable[[Any], Callable[[], None]]
    serve_origin: str | None = None
    serve_path: str | None = None
    public_path: str | None = None
    enable_unauthed_sync: bool = True
    max_body: int = DEFAULT_MAX_BODY
    trusted: bool = False
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.headers = {
            **sdk_headers(self.home.config),
            Header.FRAMEWORK: self.framework,
            Header.SDK_HANDLED: "true",
        }

    @property
    def app(self) -> AppConfig:
        config = self.home.config
        return AppConfig(
            config.app_id, config.app_version, self.framework, config.env, config.platform
        )

    @property
    def configs(self) -> list[FunctionConfig]:
        return [served.config for served in self.functions.values()]

    @property
    def in_band(self) -> bool:
        """Whether a sync may be answered in the reply to its PUT."""
        return self.home.config.is_production and self.home.config.allow_in_band_sync

    def url(self, request: CommRequest) -> str:
        """The address to register: what was configured, else what the request says."""
        from urllib.parse import urlsplit

        config = self.home.config
        asked = urlsplit(request.url)
        origin = self.serve_origin or config.serve_origin or f"{asked.scheme}://{asked.netloc}"
        path = self.public_path or self.serve_path or config.serve_path or asked.path
        return complete_origin(origin) + "/" + path.lstrip("/")


def complete_origin(origin: str) -> str:
    """*origin* with a scheme, https unless it has one, and without a trailing slash."""
    if "://" not in origin:
        origin = f"https://{origin}"
    return check_origin("serve_origin", origin).rstrip("/")


def sdk_headers(config: Config) -> dict[str, str]:
    """The headers of every request and reply of ours."""
    headers = {
        Header.CONTENT_TYPE: "application/json",
        Header.SDK: SDK_NAME,
        Header.USER_AGENT: SDK_NAME,
        Header.REQUEST_VERSION: REQUEST_VERSION,
        Header.EXPECTED_SERVER_KIND: config.kind.value,
    }
    if config.env:
        headers[Header.ENV] = config.env
    if config.platform:
        headers[Header.PLATFORM] = config.platform
    return headers


def sync_header(kind: SyncKind) -> dict[str, str]:
    return {Header.SYNC_KIND: kind.value}
