"""Registration and introspection documents."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from urllib.parse import quote

from ..version import VERSION
from .config import FunctionOpts, TriggerEvent
from .names import CAPABILITIES, REGISTER_VERSION, SCHEMA_VERSION, SDK_LANGUAGE

SDK_NAME = f"inngest-{SDK_LANGUAGE}:v{VERSION}"
"""The SDK header's value."""


@dataclasses.dataclass(frozen=True, slots=True)
class FunctionConfig:
    """What one function registers: its full id and its options."""

    id: str
    opts: FunctionOpts

    def to_wire(self, url: str) -> dict[str, object]:
        """The function object of a registration; *url* is the app's, or that of a websocket."""
        step: dict[str, object] = {"id": "step", "name": "step"}
        if self.opts.retries is not None:
            step["retries"] = {"attempts": self.opts.retries}
        target = f"{url}?fnId={quote(self.id, safe='')}&stepId=step"
        kind = "ws" if url.startswith("ws") else "http"
        step["runtime"] = {"type": kind, "url": target}
        return {
            **self.opts.to_wire(),
            "id": self.id,
            "name": self.opts.name,
            "steps": {"step": step},
        }


def failure_id(of: FunctionConfig) -> str:
    """The id of the function that runs when *of* has failed."""
    return f"{of.id}-failure"


def failure_config(of: FunctionConfig) -> FunctionConfig:
    """The configuration of the function that runs when *of* has failed."""
    escaped = of.id.replace("\\", "\\\\").replace("'", "\\'")
    trigger = TriggerEvent(
        event="inngest/function.failed", expression=f"event.data.function_id == '{escaped}'"
    )
    opts = FunctionOpts(
        fn_id=f"{of.opts.fn_id}-failure",
        name=f"{of.opts.name} (failure)",
        retries=0,
        triggers=[trigger],
    )
    return FunctionConfig(id=failure_id(of), opts=opts)


@dataclasses.dataclass(frozen=True, slots=True)
class AppConfig:
    """What an app says of itself in every document."""

    app_id: str
    app_version: str | None
    framework: str
    env: str | None
    platform: str | None


def registration(
    app: AppConfig, functions: Iterable[FunctionConfig], url: str
) -> dict[str, object]:
    """The body of ``POST /fn/register``."""
    doc: dict[str, object] = {
        "appName": app.app_id,
        "capabilities": CAPABILITIES,
        "deployType": "ping",
        "framework": app.framework,
        "functions": [function.to_wire(url) for function in functions],
        "sdk": f"{SDK_LANGUAGE}:v{VERSION}",
        "url": url,
        "v": REGISTER_VERSION,
    }
    if app.app_version is not None:
        doc["appVersion"] = app.app_version
    headers = {k: v for k, v in (("env", app.env), ("platform", app.platform)) if v}
    if headers:
        doc["headers"] = headers
    return doc


@dataclasses.dataclass(frozen=True, slots=True)
class Inspection:
    """What a client knows of itself; hashes in place of keys. The order is the wire's."""

    api_origin: str
    app_id: str
    authentication_succeeded: bool | None
    env: str | None
    event_api_origin: str
    event_key_hash: str | None
    framework: str
    function_count: int
    has_event_key: bool
    has_signing_key: bool
    has_signing_key_fallback: bool
    mode: str
    serve_origin: str | None
    serve_path: str | None
    signing_key_fallback_hash: str | None
    signing_key_hash: str | None

    def public(self) -> dict[str, object]:
        """What an unsigned request may see, in dev mode."""
        return {
            "schema_version": SCHEMA_VERSION,
            "function_count": self.function_count,
            "has_event_key": self.has_event_key,
            "has_signing_key": self.has_signing_key,
            "has_signing_key_fallback": self.has_signing_key_fallback,
            "mode": self.mode,
        }

    def full(self) -> dict[str, object]:
        """What a signed request sees."""
        return {
            "schema_version": SCHEMA_VERSION,
            **dataclasses.asdict(self),
            "capabilities": CAPABILITIES,
            "sdk_language": SDK_LANGUAGE,
            "sdk_version": VERSION,
        }


def in_band_reply(
    app: AppConfig,
    functions: Iterable[FunctionConfig],
    inspection: Inspection,
    url: str,
) -> dict[str, object]:
    """The reply that registers the app by itself. Null keys are left out."""
    doc: dict[str, object] = {
        "app_id": app.app_id,
        "app_version": app.app_version,
        "env": app.env,
        "framework": app.framework,
        "functions": [function.to_wire(url) for function in functions],
        "inspection": {k: v for k, v in inspection.full().items() if v is not None},
        "platform": app.platform,
        "sdk_author": "inngest",
        "sdk_language": SDK_LANGUAGE,
        "sdk_version": VERSION,
        "url": url,
    }
    return {key: value for key, value in doc.items() if value is not None}
